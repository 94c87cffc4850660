//! A router in its sync group: what it brings, and what it is told.

use ha_common::election::{Input, MemberId};
use ha_common::group::{GroupView, MemberReport, MemberState};
use ha_common::layout::Slot;
use ha_common::master_tracking;
use ha_common::units::Instant;

use super::effect::Effects;
use super::membership::Membership;
use super::notice::Notice;
use super::{Router, params};

impl Router {
    /// It is a member of a group from now on, or of none.
    pub(super) fn join(&mut self, membership: Option<Membership>, now: Instant, fx: &mut Effects) {
        let (had, has) = (self.membership.is_some(), membership.is_some());
        self.membership = membership;
        self.ran_out_at = None;
        self.moved = true;
        if had != has {
            let rules = *self.election.rules();
            let params = params(&self.config, rules.own_address, rules.priority, has);
            self.feed(now, Input::Configure(params), fx);
        }
        if had && !has {
            self.reassess(now, fx);
        }
    }

    /// Whether its group has to look at it.
    pub fn has_moved(&self) -> bool {
        self.moved
    }

    /// Its group has looked.
    pub fn settled(&mut self) {
        self.moved = false;
    }

    /// What it brings along by itself.
    pub fn own(&self, now: Instant) -> MemberReport {
        MemberReport {
            fitness: self.readiness.assess(&self.config, now),
            priority: self.readiness.priority(&self.config, now),
        }
    }

    /// Goes by what its group makes of it.
    pub fn borrow(&mut self, lent: GroupView, now: Instant, fx: &mut Effects) {
        if let Some(membership) = &mut self.membership
            && membership.lent.replace(lent) != Some(lent)
        {
            self.changed = true;
        }
        self.apply(lent.fitness, lent.priority, now, fx);
    }

    /// Where it stands.
    pub fn standing(&self) -> MemberState {
        self.election.standing()
    }

    /// The deadline that ran out without making a master of it.
    pub fn ran_out_at(&self) -> Option<Instant> {
        self.ran_out_at
    }

    /// Another member keeps the group from taking over although the timer of `ran_out` has run out, or nobody does.
    pub fn wait_for(
        &mut self,
        member: Option<MemberId>,
        ran_out: Option<MemberId>,
        fx: &mut Effects,
    ) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        membership.ran_out = ran_out;
        if std::mem::replace(&mut membership.waits_for, member) == member {
            return;
        }
        self.changed = true;
        if let Some(name) = member.and_then(|member| membership.name(member))
            && self.election.expired_since().is_some()
        {
            let group = &membership.group;
            fx.say(Notice::Info(format!(
                "would take over, but member {name} of group {group} cannot: the group waits for it"
            )));
        }
    }

    /// Whether its timer ran out, so that [`Self::resync`] wants its slot before the group decides.
    pub fn has_run_out(&self) -> bool {
        self.election.expired_since().is_some()
    }

    /// The timer ran out, but an unchanged master that came back since has re-armed it in silence: the slot knows.
    pub fn resync(&mut self, slot: &Slot, now: Instant, fx: &mut Effects) {
        let since = self.election.expired_since();
        let rearmed = !master_tracking::awaits_preemption(slot);
        if rearmed && since.is_some_and(|since| slot.last_heard > since.0) {
            self.catch_up(slot, now, fx);
        }
    }

    /// Tells the election what the group decided; its lateness counts from that deadline.
    pub fn obey(
        &mut self,
        deadline: Option<Instant>,
        input: Input,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.deadline = deadline;
        self.feed(now, input, fx);
    }
}
