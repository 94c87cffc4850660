//! Records for the agent.

use aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP;
use ha_common::layout::{Counter, Event, Slot};

use crate::count;
use crate::maps::HA_EVENTS;

/// Puts a record into the ring, numbered with the slot's sequence; false if the ring is full.
///
/// The wake-up is forced: the consumer's own bookkeeping may believe that it is awake already, and
/// records are rare.
#[inline(always)]
pub(crate) fn push(slot: *mut Slot, mut event: Event) -> bool {
    // SAFETY: `slot` is a live map value; two CPUs at once may give a sequence twice, which the
    // agent takes for a gap and resynchronises.
    unsafe {
        event.sequence = (*slot).events;
        event.generation = (*slot).generation;
        count::bump(&raw mut (*slot).events);
    }
    if let Some(mut entry) = HA_EVENTS.reserve(0) {
        entry.write(event);
        entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
        return true;
    }
    // SAFETY: as above.
    unsafe { count::bump(&raw mut (*slot).dropped) };
    count::host(Counter::EventsDropped);
    false
}
