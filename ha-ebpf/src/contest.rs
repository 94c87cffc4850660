//! One word that tells whether any slot may be fenced at all, so that traffic pays one load while none may.
//!
//! It is the object's own data and no map value: reading it takes no look-up.

use ha_common::fence;
use ha_common::layout::Slot;

use crate::atomic;

/// Until when some master of this host is contested, `CLOCK_MONOTONIC` nanoseconds; zero: none is.
static mut CONTESTED_UNTIL: u64 = 0;

/// Whether some master of this host may be contested at present. The only thing that most packets ever pay for.
#[inline(always)]
pub(crate) fn is_possible() -> bool {
    // SAFETY: a word of the object's own; whoever writes it does so as a whole.
    unsafe { (&raw const CONTESTED_UNTIL).read_volatile() != 0 }
}

/// Another master was heard by this slot: until it must be silent, packets are looked at.
#[inline(always)]
pub(crate) fn note(slot: *mut Slot) {
    // SAFETY: `slot` is a live map value; fields that change meanwhile are those of the same contest.
    let until = unsafe { fence::contested_until(&*slot) };
    // SAFETY: as above. Two that write at once may leave the earlier time; the next advert corrects it.
    unsafe {
        let word = &raw mut CONTESTED_UNTIL;
        if until > word.read_volatile() {
            word.write_volatile(until);
        }
    }
}

/// Forgets a contest that is over, unless another one has begun meanwhile.
#[inline(always)]
pub(crate) fn expire(now: u64) {
    // SAFETY: as above.
    unsafe {
        let word = &raw mut CONTESTED_UNTIL;
        let until = word.read_volatile();
        if until != 0 && now > until {
            atomic::compare_exchange(word, until, 0);
        }
    }
}
