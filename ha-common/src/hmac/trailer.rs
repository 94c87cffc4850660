//! The 28 bytes behind a message.

use super::stamp::Stamp;
use crate::reject::Reject;

/// Length of the trailer in bytes.
pub const TRAILER: usize = 28;
/// The same as the IP header counts.
pub const LENGTH: u16 = 28;
/// The part of it that the digest covers.
pub const SIGNED: usize = 12;
/// Length of the digest that it carries, of SHA-256's 32 bytes.
pub const TAG: usize = 16;
/// The only scheme: HMAC-SHA256, cut to 128 bits.
const SHA256: u8 = 1;

/// What stands behind a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// Names the key, 1 to 255.
    pub key_id: u8,
    /// When it was sent.
    pub stamp: Stamp,
    /// The digest.
    pub tag: [u8; TAG],
}

impl Trailer {
    /// Reads one. [`Reject::HmacTrailer`] if it is of a scheme that nobody knows.
    #[inline(always)]
    pub const fn read(bytes: [u8; TRAILER]) -> Result<Self, Reject> {
        let [h0, h1, h2, h3, s0, s1, s2, s3, s4, s5, s6, s7, tag @ ..] = bytes;
        let key_id = match key_id(u32::from_be_bytes([h0, h1, h2, h3])) {
            Ok(key_id) => key_id,
            Err(reject) => return Err(reject),
        };
        Ok(Self {
            key_id,
            stamp: Stamp(u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7])),
            tag,
        })
    }

    /// The part that the digest covers.
    pub const fn signed(key_id: u8, stamp: Stamp) -> [u8; SIGNED] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = stamp.0.to_be_bytes();
        [SHA256, key_id, 0, 0, s0, s1, s2, s3, s4, s5, s6, s7]
    }
}

/// The key that the first four bytes name. [`Reject::HmacTrailer`] if the scheme is none that anybody knows,
/// or what is reserved is not zero.
#[inline(always)]
pub const fn key_id(head: u32) -> Result<u8, Reject> {
    let [scheme, key_id, r0, r1] = head.to_be_bytes();
    if scheme != SHA256 || r0 != 0 || r1 != 0 {
        return Err(Reject::HmacTrailer);
    }
    Ok(key_id)
}

/// Compares two digests by all their bits, so that the time does not tell how many were right.
#[inline(always)]
pub const fn same_tag(a: [u8; TAG], b: [u8; TAG]) -> bool {
    u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> [u8; TRAILER] {
        let mut bytes = [0xaa; TRAILER];
        bytes[..SIGNED].copy_from_slice(&Trailer::signed(7, Stamp(0x0102_0304_0506_0708)));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(bytes()[..SIGNED], [1, 7, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            Trailer::read(bytes()),
            Ok(Trailer {
                key_id: 7,
                stamp: Stamp(0x0102_0304_0506_0708),
                tag: [0xaa; TAG],
            })
        );
    }

    #[test]
    fn another_scheme_or_a_reserved_bit_is_refused() {
        for (place, value) in [(0, 0), (0, 2), (2, 1), (3, 1)] {
            let mut bytes = bytes();
            bytes[place] = value;
            assert_eq!(Trailer::read(bytes), Err(Reject::HmacTrailer), "{place}");
        }
    }

    #[test]
    fn digests_are_the_same_or_not() {
        assert!(same_tag([7; TAG], [7; TAG]));
        for place in 0..TAG {
            let mut other = [7; TAG];
            other[place] ^= 0x80;
            assert!(!same_tag([7; TAG], other), "{place}");
        }
    }
}
