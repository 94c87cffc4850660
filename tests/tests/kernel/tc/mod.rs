//! The tests at the tc hooks of a device with Ethernet headers, and what only tc has: the fence at egress.

mod egress;
#[path = "../every_hook/mod.rs"]
mod every_hook;

/// Where the frames of these tests come in.
const HOOK: crate::Hook = crate::Hook::Tc;
