//! A take-over that waits for a router of another time: what [`crate::hmac::untimely`] means to a slot.

use crate::layout::{Slot, state};
use crate::master_tracking::version;
use crate::timing::master_down;
use crate::units::{Centiseconds, Nanos, Priority, Version};

/// For how long the timer of a backup is armed by an advert of this priority and interval that does not count, as
/// [`Timing::Doubted`], and whose digest is right: it takes no place, but whoever sends it may live. `leapt` is whether
/// its sender is known, and its time has leapt ahead ([`crate::hmac::replay::ReplayWindow::has_leapt`]).
///
/// A backup that has heard somebody of the right time takes nothing else from strangers: theirs may be recordings.
///
/// [`Timing::Doubted`]: crate::hmac::Timing::Doubted
#[inline(always)]
pub fn arm_for(
    slot: &mut Slot,
    priority: Priority,
    interval: Centiseconds,
    leapt: bool,
    now: u64,
) -> Option<Nanos> {
    let listens = slot.state == state::BACKUP && (slot.last_heard == 0 || leapt);
    if !listens || priority.is_release() || !slot.untimely.may_hold_off(now) {
        return None;
    }
    let version = version(slot);
    let interval = match version {
        Version::V3 => interval,
        Version::V2 => Centiseconds(slot.own_interval),
    };
    let own = Priority(slot.own_priority);
    let span = master_down(version, own, interval, slot.down_multiplier);
    // It may only be later.
    let waits = slot.deadline != 0 && slot.deadline < now + span.0;
    waits.then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hmac::Untimely;
    use crate::master_tracking::tests::{INTERVAL, MS, START, slot};

    const REARM: Option<Nanos> = Some(Nanos(36_484_375));

    #[test]
    fn a_router_that_proves_itself_by_a_wrong_time_holds_off_whoever_has_heard_nobody() {
        let fresh = Slot {
            deadline: START + MS,
            ..slot(state::BACKUP)
        };
        let later = Slot {
            deadline: START + 40 * MS,
            ..fresh
        };
        let following = Slot {
            last_heard: START - MS,
            ..fresh
        };
        let waited = Slot {
            untimely: Untimely {
                held_since: START - 61_000_000_000,
                ..Untimely::default()
            },
            ..fresh
        };
        for (before, priority, leapt, waits) in [
            (fresh, 200, false, REARM),
            // A lower one too: it would refuse our adverts, and go on.
            (fresh, 1, false, REARM),
            (fresh, 0, false, None),
            (following, 200, false, None),
            (following, 200, true, REARM),
            (following, 0, true, None),
            (waited, 200, false, None),
            (later, 200, false, None),
            (slot(state::MASTER), 200, false, None),
            (slot(state::IDLE), 200, false, None),
        ] {
            let mut slot = before;
            let found = arm_for(
                &mut slot,
                Priority(priority),
                Centiseconds(INTERVAL),
                leapt,
                START,
            );
            assert_eq!(found, waits, "{priority} {leapt}");
            assert_eq!(slot.master_address, before.master_address, "no place");
            assert_eq!(slot.last_heard, before.last_heard);
        }
    }

    #[test]
    fn it_is_waited_for_by_its_own_interval() {
        let mut slot = Slot {
            deadline: START + MS,
            ..slot(state::BACKUP)
        };
        let slower = Centiseconds(10 * INTERVAL);
        let found = arm_for(&mut slot, Priority(200), slower, false, START);
        assert_eq!(found, REARM.map(|it| Nanos(10 * it.0)));
    }
}
