//! Unsolicited Neighbor Advertisement: what gratuitous ARP is to IPv4, for IPv6.

use core::net::Ipv6Addr;

/// Bytes of the frame: Ethernet, IPv6, `ICMPv6` Neighbor Advertisement, target link-layer option.
pub const UNSOLICITED_NA_LEN: usize = 14 + 40 + ICMP_LEN as usize;

/// Where every IPv6 node of the segment listens: `ff02::1` as an Ethernet address.
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// `EtherType` of IPv6, in host order.
pub const ETHERTYPE: u16 = 0x86dd;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMP_LEN: u16 = 24 + 8;
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;
const OPTION_TARGET_LINK_LAYER: u8 = 2;

/// Writes an unsolicited Neighbor Advertisement of `address` at `mac` to all nodes.
///
/// The override flag is set, so that caches replace what they hold (RFC 4861 section 7.2.6), the
/// solicited flag is clear (section 4.4), `router` is the router flag. Source is the announced
/// address itself: it is assigned to the interface by then (section 4.4 asks for such a one), and
/// it survives where the link-local address is filtered or does not exist. The hop limit is 255,
/// or receivers discard it (section 7.1.2).
pub fn write_unsolicited(
    frame: &mut [u8; UNSOLICITED_NA_LEN],
    mac: [u8; 6],
    address: Ipv6Addr,
    router: bool,
) {
    frame[..6].copy_from_slice(&ALL_NODES_MAC);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());

    // Version 6, no traffic class, no flow label; payload length; next header; hop limit.
    frame[14..18].copy_from_slice(&[0x60, 0, 0, 0]);
    frame[18..20].copy_from_slice(&ICMP_LEN.to_be_bytes());
    frame[20..22].copy_from_slice(&[NEXT_HEADER_ICMPV6, 255]);
    frame[22..38].copy_from_slice(&address.octets());
    frame[38..54].copy_from_slice(&ALL_NODES.octets());

    let flags = FLAG_OVERRIDE | if router { FLAG_ROUTER } else { 0 };
    frame[54..62].copy_from_slice(&[NEIGHBOR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
    frame[62..78].copy_from_slice(&address.octets());
    // The option's length counts units of eight octets.
    frame[78..80].copy_from_slice(&[OPTION_TARGET_LINK_LAYER, 1]);
    frame[80..86].copy_from_slice(&mac);

    let checksum = icmpv6_checksum(&frame[22..54], &frame[54..]);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
}

/// RFC 4443 section 2.3: the Internet checksum over the pseudo-header and the message, whose own
/// checksum field is zero. `addresses` is source and destination as they stand in the header.
fn icmpv6_checksum(addresses: &[u8], message: &[u8]) -> u16 {
    let mut sum = u32::from(ICMP_LEN) + u32::from(NEXT_HEADER_ICMPV6);
    for part in [addresses, message] {
        for pair in part.chunks_exact(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = sum.to_be_bytes();
    !u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x64);

    /// RFC 9568 section 8.2.2 (announce).
    #[test]
    fn an_unsolicited_na_overrides_and_carries_the_link_layer_address() {
        let mut frame = [0xa5; UNSOLICITED_NA_LEN];
        write_unsolicited(&mut frame, MAC, ADDRESS, false);
        // The checksum was worked out by hand: 0x20 + 0x3a + 0xfd00 + 0x64 + 0xff02 + 0x1
        // + 0x8800 + 0x2000 + 0xfd00 + 0x64 + 0x201 + 0x200 + 0x1 = 0x3a627, folded 0xa62a, inverted 0x59d5.
        #[rustfmt::skip]
        let expected = [
            0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
            0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff,
            0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64,
            0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
            0x88, 0x00, 0x59, 0xd5, 0x20, 0x00, 0x00, 0x00,
            0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64,
            0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
        ];
        assert_eq!(frame, expected);
    }

    /// RFC 9568 section 6.4.1 (router-flag).
    #[test]
    fn a_forwarding_host_sets_the_router_flag_and_nothing_else() {
        let (mut host, mut router) = ([0; UNSOLICITED_NA_LEN], [0; UNSOLICITED_NA_LEN]);
        write_unsolicited(&mut host, MAC, ADDRESS, false);
        write_unsolicited(&mut router, MAC, ADDRESS, true);
        assert_eq!(router[58], host[58] | 0x80);
        assert_ne!(router[56..58], host[56..58]);
        assert_eq!(router[59..], host[59..]);
    }
}
