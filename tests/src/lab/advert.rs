//! Building VRRP frames, right ones and wrong ones: shares no code with what ships.
#![expect(
    clippy::cast_possible_truncation,
    reason = "a length that does not fit its field is cut, as a forger would"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::VIP;

/// The IPv4 group of VRRP.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group of VRRP.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// VRRP's protocol number.
const PROTOCOL: u8 = 112;

/// How an advert's checksum is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sum {
    /// As most senders do: v2 over the message, v3 with the pseudo-header.
    Usual,
    /// Over the message alone.
    Payload,
    /// The usual one, with its lowest bit turned over.
    Wrong,
}

/// An advert to be. The default is a good one for VRID 51, version 3, priority 100, one second, from
/// 10.99.0.66; change a field to make it wrong.
#[derive(Clone, Debug)]
pub struct Advert {
    /// Source of the frame.
    pub ethernet_source: [u8; 6],
    /// Destination of the frame; `None`: what fits the destination address (the group's, or broadcast).
    pub ethernet_destination: Option<[u8; 6]>,
    /// VLAN tags, outermost first.
    pub vlans: Vec<u16>,
    /// Source address; its family decides the frame's.
    pub source: IpAddr,
    /// Destination; `None`: the family's VRRP group.
    pub destination: Option<IpAddr>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// IPv4 flags and fragment offset, as the 16 bits of the header.
    pub fragment: u16,
    /// IPv4 options; padded with zeros to whole words.
    pub ip_options: Vec<u8>,
    /// VRRP version.
    pub version: u8,
    /// VRRP type; 1 is an advertisement.
    pub kind: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// The address count when it is not to be the true one.
    pub count: Option<u8>,
    /// Version 3: hundredths of a second, 12 bits, the upper 4 being reserved. Version 2: the upper
    /// byte is the authentication type, the lower one seconds.
    pub interval: u16,
    /// The addresses; those of the other family than the source's are written in their own size.
    pub addresses: Vec<IpAddr>,
    /// The eight bytes of authentication data that version 2 ends with.
    pub auth: [u8; 8],
    /// How the checksum is made.
    pub sum: Sum,
    /// Bytes after the message that belong to the IP packet.
    pub trailer: Vec<u8>,
    /// Bytes after the IP packet, as Ethernet padding is.
    pub padding: usize,
}

impl Default for Advert {
    fn default() -> Self {
        Self {
            ethernet_source: [0x02, 0x99, 0, 0, 0, 0x66],
            ethernet_destination: None,
            vlans: Vec::new(),
            source: IpAddr::V4(Ipv4Addr::new(10, 99, 0, 66)),
            destination: None,
            ttl: 255,
            protocol: PROTOCOL,
            fragment: 0,
            ip_options: Vec::new(),
            version: 3,
            kind: 1,
            vrid: 51,
            priority: 100,
            count: None,
            interval: 100,
            addresses: vec![VIP],
            auth: [0; 8],
            sum: Sum::Usual,
            trailer: Vec::new(),
            padding: 0,
        }
    }
}

