//! Keeps the members of a sync group in step: [`ha_common::group`] decides, this gathers and feeds.

use ha_common::election::MemberId;
use ha_common::group::{self, GroupInput, MemberReport, MemberState, Verdict};
use ha_common::layout::Slot;
use ha_common::units::Instant;

use super::{Effects, Router};

/// The members of a group on the host that runs them, each by its place in the group's order.
pub trait Members {
    /// Their routers, in this order.
    fn routers(&mut self) -> Vec<&mut Router>;
    /// The slot of one, as it is now, if it has one.
    fn slot(&mut self, member: usize) -> Option<Slot>;
    /// Does what one wants.
    fn carry_out(&mut self, member: usize, fx: Effects);
}

/// Brings the group in step: after whatever may have moved a member and before anything else, so that a group never
/// goes to sleep half master.
pub fn sync(members: &mut impl Members, now: Instant) {
    let shared = share(&mut members.routers(), now);
    carry_out_all(members, shared);
    let expired: Vec<usize> = members
        .routers()
        .iter()
        .enumerate()
        .filter(|(_, router)| router.has_run_out())
        .map(|(member, _)| member)
        .collect();
    for member in expired {
        let Some(slot) = members.slot(member) else {
            continue;
        };
        let mut fx = Effects::default();
        if let Some(router) = members.routers().into_iter().nth(member) {
            router.resync(&slot, now, &mut fx);
        }
        members.carry_out(member, fx);
    }
    let settled = settle(&mut members.routers(), now);
    carry_out_all(members, settled);
}

fn carry_out_all(members: &mut impl Members, effects: Vec<Effects>) {
    for (member, fx) in effects.into_iter().enumerate() {
        members.carry_out(member, fx);
    }
}

/// Has each member go by what all of them bring along: the fitness of the worst and the priority of the lowest.
/// The effects are in the members' order.
fn share(members: &mut [&mut Router], now: Instant) -> Vec<Effects> {
    let brought: Vec<MemberReport> = members.iter().map(|member| member.own(now)).collect();
    let pool = GroupInput::of(brought.iter().copied());
    let each = members.iter_mut().zip(brought);
    each.map(|(member, own)| {
        let mut fx = Effects::default();
        member.borrow(pool.lend(own), now, &mut fx);
        fx
    })
    .collect()
}

/// Has the group take over, leave or wait. The effects are in the members' order.
pub(super) fn settle(members: &mut [&mut Router], now: Instant) -> Vec<Effects> {
    let standings: Vec<MemberState> = members.iter().map(|member| member.standing()).collect();
    let verdict = group::settle(standings.iter().copied());
    let (waits_for, deadline) = match verdict {
        Verdict::Wait { by } => (Some(by), None),
        Verdict::Lead { by } => (None, deadline_of(members, &standings, by)),
        Verdict::Stay | Verdict::Leave(_) => (None, None),
    };
    let has_run_out = |state: &MemberState| matches!(state, MemberState::Expired { .. });
    let ran_out = standings.iter().position(has_run_out);
    let ran_out = ran_out.and_then(|index| u16::try_from(index).ok());
    let ran_out = ran_out.map(MemberId).filter(|_| waits_for.is_some());
    let each = (0..=u16::MAX)
        .map(MemberId)
        .zip(members.iter_mut().zip(standings));
    each.map(|(me, (member, standing))| {
        let mut fx = Effects::default();
        member.wait_for(waits_for, ran_out, &mut fx);
        if let Some(input) = verdict.input(me, standing) {
            member.obey(deadline, input, now, &mut fx);
        }
        member.settled();
        fx
    })
    .collect()
}

/// The deadline that makes the group take over; one that ran out long before, and was waited on, is none.
fn deadline_of(
    members: &[&mut Router],
    standings: &[MemberState],
    by: MemberId,
) -> Option<Instant> {
    let by = usize::from(by.0);
    match standings.get(by)? {
        MemberState::Expired { waits: false, .. } => members.get(by)?.ran_out_at(),
        MemberState::Expired { waits: true, .. }
        | MemberState::Out
        | MemberState::Joining
        | MemberState::Listening
        | MemberState::Free
        | MemberState::Master => None,
    }
}
