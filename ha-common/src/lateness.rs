//! Kernel timers that fire late, and what is done about it.
//!
//! A BPF timer fires in a soft interrupt, and those are served in order: behind the one for received frames, and by
//! an ordinary process once there are too many of them. A flood on the timer's CPU makes it late by milliseconds. The
//! agent's own timer has neither in its way, but a wake-up for each deadline that adverts only move costs what the
//! kernel's timer is there to save. So it stands behind the kernel's only where that was late of late.

use crate::layout::Slot;
use crate::units::{Instant, Nanos};

/// A timer that fires so much after its time is late: far more than a calm machine takes.
pub const LATE: Nanos = Nanos::from_millis(1);
/// For how long a timer is not trusted after it was late.
pub const REMEMBERED: Nanos = Nanos::from_millis(10_000);
/// How long after a deadline the agent looks by itself.
pub const BEHIND: Nanos = Nanos::from_millis(2);

/// Notes that a timer that was set to `due` fired at `now`, both in `CLOCK_MONOTONIC` nanoseconds; a `due` of zero
/// is that of a timer that was not set.
#[inline(always)]
pub fn note(slot: &mut Slot, due: u64, now: u64) {
    let late = now.saturating_sub(due);
    if due == 0 || late < LATE.0 {
        return;
    }
    slot.late += 1;
    slot.late_at = now;
    if late > slot.latest {
        slot.latest = late;
    }
}

/// When the agent is to look at a deadline that the kernel keeps; `None`: it leaves it to the kernel.
pub fn look_at(slot: &Slot, now: Instant) -> Option<Instant> {
    let is_doubted = slot.late_at != 0 && now.since(Instant(slot.late_at)) < REMEMBERED;
    (is_doubted && slot.deadline != 0).then(|| Instant(slot.deadline) + BEHIND)
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
        let slot = fired(MILLI);
        assert_eq!((slot.late, slot.latest), (1, MILLI));
        let behind = Some(Instant(DUE + 32 * MILLI));
        assert_eq!(look_at(&slot, Instant(DUE + 2 * MILLI)), behind);
        let end = DUE + MILLI + REMEMBERED.0;
        assert_eq!(look_at(&slot, Instant(end - 1)), behind);
        assert_eq!(look_at(&slot, Instant(end)), None);
    }

    #[test]
    fn a_timer_that_keeps_its_time_is_trusted() {
        for late in [0, MILLI - 1] {
            let slot = fired(late);
            assert_eq!((slot.late, look_at(&slot, Instant(DUE))), (0, None));
        }
        let mut early = Slot::default();
        note(&mut early, DUE, DUE - 1);
        note(&mut early, 0, DUE);
        assert_eq!(early.late, 0);
    }

    #[test]
    fn the_worst_is_kept_and_no_deadline_is_no_reason_to_look() {
        let mut slot = fired(7 * MILLI);
        note(&mut slot, DUE, DUE + 3 * MILLI);
        assert_eq!((slot.late, slot.latest), (2, 7 * MILLI));
        slot.deadline = 0;
        assert_eq!(look_at(&slot, Instant(DUE)), None);
    }
}
