//! Records for the agent.

use aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP;
use ha_common::layout::{Counter, Event, Slot};

use crate::count;
use crate::maps::{HA_DEADLINES, HA_EVENTS};

/// Puts a record about what others sent into its ring, numbered with the slot's sequence; the ring may be full.
///
/// The wake-up is forced: the consumer's own bookkeeping may believe that it is awake already, and
/// records are rare.
#[inline(always)]
pub(crate) fn push(slot: *mut Slot, index: u32, mut event: Event) {
    // SAFETY: `slot` is a live map value; two CPUs at once may give a sequence twice, which the
    // agent takes for a gap and resynchronises.
    unsafe {
        event.slot = index;
        event.sequence = (*slot).events;
        event.generation = (*slot).generation;
        count::bump(&raw mut (*slot).events);
    }
    if let Some(mut entry) = HA_EVENTS.reserve(0) {
        entry.write(event);
        entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
        return;
    }
    lost(slot);
}

/// Puts the record of a deadline into the ring that nobody else's frames can fill; false if it is full all the
/// same.
#[inline(always)]
pub(crate) fn push_deadline(slot: *mut Slot, mut event: Event) -> bool {
    // SAFETY: `slot` is a live map value.
    unsafe { event.generation = (*slot).generation };
    if let Some(mut entry) = HA_DEADLINES.reserve(0) {
        entry.write(event);
        entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
        return true;
    }
    lost(slot);
    false
}

#[inline(always)]
fn lost(slot: *mut Slot) {
    // SAFETY: `slot` is a live map value.
    unsafe { count::bump(&raw mut (*slot).dropped) };
    count::host(Counter::EventsDropped);
}
