//! The tests at the tc hooks of a layer-3 device, which are handed no Ethernet header.

#[path = "every_hook/mod.rs"]
mod every_hook;

/// Where the frames of these tests come in.
const HOOK: crate::Hook = crate::Hook::TcLayer3;
