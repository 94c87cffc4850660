//! HMAC-SHA256 of an advert: kernels offer none to XDP and tc programs, so it is made here, block by block.
//!
//! The message is copied to a workbench in a map, where it becomes what the digest is made of: the pseudo
//! header before it, zeros over what it cannot cover, and SHA-256's padding behind it. Three global functions
//! do the long loops; the verifier follows each once (see [`crate::xdp_frame`]).

use core::arch::asm;

use ha_common::hmac::key::pseudo_header;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::sha256::{self, State};
use ha_common::hmac::trailer::{TAG, TRAILER};
use ha_common::hmac::{Key, Stamp};
use ha_common::layout::{PeerKey, SlotKey};
use ha_common::units::{Centiseconds, Family, Priority};
use ha_common::wire::cursor::Cursor;
use ha_common::wire::vrrp::Advert;

use crate::frame::Message;
use crate::maps::HA_SCRATCH;

/// Room for the longest message with all that stands round it, 24 blocks, and a power of two.
const WORDS: usize = 512;
/// Words before the message: the pseudo header.
const HEAD: usize = 5;
/// Words of SHA-256's block.
const BLOCK: usize = 16;
/// Words of its state.
const STATE: usize = 8;
/// The longest message in words.
const MESSAGE: usize = 1480 / 4;
/// Blocks of the longest.
const BLOCKS: usize = 24;

/// Where a digest is made.
#[repr(C)]
pub(crate) struct Scratch {
    /// What it is made of, as big-endian numbers.
    words: [u32; WORDS],
    /// For SHA-256's rounds.
    block: sha256::Scratch,
    /// SHA-256's state: on the stack there is no room for it.
    state: State,
    /// The digest that the advert carries.
    tag: [u32; TAG / 4],
    /// Who sent it. On the stack there is no room for this and the next one either.
    pub(crate) sender: PeerKey,
    /// The mark that it leaves.
    pub(crate) mark: ReplayState,
    /// Its advert's priority.
    pub(crate) priority: Priority,
    /// The interval in it.
    pub(crate) interval: Centiseconds,
    /// The length of its message, with the trailer.
    pub(crate) length: u16,
}

/// This CPU's. Programs of these hooks run with soft interrupts off, and do not interrupt each other.
#[inline(always)]
pub(crate) fn scratch() -> Option<*mut Scratch> {
    HA_SCRATCH.get_ptr_mut(0)
}

/// Copies a message of so many bytes, of which the body begins at its ninth, to the scratch area, and gives the trailer's
/// first word and its time.
#[inline(always)]
pub(crate) fn load<M: Message>(
    body: M,
    length: usize,
    scratch: *mut Scratch,
) -> Option<(u32, Stamp)> {
    if length < 8 + TRAILER || !body.load(8, length / 4) {
        return None;
    }
    let first = HEAD + length / 4 - TRAILER / 4;
    // SAFETY: the scratch is a live map value, and each index is kept inside of it.
    unsafe {
        for index in 0..TAG / 4 {
            (*scratch).tag[index] = *word(scratch, first + 3 + index);
        }
        let upper = u64::from(*word(scratch, first + 1));
        let lower = u64::from(*word(scratch, first + 2));
        Some((*word(scratch, first), Stamp(upper << 32 | lower)))
    }
}

