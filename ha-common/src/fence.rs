//! The fence: whether a host must be kept from answering for addresses of its own. It is closed by default: an address that the
//! agent has listed passes only while its slot is master; and while it is, the fence goes up if another one holds the
//! addresses and the agent has not yielded.

use crate::layout::{Slot, flags, state};
use crate::master_tracking::{down_interval, was_heard_lately};
use crate::units::Nanos;

/// The fence waits this long at least: an agent on a busy machine must have had its chance to yield.
const MIN_FENCE_GRACE: Nanos = Nanos::from_millis(50);

/// How long an event must have been unanswered until the fence goes up: long enough for an agent that is alive,
/// however short the interval.
#[inline(always)]
pub fn grace(slot: &Slot) -> Nanos {
    let down = down_interval(slot);
    if down.0 < MIN_FENCE_GRACE.0 {
        MIN_FENCE_GRACE
    } else {
        down
    }
}

/// Notes that an event about another master was pushed, or found the ring full of events that nobody reads.
///
/// `turned_at` is [`crate::layout::Meta::turned_at`]: an agent that turns after this has answered.
#[inline(always)]
pub fn note_event(slot: &mut Slot, turned_at: u64, now: u64) {
    if slot.state == state::MASTER && slot.unanswered_since <= turned_at {
        slot.unanswered_since = now;
    }
}

/// Until when a slot may be fenced unless another master is heard again; zero: nobody claims to be it.
#[inline(always)]
pub fn contested_until(slot: &Slot) -> u64 {
    if slot.state == state::MASTER && slot.claimed_since != 0 {
        slot.last_heard.saturating_add(down_interval(slot).0)
    } else {
        0
    }
}

/// What becomes of frames for a listed address, and of those in its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    /// They pass.
    Open,
    /// They are dropped: the slot is not master, so that the address should not be there, or is about to go.
    Closed,
    /// They are dropped: [`is_up`].
    Fenced,
}

/// What becomes of them.
#[inline(always)]
pub fn passage(slot: &Slot, turned_at: u64, now: u64) -> Passage {
    if is_closed(slot) {
        Passage::Closed
    } else if is_up(slot, turned_at, now) {
        Passage::Fenced
    } else {
        Passage::Open
    }
}

/// Whether the slot's listed addresses are kept quiet because it is not master.
#[inline(always)]
pub fn is_closed(slot: &Slot) -> bool {
    slot.state != state::MASTER && slot.flags & flags::FENCE != 0
}

/// Whether frames for our addresses are to be dropped, and those in their name, although we are master: we say so, somebody else is
/// heard to be it, and an event that told the agent so has been left unanswered for the grace.
///
/// Only an event is evidence. Silence is none: the limit of events makes it too.
#[inline(always)]
pub fn is_up(slot: &Slot, turned_at: u64, now: u64) -> bool {
    if slot.state != state::MASTER
        || slot.flags & flags::FENCE == 0
        || slot.claimed_since == 0
        || !was_heard_lately(slot, now)
    {
        return false;
    }
    slot.unanswered_since > turned_at && now.saturating_sub(slot.unanswered_since) > grace(slot).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_tracking::tests::{MS, START, advert, hear, slot};

    /// One more advert, of which an event is pushed.
    fn told(slot: &mut Slot, priority: u8, turned_at: u64, now: u64) {
        hear(slot, &advert(1, priority), now);
        note_event(slot, turned_at, now);
    }

    #[test]
    fn the_fence_goes_up_over_an_agent_that_leaves_an_event_unanswered_for_the_grace() {
        for priority in [89, 100] {
            let mut master = slot(state::MASTER);
            assert_eq!(grace(&master), Nanos::from_millis(50), "at least");
            for beat in 0..=6 {
                let now = START + beat * 10 * MS;
                told(&mut master, priority, START - MS, now);
                assert_eq!(
                    is_up(&master, START - MS, now),
                    beat == 6,
                    "priority {priority}, after {beat} adverts"
                );
                assert!(!is_up(&master, now, now), "it turned");
            }
        }
    }

    #[test]
    fn adverts_that_nobody_was_told_of_raise_no_fence() {
        let mut master = slot(state::MASTER);
        // Sixteen at once, and answered; the limit keeps the others from being told.
        for _ in 0..16 {
            told(&mut master, 89, START - MS, START);
        }
        let turned = START + MS;
        for beat in 1..=90 {
            let now = START + beat * MS;
            hear(&mut master, &advert(1, 89), now);
            assert!(!is_up(&master, turned, now), "{beat} ms later");
        }
    }

    #[test]
    fn the_first_event_after_a_turn_begins_the_grace_and_later_ones_do_not_move_it() {
        let mut master = slot(state::MASTER);
        told(&mut master, 89, 0, START);
        told(&mut master, 89, 0, START + MS);
        assert_eq!(master.unanswered_since, START);
        told(&mut master, 89, START + 2 * MS, START + 3 * MS);
        assert_eq!(master.unanswered_since, START + 3 * MS);
        let mut backup = slot(state::BACKUP);
        told(&mut backup, 100, 0, START);
        assert_eq!(backup.unanswered_since, 0, "only a master has a fence");
    }

    #[test]
    fn an_address_passes_only_while_its_slot_is_master() {
        for (state, expected) in [
            (state::FREE, Passage::Closed),
            (state::IDLE, Passage::Closed),
            (state::BACKUP, Passage::Closed),
            (state::MASTER, Passage::Open),
        ] {
            assert_eq!(passage(&slot(state), 0, START), expected, "{state}");
            let without = Slot {
                flags: 0,
                ..slot(state)
            };
            assert_eq!(passage(&without, 0, START), Passage::Open, "{state}");
        }
    }

    #[test]
    fn the_fence_comes_down_with_the_claim() {
        let mut master = slot(state::MASTER);
        for beat in 0..=6 {
            told(&mut master, 100, 0, START + beat * 10 * MS);
        }
        let last = master.last_heard;
        assert!(is_up(&master, 0, last + 36 * MS));
        assert_eq!(passage(&master, 0, last + 36 * MS), Passage::Fenced);
        assert_eq!(contested_until(&master), last + 36_484_375);
        assert!(!is_up(&master, 0, last + 37 * MS), "it fell silent");
        let mut left = master;
        hear(&mut left, &advert(1, 0), last + MS);
        assert!(!is_up(&left, 0, last + MS), "it left");
        assert_eq!(contested_until(&left), 0);
        for other in [state::FREE, state::IDLE, state::BACKUP] {
            let slot = Slot {
                state: other,
                ..master
            };
            assert!(!is_up(&slot, 0, last));
            assert_eq!(passage(&slot, 0, last), Passage::Closed);
            assert_eq!(contested_until(&slot), 0);
        }
        let without = Slot { flags: 0, ..master };
        assert!(!is_up(&without, 0, last));
        assert_eq!(passage(&without, 0, last), Passage::Open);
        let slow = Slot {
            master_interval: 100,
            ..master
        };
        assert_eq!(grace(&slow), Nanos(3_648_437_500));
    }
}
