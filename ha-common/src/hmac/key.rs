//! The key, as it is used: what SHA-256 makes of it once, and of a message each time.

use bytemuck::{Pod, Zeroable};

use super::sha256::{BLOCK, INITIAL, State, compress};
use super::stamp::Stamp;
use super::trailer::{SIGNED, TAG, TRAILER, Trailer};
use crate::address::RawAddress;
use crate::layout::SlotKey;
use crate::units::Family;

/// The shortest secret, in bytes.
pub const KEY_MIN: usize = 32;
/// The longest: what SHA-256 takes in at once.
pub const KEY_MAX: usize = BLOCK;

/// Names a key of a virtual router.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Keyed {
    /// The virtual router.
    pub slot: SlotKey,
    /// 1 to 255.
    pub key_id: u8,
    /// Zero.
    pub pad: [u8; 3],
}

impl Keyed {
    /// The name of a key.
    pub const fn new(slot: SlotKey, key_id: u8) -> Self {
        Self {
            slot,
            key_id,
            pad: [0; 3],
        }
    }
}

/// A secret after the two blocks that every message begins with (RFC 2104 section 4): neither the secret nor
/// anything that opens another key can be had from it, but adverts can be signed with it.
#[derive(Clone, Copy, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Key {
    /// After the inner pad.
    pub inner: State,
    /// After the outer pad.
    pub outer: State,
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key")
    }
}

/// What of an advert is not in its message but in its digest: 20 bytes, which tie it to a sender, and to one
/// virtual router among those that share a key.
#[inline(always)]
pub const fn pseudo_header(
    family: Family,
    version: u8,
    vrid: u8,
    source: RawAddress,
) -> ([u8; 4], RawAddress) {
    ([family as u8, version, vrid, 0], source)
}

impl Key {
    /// `None` unless the secret has [`KEY_MIN`] to [`KEY_MAX`] bytes.
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < KEY_MIN || secret.len() > KEY_MAX {
            return None;
        }
        Some(Self {
            inner: padded(secret, 0x36),
            outer: padded(secret, 0x5c),
        })
    }

    /// The digest of an advert: `message` without its trailer, as it was sent from `source` for this virtual
    /// router. Whatever its checksum is, zeros are signed in its place.
    pub fn tag(
        &self,
        family: Family,
        source: RawAddress,
        message: &[u8],
        signed: [u8; SIGNED],
    ) -> [u8; TAG] {
        let version = message.first().map_or(0, |first| first >> 4);
        let vrid = message.get(1).copied().unwrap_or_default();
        let (head, source) = pseudo_header(family, version, vrid, source);
        let mut digest = Stream::after_a_block(self.inner);
        digest.take(&head);
        digest.take(&source);
        digest.take(message.get(..6).unwrap_or(message));
        digest.take(&[0; 2]);
        digest.take(message.get(8..).unwrap_or_default());
        digest.take(&signed);
        digest.take(&[0; TAG]);
        let inner = digest.finish();
        let mut digest = Stream::after_a_block(self.outer);
        digest.take(&inner);
        let mut tag = [0; TAG];
        for (to, byte) in tag.iter_mut().zip(digest.finish()) {
            *to = byte;
        }
        tag
    }

    /// Writes the trailer of a message.
    pub fn sign(
        &self,
        key_id: u8,
        stamp: Stamp,
        family: Family,
        source: RawAddress,
        message: &[u8],
    ) -> [u8; TRAILER] {
        let signed = Trailer::signed(key_id, stamp);
        let tag = self.tag(family, source, message, signed);
        let mut trailer = [0; TRAILER];
        for (to, byte) in trailer.iter_mut().zip(signed.into_iter().chain(tag)) {
            *to = byte;
        }
        trailer
    }
}

fn padded(secret: &[u8], pad: u8) -> State {
    let mut block = [pad; BLOCK];
    for (byte, secret) in block.iter_mut().zip(secret) {
        *byte ^= secret;
    }
    let mut state = INITIAL;
    compress(&mut state, &block);
    state
}

/// SHA-256 over bytes that come in pieces, from after a first block.
struct Stream {
    state: State,
    block: [u8; BLOCK],
    /// Bytes taken in, with the first block.
    length: usize,
}

impl Stream {
    const fn after_a_block(state: State) -> Self {
        Self {
            state,
            block: [0; BLOCK],
            length: BLOCK,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = self.length % BLOCK;
            self.block[at] = *byte;
            self.length += 1;
            if at == BLOCK - 1 {
                compress(&mut self.state, &self.block);
            }
        }
    }

    /// FIPS 180-4 section 5.1.1.
    fn finish(mut self) -> [u8; 32] {
        let bits = (self.length as u64) * 8;
        self.take(&[0x80]);
        while self.length % BLOCK != BLOCK - 8 {
            self.take(&[0]);
        }
        self.take(&bits.to_be_bytes());
        bytemuck::cast(self.state.map(u32::to_be_bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    /// The same by a library, from the words of the format.
    fn expected(
        secret: &[u8],
        family: Family,
        source: RawAddress,
        message: &[u8],
        signed: [u8; SIGNED],
    ) -> Vec<u8> {
        let mut input = vec![family as u8, message[0] >> 4, message[1], 0];
        input.extend(source);
        let mut message = message.to_vec();
        message[6..8].fill(0);
        input.extend(message);
        input.extend(signed);
        input.extend([0; TAG]);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(&input);
        mac.finalize().into_bytes()[..TAG].to_vec()
    }

    proptest! {
        #[test]
        fn a_digest_is_what_a_library_makes_of_it(
            secret in prop::collection::vec(any::<u8>(), KEY_MIN..=KEY_MAX),
            message in prop::collection::vec(any::<u8>(), 8..1500),
            source: RawAddress,
            key_id in 1_u8..,
            stamp: u64,
            v6: bool,
        ) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let key = Key::new(&secret).unwrap();
            let stamp = Stamp(stamp);
            let trailer = key.sign(key_id, stamp, family, source, &message);
            let signed = Trailer::signed(key_id, stamp);
            let tag = expected(&secret, family, source, &message, signed);
            prop_assert_eq!(&trailer[..SIGNED], &signed);
            prop_assert_eq!(&trailer[SIGNED..], &tag);
        }
    }

    #[test]
    fn a_secret_has_32_to_64_bytes() {
        for (length, fits) in [(0, false), (31, false), (32, true), (64, true), (65, false)] {
            assert_eq!(Key::new(&[7; 65][..length]).is_some(), fits, "{length}");
        }
    }

    #[test]
    fn no_key_shows_itself_in_a_log() {
        let key = Key::new(&[7; 32]).unwrap();
        assert_eq!(std::format!("{key:?}"), "Key");
    }
}
