//! What is wanted on the host, compared with what is there: addresses, routes, rules and the devices of virtual
//! MACs. Each comparison can be made at any time and as often as need be, so that what failed, or was undone by
//! something else, is only a difference that the next one finds.
//!
//! These are values: what to ask the kernel for comes out, and what it answered goes in. The driver asks. Only
//! [`leftovers`] asks by itself, since `cleanup` has no driver.

pub mod addresses;
pub mod configured_routing;
pub mod leftovers;
mod lookup;
pub mod missing;
pub mod placed;
pub mod placed_routing;
mod restores;
pub mod retry;
