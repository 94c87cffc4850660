//! The fence: whether a host that says master must be kept from answering for the addresses, because
//! another one holds them and the agent has not yielded.

use crate::follow::{down_interval, was_heard_lately};
use crate::layout::{Slot, flags, state};
use crate::units::Nanos;

/// The fence waits this long at least: an agent on a busy machine must have had its chance to yield.
const MIN_FENCE_GRACE: Nanos = Nanos::from_millis(50);

/// How long a better master must have been heard until the fence goes up: long enough for an agent
/// that is alive to yield, however short the interval.
#[inline(always)]
pub fn grace(slot: &Slot) -> Nanos {
    let down = down_interval(slot);
    if down.0 < MIN_FENCE_GRACE.0 {
        MIN_FENCE_GRACE
    } else {
        down
    }
}

/// Whether frames for our addresses are to be dropped: we say master, somebody else is heard to be it,
/// and for the grace we have neither yielded to a better one nor, against a worse one, shown any life:
/// each of its adverts wakes an agent that is alive.
///
/// `turned_at` is [`crate::layout::Meta::turned_at`].
#[inline(always)]
pub fn is_up(slot: &Slot, turned_at: u64, now: u64) -> bool {
    if slot.state != state::MASTER || slot.flags & flags::FENCE == 0 || !was_heard_lately(slot, now)
    {
        return false;
    }
    let grace = grace(slot).0;
    let lasts = |since: u64| since != 0 && now.saturating_sub(since) > grace;
    lasts(slot.contested_since) || lasts(slot.claimed_since) && lasts(turned_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::tests::{MS, START, advert, hear, slot};

    #[test]
    fn a_worse_master_raises_the_fence_only_over_an_agent_that_has_not_moved_since() {
        let mut master = slot(state::MASTER);
        let turned = START - MS;
        for beat in 0..=6 {
            let now = START + beat * 10 * MS;
            hear(&mut master, &advert(1, 89), now);
            assert!(!is_up(&master, now - MS, now), "each advert woke it");
            assert!(!is_up(&master, 0, now), "it never lived");
            assert_eq!(
                is_up(&master, turned, now),
                beat == 6,
                "after {beat} adverts"
            );
        }
        // An agent that had nothing to do for long is given its grace too.
        let mut quiet = slot(state::MASTER);
        hear(&mut quiet, &advert(1, 89), START);
        assert!(!is_up(&quiet, START - 1000 * MS, START + MS));
    }

    #[test]
    fn the_fence_is_up_after_the_grace_while_the_contender_speaks() {
        let mut master = slot(state::MASTER);
        assert_eq!(grace(&master), Nanos::from_millis(50), "at least");
        for beat in 0..=6 {
            let now = START + beat * 10 * MS;
            hear(&mut master, &advert(2, 100), now);
            assert_eq!(is_up(&master, 0, now), beat == 6, "after {beat} adverts");
        }
        let last = master.last_heard;
        assert!(is_up(&master, 0, last + 36 * MS));
        assert!(!is_up(&master, 0, last + 37 * MS), "it fell silent");
        for other in [state::FREE, state::IDLE, state::BACKUP] {
            let slot = Slot {
                state: other,
                ..master
            };
            assert!(!is_up(&slot, 0, last));
        }
        let without = Slot { flags: 0, ..master };
        assert!(!is_up(&without, 0, last));
        let slow = Slot {
            master_interval: 100,
            ..master
        };
        assert_eq!(grace(&slow), Nanos(3_648_437_500));
    }
}
