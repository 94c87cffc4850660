//! What is on the wire: parsers that also run in the kernel, and builders.

pub mod arp;
pub mod build;
pub mod checksum;
pub mod cursor;
pub mod frame;
pub mod message_sum;
pub mod ndp;
pub mod numbers;
pub mod vrrp;
