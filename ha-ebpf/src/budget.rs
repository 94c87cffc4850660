//! A slot's budget of wrong digests, where several CPUs spend it.

use ha_common::hmac::budget::{self, Budget};
use ha_common::hmac::replay::ReplayState;
use ha_common::layout::Slot;

use crate::atomic;

/// [`Budget::refuses`].
#[inline(always)]
pub(crate) fn refuses(slot: *mut Slot, mac: u64, known: Option<ReplayState>, now: u64) -> bool {
    // SAFETY: `slot` is a live map value. Another CPU may count at the same time, which decides about one digest
    // more or less.
    let budget = unsafe { &(*slot).budget };
    budget.refuses(mac, known.map(|mark| mark.mac), now)
}

/// [`Budget::note`]. Two CPUs that renew the window at once forget some of each other's.
#[inline(always)]
pub(crate) fn note(slot: *mut Slot, mac: u64, length: u16, now: u64) {
    // SAFETY: `slot` is a live map value, and a lane is below the array's length.
    unsafe {
        let budget: *mut Budget = &raw mut (*slot).budget;
        if (*budget).is_over(now) {
            for lane in 0..budget::LANES {
                (&raw mut (*budget).spent[lane]).write_volatile(0);
            }
            (*budget).start = now;
        }
        let spent = (&raw mut (*budget).spent).cast::<u64>();
        atomic::add(spent.add(budget::lane(mac)), budget::cost(length));
    }
}
