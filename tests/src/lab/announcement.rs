//! Announcements of an address by ARP and neighbour discovery, as any host may make them: shares no code with
//! what ships.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::advert::checksum_of;

const ICMPV6: u8 = 58;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A request for the sender's own address, to all (RFC 5227 section 3).
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// An unasked neighbour advertisement that overrides what neighbours remember (RFC 4861 section 4.4), from a
/// link-local address.
pub fn unsolicited_advert(mac: [u8; 6], source: Ipv6Addr, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    // Option 2, one unit of eight bytes: where the address is.
    message.extend([2, 1]);
    message.extend(mac);
    let sum = checksum_of(ICMPV6, Some((source.into(), ALL_NODES.into())), &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame.extend(source.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::decode::{Kind, decode};

    const MAC: [u8; 6] = [0x02, 0x99, 0, 0, 0, 0x66];

    #[test]
    fn they_are_read_as_announcements() {
        let four = Ipv4Addr::new(10, 99, 0, 100);
        let Some(Kind::Arp(arp)) = decode(&gratuitous_arp(MAC, four)) else {
            panic!("no ARP");
        };
        assert!(arp.is_gratuitous() && arp.sender == four && arp.sender_mac == MAC);
        let six = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
        let Some(Kind::NeighbourAdvert(advert)) = decode(&unsolicited_advert(MAC, own, six)) else {
            panic!("no advertisement");
        };
        assert!(advert.is_unsolicited() && advert.is_override());
        assert_eq!((advert.target, advert.target_mac), (six, Some(MAC)));
    }
}
