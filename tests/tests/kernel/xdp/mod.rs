//! The tests at the XDP hook, and what is the same whatever the hook: the object, its code, the plain socket.

mod code;
#[path = "../every_hook/mod.rs"]
mod every_hook;
mod object;
mod plain_socket;
mod stack;

/// Where the frames of these tests come in.
const HOOK: crate::Hook = crate::Hook::Xdp;
