//! The Internet checksum (RFC 1071), in pieces that the BPF programs can use.

/// A running one's-complement sum; words are taken in network order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sum(u64);

impl Sum {
    /// Nothing summed yet.
    pub const ZERO: Self = Self(0);

    /// Adds one 32-bit word: 2^16 = 1 modulo 2^16 - 1, so its halves need not be split before the fold.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, bytes: [u8; 4]) -> Self {
        Self(self.0 + u32::from_be_bytes(bytes) as u64)
    }

    /// Adds what was summed elsewhere, over whole 16-bit words.
    #[inline(always)]
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Adds the IPv4 pseudo-header (RFC 9293 section 3.1) of a VRRP message.
    #[inline(always)]
    #[must_use]
    pub const fn pseudo_v4(self, source: [u8; 4], destination: [u8; 4], length: u16) -> Self {
        let sum = self.word(source).word(destination);
        Self(sum.0 + super::numbers::PROTOCOL as u64 + length as u64)
    }

    /// Adds the IPv6 pseudo-header (RFC 8200 section 8.1).
    #[inline(always)]
    #[must_use]
    pub fn pseudo_v6(self, source: [u8; 16], destination: [u8; 16], next: u8, length: u32) -> Self {
        let sum = self.wide(source).wide(destination);
        Self(sum.0 + u64::from(next) + u64::from(length))
    }

    /// Adds sixteen bytes.
    #[inline(always)]
    #[must_use]
    const fn wide(self, b: [u8; 16]) -> Self {
        self.word([b[0], b[1], b[2], b[3]])
            .word([b[4], b[5], b[6], b[7]])
            .word([b[8], b[9], b[10], b[11]])
            .word([b[12], b[13], b[14], b[15]])
    }

    /// Adds bytes of any length, an odd end padded with zeros.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let sum = words.iter().fold(self, |sum, word| sum.word(*word));
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        sum.word(last)
    }

    /// The sum folded to 16 bits.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        let mut sum = self.0;
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        #[expect(clippy::cast_possible_truncation, reason = "folded three times")]
        let folded = sum as u16;
        folded
    }

    /// True if the summed message carries its right checksum.
    #[inline(always)]
    pub const fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    /// The checksum to put into the message that was summed with zeros in its place.
    pub const fn finish(self) -> u16 {
        !self.fold()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// RFC 1071 by the letter: 16-bit words, end-around carry at every step.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        let sum = Sum::ZERO.bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
    }

    proptest::proptest! {
        #[test]
        fn sums_like_the_plain_algorithm(bytes in proptest::collection::vec(0_u8.., 0..1500)) {
            let bytes: Vec<u8> = bytes;
            proptest::prop_assert_eq!(Sum::ZERO.bytes(&bytes).finish(), plain(&bytes));
        }
    }
}
