//! ARP and neighbour discovery: who is asked for, and who says to be there.
//!
//! RFC 826; RFC 4861 sections 4.3 and 4.4, which know no extension headers in front of one worth looking behind.

use ha_common::address::RawAddress;
use ha_common::units::Family;
use ha_common::wire::cursor::Cursor;
use ha_common::wire::frame::Network;

use crate::frame::mac;

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// ARP for IPv4 over Ethernet, as it begins, without the operation.
const ARP: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const ARP_REQUEST: [u8; 2] = [0, 1];
/// The next header of `ICMPv6` (RFC 4443 section 1).
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// The first look at a packet, by its ethertype and a byte of its header.
pub(crate) mod glance {
    use ha_common::wire::numbers::PROTOCOL;

    use crate::frame::Glance;

    /// Ethertypes as they are read: in network order.
    pub(crate) const IPV4: u16 = 0x0800_u16.to_be();
    pub(crate) const IPV6: u16 = 0x86dd_u16.to_be();
    pub(crate) const ARP: u16 = 0x0806_u16.to_be();
    pub(crate) const DOT1Q: u16 = 0x8100_u16.to_be();
    pub(crate) const DOT1AD: u16 = 0x88a8_u16.to_be();
    /// The authentication header of `IPsec` (RFC 4302).
    const AH: u8 = 51;

    /// `byte` gives a byte of the packet by its offset, if the packet is that long.
    #[inline(always)]
    pub(crate) fn packet(ethertype: u16, byte: impl Fn(usize) -> Option<u8>) -> Glance {
        let protocol = match ethertype {
            IPV4 => byte(9),
            IPV6 => byte(6),
            ARP => return Glance::Neighbour,
            _ => return Glance::Traffic,
        };
        match protocol {
            Some(PROTOCOL) => Glance::Vrrp,
            Some(super::ICMPV6) if ethertype == IPV6 => Glance::Neighbour,
            Some(AH) => Glance::Authenticated,
            _ => Glance::Traffic,
        }
    }
}

/// What a frame asks and says. Every field always has a value, since the verifier refuses to copy a register that
/// was never written.
#[derive(Clone, Copy)]
pub(crate) struct Neighbour {
    pub(crate) family: Family,
    /// The address that is asked for; zero: none.
    pub(crate) asked: RawAddress,
    /// The address that the frame says to be its sender's; zero: none.
    pub(crate) claimed: RawAddress,
    /// The MAC that it says so of; zero: that of the frame.
    pub(crate) mac: u64,
}

impl Neighbour {
    const NOTHING: Self = Self {
        family: Family::V4,
        asked: [0; 16],
        claimed: [0; 16],
        mac: 0,
    };
}

/// Reads one.
#[inline(always)]
pub(crate) fn read<C: Cursor>(network: Network<C>) -> Neighbour {
    match network.ethertype {
        ETHERTYPE_ARP => read_arp(network.cursor),
        ETHERTYPE_IPV6 => read_ipv6(network.cursor),
        _ => Neighbour::NOTHING,
    }
}

#[inline(always)]
fn read_arp<C: Cursor>(mut cursor: C) -> Neighbour {
    if cursor.take::<6>() != Some(ARP) {
        return Neighbour::NOTHING;
    }
    let Some(operation) = cursor.take::<2>() else {
        return Neighbour::NOTHING;
    };
    let Some(sender_mac) = cursor.take::<6>() else {
        return Neighbour::NOTHING;
    };
    let Some(sender) = cursor.take::<4>() else {
        return Neighbour::NOTHING;
    };
    cursor.skip(6);
    let Some(target) = cursor.take::<4>() else {
        return Neighbour::NOTHING;
    };
    Neighbour {
        family: Family::V4,
        asked: if operation == ARP_REQUEST {
            ipv4(target)
        } else {
            [0; 16]
        },
        claimed: ipv4(sender),
        mac: mac(sender_mac),
    }
}

/// A solicitation goes to a multicast group or to the address itself; its target counts in both cases. One from
/// nowhere looks for duplicates, and claims nothing yet.
#[inline(always)]
fn read_ipv6<C: Cursor>(mut cursor: C) -> Neighbour {
    cursor.skip(6);
    let Some([next, _]) = cursor.take::<2>() else {
        return Neighbour::NOTHING;
    };
    let Some(source) = cursor.take::<16>() else {
        return Neighbour::NOTHING;
    };
    cursor.skip(16);
    let Some([kind]) = cursor.take::<1>() else {
        return Neighbour::NOTHING;
    };
    cursor.skip(7);
    let Some(target) = cursor.take::<16>() else {
        return Neighbour::NOTHING;
    };
    if next != ICMPV6 || kind != SOLICITATION && kind != ADVERTISEMENT {
        return Neighbour::NOTHING;
    }
    let (asked, claimed) = if kind == SOLICITATION {
        (target, source)
    } else {
        ([0; 16], target)
    };
    Neighbour {
        family: Family::V6,
        asked,
        claimed,
        mac: 0,
    }
}

/// An IPv4 address as the layouts hold it.
#[inline(always)]
pub(crate) const fn ipv4([a, b, c, d]: [u8; 4]) -> RawAddress {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
