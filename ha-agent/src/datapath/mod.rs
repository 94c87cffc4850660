//! Where adverts are heard: in the kernel by XDP, or by a plain socket.

pub mod attach;
mod fences;
mod gatekeeper;
pub mod kernel;
mod keyring;
mod listed;
pub mod pins;
mod raw;
pub mod reader;
pub mod soft;