impl Advert {
    /// The whole Ethernet frame.
    pub fn frame(&self) -> Vec<u8> {
        let destination = self.destination();
        let mut frame = Vec::new();
        frame.extend(
            self.ethernet_destination
                .unwrap_or_else(|| ethernet_of(destination)),
        );
        frame.extend(self.ethernet_source);
        for tag in &self.vlans {
            frame.extend([0x81, 0x00]);
            frame.extend(tag.to_be_bytes());
        }
        let mut payload = self.message();
        payload.extend(&self.trailer);
        match (self.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([0x08, 0x00]);
                frame.extend(self.ipv4_header(source, destination, payload.len()));
            }
            (source, destination) => {
                frame.extend([0x86, 0xdd]);
                frame.extend([0x6c, 0, 0, 0]);
                frame.extend(low_16(payload.len()));
                frame.extend([self.protocol, self.ttl]);
                frame.extend(octets_v6(source));
                frame.extend(octets_v6(destination));
            }
        }
        frame.extend(payload);
        frame.resize(frame.len() + self.padding, 0);
        frame
    }

    /// The VRRP message alone.
    pub fn message(&self) -> Vec<u8> {
        let count = self.count.unwrap_or(self.addresses.len().min(255) as u8);
        let mut message = vec![
            self.version << 4 | self.kind & 0x0f,
            self.vrid,
            self.priority,
            count,
        ];
        message.extend(self.interval.to_be_bytes());
        message.extend([0, 0]);
        for address in &self.addresses {
            match address {
                IpAddr::V4(it) => message.extend(it.octets()),
                IpAddr::V6(it) => message.extend(it.octets()),
            }
        }
        if self.version == 2 {
            message.extend(self.auth);
        }
        let pseudo_header = match self.sum {
            Sum::Payload => None,
            Sum::Usual | Sum::Wrong if self.version == 2 => None,
            Sum::Usual | Sum::Wrong => Some((self.source, self.destination())),
        };
        let mut sum = internet_checksum(pseudo_header, &message);
        if self.sum == Sum::Wrong {
            sum ^= 1;
        }
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn destination(&self) -> IpAddr {
        self.destination.unwrap_or(match self.source {
            IpAddr::V4(_) => GROUP_V4.into(),
            IpAddr::V6(_) => GROUP_V6.into(),
        })
    }

    fn ipv4_header(&self, source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Vec<u8> {
        let options = self.ip_options.len().next_multiple_of(4);
        let header = 20 + options;
        let mut bytes = vec![0x40 | (header / 4) as u8, 0xc0];
        bytes.extend(low_16(header + payload));
        bytes.extend([0, 1]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([self.ttl, self.protocol, 0, 0]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend(&self.ip_options);
        bytes.resize(header, 0);
        let sum = internet_checksum(None, &bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// The checksum of RFC 1071, over the message and, if addresses are given, the pseudo-header of
/// their family. Over a message with a right checksum in it, it is 0.
pub fn internet_checksum(pseudo_header: Option<(IpAddr, IpAddr)>, message: &[u8]) -> u16 {
    checksum_of(PROTOCOL, pseudo_header, message)
}

/// The same for a message of another IP protocol.
pub(super) fn checksum_of(
    protocol: u8,
    pseudo_header: Option<(IpAddr, IpAddr)>,
    message: &[u8],
) -> u16 {
    let mut bytes = Vec::new();
    match pseudo_header {
        Some((IpAddr::V4(source), IpAddr::V4(destination))) => {
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend([0, protocol]);
            bytes.extend(low_16(message.len()));
        }
        Some((source, destination)) => {
            bytes.extend(octets_v6(source));
            bytes.extend(octets_v6(destination));
            bytes.extend([0, 0]);
            bytes.extend(low_16(message.len()));
            bytes.extend([0, 0, 0, protocol]);
        }
        None => {}
    }
    bytes.extend(message);
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ethernet_of(destination: IpAddr) -> [u8; 6] {
    match destination {
        IpAddr::V4(it) if it.is_multicast() => {
            let [_, b, c, d] = it.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(it) if it.is_multicast() => {
            let [.., a, b, c, d] = it.octets();
            [0x33, 0x33, a, b, c, d]
        }
        _ => [0xff; 6],
    }
}

fn octets_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().octets(),
        IpAddr::V6(it) => it.octets(),
    }
}

/// A length as the wire carries it.
fn low_16(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_rfc_1071_example_is_right() {
        // RFC 1071 section 3: the sum of these words is ddf2.
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(None, &words), !0xddf2);
    }

    #[test]
    fn an_ipv4_advert_with_options_keeps_a_right_header_checksum() {
        let advert = Advert {
            ip_options: vec![1, 1, 1],
            ..Advert::default()
        };
        let frame = advert.frame();
        assert_eq!(internet_checksum(None, &frame[14..38]), 0);
        assert_eq!(frame[14], 0x46);
    }
}
