//! What a group makes of its members: the tables.

use std::vec::Vec;

use super::*;
use crate::election::CheckId;

const DISK: FaultCause = FaultCause::Check(CheckId(0));

const fn own(fitness: Fitness, priority: u8) -> MemberReport {
    MemberReport {
        fitness,
        priority: Priority(priority),
    }
}

/// What each member is lent: fitness and priority, and whom it owes them to.
fn lent(members: &[MemberReport]) -> Vec<(Fitness, u8, Option<u16>, Option<u16>)> {
    let pool = GroupInput::of(members.iter().copied());
    members
        .iter()
        .map(|own| {
            let lent = pool.lend(*own);
            let number = |member: Option<MemberId>| member.map(|MemberId(number)| number);
            (
                lent.fitness,
                lent.priority.0,
                number(lent.held_by),
                number(lent.capped_by),
            )
        })
        .collect()
}

#[test]
fn a_group_is_as_fit_as_its_worst_member_and_has_the_priority_of_its_lowest() {
    use Fitness::{Ready, Unfit, Waiting};
    let due_to = |member| Unfit(FaultCause::Member(MemberId(member)));
    assert_eq!(
        lent(&[own(Ready, 100), own(Ready, 80), own(Ready, 80)]),
        [
            (Ready, 80, None, Some(1)),
            (Ready, 80, None, None),
            (Ready, 80, None, None)
        ]
    );
    assert_eq!(
        lent(&[own(Ready, 100), own(Waiting, 100)]),
        [(Waiting, 100, Some(1), None), (Waiting, 100, None, None)]
    );
    assert_eq!(
        lent(&[own(Waiting, 9), own(Unfit(DISK), 9), own(Ready, 9)]),
        [
            (due_to(1), 9, Some(1), None),
            (Unfit(DISK), 9, None, None),
            (due_to(1), 9, Some(1), None)
        ]
    );
    // Each keeps its own cause.
    let link = Unfit(FaultCause::InterfaceDown);
    assert_eq!(
        lent(&[own(Unfit(DISK), 9), own(link, 9)]),
        [(Unfit(DISK), 9, None, None), (link, 9, None, None)]
    );
}

const OUT: MemberState = MemberState::Out;
const JOINING: MemberState = MemberState::Joining;
const LISTENING: MemberState = MemberState::Listening;
const FREE: MemberState = MemberState::Free;
const MASTER: MemberState = MemberState::Master;

const fn expired(since: u64) -> MemberState {
    MemberState::Expired {
        since: Instant(since),
        waits: false,
    }
}

const WAITING: MemberState = MemberState::Expired {
    since: Instant(1),
    waits: true,
};

/// What each member is told: `-` for nothing.
fn told(members: &[MemberState]) -> Vec<Option<Input>> {
    let verdict = settle(members.iter().copied());
    (0..)
        .map(MemberId)
        .zip(members)
        .map(|(me, standing)| verdict.input(me, *standing))
        .collect()
}

const LEADS: Option<Input> = Some(Input::GroupLeads);
const WAITS: Option<Input> = Some(Input::GroupWaits);

const fn joins(by: u16) -> Input {
    Input::GroupJoins(MemberId(by))
}

const fn leaves(by: u16, stagger: u8) -> Input {
    Input::GroupLeaves(Departure {
        by: MemberId(by),
        stagger,
    })
}

#[test]
fn a_group_that_is_in_step_does_nothing() {
    for members in [
        [MASTER, MASTER, MASTER],
        [LISTENING, LISTENING, LISTENING],
        [OUT, OUT, OUT],
        [LISTENING, FREE, OUT],
        [FREE, FREE, FREE],
        [JOINING, FREE, JOINING],
        [MASTER, JOINING, MASTER],
    ] {
        assert_eq!(told(&members), [None; 3], "{members:?}");
    }
}

#[test]
fn a_group_takes_over_in_one_turn_when_the_last_of_its_masters_is_gone() {
    assert_eq!(told(&[expired(2), WAITING]), [LEADS, Some(joins(0))]);
    assert_eq!(told(&[WAITING, expired(2)]), [Some(joins(1)), LEADS]);
    assert_eq!(
        told(&[FREE, expired(2), FREE]),
        [Some(joins(1)), LEADS, Some(joins(1))]
    );
    // What was in the way is over.
    assert_eq!(told(&[WAITING, FREE]), [LEADS, Some(joins(0))]);
}

#[test]
fn a_group_does_not_take_over_while_one_member_cannot_be_master() {
    assert_eq!(told(&[expired(2), LISTENING]), [WAITS, None]);
    assert_eq!(told(&[OUT, expired(2), FREE]), [None, WAITS, None]);
    assert_eq!(told(&[JOINING, expired(2)]), [None, WAITS]);
    // Once is enough: its timer runs.
    assert_eq!(told(&[WAITING, LISTENING]), [None, None]);
}

#[test]
fn a_member_that_yields_or_drops_out_takes_the_others_along() {
    assert_eq!(told(&[MASTER, LISTENING]), [Some(leaves(1, 255)), None]);
    assert_eq!(told(&[LISTENING, MASTER]), [None, Some(leaves(0, 0))]);
    assert_eq!(
        told(&[MASTER, OUT, MASTER]),
        [Some(leaves(1, 127)), None, Some(leaves(1, 127))]
    );
}

#[test]
fn a_member_that_is_new_to_a_group_that_leads_joins_it_when_it_can_and_ends_it_if_it_cannot() {
    // So is one that did not find itself master after a crash.
    assert_eq!(told(&[MASTER, JOINING]), [None, None]);
    assert_eq!(told(&[MASTER, LISTENING]), [Some(leaves(1, 255)), None]);
    assert_eq!(told(&[JOINING, FREE, MASTER]), [None, Some(joins(2)), None]);
    assert_eq!(told(&[FREE, MASTER]), [Some(joins(1)), None]);
    assert_eq!(told(&[expired(1), MASTER]), [Some(joins(1)), None]);
}

#[test]
fn no_two_members_make_a_small_group_stay_out_equally_long() {
    let staggers: Vec<u8> = (0..256).map(|by| stagger(MemberId(by), 256)).collect();
    assert!(staggers.windows(2).all(|two| two[0] < two[1]));
    assert_eq!(stagger(MemberId(0), 1), 0);
    assert_eq!(stagger(MemberId(u16::MAX), 2), 255);
    assert_eq!(stagger(MemberId(4095), 4096), 255);
}
