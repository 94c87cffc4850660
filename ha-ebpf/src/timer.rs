//! The master-down timer of a slot.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::{
    bpf_timer_cancel, bpf_timer_init, bpf_timer_set_callback, bpf_timer_start,
};
use ha_common::layout::{Event, Slot, event, flags, state, status};
use ha_common::{lateness, retry};

use crate::maps::HA_SLOTS;
use crate::{atomic, count, events};

const CLOCK_MONOTONIC: u64 = 1;
const ENOMEM: i64 = 12;
const EBUSY: i64 = 16;

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
            // A write of the map from userspace has freed the one that it had, and that is to fire no more.
            0 => (*slot).armed_until = 0,
            // Busy: an earlier life of the agent initialised it.
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
        let deadline = (*slot).deadline;
        if (*slot).armed_until == 0 && (*slot).state == state::BACKUP && deadline != 0 {
            let now = bpf_ktime_get_ns();
            start(slot, deadline, deadline.saturating_sub(now));
        }
    }
    status::OK
}

/// Sets the deadline `span` nanoseconds from `now`. A timer that fires before it, as one does that an earlier advert
/// set, is left alone, and finds the new deadline when it fires: most adverts cost no start of a timer.
///
/// The deadline is written before it is read what the timer is set to, and [`on_deadline`] does it the other way
/// round, both in an order that all CPUs see: whoever comes second sees what the first has done.
#[inline(always)]
pub(crate) fn arm(slot: *mut Slot, now: u64, span: u64) {
    let deadline = now + span;
    // SAFETY: `slot` is a live map value.
    unsafe {
        atomic::exchange(&raw mut (*slot).deadline, deadline);
        forget_expiry(slot);
        let armed_until = (&raw const (*slot).armed_until).read_volatile();
        if armed_until == 0 || deadline < armed_until {
            start(slot, deadline, span);
        }
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
        (*slot).armed_until = 0;
    }
}

#[inline(always)]
unsafe fn forget_expiry(slot: *mut Slot) {
    // SAFETY: the caller's slot is a live map value.
    unsafe { (*slot).expiry_unsent = 0 };
}

/// Starts the timer, if the slot has one, to fire at `until`, `span` nanoseconds from now.
#[inline(always)]
unsafe fn start(slot: *mut Slot, until: u64, span: u64) {
    // SAFETY: the caller's slot is a live map value.
    unsafe {
        if (*slot).flags & flags::TIMER == 0 {
            return;
        }
        (*slot).armed_until = until;
        if bpf_timer_start(handle(slot), span, 0) != 0 {
            count::bump(&raw mut (*slot).timer_errors);
            (*slot).armed_until = 0;
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
        let due = atomic::exchange(&raw mut (*slot).armed_until, 0);
        let now = bpf_ktime_get_ns();
        lateness::note(&mut *slot, due, now);
        let deadline = (&raw const (*slot).deadline).read_volatile();
        if (*slot).state != state::BACKUP || deadline == 0 {
            return 0;
        }
        if now < deadline {
            count::bump(&raw mut (*slot).vetoed);
            start(slot, deadline, deadline - now);
            // An advert of priority 0 on another CPU may have set an earlier one, and started the timer for it
            // before it was started here.
            let newest = (&raw const (*slot).deadline).read_volatile();
            if newest != 0 && newest < deadline {
                start(slot, newest, newest.saturating_sub(now));
            }
            return 0;
        }
        let sent = events::push_deadline(
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
            let times = (*slot).expiry_unsent.saturating_add(1);
            (*slot).expiry_unsent = times;
            let span = retry::after(times);
            start(slot, now + span, span);
        }
    }
    0
}
