//! Frames made by the letter of the standards, every field of which can be made wrong.
//!
//! An independent witness: nothing here uses the wire code of ha-common.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One 802.1Q or 802.1ad tag.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// 0x8100 or 0x88a8.
    pub protocol: u16,
    /// Priority, drop eligibility and VLAN identifier.
    pub control: u16,
}

impl Tag {
    /// An 802.1Q tag.
    pub const fn dot1q(control: u16) -> Self {
        Self {
            protocol: 0x8100,
            control,
        }
    }
}

/// How the checksum is made.
#[derive(Clone, Copy, Debug)]
pub enum Checksum {
    /// Over the pseudo-header and the message.
    PseudoHeader,
    /// Over the message alone.
    Payload,
    /// Over the first bytes of the message alone.
    PayloadOf(usize),
    /// Over the pseudo-header and the first bytes of the message.
    PseudoHeaderOf(usize),
    /// Right with the pseudo-header, then changed by this much.
    OffBy(u16),
}

/// A VRRP message.
#[derive(Clone, Debug)]
pub struct Message {
    /// High nibble of the first byte.
    pub version: u8,
    /// Low nibble of the first byte.
    pub kind: u8,
    /// The virtual router.
    pub vrid: u8,
    /// The priority.
    pub priority: u8,
    /// What the count says; `None`: the truth.
    pub count: Option<u8>,
    /// v2: authentication type and interval in seconds. v3: reserved nibble and interval.
    pub word: [u8; 2],
    /// The address list.
    pub addresses: Vec<IpAddr>,
    /// What follows the list: v2's authentication data, or anything.
    pub trailer: Vec<u8>,
    /// How it is summed.
    pub checksum: Checksum,
}

/// An Ethernet frame with a VRRP message in it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Tags, outermost first.
    pub tags: Vec<Tag>,
    /// Source address; its family is the frame's.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IP protocol or next header.
    pub protocol: u8,
    /// IPv4: options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv4: flags and fragment offset.
    pub fragment: u16,
    /// IPv6: an extension header in front of the message, and its number.
    pub extension: Option<(u8, Vec<u8>)>,
    /// What the IP header says of the message's length (IPv6: with extension headers); `None`: the truth.
    pub length: Option<u16>,
    /// The message.
    pub message: Message,
    /// Bytes behind the IP packet.
    pub padding: usize,
}

impl Frame {
    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = ethernet(&self.tags, self.ethertype());
        out.extend(self.packet());
        out.resize(out.len() + self.padding, 0);
        out
    }

    /// The message's length in bytes.
    pub fn message_length(&self) -> usize {
        self.message_without_checksum().len()
    }

    fn ethertype(&self) -> u16 {
        if self.source.is_ipv4() {
            0x0800
        } else {
            0x86dd
        }
    }

    fn packet(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut next = self.protocol;
        if let Some((number, header)) = &self.extension {
            payload.extend_from_slice(header);
            next = *number;
        }
        payload.extend(self.message_bytes());
        let length = self.length.unwrap_or(size(payload.len()));
        let mut out = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4_header(source, destination, next, length)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                ipv6_header(source, destination, next, self.ttl, length)
            }
            _ => panic!("source and destination are of two families"),
        };
        out.extend(payload);
        out
    }

    fn ipv4_header(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        length: u16,
    ) -> Vec<u8> {
        let words = u8::try_from(5 + self.options.len() / 4).expect("at most ten words of options");
        let total = length.saturating_add(u16::from(words) * 4);
        let mut out = vec![0x40 | words, 0xc0];
        out.extend(total.to_be_bytes());
        out.extend([0x12, 0x34]);
        out.extend(self.fragment.to_be_bytes());
        out.extend([self.ttl, protocol, 0, 0]);
        out.extend(source.octets());
        out.extend(destination.octets());
        out.extend(&self.options);
        let sum = internet_checksum(&out);
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out
    }

    fn message_bytes(&self) -> Vec<u8> {
        let mut out = self.message_without_checksum();
        let with_header = |length: usize| {
            let mut covered = self.pseudo_header(length);
            covered.extend(&out[..length]);
            internet_checksum(&covered)
        };
        let sum = match self.message.checksum {
            Checksum::PseudoHeader => with_header(out.len()),
            Checksum::PseudoHeaderOf(length) => with_header(length),
            Checksum::Payload => internet_checksum(&out),
            Checksum::PayloadOf(length) => internet_checksum(&out[..length]),
            Checksum::OffBy(offset) => with_header(out.len()).wrapping_add(offset),
        };
        out[6..8].copy_from_slice(&sum.to_be_bytes());
        out
    }

    pub(super) fn message_without_checksum(&self) -> Vec<u8> {
        let message = &self.message;
        let truth = u8::try_from(message.addresses.len()).unwrap_or(u8::MAX);
        let mut out = vec![
            message.version << 4 | message.kind,
            message.vrid,
            message.priority,
            message.count.unwrap_or(truth),
            message.word[0],
            message.word[1],
            0,
            0,
        ];
        for address in &message.addresses {
            match address {
                IpAddr::V4(address) => out.extend(address.octets()),
                IpAddr::V6(address) => out.extend(address.octets()),
            }
        }
        out.extend(&message.trailer);
        out
    }

    /// IPv4: RFC 5798 section 5.2.8. IPv6: RFC 8200 section 8.1.
    fn pseudo_header(&self, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                out.extend(source.octets());
                out.extend(destination.octets());
                out.extend([0, 112]);
                out.extend(size(length).to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                out.extend(source.octets());
                out.extend(destination.octets());
                out.extend(u32::from(size(length)).to_be_bytes());
                out.extend([0, 0, 0, 112]);
            }
            _ => panic!("source and destination are of two families"),
        }
        out
    }
}

