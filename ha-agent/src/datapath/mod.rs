//! Where adverts are heard: in the kernel by XDP, or by a plain socket.

pub mod kernel;
pub mod pins;
mod raw;