/// Whether the advert's tag is the digest of the message in the scratch area. The key is a live map value; if the agent
/// removes it at this moment, the advert is judged by some other and refused.
#[inline(always)]
pub(crate) fn proves(
    scratch: *mut Scratch,
    key: *const Key,
    slot: SlotKey,
    version: u8,
    advert: &Advert,
) -> bool {
    let family = if slot.family == Family::V6 as u8 {
        Family::V6
    } else {
        Family::V4
    };
    let (head, source) = pseudo_header(family, version, slot.vrid, advert.source);
    let end = HEAD + usize::from(advert.length) / 4;
    // SAFETY: the scratch is a live map value, and each index is kept inside of it.
    unsafe {
        *word(scratch, 0) = u32::from_be_bytes(head);
        let (parts, _) = source.as_chunks::<4>();
        for (index, part) in parts.iter().enumerate() {
            *word(scratch, 1 + index) = u32::from_be_bytes(*part);
        }
        // The checksum is the lower half of the message's second word.
        *word(scratch, HEAD + 1) &= 0xffff_0000;
        for index in 0..TAG / 4 {
            *word(scratch, end - 1 - index) = 0;
        }
        (*scratch).state = (*key).inner;
    }
    ha_hash(end);
    // SAFETY: as above.
    unsafe {
        for index in 0..STATE {
            *word(scratch, index) = (*scratch).state[index];
        }
        (*scratch).state = (*key).outer;
    }
    ha_hash(STATE);
    // All of it, so that the time does not tell how much was right.
    let mut differs = 0;
    for index in 0..TAG / 4 {
        // SAFETY: as above.
        differs |= unsafe { (*scratch).state[index] ^ (*scratch).tag[index] };
    }
    differs == 0
}

/// A word of the scratch.
#[inline(always)]
unsafe fn word(scratch: *mut Scratch, index: usize) -> *mut u32 {
    // SAFETY: the caller's scratch is a live map value, and the index is below its length.
    unsafe { (&raw mut (*scratch).words).cast::<u32>().add(inside(index)) }
}

/// `index & 0x1ff`, out of the compiler's sight: it would leave out what it knows to change nothing, and the
/// verifier, which knows less, wants the bound.
#[inline(always)]
fn inside(mut index: usize) -> usize {
    const { assert!(WORDS == 0x200) };
    // SAFETY: it masks a register.
    unsafe {
        asm!("{index} &= 0x1ff", index = inout(reg) index, options(pure, nomem, nostack));
    }
    index
}

/// A number, read once more. The compiler would make one bound of a loop's two, and ask whether it was met and no
/// more; of that kernels before 6.2 learn nothing, and follow the loop for ever.
#[inline(always)]
fn anew(number: &usize) -> usize {
    // SAFETY: a reference can be read.
    unsafe { core::ptr::from_ref(number).read_volatile() }
}

/// Copies so many words behind the head in the scratch area; false if the frame ends before.
#[inline(always)]
pub(crate) fn copy<C: Cursor>(mut cursor: C, words: usize) -> bool {
    let Some(scratch) = scratch() else {
        return false;
    };
    for index in 0..MESSAGE {
        if index >= anew(&words) {
            break;
        }
        let Some(bytes) = cursor.take::<4>() else {
            return false;
        };
        // SAFETY: the scratch is a live map value.
        unsafe { *word(scratch, HEAD + index) = u32::from_be_bytes(bytes) };
    }
    true
}

/// Takes so many words of the scratch, and SHA-256's padding, into its state; 0 if there is no scratch.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_hash(count: usize) -> u32 {
    let Some(scratch) = scratch() else { return 0 };
    let blocks = (count * 4 + 9).div_ceil(sha256::BLOCK);
    let last = blocks * BLOCK - 1;
    // FIPS 180-4 section 5.1.1: a one, zeros, and the length in bits at the end of the last block. That
    // counts the block of the key, which the state began with.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a message has at most 1480 bytes"
    )]
    let bits = ((sha256::BLOCK + count * 4) * 8) as u32;
    // SAFETY: the scratch is a live map value, and each index is kept inside of it.
    unsafe {
        *word(scratch, count) = 0x8000_0000;
        for index in 1..BLOCK + 2 {
            if count + index >= anew(&last) {
                break;
            }
            *word(scratch, count + index) = 0;
        }
        *word(scratch, last) = bits;
    }
    for block in 0..BLOCKS {
        if block >= anew(&blocks) {
            break;
        }
        ha_compress(block);
    }
    1
}

/// Takes one block of the scratch into its state; 0 if there is no scratch.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_compress(block: usize) -> u32 {
    let Some(scratch) = scratch() else { return 0 };
    // SAFETY: the scratch is a live map value of this CPU alone.
    unsafe {
        for index in 0..BLOCK {
            (*scratch).block.schedule[index] = *word(scratch, block * BLOCK + index);
        }
        let Scratch { block, state, .. } = &mut *scratch;
        block.rounds(state);
    }
    1
}
