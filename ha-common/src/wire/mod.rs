//! What is on the wire: parsers that also run in the kernel, and builders.

pub mod arp;
pub mod body;
pub mod build;
pub mod checksum;
pub mod cursor;
pub mod frame;
pub mod ndp;
pub mod vrrp;
