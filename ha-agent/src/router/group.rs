//! Keeps the members of a sync group in step: [`ha_common::group`] decides, this gathers and feeds.
//!
//! Whoever runs the routers does so after whatever may have moved a member and before anything else, so that a group
//! never goes to sleep half master: [`share`]; [`Router::resync`] of each member that [`Router::has_run_out`];
//! [`settle`]; each time with the effects carried out before the next.

use ha_common::election::MemberId;
use ha_common::group::{self, GroupInput, MemberReport, MemberState, Verdict};
use ha_common::units::Instant;

use super::{Effects, Router};

/// Has each member go by what all of them bring along: the fitness of the worst and the priority of the lowest.
/// The effects are in the members' order.
pub fn share(members: &mut [&mut Router], now: Instant) -> Vec<Effects> {
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
pub fn settle(members: &mut [&mut Router], now: Instant) -> Vec<Effects> {
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
