//! Reading frames as an independent witness: shares no code with the parser that ships.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::advert::internet_checksum;

/// What a captured frame says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A VRRP advertisement, right or wrong.
    Vrrp(Vrrp),
    /// ARP for IPv4 over Ethernet.
    Arp(Arp),
    /// An IPv6 neighbour advertisement.
    NeighbourAdvert(NeighbourAdvert),
}

/// A VRRP advertisement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vrrp {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// 2 or 3.
    pub version: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority; 0: the master leaves.
    pub priority: u8,
    /// The advertised interval.
    pub interval: Duration,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// How the checksum is right, if it is.
    pub checksum: Checksum,
}

/// Over what a checksum turned out to be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// Message and pseudo-header.
    PseudoHeader,
    /// The message alone.
    Payload,
    /// Neither.
    Wrong,
}

/// An ARP message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    /// 1: request, 2: reply.
    pub operation: u16,
    /// Destination of the frame.
    pub ethernet_destination: [u8; 6],
    /// Sender's hardware address.
    pub sender_mac: [u8; 6],
    /// Sender's address.
    pub sender: Ipv4Addr,
    /// The address asked for or answered to.
    pub target: Ipv4Addr,
}

impl Arp {
    /// True if the sender announces its own address.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target
    }
}

/// An IPv6 neighbour advertisement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NeighbourAdvert {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// R, S and O, the upper three bits.
    pub flags: u8,
    /// The target's hardware address, if it is there.
    pub target_mac: Option<[u8; 6]>,
}

impl NeighbourAdvert {
    /// True if it was not asked for (S clear): an announcement.
    pub fn is_unsolicited(&self) -> bool {
        self.flags & 0x40 == 0
    }

    /// True if it replaces what neighbours remember (O).
    pub fn is_override(&self) -> bool {
        self.flags & 0x20 != 0
    }
}

/// Decodes an Ethernet frame; `None` if it is of no interest or too short for what it claims.
pub fn decode(frame: &[u8]) -> Option<Kind> {
    let (ethernet, payload) = frame.split_at_checked(14)?;
    match u16::from_be_bytes(array(ethernet, 12)?) {
        0x0806 => arp(ethernet, payload).map(Kind::Arp),
        0x0800 => ipv4(payload),
        0x86dd => ipv6(payload),
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn arp(ethernet: &[u8], payload: &[u8]) -> Option<Arp> {
    // Ethernet, IPv4, and the lengths of their addresses.
    if payload.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    Some(Arp {
        operation: u16::from_be_bytes(array(payload, 6)?),
        ethernet_destination: array(ethernet, 0)?,
        sender_mac: array(payload, 8)?,
        sender: array::<4>(payload, 14)?.into(),
        target: array::<4>(payload, 24)?.into(),
    })
}

fn ipv4(packet: &[u8]) -> Option<Kind> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes(array(packet, 2)?));
    let message = packet.get(header..total)?;
    let source = IpAddr::V4(array::<4>(packet, 12)?.into());
    let destination = IpAddr::V4(array::<4>(packet, 16)?.into());
    match packet.get(9)? {
        112 => vrrp(source, destination, *packet.get(8)?, message).map(Kind::Vrrp),
        _ => None,
    }
}

fn ipv6(packet: &[u8]) -> Option<Kind> {
    let length = usize::from(u16::from_be_bytes(array(packet, 4)?));
    let message = packet.get(40..length.checked_add(40)?)?;
    let source: Ipv6Addr = array::<16>(packet, 8)?.into();
    let destination: Ipv6Addr = array::<16>(packet, 24)?.into();
    match packet.get(6)? {
        112 => vrrp(source.into(), destination.into(), *packet.get(7)?, message).map(Kind::Vrrp),
        58 if *message.first()? == 136 => Some(Kind::NeighbourAdvert(NeighbourAdvert {
            source,
            destination,
            target: array::<16>(message, 8)?.into(),
            flags: message.get(4)? & 0xe0,
            // Option 2, one unit of eight bytes: target link-layer address.
            target_mac: (message.get(24..26) == Some(&[2, 1]))
                .then(|| array(message, 26))
                .flatten(),
        })),
        _ => None,
    }
}

fn vrrp(source: IpAddr, destination: IpAddr, ttl: u8, message: &[u8]) -> Option<Vrrp> {
    let version = message.first()? >> 4;
    let count = usize::from(*message.get(3)?);
    let address_size = if source.is_ipv4() { 4 } else { 16 };
    let list = message.get(8..)?;
    let addresses = list
        .chunks_exact(address_size)
        .take(count)
        .filter_map(|chunk| match source {
            IpAddr::V4(_) => array::<4>(chunk, 0).map(|it| IpAddr::V4(it.into())),
            IpAddr::V6(_) => array::<16>(chunk, 0).map(|it| IpAddr::V6(it.into())),
        })
        .collect();
    let interval = if version == 2 {
        Duration::from_secs((*message.get(5)?).into())
    } else {
        let hundredths = u16::from_be_bytes(array(message, 4)?) & 0x0fff;
        Duration::from_millis(u64::from(hundredths) * 10)
    };
    let checksum = if internet_checksum(Some((source, destination)), message) == 0 {
        Checksum::PseudoHeader
    } else if internet_checksum(None, message) == 0 {
        Checksum::Payload
    } else {
        Checksum::Wrong
    };
    Some(Vrrp {
        source,
        destination,
        ttl,
        version,
        vrid: *message.get(1)?,
        priority: *message.get(2)?,
        interval,
        addresses,
        checksum,
    })
}

#[cfg(test)]
mod tests {
    use super::super::advert::Advert;
    use super::*;

    /// Version 3 over IPv4 as keepalived 2.2.7 sends it: priority 100, 100 ms, captured.
    const KEEPALIVED: [u8; 46] = [
        0x01, 0x00, 0x5e, 0x00, 0x00, 0x12, 0x02, 0x99, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
        0xc0, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0xd0, 0x36, 0x0a, 0x63, 0x00, 0x01,
        0xe0, 0x00, 0x00, 0x12, 0x31, 0x33, 0x64, 0x01, 0x00, 0x0a, 0x75, 0x07, 0x0a, 0x63, 0x00,
        0x64,
    ];

    #[test]
    fn the_builder_makes_the_very_frame_that_keepalived_sent() {
        let advert = Advert {
            ethernet_source: [0x02, 0x99, 0, 0, 0, 1],
            source: "10.99.0.1".parse().unwrap(),
            interval: 10,
            ..Advert::default()
        };
        assert_eq!(advert.frame(), KEEPALIVED);
    }

    #[test]
    fn what_the_builder_makes_reads_back_the_same() {
        let advert = Advert {
            priority: 90,
            interval: 1,
            ..Advert::default()
        };
        let Some(Kind::Vrrp(vrrp)) = decode(&advert.frame()) else {
            panic!("not an advert");
        };
        assert_eq!(
            (vrrp.version, vrrp.vrid, vrrp.priority, vrrp.ttl),
            (3, 51, 90, 255)
        );
        assert_eq!(vrrp.interval, Duration::from_millis(10));
        assert_eq!(vrrp.checksum, Checksum::PseudoHeader);
        assert_eq!(vrrp.addresses, advert.addresses);
    }

    #[test]
    fn every_truncation_is_survived() {
        let frame = Advert::default().frame();
        for length in 0..frame.len() {
            assert_eq!(decode(&frame[..length]), None, "{length}");
        }
    }
}
