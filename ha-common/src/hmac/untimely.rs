//! Adverts that their key proves and their time does not: of a living router, while its clock or ours is wrong, or of a
//! recording.
//!
//! Nobody can tell which. Where signatures are enforced such an advert does not count, but it shows that taking over
//! now may make two masters, each refused by the other. So a host that has heard nobody yet, or whose master's time
//! has leapt ahead, waits a little longer, and says whose clock it is about. A recording can do that as well, and no
//! more: the wait has an end, and a new one takes an advert of the right time in between.

use bytemuck::{Pod, Zeroable};

use super::stamp::Stamp;
use crate::address::RawAddress;
use crate::layout::{Slot, state};
use crate::master_tracking::version;
use crate::timing::{has_ended, master_down};
use crate::units::{Centiseconds, Nanos, Priority, Version};

/// For how long at the most such adverts hold a take-over off: 60 s.
pub const HOLD_OFF: u64 = 60_000_000_000;

/// Those of one slot. All zeros: there was none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Untimely {
    /// How many came: of another time than our clock's, whether they counted or not.
    pub adverts: u64,
    /// When the first of those came that hold a take-over off at present, `CLOCK_MONOTONIC` nanoseconds; zero: none
    /// does.
    pub held_since: u64,
    /// When the last one came; zero: there was none.
    pub at: u64,
    /// The time that it says it is of, a [`Stamp`].
    pub stamp: u64,
    /// Who sent it.
    pub source: RawAddress,
}

impl Untimely {
    /// One came, and its digest is right.
    #[inline(always)]
    pub fn note(&mut self, source: RawAddress, stamp: Stamp, now: u64) {
        self.adverts += 1;
        self.at = now;
        self.stamp = stamp.0;
        self.source = source;
    }

    /// Whether a take-over may still be held off; the first time that it is counts.
    #[inline(always)]
    pub fn may_hold_off(&mut self, now: u64) -> bool {
        if self.held_since == 0 {
            self.held_since = now;
        }
        !has_ended(self.held_since, HOLD_OFF, now)
    }
}

/// For how long the timer of a backup is armed by an advert of this priority and interval that does not count, as
/// [`Timing::Doubted`], and whose digest is right: it takes no place, but whoever sends it may live. `leapt` is whether
/// its sender is known, and its time has leapt ahead ([`super::replay::ReplayWindow::has_leapt`]).
///
/// A backup that has heard somebody of the right time takes nothing else from strangers: theirs may be recordings.
///
/// [`Timing::Doubted`]: super::Timing::Doubted
#[inline(always)]
pub fn hold_off(
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
    use crate::master_tracking::tests::{INTERVAL, MS, START, slot};

    const REARM: Option<Nanos> = Some(Nanos(36_484_375));

    #[test]
    fn a_take_over_is_held_off_for_so_long_and_no_longer() {
        let mut untimely = Untimely::default();
        for (now, may) in [
            (5, true),
            (6, true),
            (5 + HOLD_OFF, true),
            (6 + HOLD_OFF, false),
            (9 * HOLD_OFF, false),
        ] {
            assert_eq!(untimely.may_hold_off(now), may, "{now}");
        }
    }

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
                held_since: START - HOLD_OFF - 1,
                ..Untimely::default()
            },
            ..fresh
        };
        for (before, priority, leapt, arm_for) in [
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
            let found = hold_off(
                &mut slot,
                Priority(priority),
                Centiseconds(INTERVAL),
                leapt,
                START,
            );
            assert_eq!(found, arm_for, "{priority} {leapt}");
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
        let found = hold_off(&mut slot, Priority(200), slower, false, START);
        assert_eq!(found, REARM.map(|it| Nanos(10 * it.0)));
    }
}
