//! What a slot has counted: slots outlive agents, and an incident is traced by what was counted in one life.

use ha_common::layout::Slot;
use ha_common::reject::Reject;

/// The counters of a slot that `status` shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counted {
    /// Valid adverts.
    pub adverts: u64,
    /// Refused adverts by reason.
    pub rejects: [u64; Reject::COUNT],
    /// Records pushed to the agent.
    pub events: u64,
    /// Records held back by the rate limit.
    pub suppressed: u64,
    /// Records lost because the ring was full.
    pub dropped: u64,
    /// Times the timer fired.
    pub fired: u64,
}

impl Counted {
    pub fn of(slot: &Slot) -> Self {
        Self {
            adverts: slot.adverts,
            rejects: slot.rejects,
            events: slot.events,
            suppressed: slot.suppressed,
            dropped: slot.dropped,
            fired: slot.fired,
        }
    }

    /// What has come since the slot had counted that.
    pub fn since(&self, before: &Self) -> Self {
        let mut rejects = self.rejects;
        for (count, before) in rejects.iter_mut().zip(before.rejects) {
            *count = count.saturating_sub(before);
        }
        Self {
            adverts: self.adverts.saturating_sub(before.adverts),
            rejects,
            events: self.events.saturating_sub(before.events),
            suppressed: self.suppressed.saturating_sub(before.suppressed),
            dropped: self.dropped.saturating_sub(before.dropped),
            fired: self.fired.saturating_sub(before.fired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_life_has_counted_is_not_of_this_one() {
        let mut slot = Slot {
            adverts: 100,
            events: 7,
            suppressed: 3,
            dropped: 2,
            fired: 1,
            ..Slot::default()
        };
        slot.rejects[Reject::Checksum as usize] = 4;
        let before = Counted::of(&slot);
        assert_eq!(before.since(&before), Counted::default());
        slot.adverts += 5;
        slot.fired += 1;
        slot.rejects[Reject::Ttl as usize] += 2;
        let mut rejects = [0; Reject::COUNT];
        rejects[Reject::Ttl as usize] = 2;
        let expected = Counted {
            adverts: 5,
            rejects,
            fired: 1,
            ..Counted::default()
        };
        assert_eq!(Counted::of(&slot).since(&before), expected);
    }
}
