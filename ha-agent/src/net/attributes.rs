//! The attributes of a netlink message (`struct nlattr`, linux/netlink.h), each read alone: one whose form nobody
//! here expects costs nothing but itself.

use std::borrow::Cow;
use std::iter;
use std::net::IpAddr;

/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`, which are no part of the kind.
const FLAGS: u16 = 0xc000;

/// The length and the kind.
const HEADER: usize = 4;

/// The attributes of a message, or those nested in one: their kinds and values. Ends at one that claims to be longer
/// than what is left.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    iter::from_fn(move || {
        let length = usize::from(u16_of(bytes)?);
        let kind = u16_of(bytes.get(2..)?)? & !FLAGS;
        let value = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

pub(super) fn u16_of(value: &[u8]) -> Option<u16> {
    value.first_chunk().copied().map(u16::from_ne_bytes)
}

pub(super) fn u32_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

/// An address of a family (`AF_INET` or `AF_INET6`).
pub(super) fn ip_of(family: u8, value: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => value.first_chunk::<4>().copied().map(IpAddr::from),
        libc::AF_INET6 => value.first_chunk::<16>().copied().map(IpAddr::from),
        _ => None,
    }
}

/// A text of the kernel's, which ends with a zero. An alias may be of any bytes and a name of nearly any: what is not
/// UTF-8 in them becomes U+FFFD.
pub(super) fn text_of(value: &[u8]) -> Cow<'_, str> {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(value.split_at(end.unwrap_or(value.len())).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_walked_to_the_first_that_is_longer_than_what_is_left() {
        let mut bytes = [6u16, 3 | 0x8000, 0x0201, 0, 5, 4, 0x0003, 0]
            .map(u16::to_ne_bytes)
            .concat();
        bytes.extend(9u16.to_ne_bytes());
        bytes.extend(7u16.to_ne_bytes());
        let found: Vec<_> = attributes(&bytes)
            .map(|(kind, value)| (kind, value.len()))
            .collect();
        assert_eq!(found, [(3, 2), (4, 1)]);
        assert_eq!(attribute(&bytes, 4).map(<[u8]>::len), Some(1));
        assert_eq!(attribute(&bytes, 7), None);
        for length in 0..bytes.len() {
            assert!(attributes(&bytes[..length]).count() <= 2);
        }
        let endless = [3u16, 1].map(u16::to_ne_bytes).concat();
        assert_eq!(
            attributes(&endless).count(),
            0,
            "shorter than its own header"
        );
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_a_text_all_the_same() {
        assert_eq!(text_of(b"eth0\0\0"), "eth0");
        assert_eq!(text_of(b"\xffx"), "\u{fffd}x");
        assert_eq!(text_of(b""), "");
    }
}
