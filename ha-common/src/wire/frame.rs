//! From an Ethernet frame, or an IP packet, to the VRRP message in it.

use super::checksum::Sum;
use super::cursor::Cursor;
use super::message_sum::Body;
use super::numbers;
use crate::address::RawAddress;
use crate::units::Family;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_DOT1Q: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_DOT1AD: [u8; 2] = [0x88, 0xa8];

/// What the IP header says about the message behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpHeader {
    /// Source address.
    pub source: RawAddress,
    /// Destination address.
    pub destination: RawAddress,
    /// Length of the VRRP message in bytes, by the IP header.
    pub length: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The IP version.
    pub family: Family,
    /// A first fragment of several.
    pub fragment: bool,
}

/// What a frame is to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Not VRRP, or nothing that can be told: pass.
    Other,
    /// VRRP in a VLAN: belongs to the VLAN's own device: pass.
    Tagged,
    /// VRRP, but it ends before its first eight bytes do, or the IP header is one that every host
    /// discards: pass.
    Unreadable,
    /// VRRP.
    Vrrp,
}

/// A frame looked into.
///
/// Not an enum with data: every field always has a value, because the verifier refuses to copy a
/// register that was never written, and the compiler gives absent data just that.
#[derive(Clone, Copy, Debug)]
pub struct ParsedFrame<C> {
    /// What it is.
    pub kind: Kind,
    /// For VRRP: what the IP header says.
    pub envelope: IpHeader,
    /// For VRRP: the message's first eight bytes.
    pub header: [u8; 8],
    /// For VRRP: the position behind them.
    pub body: C,
}

impl<C> ParsedFrame<C> {
    #[inline(always)]
    const fn no(kind: Kind, body: C) -> Self {
        let envelope = IpHeader {
            source: [0; 16],
            destination: [0; 16],
            length: 0,
            ttl: 0,
            family: Family::V4,
            fragment: false,
        };
        Self {
            kind,
            envelope,
            header: [0; 8],
            body,
        }
    }
}

/// Where the packet in a frame begins, as a hook hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Network<C> {
    /// What is at the cursor: IPv4, IPv6, ARP, or a VLAN tag behind its first two bytes.
    pub ethertype: [u8; 2],
    /// Whether the frame belongs to a VLAN of which the hook knows already.
    pub tagged: bool,
    /// The position behind the ethertype.
    pub cursor: C,
}

/// Behind the addresses of an Ethernet frame; `None` if it ends there.
#[inline(always)]
pub fn ethernet<C: Cursor>(mut cursor: C) -> Option<Network<C>> {
    cursor.skip(12);
    let ethertype = cursor.take::<2>()?;
    Some(Network {
        ethertype,
        tagged: false,
        cursor,
    })
}

/// Looks for VRRP in an Ethernet frame with up to two VLAN tags.
#[inline(always)]
pub fn parse_frame<C: Cursor>(cursor: C) -> ParsedFrame<C> {
    match ethernet(cursor) {
        Some(network) => parse_in(network),
        None => ParsedFrame::no(Kind::Other, cursor),
    }
}

/// Looks for VRRP where a hook says that the packet begins, behind up to two VLAN tags.
///
/// A tag with VLAN identifier 0 carries a priority only (IEEE 802.1Q section 6.9): the frame is the port's own.
#[inline(always)]
pub fn parse_in<C: Cursor>(network: Network<C>) -> ParsedFrame<C> {
    let Network {
        mut ethertype,
        mut tagged,
        mut cursor,
    } = network;
    for _ in 0..2 {
        if ethertype != ETHERTYPE_DOT1Q && ethertype != ETHERTYPE_DOT1AD {
            break;
        }
        let Some([tci_high, tci_low, type_high, type_low]) = cursor.take::<4>() else {
            return ParsedFrame::no(Kind::Other, cursor);
        };
        tagged |= tci_high & 0x0f != 0 || tci_low != 0;
        ethertype = [type_high, type_low];
    }
    let mut parsed = match ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(cursor),
        ETHERTYPE_IPV6 => parse_ipv6(cursor),
        _ => ParsedFrame::no(Kind::Other, cursor),
    };
    if tagged && matches!(parsed.kind, Kind::Vrrp) {
        parsed.kind = Kind::Tagged;
    }
    parsed
}

