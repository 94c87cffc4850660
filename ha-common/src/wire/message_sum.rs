//! What stands behind the first eight bytes of a message: one pass that sums and hashes it.

use super::checksum::Sum;
use super::cursor::Cursor;
use super::vrrp::{AddressHash, MAX_LENGTH};

/// The 32-bit words of the longest message behind its first eight bytes.
const MAX_WORDS: u32 = (MAX_LENGTH as u32 - 8) / 4;

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
pub struct Digest {
    /// Of all bytes, an odd end padded with zeros (RFC 1071).
    pub sum: Sum,
    /// Of the addresses.
    pub hash: AddressHash,
}

/// Makes the pass, from where the cursor stands; `None` if the frame ends before the body does.
/// `address_words` gives that field of the body, for each word anew.
#[inline(always)]
pub fn digest<C: Cursor>(
    mut cursor: C,
    body: &Body,
    address_words: impl Fn() -> u32,
) -> Option<Digest> {
    let mut digest = Digest::default();
    let mut left = body.length;
    for index in 0..MAX_WORDS {
        if left < 4 {
            break;
        }
        let word = cursor.take::<4>()?;
        digest.sum = digest.sum.word(word);
        if index < address_words() {
            let lane = index & body.words_per_address.wrapping_sub(1);
            digest.hash = digest.hash.word(word, lane);
        }
        left -= 4;
    }
    let mut last = [0; 4];
    for byte in last.iter_mut().take(3) {
        if left == 0 {
            break;
        }
        [*byte] = cursor.take::<1>()?;
        left -= 1;
    }
    digest.sum = digest.sum.word(last);
    Some(digest)
}
