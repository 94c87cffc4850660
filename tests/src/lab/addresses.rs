//! Which addresses the hosts of a lab have, and which one they take over.

use std::net::{IpAddr, Ipv4Addr};

/// The virtual address that the tests, the demo and the bench move about.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100));
/// The last octet of the client's addresses.
pub(super) const CLIENT_NUMBER: u8 = 250;
/// Octets from here on are for virtual addresses and the client.
pub(super) const MOST_HOSTS: u8 = 90;