/// Looks for VRRP in an IPv4 packet. Options are summed and passed over.
#[inline(always)]
pub fn parse_ipv4<C: Cursor>(mut cursor: C) -> ParsedFrame<C> {
    let Some(header) = cursor.take::<20>() else {
        return ParsedFrame::no(Kind::Other, cursor);
    };
    if header[9] != numbers::PROTOCOL || header[0] >> 4 != 4 {
        return ParsedFrame::no(Kind::Other, cursor);
    }
    let header_length = u16::from(header[0] & 0x0f) * 4;
    let fragment_field = u16::from_be_bytes([header[6], header[7]]);
    // A later fragment has no VRRP header: nobody can tell whose it is.
    if header_length < 20 || fragment_field & 0x1fff != 0 {
        return ParsedFrame::no(Kind::Unreadable, cursor);
    }
    if !is_undamaged(&header, header_length, cursor) {
        return ParsedFrame::no(Kind::Unreadable, cursor);
    }
    cursor.skip(usize::from(header_length) - 20);
    let total = u16::from_be_bytes([header[2], header[3]]);
    let mut envelope = IpHeader {
        source: [0; 16],
        destination: [0; 16],
        length: total.saturating_sub(header_length),
        ttl: header[8],
        family: Family::V4,
        fragment: fragment_field & 0x2000 != 0,
    };
    copy4(
        &mut envelope.source,
        [header[12], header[13], header[14], header[15]],
    );
    copy4(
        &mut envelope.destination,
        [header[16], header[17], header[18], header[19]],
    );
    finish(envelope, cursor)
}

/// Whether the header's checksum is right. XDP and tc come before the host's own IP stack, and a message without
/// a pseudo-header says nothing of the address that it comes from (RFC 1122 section 3.2.1.2).
#[inline(always)]
fn is_undamaged<C: Cursor>(h: &[u8; 20], header_length: u16, options: C) -> bool {
    let fixed = Sum::ZERO
        .word([h[0], h[1], h[2], h[3]])
        .word([h[4], h[5], h[6], h[7]])
        .word([h[8], h[9], h[10], h[11]])
        .word([h[12], h[13], h[14], h[15]])
        .word([h[16], h[17], h[18], h[19]]);
    if header_length == 20 {
        return fixed.is_valid();
    }
    let options = options.sum(&Body {
        length: u32::from(header_length) - 20,
        address_words: 0,
        words_per_address: 1,
    });
    options.is_some_and(|options| fixed.plus(options.sum).is_valid())
}

/// Whether a host may have this address: not the unspecified one, not one of the host itself, not one of
/// many (RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5.2, 2.5.3 and 2.7).
#[inline(always)]
pub const fn is_possible_source(family: Family, address: RawAddress) -> bool {
    match family {
        Family::V4 => {
            let [a, b, c, d, ..] = address;
            let is_broadcast = u32::from_be_bytes([a, b, c, d]) == u32::MAX;
            a != 0 && a != 127 && a & 0xf0 != 0xe0 && !is_broadcast
        }
        Family::V6 => address[0] != 0xff && u128::from_be_bytes(address) > 1,
    }
}

/// Looks for VRRP in an IPv6 packet. A packet with extension headers is not looked into: no
/// implementation sends such adverts, and what we do not understand passes.
#[inline(always)]
fn parse_ipv6<C: Cursor>(mut cursor: C) -> ParsedFrame<C> {
    let Some(fixed) = cursor.take::<8>() else {
        return ParsedFrame::no(Kind::Other, cursor);
    };
    if fixed[6] != numbers::PROTOCOL || fixed[0] >> 4 != 6 {
        return ParsedFrame::no(Kind::Other, cursor);
    }
    let (Some(source), Some(destination)) = (cursor.take::<16>(), cursor.take::<16>()) else {
        return ParsedFrame::no(Kind::Unreadable, cursor);
    };
    let envelope = IpHeader {
        source,
        destination,
        length: u16::from_be_bytes([fixed[4], fixed[5]]),
        ttl: fixed[7],
        family: Family::V6,
        fragment: false,
    };
    finish(envelope, cursor)
}

#[inline(always)]
fn finish<C: Cursor>(envelope: IpHeader, mut cursor: C) -> ParsedFrame<C> {
    if !is_possible_source(envelope.family, envelope.source) {
        return ParsedFrame::no(Kind::Unreadable, cursor);
    }
    match cursor.take::<8>() {
        Some(header) => ParsedFrame {
            kind: Kind::Vrrp,
            envelope,
            header,
            body: cursor,
        },
        None => ParsedFrame::no(Kind::Unreadable, cursor),
    }
}

