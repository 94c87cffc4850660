//! The VRRP message that we send.

use super::checksum::Sum;
use super::numbers::{AUTH_NONE, AUTH_PASS, PROTOCOL};
use super::vrrp::ChecksumScope;
use crate::address::RawAddress;
use crate::units::{Centiseconds, Family, Priority, Version, Vrid};

/// Addresses that one message can list (RFC 9568 section 5.2.5: the count is one byte).
const MAX_ADDRESSES: usize = 255;
/// Room for any message: eight bytes, 255 IPv6 addresses; v2's trailer goes with IPv4 only.
pub const MAX_MESSAGE: usize = 8 + MAX_ADDRESSES * 16;

/// The first eight bytes of every message.
const HEAD: usize = 8;
/// v2: the authentication data (RFC 3768 section 5.3.10).
const AUTH_DATA: usize = 8;

/// Length in bytes of a message that lists so many addresses, without an HMAC trailer.
pub const fn length(version: Version, family: Family, addresses: usize) -> usize {
    HEAD + addresses * address_size(family) + auth_size(version)
}

/// How many addresses a message of at most `room` bytes lists, [`MAX_ADDRESSES`] at the most.
pub const fn capacity(version: Version, family: Family, room: usize) -> usize {
    let list = room.saturating_sub(HEAD + auth_size(version));
    let addresses = list / address_size(family);
    if addresses < MAX_ADDRESSES {
        addresses
    } else {
        MAX_ADDRESSES
    }
}

