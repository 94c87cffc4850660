//! Where adverts are received: in the kernel, at a tc or an XDP hook, or by a plain socket.

pub mod attach;
pub mod attacher;
pub mod error;
mod hmac_verifier;
pub mod kernel;
mod masters;
mod mirrored_map;
pub mod object;
pub mod pins;
mod programs;
mod raw;
pub mod reader;
pub mod socket_slot;
pub mod suitability;
mod sys;
