//! What a router tells people: each transition, and each oddity once.

use ha_common::election::{Cause, FaultCause, Notice as Remark, Transition};
use ha_common::units::Instant;

use super::effect::{Effect, Effects};
use super::health::Health;
use super::membership::Membership;
use super::notice::{Notice, Subject};
use super::tracked::{ObservedLinks, TrackedItem};
use super::{Router, priority, words};

impl Router {
    pub(super) fn report(&mut self, transition: Transition, fx: &mut Effects) {
        self.transitions += 1;
        self.unheard.follow(&transition);
        self.forget_other_masters(fx);
        if !self.waits_for(self.readiness.interface(), transition.to) {
            self.readiness.stop_waiting();
        }
        fx.push(Effect::Report(transition));
    }

    /// A change of state that has just been made, in words.
    pub fn describe(&self, transition: Transition) -> Notice {
        let cause = match transition.cause {
            Cause::Fault(fault @ FaultCause::InterfaceDown) => self.readiness.words_of_fault(fault),
            cause => {
                let group = self.membership.as_ref().map(Membership::names);
                let cause = cause.with_names(self.readiness.names());
                cause.in_group(group).to_string()
            }
        };
        Notice::Transition {
            transition,
            cause,
            priority: self.priority_in_words(transition.at),
        }
    }

    /// The interfaces that are tracked may have changed.
    pub(super) fn on_links(&mut self, links: &ObservedLinks, now: Instant, fx: &mut Effects) {
        let before = self.readiness.tracked().to_vec();
        self.changed |= self.readiness.on_links(links, now);
        self.tell_of_interfaces(&before, fx);
    }

    /// Says which tracked interface has come or gone, once that counts. One that works from the start is no news.
    pub(super) fn tell_of_interfaces(&self, before: &[TrackedItem], fx: &mut Effects) {
        for (item, was) in self.readiness.tracked().iter().zip(before) {
            let Some(link) = item.link.filter(|_| item.health != was.health) else {
                continue;
            };
            let text = format!("tracked {}: {link}", item.track.subject);
            match (item.health, was.health) {
                (Health::Down, _) => fx.say(Notice::Warning(text)),
                (Health::Up, Health::Down) => fx.say(Notice::Info(text)),
                _ => {}
            }
        }
    }

    /// That it takes part as a last resort, and why, in words.
    pub fn last_resort(&self, now: Instant) -> Option<String> {
        let (priority, cause) = self.readiness.last_resort(&self.config, now)?;
        let why = self.readiness.words_of_fault(cause);
        Some(format!("{priority} as a last resort: {why}"))
    }

    /// Says when it begins to take part as a last resort only, and when that is over.
    pub(super) fn tell_of_last_resort(&mut self, now: Instant, fx: &mut Effects) {
        match self.last_resort(now) {
            Some(words) => {
                let text = format!("takes part with priority {words}");
                if self.notices.see(Subject::LastResort, text.clone(), now) {
                    self.changed = true;
                    fx.say(Notice::Warning(text));
                }
            }
            None => self.end_notice(&Subject::LastResort, fx),
        }
    }

    /// The sum, and what its group makes of it.
    pub(super) fn priority_in_words(&self, now: Instant) -> String {
        let mut sum = priority::in_words(self.config.priority, self.readiness.tracked());
        if let Some(last_resort) = self.last_resort(now) {
            sum = format!("{sum}, {last_resort}");
        }
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
        if let (Remark::SendingAgain, Some(since)) = (remark, self.silent_since) {
            let text = words::of_stall(now.since(since));
            self.notices.see(Subject::Stall, text.clone(), now);
            return fx.say(Notice::Warning(text));
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
