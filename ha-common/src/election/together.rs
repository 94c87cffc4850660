//! The election of a virtual router that is a member of a sync group: it takes over and leaves with the
//! others, as [`crate::group`] decides.

use crate::group::MemberState;
use crate::units::{Instant, Nanos};

use super::Election;
use super::action::{Action, Actions, Detector, LastAdvert};
use super::cause::Cause;
use super::input::{Departure, MemberId};
use super::state::{Expiry, Listening, State};

/// A group that leaves again and again stays out for longer each time, up to so many times its stagger. Two groups that
/// the addresses rank crosswise are told apart by the first; of three, two may take turns at beating the third.
const MOST_DEPARTURES: u8 = 8;

impl Election {
    /// Where it stands as a member of a group.
    pub fn standing(&self) -> MemberState {
        match &self.state {
            State::Fault { .. } | State::Stopped => MemberState::Out,
            State::Initialize | State::Hold { .. } => MemberState::Joining,
            State::Master => MemberState::Master,
            State::Backup(listening) => match listening.expired {
                Some(Expiry { at, waits, .. }) => MemberState::Expired { since: at, waits },
                None if listening.master.is_none() => MemberState::Joining,
                None if self.outranks_master(listening) => MemberState::Free,
                None => MemberState::Listening,
            },
        }
    }

    /// Since when its timer has run out without it being master, if so. A master that was heard since is
    /// to be fed as [`super::Input::Advert`] before the group decides.
    pub fn expired_since(&self) -> Option<Instant> {
        match &self.state {
            State::Backup(listening) => listening.expired.map(|expiry| expiry.at),
            State::Initialize
            | State::Hold { .. }
            | State::Master
            | State::Fault { .. }
            | State::Stopped => None,
        }
    }

    /// The master that it follows is one whose adverts the detector ignores: its timer is running out.
    fn outranks_master(&self, listening: &Listening) -> bool {
        let rules = &self.params.rules;
        listening.preempts(rules)
            && listening
                .master
                .is_some_and(|master| master.priority < rules.priority)
    }

    /// The timer ran out: whether that makes a master of it is for the group to say.
    pub(super) fn run_out(
        &mut self,
        now: Instant,
        listening: Listening,
        cause: Cause,
        out: &mut Actions,
    ) {
        if let Some(at) = listening.not_before.filter(|at| now < *at) {
            return self.arm_again(at.since(now), out);
        }
        let expiry = Expiry {
            at: now,
            cause,
            waits: false,
        };
        self.state = State::Backup(Listening {
            expired: Some(expiry),
            ..listening
        });
    }

    /// The group takes over, because this member's timer ran out last.
    pub(super) fn lead(&mut self, now: Instant, listening: &Listening, out: &mut Actions) {
        if let Some(expiry) = listening.expired {
            self.take_over(now, expiry.cause, out);
        }
    }

    /// The group cannot take over yet. The timer goes on, so that a master that comes is followed.
    pub(super) fn wait_on(&mut self, listening: Listening, out: &mut Actions) {
        let Some(expiry) = listening.expired.filter(|expiry| !expiry.waits) else {
            return;
        };
        self.state = State::Backup(Listening {
            expired: Some(Expiry {
                waits: true,
                ..expiry
            }),
            ..listening
        });
        self.arm_again(self.params.rules.initial_down(), out);
    }

    fn arm_again(&self, arm_for: Nanos, out: &mut Actions) {
        out.push(Action::Detect {
            detector: Detector::Backup { arm_for },
            rules: self.detector_rules(),
        });
    }

    /// The group leaves because of another member. Nobody better was heard on this segment, so that whoever
    /// waits there is told by priority 0.
    pub(super) fn leave(&mut self, now: Instant, departure: Departure, out: &mut Actions) {
        let Departure { by, stagger } = departure;
        let arm_for = self.params.rules.initial_down();
        let was_settled = now.since(self.since) > arm_for;
        self.departures = if was_settled {
            1
        } else {
            MOST_DEPARTURES.min(self.departures.saturating_add(1))
        };
        let more = arm_for.0 / u64::from(u8::MAX) * u64::from(stagger);
        let more = Nanos(more * u64::from(self.departures));
        let listening = Listening {
            preempt_at: self.preempt_at(now),
            not_before: Some(now + arm_for + more),
            ..Listening::default()
        };
        out.push(Action::StopAdverts(LastAdvert::Release));
        out.push(Action::RemoveAddresses);
        self.change(
            now,
            State::Backup(listening),
            Detector::Backup { arm_for },
            Cause::MemberCannot(by),
            out,
        );
    }

    /// The group takes over because of another member.
    pub(super) fn join(&mut self, now: Instant, by: MemberId, out: &mut Actions) {
        self.take_over(now, Cause::MemberLeads(by), out);
    }
}
