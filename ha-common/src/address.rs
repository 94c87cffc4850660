//! Addresses as the wire and the maps hold them, and as everything else does.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::units::Family;

/// An address of either family; IPv4 in the first four bytes, the rest zero.
pub type RawAddress = [u8; 16];

/// As the wire and the maps hold it.
pub const fn raw(address: IpAddr) -> RawAddress {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The reverse. `family` is the number in a map, 4 or 6; whatever else stands there was never written by us.
pub const fn to_ip(family: u8, address: RawAddress) -> IpAddr {
    let [a, b, c, d, ..] = address;
    if family == Family::V4 as u8 {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(Ipv6Addr::from_octets(address))
    }
}

/// The reverse; `None` for no address at all.
pub const fn known_ip(family: Family, address: RawAddress) -> Option<IpAddr> {
    if u128::from_ne_bytes(address) == 0 {
        None
    } else {
        Some(to_ip(family as u8, address))
    }
}

/// Its family.
pub const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// Compares as two words: a byte-wise comparison would become a call that BPF does not have.
#[inline(always)]
pub const fn same(a: RawAddress, b: RawAddress) -> bool {
    u128::from_ne_bytes(a) == u128::from_ne_bytes(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_either_family_comes_back_as_it_was() {
        for text in ["10.99.0.100", "a63:64::", "2001:db8::7"] {
            let it: IpAddr = text.parse().unwrap();
            assert_eq!(to_ip(family_of(it) as u8, raw(it)), it);
        }
    }
}