/// An Ethernet header.
pub fn ethernet(tags: &[Tag], ethertype: u16) -> Vec<u8> {
    let mut out = vec![0x01, 0x00, 0x5e, 0x00, 0x00, 0x12];
    out.extend([0x02, 0x00, 0x00, 0x00, 0x00, 0x02]);
    for tag in tags {
        out.extend(tag.protocol.to_be_bytes());
        out.extend(tag.control.to_be_bytes());
    }
    out.extend(ethertype.to_be_bytes());
    out
}

/// An IPv6 fixed header (RFC 8200 section 3).
pub fn ipv6_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next: u8,
    hop_limit: u8,
    length: u16,
) -> Vec<u8> {
    let mut out = vec![0x6c, 0, 0, 0];
    out.extend(length.to_be_bytes());
    out.extend([next, hop_limit]);
    out.extend(source.octets());
    out.extend(destination.octets());
    out
}

/// Puts the right checksum into the IPv4 header of an untagged frame without options.
pub fn sum_header_again(frame: &mut [u8]) {
    if let Some(header) = frame.get_mut(14..34) {
        header[10..12].fill(0);
        let sum = internet_checksum(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Puts the right checksums into the IPv4 header and the message of an untagged frame without options, so
/// that a changed one gets past those checks. Whether the message's covers the pseudo-header goes by the
/// version.
pub fn sum_again(frame: &mut [u8]) {
    let (start, addresses) = match frame.get(12..14) {
        Some([0x08, 0x00]) => (34, 26..34),
        Some([0x86, 0xdd]) => (54, 22..54),
        _ => return,
    };
    if start == 34 {
        sum_header_again(frame);
    }
    let Some(addresses) = frame.get(addresses).map(<[u8]>::to_vec) else {
        return;
    };
    let Some(message) = frame.get_mut(start..).filter(|message| message.len() >= 8) else {
        return;
    };
    message[6..8].fill(0);
    let mut covered = Vec::new();
    if message[0] >> 4 != 2 {
        covered.extend(addresses);
        covered.extend([0, 112]);
        covered.extend(size(message.len()).to_be_bytes());
    }
    covered.extend(&*message);
    let sum = internet_checksum(&covered);
    message[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1071 by the letter.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded at every step")
}

fn size(length: usize) -> u16 {
    u16::try_from(length).expect("a message of the corpus fits 65535 bytes")
}
