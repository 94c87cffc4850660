//! What an instance wants of its virtual MAC's device.

use crate::net::links::Link;

/// What an instance wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub instance: &'a str,
    /// The device's.
    pub device: &'a str,
    /// The virtual MAC.
    pub address: [u8; 6],
    /// The interface beneath.
    pub parent: &'a Link,
    /// Whether IPv6 addresses are to be on it.
    pub ipv6: bool,
}