const fn address_size(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

const fn auth_size(version: Version) -> usize {
    match version {
        Version::V2 => AUTH_DATA,
        Version::V3 => 0,
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The protocol version.
    pub version: Version,
    /// The family of the addresses.
    pub family: Family,
    /// The virtual router.
    pub vrid: Vrid,
    /// 0 to leave.
    pub priority: Priority,
    /// The interval; v2 sends whole seconds.
    pub interval: Centiseconds,
    /// At most [`MAX_ADDRESSES`]; IPv4 in the first four bytes.
    pub addresses: &'a [RawAddress],
    /// v2: the password.
    pub password: Option<[u8; 8]>,
    /// The address that it leaves from: part of the pseudo-header.
    pub source: RawAddress,
    /// The group or the peer that it goes to: part of the pseudo-header.
    pub destination: RawAddress,
    /// v3 over IPv4: which checksum.
    pub flavour: ChecksumScope,
}

/// Writes the message, and returns its length in bytes.
///
/// RFC 9568 section 7.2 (fields), RFC 3768 section 7.2 (fields).
///
/// `None` if there are too many addresses or `out` is too short ([`MAX_MESSAGE`] is always enough).
pub fn write(message: &Message<'_>, out: &mut [u8]) -> Option<usize> {
    let count = u8::try_from(message.addresses.len()).ok()?;
    let size = address_size(message.family);
    let length = length(message.version, message.family, usize::from(count));
    let out = out.get_mut(..length)?;
    let (head, rest) = out.split_first_chunk_mut::<8>()?;
    let [fifth, sixth] = interval_bytes(message);
    *head = [
        (message.version as u8) << 4 | 1,
        message.vrid.get(),
        message.priority.0,
        count,
        fifth,
        sixth,
        0,
        0,
    ];
    let (list, tail) = rest.split_at_mut_checked(usize::from(count) * size)?;
    for (to, address) in list.chunks_exact_mut(size).zip(message.addresses) {
        to.copy_from_slice(address.get(..size)?);
    }
    if matches!(message.version, Version::V2) {
        // RFC 3768 section 5.3.10 (unused): always present, zeros if unused.
        tail.copy_from_slice(&message.password.unwrap_or_default());
    }
    let checksum = checksum(message, out)?;
    out.get_mut(6..8)?.copy_from_slice(&checksum.to_be_bytes());
    Some(length)
}

/// Makes the checksum of a message over IPv6 anew, with all that stands behind it.
pub fn sum_again_v6(message: &mut [u8], source: RawAddress, destination: RawAddress) {
    let Ok(length) = u32::try_from(message.len()) else {
        return;
    };
    if let Some(field) = message.get_mut(6..8) {
        field.fill(0);
    }
    let sum = Sum::ZERO
        .bytes(message)
        .pseudo_v6(source, destination, PROTOCOL, length)
        .finish();
    if let Some(field) = message.get_mut(6..8) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// v2: authentication type and seconds (RFC 3768 sections 5.3.6, 5.3.7). v3: 12 bits of
/// centiseconds below a reserved nibble (RFC 9568 sections 5.2.6 (reserve-sent), 5.2.7).
fn interval_bytes(message: &Message<'_>) -> [u8; 2] {
    match message.version {
        Version::V2 => {
            let auth = if message.password.is_some() {
                AUTH_PASS
            } else {
                AUTH_NONE
            };
            let seconds = u8::try_from(message.interval.0 / 100).unwrap_or(u8::MAX);
            [auth, seconds]
        }
        Version::V3 => (message.interval.0 & 0x0fff).to_be_bytes(),
    }
}

/// RFC 9568 section 7.2 (checksum), RFC 3768 section 7.2 (checksum).
fn checksum(message: &Message<'_>, bytes: &[u8]) -> Option<u16> {
    let sum = Sum::ZERO.bytes(bytes);
    let length = u16::try_from(bytes.len()).ok()?;
    let (source, destination) = (message.source, message.destination);
    let sum = match (message.version, message.family, message.flavour) {
        (Version::V2, ..) | (Version::V3, Family::V4, ChecksumScope::Payload) => sum,
        (Version::V3, Family::V4, ChecksumScope::PseudoHeader) => {
            sum.pseudo_v4(first_four(source), first_four(destination), length)
        }
        (Version::V3, Family::V6, _) => {
            sum.pseudo_v6(source, destination, PROTOCOL, u32::from(length))
        }
    };
    Some(sum.finish())
}

const fn first_four(address: RawAddress) -> [u8; 4] {
    let [a, b, c, d, ..] = address;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::super::numbers::MAX_LENGTH;
    use super::super::vrrp::group;
    use super::*;

    const VIP: RawAddress = [10, 99, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn message(version: Version) -> Message<'static> {
        Message {
            version,
            family: Family::V4,
            vrid: Vrid::new(51).unwrap(),
            priority: Priority(100),
            interval: Centiseconds(100),
            addresses: &[VIP],
            password: None,
            source: [10, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            destination: group(Family::V4),
            flavour: ChecksumScope::PseudoHeader,
        }
    }

    /// RFC 3768 sections 5.3.10 (unused), 7.2 (fields, checksum).
    #[test]
    fn a_v2_message_as_keepalived_sends_it() {
        let mut out = [0; MAX_MESSAGE];
        let length = write(&message(Version::V2), &mut out).unwrap();
        // 21 33 64 01 00 01 <sum> 0a 63 00 64 and eight zeros: 2133+6401+0001+0a63+0064 = 8ffc
        assert_eq!(
            &out[..length],
            [
                0x21, 51, 100, 1, 0, 1, 0x70, 0x03, 10, 99, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0
            ]
        );
    }

    /// RFC 9568 section 5.2.6 (reserve-sent).
    #[test]
    fn the_reserved_nibble_of_a_v3_message_is_zero_whatever_the_interval() {
        for (interval, sent) in [(1, [0, 1]), (0x0fff, [0x0f, 0xff]), (0xf123, [0x01, 0x23])] {
            let mut message = message(Version::V3);
            message.interval = Centiseconds(interval);
            let mut out = [0; MAX_MESSAGE];
            write(&message, &mut out).unwrap();
            assert_eq!(out[4..6], sent);
        }
    }

    #[test]
    fn as_many_addresses_as_fit_do_and_one_more_does_not() {
        for (version, family) in [
            (Version::V2, Family::V4),
            (Version::V3, Family::V4),
            (Version::V3, Family::V6),
        ] {
            for room in [0, 8, 27, 28, 576, 1452, 1480] {
                let most = capacity(version, family, room);
                if most > 0 {
                    assert!(length(version, family, most) <= room);
                }
                if most < MAX_ADDRESSES {
                    assert!(length(version, family, most + 1) > room);
                }
            }
            assert_eq!(capacity(version, family, usize::MAX), MAX_ADDRESSES);
        }
        let most = |room| capacity(Version::V3, Family::V6, room);
        assert_eq!(most(usize::from(MAX_LENGTH)), 92);
        // Behind an IPv6 header, in the MTU of Ethernet, and in IPv6's least.
        assert_eq!((most(1500 - 40), most(1280 - 40)), (90, 77));
        let messages = [Version::V2, Version::V3].map(message);
        for message in messages {
            let mut out = [0; MAX_MESSAGE];
            assert_eq!(
                write(&message, &mut out),
                Some(length(message.version, message.family, 1))
            );
        }
    }

    #[test]
    fn too_little_room_is_refused() {
        assert_eq!(write(&message(Version::V3), &mut [0; 11]), None);
        assert_eq!(write(&message(Version::V3), &mut [0; 12]), Some(12));
    }
}