#[inline(always)]
const fn copy4(to: &mut RawAddress, from: [u8; 4]) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = from[3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::SliceCursor;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const HEADER: [u8; 8] = [0x31, 51, 100, 1, 0, 100, 0xab, 0xcd];

    fn ipv4(options: usize, protocol: u8) -> Vec<u8> {
        let words = u8::try_from(5 + options).unwrap();
        let total = u8::try_from(20 + options * 4 + 12).unwrap();
        let mut out = vec![
            0x40 | words,
            0xc0,
            0,
            total,
            0,
            0,
            0,
            0,
            255,
            protocol,
            0,
            0,
        ];
        out.extend([10, 99, 0, 2, 224, 0, 0, 18]);
        out.resize(usize::from(words) * 4, 1);
        let sum = Sum::ZERO.bytes(&out).finish();
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend(HEADER);
        out.extend([10, 99, 0, 100]);
        out
    }

    fn ethernet(tags: &[[u8; 4]], ethertype: [u8; 2], packet: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 12];
        out.extend(tags.as_flattened());
        out.extend(ethertype);
        out.extend(packet);
        out
    }

    fn kind(frame: &[u8]) -> Kind {
        parse_frame(SliceCursor::new(frame)).kind
    }

    #[test]
    fn the_message_is_found_behind_options_and_priority_tags() {
        for options in 0..=10 {
            for tags in [&[][..], &[[0x81, 0, 0xe0, 0]]] {
                let frame = ethernet(tags, ETHERTYPE_IPV4, &ipv4(options, numbers::PROTOCOL));
                let mut parsed = parse_frame(SliceCursor::new(&frame));
                assert_eq!(parsed.kind, Kind::Vrrp);
                assert_eq!(parsed.header, HEADER);
                assert_eq!(parsed.envelope.length, 12);
                assert_eq!(parsed.envelope.source[..4], [10, 99, 0, 2]);
                assert_eq!(parsed.body.take(), Some([10, 99, 0, 100]));
            }
        }
    }

    #[test]
    fn a_packet_without_ethernet_is_looked_into_the_same_way() {
        let packet = ipv4(0, numbers::PROTOCOL);
        let bare = parse_ipv4(SliceCursor::new(&packet));
        let frame = ethernet(&[], ETHERTYPE_IPV4, &packet);
        let framed = parse_frame(SliceCursor::new(&frame));
        assert_eq!((bare.kind, bare.envelope), (framed.kind, framed.envelope));
    }

    #[test]
    fn a_tag_that_the_hook_knows_of_counts_like_one_in_the_frame() {
        let packet = ipv4(0, numbers::PROTOCOL);
        let network = |tagged| Network {
            ethertype: ETHERTYPE_IPV4,
            tagged,
            cursor: SliceCursor::new(&packet),
        };
        assert_eq!(parse_in(network(false)).kind, Kind::Vrrp);
        assert_eq!(parse_in(network(true)).kind, Kind::Tagged);
    }

    #[test]
    fn a_header_that_says_it_is_shorter_than_itself_cannot_be_read() {
        for words in 0..5 {
            let mut packet = ipv4(0, numbers::PROTOCOL);
            packet[0] = 0x40 | words;
            assert_eq!(
                kind(&ethernet(&[], ETHERTYPE_IPV4, &packet)),
                Kind::Unreadable
            );
        }
    }

    #[test]
    fn whatever_bit_of_an_ipv4_header_is_flipped_it_is_not_believed() {
        for options in [0, 1, 10] {
            let packet = ipv4(options, numbers::PROTOCOL);
            for bit in 0..(20 + options * 4) * 8 {
                let mut damaged = packet.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let parsed = parse_ipv4(SliceCursor::new(&damaged));
                assert_ne!(parsed.kind, Kind::Vrrp, "{options} options, bit {bit}");
            }
        }
    }

    #[test]
    fn a_source_that_no_host_has_is_not_believed() {
        let v4 = |first: [u8; 4]| {
            let mut address = [0; 16];
            copy4(&mut address, first);
            is_possible_source(Family::V4, address)
        };
        for host in [
            [10, 99, 0, 2],
            [1, 0, 0, 0],
            [223, 255, 255, 255],
            [240, 0, 0, 1],
        ] {
            assert!(v4(host), "{host:?}");
        }
        for nobody in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [224, 0, 0, 18],
            [255; 4],
        ] {
            assert!(!v4(nobody), "{nobody:?}");
        }
        let v6 = |first: u8, last: u8| {
            let mut address = [0; 16];
            (address[0], address[15]) = (first, last);
            is_possible_source(Family::V6, address)
        };
        assert!(v6(0xfe, 2) && v6(0, 2));
        assert!(!v6(0, 0) && !v6(0, 1) && !v6(0xff, 2));
    }

    #[test]
    fn a_vlan_is_another_interface_whichever_tag_names_it() {
        let packet = ipv4(0, numbers::PROTOCOL);
        let (priority, vlan) = ([0x81, 0, 0xe0, 0], [0x88, 0xa8, 0x01, 0]);
        for tags in [&[vlan][..], &[vlan, priority], &[priority, vlan]] {
            assert_eq!(kind(&ethernet(tags, ETHERTYPE_IPV4, &packet)), Kind::Tagged);
        }
        let other = ipv4(0, 17);
        assert_eq!(
            kind(&ethernet(&[vlan], ETHERTYPE_IPV4, &other)),
            Kind::Other
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let parsed = parse_frame(SliceCursor::new(&bytes));
            if parsed.kind == Kind::Vrrp {
                prop_assert!(bytes.len() >= 14 + 20 + 8);
            }
        }

        #[test]
        fn what_is_not_protocol_112_is_not_ours(protocol: u8, options in 0_usize..=10) {
            let frame = ethernet(&[], ETHERTYPE_IPV4, &ipv4(options, protocol));
            let expected = if protocol == numbers::PROTOCOL { Kind::Vrrp } else { Kind::Other };
            prop_assert_eq!(kind(&frame), expected);
        }
    }
}
