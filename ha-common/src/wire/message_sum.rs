//! What stands behind the first eight bytes of a message: one pass that sums and hashes it.

use super::checksum::Sum;
use super::numbers::MAX_LENGTH;
use crate::address::RawAddress;
use crate::units::Family;

/// The 32-bit words of the longest message behind its first eight bytes.
pub(super) const MAX_WORDS: u32 = (MAX_LENGTH as u32 - 8) / 4;

/// What the pass is to see.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Body {
    /// Bytes, without the first eight; what is beyond the longest message is not looked at.
    pub length: u32,
    /// How many of the words are addresses.
    pub address_words: u32,
    /// 1 for IPv4, 4 for IPv6.
    pub words_per_address: u32,
}

/// What it gives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct MessageSum {
    /// Of all bytes, an odd end padded with zeros (RFC 1071).
    pub sum: Sum,
    /// Of the addresses.
    pub hash: AddressHash,
}

/// A hash of an address list that does not depend on its order.
///
/// Made word by word as a message is summed; two different lists of IPv6 addresses that are mixed
/// from the same words in the same places look alike, which is good enough for a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AddressHash(pub u64);

impl AddressHash {
    /// Adds one 32-bit word that stands at `lane` (0 to 3) of its address.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, word: [u8; 4], lane: u32) -> Self {
        let mut x = u32::from_be_bytes(word) as u64 | (lane as u64 + 1) << 32;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        Self(self.0.wrapping_add(x ^ (x >> 33)))
    }

    /// The hash of a whole list.
    pub fn of(family: Family, addresses: impl Iterator<Item = RawAddress>) -> Self {
        addresses.fold(Self::default(), |hash, address| {
            let (words, _) = address.as_chunks::<4>();
            words
                .iter()
                .zip(0..words_per_address(family))
                .fold(hash, |hash, (word, lane)| hash.word(*word, lane))
        })
    }
}

#[inline(always)]
pub(super) const fn words_per_address(family: Family) -> u32 {
    match family {
        Family::V4 => 1,
        Family::V6 => 4,
    }
}
