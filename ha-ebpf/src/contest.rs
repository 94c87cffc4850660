//! One word that tells whether any address may be fenced at all, so that traffic pays one load while none may.
//!
//! It is the object's own data and no map value: reading it takes no look-up. It holds until when some master of this host
//! is contested, `CLOCK_MONOTONIC` nanoseconds, or zero; and in its lowest bit, whether some listed address has a slot that
//! is not master.

use ha_common::fence;
use ha_common::layout::Slot;

use crate::atomic;

static mut FENCED: u64 = 0;

/// The bit of an address whose slot is not master.
const CLOSED: u64 = 1;

/// Whether some address of this host may be fenced at present. The only thing that most packets ever pay for.
#[inline(always)]
pub(crate) fn is_possible() -> bool {
    // SAFETY: a word of the object's own; whoever writes it does so as a whole.
    unsafe { (&raw const FENCED).read_volatile() != 0 }
}

/// From here on, or no longer, some listed address has a slot that is not master: the agent's commands alone say so, one
/// after the other.
#[inline(always)]
pub(crate) fn set_closed(is_any: bool) {
    // SAFETY: as above.
    unsafe {
        let word = &raw mut FENCED;
        if is_any {
            atomic::or(word, CLOSED);
        } else {
            atomic::and(word, !CLOSED);
        }
    }
}

/// Another master was heard by this slot: until it must be silent, packets are looked at.
#[inline(always)]
pub(crate) fn note(slot: *mut Slot) {
    // SAFETY: `slot` is a live map value; fields that change meanwhile are those of the same contest.
    let until = unsafe { fence::contested_until(&*slot) } & !CLOSED;
    // SAFETY: as above. Of two that write at once one may be left out; the next advert corrects it.
    unsafe {
        let word = &raw mut FENCED;
        let old = word.read_volatile();
        if until > old & !CLOSED {
            atomic::compare_exchange(word, old, until | old & CLOSED);
        }
    }
}

/// Forgets a contest that is over, unless another one has begun meanwhile.
#[inline(always)]
pub(crate) fn expire(now: u64) {
    // SAFETY: as above.
    unsafe {
        let word = &raw mut FENCED;
        let old = word.read_volatile();
        let until = old & !CLOSED;
        if until != 0 && now > until {
            atomic::compare_exchange(word, old, old & CLOSED);
        }
    }
}
