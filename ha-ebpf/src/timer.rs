//! The master-down timer of a slot.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::{
    bpf_timer_cancel, bpf_timer_init, bpf_timer_set_callback, bpf_timer_start,
};
use ha_common::layout::{Event, Slot, event, flags, state, status};

use crate::maps::HA_SLOTS;
use crate::{count, events};

const CLOCK_MONOTONIC: u64 = 1;
const ENOMEM: i64 = 12;
const EBUSY: i64 = 16;
/// How soon an event that the ring had no room for is tried again: 5 ms.
const RETRY: u64 = 5_000_000;

/// Gives the slot its timer: one of `ha_common::layout::status`.
#[inline(always)]
pub(crate) fn initialise(slot: *mut Slot) -> u32 {
    // SAFETY: `slot` is a live map value of `HA_SLOTS`, and its first field is the timer.
    unsafe {
        if (*slot).flags & flags::NO_TIMER != 0 {
            (*slot).flags &= !flags::TIMER;
            return status::TIMER_FAILED;
        }
        let map = (&raw const HA_SLOTS).cast_mut().cast::<c_void>();
        match bpf_timer_init(handle(slot), map, CLOCK_MONOTONIC) {
            // Busy: an earlier life of the agent initialised it.
            0 => {}
            error if error == -EBUSY => {}
            error if error == -ENOMEM => {
                count::bump(&raw mut (*slot).timer_errors);
                return status::TIMER_NO_MEMORY;
            }
            _ => {
                count::bump(&raw mut (*slot).timer_errors);
                return status::TIMER_FAILED;
            }
        }
        if bpf_timer_set_callback(handle(slot), on_deadline as *mut c_void) != 0 {
            count::bump(&raw mut (*slot).timer_errors);
            return status::TIMER_FAILED;
        }
        (*slot).flags |= flags::TIMER;
    }
    status::OK
}

/// Sets the deadline `span` nanoseconds from `now` and starts the timer, if the slot has one.
#[inline(always)]
pub(crate) fn arm(slot: *mut Slot, now: u64, span: u64) {
    // SAFETY: `slot` is a live map value.
    unsafe {
        (*slot).deadline = now + span;
        forget_expiry(slot);
        start(slot, span);
    }
}

/// Forgets the deadline. A timer that still fires finds nothing to do; it is not cancelled, because
/// `bpf_timer_cancel` also takes its callback away, and it would have to be set again to start it.
#[inline(always)]
pub(crate) fn disarm(slot: *mut Slot) {
    // SAFETY: `slot` is a live map value.
    unsafe {
        (*slot).deadline = 0;
        forget_expiry(slot);
    }
}

/// Stops the timer for good; `initialise` makes it usable again.
#[inline(always)]
pub(crate) fn cancel(slot: *mut Slot) {
    disarm(slot);
    // SAFETY: `slot` is a live map value.
    unsafe {
        if (*slot).flags & flags::TIMER != 0 {
            bpf_timer_cancel(handle(slot));
            (*slot).flags &= !flags::TIMER;
        }
    }
}

/// Written only when it changes: an advert on one CPU must not undo the flags that a command on
/// another has just set.
#[inline(always)]
unsafe fn forget_expiry(slot: *mut Slot) {
    // SAFETY: the caller's slot is a live map value.
    unsafe {
        if (*slot).flags & flags::EXPIRED_UNSENT != 0 {
            (*slot).flags &= !flags::EXPIRED_UNSENT;
        }
    }
}

#[inline(always)]
unsafe fn start(slot: *mut Slot, span: u64) {
    // SAFETY: the caller's slot is a live map value.
    unsafe {
        if (*slot).flags & flags::TIMER != 0 && bpf_timer_start(handle(slot), span, 0) != 0 {
            count::bump(&raw mut (*slot).timer_errors);
        }
    }
}

#[inline(always)]
fn handle(slot: *mut Slot) -> *mut aya_ebpf::bindings::bpf_timer {
    slot.cast()
}

/// The timer fired: tells the agent, unless an advert has moved the deadline meanwhile.
unsafe extern "C" fn on_deadline(_map: *mut c_void, index: *mut u32, slot: *mut Slot) -> i32 {
    // SAFETY: the kernel passes the key and the live value that the timer belongs to.
    unsafe {
        let deadline = (*slot).deadline;
        if (*slot).state != state::BACKUP || deadline == 0 {
            return 0;
        }
        let now = bpf_ktime_get_ns();
        if now < deadline {
            count::bump(&raw mut (*slot).vetoed);
            start(slot, deadline - now);
            return 0;
        }
        let sent = events::push(
            slot,
            Event {
                kind: event::MASTER_DOWN,
                slot: *index,
                at: now,
                deadline,
                ..Event::default()
            },
        );
        if sent {
            forget_expiry(slot);
            count::bump(&raw mut (*slot).fired);
        } else {
            (*slot).flags |= flags::EXPIRED_UNSENT;
            start(slot, RETRY);
        }
    }
    0
}
