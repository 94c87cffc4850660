//! Addresses as vectors write them.

use std::net::{IpAddr, Ipv6Addr};

use ha_common::address::RawAddress;

/// `fe80::HOST`.
pub const fn link_local(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
}

/// An address as the layouts hold it.
pub fn raw(address: IpAddr) -> RawAddress {
    match address {
        IpAddr::V4(address) => {
            let mut out = [0; 16];
            out[..4].copy_from_slice(&address.octets());
            out
        }
        IpAddr::V6(address) => address.octets(),
    }
}
