//! The control socket: what may be asked of a running agent, and how it travels.

pub mod client;
pub mod protocol;
pub mod server;
mod socket;
