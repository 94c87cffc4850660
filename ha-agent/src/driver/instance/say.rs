//! What is said of an instance: each transition, and each oddity once.

use std::sync::Arc;

use ha_common::address::known_ip;
use ha_common::election::{Notice, Transition};
use ha_common::layout::{Event, Slot};
use ha_common::reject::Reject;
use ha_common::units::Instant;

use super::{Edges, Instance};
use crate::driver::report::Report;
use crate::driver::{priority, words};

/// Things said once that are remembered for `status`.
const MAX_NOTICES: usize = 32;

impl Instance {
    pub(super) fn report(&mut self, transition: Transition, edges: &mut Edges<'_>) {
        let cause = transition.cause.with_names(edges.checks);
        let cause = cause.in_group(self.names()).to_string();
        self.transitions += 1;
        let adverts = self.slot(edges).map_or(0, |slot| slot.adverts);
        self.unheard.follow(&transition, adverts);
        self.last = Some((transition, cause.clone(), self.latency));
        edges.reporter.say(Report::Transition {
            instance: Arc::clone(&self.name),
            transition,
            cause,
            priority: self.priority_in_words(),
            latency: self.latency,
        });
    }

    /// The sum, and what its group makes of it.
    fn priority_in_words(&self) -> String {
        let words = priority::in_words(self.config.priority, &self.terms);
        let Some(seat) = &self.seat else { return words };
        match seat.lent.and_then(|lent| seat.name(lent.capped_by?)) {
            Some(member) => {
                let priority = self.election.rules().priority;
                format!(
                    "{words}, {priority} by member {member} of group {}",
                    seat.group
                )
            }
            None => words,
        }
    }

    pub(super) fn notice(&mut self, notice: Notice, edges: &mut Edges<'_>, now: Instant) {
        self.remember(now, words::of_notice(&notice));
        edges.reporter.say(Report::Notice {
            instance: Arc::clone(&self.name),
            notice,
        });
    }

    /// Something that a person should mend, said once for as long as it stays the same.
    pub(super) fn warn(&mut self, now: Instant, text: String, edges: &mut Edges<'_>) {
        if self.notices.iter().any(|(_, said)| *said == text) {
            return;
        }
        edges.reporter.say(Report::Warning {
            instance: Arc::clone(&self.name),
            what: text.clone(),
        });
        self.remember(now, text);
    }

    /// How many things were said once.
    pub(crate) fn notices(&self) -> usize {
        self.notices.len()
    }

    pub(super) fn remember(&mut self, now: Instant, text: String) {
        self.dirty = true;
        if self.notices.len() < MAX_NOTICES {
            self.notices.push((now, text));
        }
    }

    /// RFC 9568 section 7.1 (list-log, list-report), RFC 3768 section 7.1 (list-log, list-report).
    pub(super) fn list_differs(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) {
        let Some(source) = known_ip(self.config.family, event.source) else {
            return;
        };
        if self.said_lists.contains(&source) || self.said_lists.len() >= MAX_NOTICES {
            return;
        }
        self.said_lists.push(source);
        let ours = self.config.addresses.len();
        self.remember(now, words::of_list(source, event.count, ours));
        edges.reporter.say(Report::ListDiffers {
            instance: Arc::clone(&self.name),
            source,
            theirs: event.count,
            ours,
        });
    }

    /// The fence was up: this agent stood still while another host was master. Only an agent that moves again can say
    /// so.
    pub(super) fn report_fence(&mut self, slot: &Slot, edges: &Edges<'_>) {
        let dropped = (slot.fenced, slot.fenced_out);
        let before = self.fenced.replace(dropped).unwrap_or(dropped);
        let (incoming, outgoing) = (
            dropped.0.saturating_sub(before.0),
            dropped.1.saturating_sub(before.1),
        );
        if incoming == 0 && outgoing == 0 {
            return;
        }
        self.dirty = true;
        let lasted = slot.fenced_at.saturating_sub(slot.fenced_since) / 1_000_000;
        edges.reporter.say(Report::Warning {
            instance: Arc::clone(&self.name),
            what: format!(
                "the fence was up, for {lasted} ms or more: this agent stood still while another host was master; \
                 {incoming} frames for the addresses were dropped, and {outgoing} in their name"
            ),
        });
    }

    /// RFC 9568 section 7.1 (log), RFC 3768 section 7.1 (log, interval-log, interval-report).
    pub(super) fn report_reject(&mut self, slot: &Slot, edges: &mut Edges<'_>, now: Instant) {
        let last = slot.last_reject;
        let said = (last.reason, last.source);
        if last.at == 0
            || self.said_rejects.contains(&said)
            || self.said_rejects.len() >= MAX_NOTICES
        {
            return;
        }
        let (Some(reject), Some(source)) = (
            Reject::from_index(usize::from(last.reason)),
            known_ip(self.config.family, last.source),
        ) else {
            return;
        };
        self.said_rejects.push(said);
        self.remember(
            now,
            format!("adverts from {source} are rejected: {}", reject.name()),
        );
        edges.reporter.say(Report::Rejected {
            instance: Arc::clone(&self.name),
            reason: reject.name(),
            source,
        });
    }
}
