//! The part of `status` about a virtual MAC.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A virtual router's own MAC, and the device that has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VirtualMac {
    /// The device's name.
    pub device: String,
    /// The MAC, as in `00:00:5e:00:01:33`.
    pub address: String,
    /// The device's index; `null` while it is not there.
    pub ifindex: Option<u32>,
    /// Whether it is switched on, as it is for a master.
    pub up: bool,
}

impl fmt::Display for VirtualMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.ifindex, self.up) {
            (None, _) => "missing",
            (Some(_), true) => "up",
            (Some(_), false) => "down",
        };
        write!(f, "{} on {}, {state}", self.address, self.device)
    }
}

/// An Ethernet address as it is usually written.
#[derive(Clone, Copy, Debug)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.map(|octet| format!("{octet:02x}"));
        f.write_str(&octets.join(":"))
    }
}
