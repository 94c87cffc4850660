//! The types of `status --json` and `peers --json`, and nothing else.
//!
//! Two conventions hold in every type here. A span of time is a whole number of microseconds and
//! its name ends in `_us`; a point in time is a [`moment::WallTime`], one to come a [`moment::Countdown`]. Names are
//! only ever added.

pub mod agent;
pub mod checks;
pub mod claims;
pub mod fence;
pub(crate) mod format;
pub mod group;
pub mod hmac;
pub mod instance;
pub mod missing;
pub mod moment;
pub mod peers;
pub mod rejects;
pub mod routing;
#[cfg(test)]
pub(crate) mod sample;
pub mod tracked;
pub mod transport;
pub mod virtual_mac;
pub mod watches;
