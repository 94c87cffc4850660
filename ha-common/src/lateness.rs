//! Kernel timers that fire late, and what is done about it.
//!
//! A BPF timer fires in a soft interrupt, and those are served in order: behind the one for received frames, and by
//! an ordinary process once there are too many of them. A flood on the timer's CPU makes it late by milliseconds. The
//! agent's own timer has neither in its way, but a wake-up for each deadline that adverts only move costs what the
//! kernel's timer is there to save. So it stands behind the kernel's only where that was late of late.

use crate::layout::Slot;
use crate::master_tracking::down_interval;
use crate::units::{Instant, Nanos};

/// A timer that fires so much after its time is late: more than a busy machine takes. With 255 routers at 10 ms 1 ms is
/// not rare, and nothing to wake the agent for.
pub const LATE: Nanos = Nanos::from_millis(5);
/// For how long a timer is not trusted after it was late, at the least; and for two of its master-down intervals.
const REMEMBERED: Nanos = Nanos::from_millis(10_000);
/// Looks are so far apart at the least.
const STEP: Nanos = Nanos::from_millis(4);
/// How long after a deadline the agent acts by itself, at the least.
const BEHIND: Nanos = Nanos::from_millis(2);

/// Notes that a timer that was set to `due` fired at `now`, both in `CLOCK_MONOTONIC` nanoseconds; a `due` of zero
/// is that of a timer that was not set.
#[inline(always)]
pub fn note(slot: &mut Slot, due: u64, now: u64) {
    let late = now.saturating_sub(due);
    if due == 0 || late < LATE.0 {
        return;
    }
    if !is_doubted(slot, now) {
        slot.latest = 0;
    }
    slot.late += 1;
    slot.late_at = now;
    if late > slot.latest {
        slot.latest = late;
    }
}

#[inline(always)]
fn is_doubted(slot: &Slot, now: u64) -> bool {
    let two = 2 * down_interval(slot).0;
    let remembered = if two > REMEMBERED.0 {
        two
    } else {
        REMEMBERED.0
    };
    slot.late_at != 0 && now.saturating_sub(slot.late_at) < remembered
}

/// How long after a deadline that the kernel keeps the agent acts by itself. Where soft interrupts are late, adverts are
/// as well, and one that has arrived but waits for its turn is no silence: it is given twice what the timer was late by.
pub fn grace(slot: &Slot, now: Instant) -> Nanos {
    if is_doubted(slot, now.0) {
        BEHIND.max(Nanos(2 * slot.latest))
    } else {
        BEHIND
    }
}

/// When the agent is to look at a deadline that the kernel keeps; `None`: it leaves it to the kernel. Times of many slots
/// fall together, so that a host with hundreds of routers wakes no more often for it than one with a few.
pub fn look_at(slot: &Slot, now: Instant) -> Option<Instant> {
    (is_doubted(slot, now.0) && slot.deadline != 0).then(|| {
        let at = Instant(slot.deadline) + grace(slot, now);
        Instant(at.0.next_multiple_of(STEP.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: u64 = 5_000_000_000;
    const MILLI: u64 = 1_000_000;

    fn fired(late: u64) -> Slot {
        let mut slot = Slot {
            deadline: DUE + 30 * MILLI,
            ..Slot::default()
        };
        note(&mut slot, DUE, DUE + late);
        slot
    }

    #[test]
    fn a_timer_that_was_late_is_looked_behind_for_a_while() {
        let slot = fired(LATE.0);
        assert_eq!((slot.late, slot.latest), (1, LATE.0));
        let behind = Some(Instant(DUE + 40 * MILLI));
        assert_eq!(look_at(&slot, Instant(DUE + 6 * MILLI)), behind);
        let end = DUE + LATE.0 + REMEMBERED.0;
        assert_eq!(look_at(&slot, Instant(end - 1)), behind);
        assert_eq!(look_at(&slot, Instant(end)), None);
    }

    #[test]
    fn a_timer_that_keeps_its_time_is_trusted() {
        for late in [0, LATE.0 - 1] {
            let slot = fired(late);
            assert_eq!((slot.late, look_at(&slot, Instant(DUE))), (0, None));
        }
        let mut early = Slot::default();
        note(&mut early, DUE, DUE - 1);
        note(&mut early, 0, DUE);
        assert_eq!(early.late, 0);
    }

    #[test]
    fn adverts_get_twice_the_time_that_the_timer_was_late_by() {
        let slot = fired(30 * MILLI);
        let later = Instant(DUE + 31 * MILLI);
        assert_eq!(grace(&slot, later), Nanos::from_millis(60));
        // 90 ms later, at the next full step.
        assert_eq!(look_at(&slot, later), Some(Instant(DUE + 92 * MILLI)));
        // A calm spell, and it is forgotten.
        let calm = Instant(DUE + 30 * MILLI + REMEMBERED.0);
        assert_eq!((grace(&slot, calm), look_at(&slot, calm)), (BEHIND, None));
        let mut again = slot;
        note(&mut again, calm.0, calm.0 + 6 * MILLI);
        assert_eq!((again.late, again.latest), (2, 6 * MILLI));
    }

    #[test]
    fn a_slow_router_is_watched_until_its_next_deadline_too() {
        let mut slot = Slot {
            version: 3,
            own_priority: 1,
            own_interval: 4095,
            down_multiplier: 3,
            deadline: DUE + 160 * 1000 * MILLI,
            ..Slot::default()
        };
        note(&mut slot, DUE, DUE + LATE.0);
        assert!(look_at(&slot, Instant(DUE + 160 * 1000 * MILLI)).is_some());
    }

    #[test]
    fn the_worst_is_kept_and_no_deadline_is_no_reason_to_look() {
        let mut slot = fired(7 * MILLI);
        note(&mut slot, DUE, DUE + 5 * MILLI);
        assert_eq!((slot.late, slot.latest), (2, 7 * MILLI));
        slot.deadline = 0;
        assert_eq!(look_at(&slot, Instant(DUE)), None);
    }
}
