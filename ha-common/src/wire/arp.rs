//! Gratuitous ARP: the frame that tells an IPv4 segment where a virtual address lives now.

use core::net::Ipv4Addr;

/// Bytes of the frame: Ethernet header and ARP packet. Drivers pad it to Ethernet's minimum.
pub const GRATUITOUS_LEN: usize = 14 + 28;

/// Where every host on the segment listens.
const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// `EtherType` of ARP, in host order.
pub const ETHERTYPE: u16 = 0x0806;

/// Writes an ARP announcement of `address` at `mac` (RFC 9568 section 6.4.1, RFC 5227 section 3).
///
/// It is a broadcast request whose sender and target address are the announced one; the target's
/// hardware address is unused and zero (RFC 5227 section 2.3).
pub fn write_gratuitous(frame: &mut [u8; GRATUITOUS_LEN], mac: [u8; 6], address: Ipv4Addr) {
    frame[..6].copy_from_slice(&BROADCAST_MAC);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    // Hardware Ethernet (1), protocol IPv4, their lengths, operation request (1).
    frame[14..22].copy_from_slice(&[0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address.octets());
    frame[32..38].fill(0);
    frame[38..42].copy_from_slice(&address.octets());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gratuitous_arp_is_a_broadcast_request_for_its_own_sender() {
        // A dirty buffer shows that every byte is written.
        let mut frame = [0xa5; GRATUITOUS_LEN];
        write_gratuitous(
            &mut frame,
            [0x02, 0x00, 0x00, 0x00, 0x00, 0x01],
            Ipv4Addr::new(10, 99, 0, 100),
        );
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
            0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x0a, 0x63, 0x00, 0x64,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x63, 0x00, 0x64,
        ];
        assert_eq!(frame, expected);
    }
}
