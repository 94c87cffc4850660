//! What a router tells people: each transition, and each oddity once.

use ha_common::election::{Notice as Remark, Role, Transition};
use ha_common::units::Instant;

use super::effect::{Effect, Effects};
use super::membership::Membership;
use super::notice::{Notice, Subject};
use super::{Router, priority, words};

impl Router {
    pub(super) fn report(&mut self, transition: Transition, fx: &mut Effects) {
        self.transitions += 1;
        self.unheard.follow(&transition);
        self.forget_other_masters(fx);
        if transition.from == Role::Master {
            self.readiness.stop_waiting();
        }
        fx.push(Effect::Report(transition));
    }

    /// A change of state that has just been made, in words.
    pub fn describe(&self, transition: Transition) -> Notice {
        let cause = transition.cause.with_names(self.readiness.names());
        let group = self.membership.as_ref().map(Membership::names);
        Notice::Transition {
            transition,
            cause: cause.in_group(group).to_string(),
            priority: self.priority_in_words(),
        }
    }

    /// The sum, and what its group makes of it.
    fn priority_in_words(&self) -> String {
        let sum = priority::in_words(self.config.priority, self.readiness.tracked());
        let Some(membership) = &self.membership else {
            return sum;
        };
        match membership
            .lent
            .and_then(|lent| membership.name(lent.capped_by?))
        {
            Some(member) => {
                let priority = self.election.rules().priority;
                format!(
                    "{sum}, {priority} by member {member} of group {}",
                    membership.group
                )
            }
            None => sum,
        }
    }

    pub(super) fn remark(&mut self, remark: Remark, now: Instant, fx: &mut Effects) {
        self.changed = true;
        if let Remark::IntervalDiffers { source, .. } = remark {
            return self.interval_differs(remark, source, now, fx);
        }
        let text = words::of_notice(&remark);
        self.notices.see(Subject::Event(text.clone()), text, now);
        fx.say(Notice::Election(remark));
    }

    /// Something that a person should mend, told once for as long as it stays the same.
    pub fn warn(&mut self, now: Instant, text: String, fx: &mut Effects) {
        let subject = Subject::Event(text.clone());
        if self.notices.see(subject, text.clone(), now) {
            self.changed = true;
            fx.say(Notice::Warning(text));
        }
    }
}
