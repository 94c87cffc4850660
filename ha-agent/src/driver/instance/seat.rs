//! An instance as a member of its sync group: what it brings, and what it is told.

use ha_common::election::{Input, MemberId};
use ha_common::group::{Lent, Own, Standing};
use ha_common::units::Instant;

use super::{Edges, Instance, params};
use crate::driver::groups::Seat;
use crate::driver::priority;

impl Instance {
    /// Takes a seat in a group, or has none from now on.
    pub(crate) fn sit(&mut self, seat: Option<Seat>, edges: &mut Edges<'_>, now: Instant) {
        let had = self.seat.is_some();
        let has = seat.is_some();
        self.seat = seat;
        self.ran_out_at = None;
        self.moved = true;
        if had != has {
            let rules = *self.election.rules();
            let params = params(&self.config, rules.own_address, rules.priority, has);
            self.feed(now, Input::Configure(params), edges);
        }
        if had && !has {
            self.weigh(now, edges);
        }
    }

    /// The name of its group and those of the members, for words.
    pub(super) fn names(&self) -> Option<(&str, &[String])> {
        self.seat.as_ref().map(Seat::names)
    }

    /// True if its group has to look at it.
    pub(crate) const fn has_moved(&self) -> bool {
        self.moved
    }

    /// The group has looked.
    pub(crate) const fn rest(&mut self) {
        self.moved = false;
    }

    /// What it brings along by itself.
    pub(crate) fn own(&self, now: Instant, edges: &Edges<'_>) -> Own {
        Own {
            fitness: self.fitness(now, edges),
            priority: priority::effective(self.config.priority, &self.terms),
        }
    }

    /// Goes by what its group makes of it.
    pub(crate) fn borrow(&mut self, lent: Lent, edges: &mut Edges<'_>, now: Instant) {
        if let Some(seat) = &mut self.seat
            && seat.lent.replace(lent) != Some(lent)
        {
            self.dirty = true;
        }
        self.go_by(lent.fitness, lent.priority, now, edges);
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Standing {
        self.election.standing()
    }

    /// The deadline that ran out without making a master of it.
    pub(crate) const fn ran_out_at(&self) -> Option<Instant> {
        self.ran_out_at
    }

    /// Another member keeps the group from taking over, or nobody does.
    pub(crate) fn wait_for(&mut self, member: Option<MemberId>) {
        if let Some(seat) = &mut self.seat
            && std::mem::replace(&mut seat.waits_for, member) != member
        {
            self.dirty = true;
        }
    }

    /// The timer ran out, but an unchanged master that came back since has re-armed it in silence: the slot
    /// knows.
    pub(crate) fn believe_the_slot(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let Some(since) = self.election.expired_since() else {
            return;
        };
        if let Some(slot) = self.slot(edges)
            && slot.last_heard > since.0
        {
            self.catch_up(&slot, edges, now);
        }
    }

    /// Feeds what the group decided; its lateness counts from that deadline.
    pub(crate) fn feed_by(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
        input: Input,
        edges: &mut Edges<'_>,
    ) {
        self.deadline = deadline;
        self.feed(now, input, edges);
    }
}
