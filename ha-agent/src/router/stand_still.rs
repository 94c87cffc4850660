//! What a master makes of it that its machine stood still.

use ha_common::election::{Advert, Input, Role};
use ha_common::stand_still::listening;
use ha_common::units::{Instant, Nanos};

use super::Router;

impl Router {
    /// The machine may have stood still for so long. Where that is long enough for others to have taken over, a master
    /// is wary while it sends nothing itself: each of them is heard in that time.
    pub(super) fn stood_still(&mut self, span: Nanos, now: Instant) {
        let rules = self.election.rules();
        let interval = rules.interval.nanos();
        let missed = u64::from(rules.down_multiplier.saturating_sub(1).max(1));
        if self.role() == Role::Master && span.0 > interval.0 * missed {
            self.wary_until = now + listening(interval);
        }
    }

    /// What an advert means: to a wary master, that its sender has taken over.
    pub(super) fn meaning_of(&self, advert: &Advert, now: Instant) -> Input {
        if self.role() == Role::Master && now < self.wary_until {
            Input::TakenOver(*advert)
        } else {
            Input::Advert(*advert)
        }
    }
}
