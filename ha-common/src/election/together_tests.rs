//! A member of a sync group: what its own timer, its group and its masters make of it.

use core::net::IpAddr;
use std::vec::Vec;

use super::*;
use crate::group::MemberState;
use crate::units::{Centiseconds, Nanos, Version};

const NOW: Instant = Instant(100_000_000_000);
/// `3 * 1 s + (256 - 100) * 1 s / 256` (RFC 9568 section 6.1).
const DOWN: Nanos = Nanos(3_609_375_000);

fn member(preempt: bool) -> Election {
    let mut election = Election::new(Params {
        rules: Rules {
            version: Version::V3,
            own_address: IpAddr::from([10, 0, 0, 2]),
            priority: Priority(100),
            interval: Centiseconds(100),
            preempt,
            down_multiplier: 3,
        },
        start_hold: Nanos(0),
        preempt_delay: Nanos(0),
        grouped: true,
    });
    election.handle(NOW, Input::Ready);
    election
}

fn advert(last_octet: u8, priority: u8) -> Input {
    Input::Advert(Advert {
        source: IpAddr::from([10, 0, 0, last_octet]),
        priority: Priority(priority),
        interval: Centiseconds(100),
    })
}

const DIED: Input = Input::MasterDown { last_heard: None };

fn armed(actions: &Actions) -> Option<Nanos> {
    actions.iter().find_map(|action| match action {
        Action::Detect {
            detector: Detector::Backup { arm_for },
            ..
        } => Some(arm_for),
        _ => None,
    })
}

fn cause(actions: &Actions) -> Option<Cause> {
    actions.iter().find_map(|action| match action {
        Action::Report(transition) => Some(transition.cause),
        _ => None,
    })
}

#[test]
fn a_member_whose_timer_ran_out_asks_its_group_and_takes_over_by_its_own_cause() {
    let mut election = member(true);
    assert_eq!(election.standing(), MemberState::Joining);
    let ran_out = NOW + DOWN;
    assert!(election.handle(ran_out, DIED).is_empty());
    let expired = |since, waits| MemberState::Expired { since, waits };
    assert_eq!(election.standing(), expired(ran_out, false));
    assert_eq!(election.expired_since(), Some(ran_out));

    // It has to wait: the timer runs again, once.
    let actions = election.handle(ran_out, Input::GroupWaits);
    assert_eq!((armed(&actions), actions.len()), (Some(DOWN), 1));
    assert_eq!(election.standing(), expired(ran_out, true));
    assert!(election.handle(ran_out, Input::GroupWaits).is_empty());
    let again = ran_out + DOWN;
    election.handle(again, DIED);
    assert_eq!(election.standing(), expired(again, false));

    let actions = election.handle(again, Input::GroupLeads);
    assert!(matches!(cause(&actions), Some(Cause::NoAdvert { .. })));
    assert_eq!(election.standing(), MemberState::Master);
}

#[test]
fn a_master_that_is_heard_again_takes_the_expiry_back_and_one_that_is_ignored_does_not() {
    let mut election = member(true);
    for (heard, standing) in [
        (advert(3, 120), MemberState::Listening),
        // What the detector tells of is followed.
        (advert(3, 100), MemberState::Listening),
    ] {
        election.handle(NOW, DIED);
        election.handle(NOW, heard);
        assert_eq!(election.standing(), standing, "{heard:?}");
    }
    // Its weights dropped: its time is running out, and then has run out.
    election.handle(NOW, advert(3, 90));
    assert_eq!(election.standing(), MemberState::Free);
    election.handle(NOW, DIED);
    election.handle(NOW, advert(3, 80));
    assert!(election.expired_since().is_some(), "it set no timer");
    election.handle(NOW, advert(3, 0));
    assert!(
        election.expired_since().is_some(),
        "priority 0 is no master"
    );
}

#[test]
fn a_member_that_must_not_preempt_is_not_free() {
    let mut election = member(false);
    election.handle(NOW, advert(3, 90));
    assert_eq!(election.standing(), MemberState::Listening);
}

fn left(stagger: u8) -> Election {
    let mut election = member(true);
    election.handle(NOW, Input::GroupJoins(MemberId(1)));
    let departure = Departure {
        by: MemberId(1),
        stagger,
    };
    election.handle(NOW, Input::GroupLeaves(departure));
    election
}

#[test]
fn a_group_that_left_stays_out_for_its_stagger_unless_it_lost_here_as_well() {
    for (stagger, stays) in [(0, DOWN.0), (255, 2 * DOWN.0)] {
        let mut election = left(stagger);
        let early = NOW + Nanos(stays - 1_000_000);
        let actions = election.handle(early, DIED);
        // The division by 255 is cut.
        assert!(armed(&actions).is_some_and(|span| span.0 <= 1_000_000));
        assert_eq!(election.standing(), MemberState::Joining);
        election.handle(NOW + Nanos(stays), DIED);
        assert!(election.expired_since().is_some());

        let mut election = left(stagger);
        election.handle(NOW, advert(3, 120));
        election.handle(NOW + Nanos(1), DIED);
        assert!(election.expired_since().is_some());
        let mut election = left(stagger);
        election.handle(NOW, advert(3, 50));
        election.handle(NOW + Nanos(1), DIED);
        assert!(election.expired_since().is_none());
    }
}

/// Of three groups that the addresses rank crosswise two could beat the third in turns, each time as late as the last.
#[test]
fn a_group_that_leaves_again_and_again_stays_out_for_longer_until_it_was_master_for_a_while() {
    let mut election = member(true);
    let departure = Departure {
        by: MemberId(1),
        stagger: 255,
    };
    let mut now = NOW;
    let stays = |election: &mut Election, now: Instant| {
        election.handle(now, Input::GroupLeaves(departure));
        let State::Backup(listening) = election.state() else {
            panic!("{:?}", election.state());
        };
        // The division by 255 is cut.
        listening
            .not_before
            .map(|at| at.since(now).0.div_ceil(DOWN.0))
    };
    for times in [1, 2, 3, 4, 5, 6, 7, 8, 8, 8] {
        election.handle(now, Input::GroupJoins(MemberId(1)));
        assert_eq!(stays(&mut election, now), Some(times + 1));
        now = now + Nanos(DOWN.0 * (times + 1));
    }
    election.handle(now, Input::GroupJoins(MemberId(1)));
    assert_eq!(stays(&mut election, now + Nanos(DOWN.0 + 1)), Some(2));
    // It has lost here as well.
    for _ in 0..3 {
        election.handle(now, Input::GroupJoins(MemberId(1)));
        stays(&mut election, now);
    }
    election.handle(now, advert(3, 120));
    election.handle(now, Input::GroupJoins(MemberId(1)));
    assert_eq!(stays(&mut election, now), Some(2));
}

#[test]
fn even_an_owner_in_a_group_listens_first() {
    let mut election = member(true);
    election.handle(NOW, Input::Fault(FaultCause::Maintenance));
    election.handle(NOW, Input::Priority(Priority::OWNER));
    let roles: Vec<Role> = [Input::Ready, DIED, Input::GroupLeads]
        .map(|input| {
            election.handle(NOW, input);
            election.state().role()
        })
        .to_vec();
    assert_eq!(roles, [Role::Backup, Role::Backup, Role::Master]);
}
