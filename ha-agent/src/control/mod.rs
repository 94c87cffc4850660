//! What the outside sees of a running agent: the types of `status` and `peers`, the socket they
//! travel over, and how they are shown to a person.
//!
//! Two conventions hold in every type here. A span of time is a whole number of microseconds and
//! its name ends in `_us`; a point in time is a [`Moment`], one to come a [`moment::Ahead`]. Names are
//! only ever added.

pub mod checks;
pub mod claims;
pub mod client;
pub mod fence;
pub mod group;
pub mod hmac;
pub mod instance;
pub mod moment;
pub mod peers;
pub mod protocol;
pub mod rejects;
mod render_held;
mod render_instance;
mod render_peers;
mod render_status;
#[cfg(test)]
mod sample;
pub mod server;
mod socket;
pub mod status;
mod text;
pub mod tracked;
pub mod transport;
pub mod virtual_mac;
pub mod ways;

pub use moment::Moment;
pub use rejects::RejectCounts;
pub use render_peers::render_peers;
pub use render_status::{Detail, render_status};
