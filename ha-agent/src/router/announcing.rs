//! When a master tells its neighbours where the addresses are: once they are in place, and by its plan.

use std::ops::Range;

use ha_common::units::Instant;

use super::Router;
use super::announcements::{AnnouncePlan, Cadence};
use super::effect::{Effect, Effects};

impl Router {
    /// RFC 9568 sections 8.1.2 (announce), 8.2.2 (announce); RFC 3768 section 8.2 (announce).
    pub(super) fn announce(&mut self, now: Instant, fx: &mut Effects) {
        // What is not here must not be claimed to be.
        if self.readiness.is_refused() {
            return;
        }
        if let Some(plan) = &mut self.announcements {
            plan.announce_again();
        } else {
            let addresses = self.config.held().count();
            let cadence = Cadence::from(self.config.garp);
            self.announcements = Some(AnnouncePlan::new(cadence, addresses, self.spread, now));
        }
        self.announce_due(now, fx);
    }

    pub(super) fn announce_due(&mut self, now: Instant, fx: &mut Effects) {
        if !self.holds {
            return;
        }
        if let Some(plan) = &mut self.announcements
            && let Some(portion) = plan.due(now)
        {
            fx.push(Effect::Announce(portion));
        }
    }

    pub(super) fn announced(
        &mut self,
        portion: &Range<usize>,
        sent: usize,
        full: bool,
        now: Instant,
        fx: &mut Effects,
    ) {
        let Some(plan) = &mut self.announcements else {
            return;
        };
        if sent == portion.len() {
            plan.sent();
        } else if full {
            plan.put_off(portion, portion.start.saturating_add(sent));
        }
        self.announce_due(now, fx);
    }
}
