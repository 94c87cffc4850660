//! What else is on a wire: it must pass, and nothing of ours may notice it.

use std::net::Ipv6Addr;

use super::address::link_local;
use super::build::{Tag, ethernet, ipv6_header};
use super::receiver::Receiver;
use super::vector::{Expected, Vector};

/// The Ethernet type of IPv4.
const IPV4: u16 = 0x0800;
/// The Ethernet type of IPv6.
const IPV6: u16 = 0x86dd;
/// The Ethernet type of ARP.
const ARP: u16 = 0x0806;

/// Frames of other protocols.
pub fn traffic() -> Vec<Vector> {
    let group = [224, 0, 0, 18];
    let host = [10, 99, 0, 1];
    let frames = vec![
        ("ARP request", arp_request(host)),
        ("ARP reply", arp(2, host)),
        ("RARP", [ethernet(&[], 0x8035), vec![0; 28]].concat()),
        ("TCP segment", ipv4(6, host, &[0x11; 32])),
        ("UDP datagram", ipv4(17, host, &[0x22; 16])),
        ("ICMP echo", ipv4(1, host, &[8, 0, 0, 0, 0, 1, 0, 1])),
        ("UDP to the VRRP group", ipv4(17, group, &[0x31; 12])),
        ("IGMP report for the VRRP group", ipv4(2, group, &[0x16; 8])),
        ("OSPF to the VRRP group", ipv4(89, group, &[0x31; 44])),
        (
            "CARP's neighbour protocol 111",
            ipv4(111, group, &[0x31; 20]),
        ),
        ("protocol 113", ipv4(113, group, &[0x31; 20])),
        ("IPv4 type, IPv6 version", wrong_version(IPV4)),
        ("IPv6 type, IPv4 version", wrong_version(IPV6)),
        ("neighbour solicitation", solicitation(link_local(1))),
        ("neighbour advertisement", icmpv6(136, link_local(1))),
        ("router solicitation", icmpv6(133, link_local(1))),
        ("TCP over IPv6", ipv6(6, &[0x11; 32])),
        ("UDP over IPv6", ipv6(17, &[0x22; 16])),
        ("no next header", ipv6(59, &[])),
        (
            "spanning tree",
            [ethernet(&[], 38), vec![0x42; 38]].concat(),
        ),
        ("LLDP", [ethernet(&[], 0x88cc), vec![2; 46]].concat()),
        ("MPLS", [ethernet(&[], 0x8847), vec![0x47; 46]].concat()),
        ("tag without contents", ethernet(&[], 0x8100)),
        (
            "TCP in a VLAN",
            [
                ethernet(&[Tag::dot1q(10)], IPV4),
                ipv4(6, host, &[0x11; 32])[14..].to_vec(),
            ]
            .concat(),
        ),
        (
            "jumbo of an unknown type",
            [ethernet(&[], 0x9999), vec![0x70; 3000]].concat(),
        ),
        ("Ethernet header alone", ethernet(&[], IPV4)),
    ];
    frames
        .into_iter()
        .map(|(name, frame)| Vector {
            name: format!("other traffic: {name}"),
            receiver: Receiver::V3Ipv4,
            frame,
            expected: Expected::Other,
        })
        .collect()
}

/// Who has `target`?
pub fn arp_request(target: [u8; 4]) -> Vec<u8> {
    arp(1, target)
}

/// An ARP message of an operation (RFC 826).
pub fn arp(operation: u8, target: [u8; 4]) -> Vec<u8> {
    let mut out = ethernet(&[], ARP);
    out.extend([0, 1, 0x08, 0x00, 6, 4, 0, operation]);
    out.extend([2, 0, 0, 0, 0, 9, 10, 99, 0, 9]);
    out.extend([0; 6]);
    out.extend(target);
    out
}

/// An IPv4 packet from 10.99.0.9.
pub fn ipv4(protocol: u8, destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    ipv4_between([10, 99, 0, 9], destination, protocol, payload)
}

/// An IPv4 packet to 10.99.0.77.
pub fn ipv4_from(source: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_between(source, [10, 99, 0, 77], protocol, payload)
}

fn ipv4_between(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = ethernet(&[], IPV4);
    let total = u16::try_from(20 + payload.len()).expect("short");
    out.extend([0x45, 0]);
    out.extend(total.to_be_bytes());
    out.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    out.extend(source);
    out.extend(destination);
    out.extend(payload);
    out
}

/// An IPv6 packet from `fe80::9` to `fe80::1`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_to(link_local(1), next, payload)
}

/// An IPv6 packet from `fe80::9`.
pub fn ipv6_to(destination: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_from(link_local(9), destination, next, payload)
}

/// An IPv6 packet.
pub fn ipv6_from(source: Ipv6Addr, destination: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = ethernet(&[], IPV6);
    let length = u16::try_from(payload.len()).expect("short");
    out.extend(ipv6_header(source, destination, next, 255, length));
    out.extend(payload);
    out
}

/// Who has `target`? To its solicited-node group (RFC 4861 section 4.3).
pub fn solicitation(target: Ipv6Addr) -> Vec<u8> {
    icmpv6(135, target)
}

/// A neighbour discovery message about `target`, to its solicited-node group.
pub fn icmpv6(kind: u8, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let low = u16::from_be_bytes([b, c]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
    let mut payload = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(target.octets());
    payload.extend([1, 1, 2, 0, 0, 0, 0, 9]);
    ipv6_to(group, 58, &payload)
}

/// VRRP by the protocol field, but of another IP version than the Ethernet type says.
fn wrong_version(ethertype: u16) -> Vec<u8> {
    let mut packet = if ethertype == IPV4 {
        Receiver::V3Ipv4.valid()
    } else {
        Receiver::V3Ipv6.valid()
    }
    .bytes();
    packet[14] ^= 0x20;
    packet
}
