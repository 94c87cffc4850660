//! The schedule against the clock: leases, late wakings, changed intervals, refusals.

use std::net::IpAddr;

use ha_common::units::{Centiseconds, Priority, Version};

use super::*;
use crate::net::advert::AdvertError;

const NEVER: Instant = Instant(u64::MAX);

fn at(millis: u64) -> Instant {
    Instant(0) + Nanos::from_millis(millis)
}

/// One second, multiplier 3: overslept after two, patience 3.6 s.
fn timing() -> Timing {
    Timing::of(&Rules {
        version: Version::V3,
        own_address: IpAddr::from([10, 99, 0, 1]),
        priority: Priority(100),
        interval: Centiseconds(100),
        preempt: true,
        down_multiplier: 3,
    })
}

fn started(ids: usize) -> Schedule {
    let mut schedule = Schedule::default();
    for id in 0..ids {
        schedule.start(id, timing(), at(0));
    }
    schedule
}

#[test]
fn a_masters_timing_is_what_is_left_to_the_backups_and_its_own_down_interval() {
    let timing = timing();
    assert_eq!(timing.overslept, Nanos::from_millis(2000));
    assert_eq!(timing.patience, Nanos(3_000_000_000 + 609_375_000));
}

#[test]
fn adverts_are_due_an_interval_after_the_last_was_and_lateness_does_not_add_up() {
    let mut schedule = started(1);
    assert_eq!(schedule.next_step(at(0), NEVER), Step::Wait(Some(at(1000))));
    let late = Nanos::from_millis(300);
    assert_eq!(
        schedule.next_step(at(1300), NEVER),
        Step::Send { id: 0, late }
    );
    assert_eq!(
        schedule.next_step(at(1300), NEVER),
        Step::Wait(Some(at(2000)))
    );
}

#[test]
fn what_was_missed_is_not_made_up_for_in_a_burst() {
    let mut schedule = started(1);
    assert!(matches!(
        schedule.next_step(at(2500), NEVER),
        Step::Send { .. }
    ));
    assert_eq!(
        schedule.next_step(at(2500), NEVER),
        Step::Wait(Some(at(3500)))
    );
}

#[test]
fn when_the_lease_has_ended_each_one_says_priority_0_and_falls_silent() {
    let mut schedule = started(2);
    let lease = at(500);
    // It wakes for the lease, which ends before anything is due.
    assert_eq!(schedule.next_step(at(0), lease), Step::Wait(Some(lease)));
    assert_eq!(schedule.next_step(lease, lease), Step::Release { id: 0 });
    assert_eq!(schedule.next_step(lease, lease), Step::Release { id: 1 });
    assert_eq!(schedule.next_step(lease, lease), Step::Wait(None));
    assert!(schedule.take_call() && !schedule.take_call());
    // Nothing but a start makes it speak again, whatever else the driver says first.
    assert!(!schedule.advert_now(0, at(600)));
    assert!(!schedule.update(0, timing(), at(600)));
    assert_eq!(schedule.take_stopped(0, at(600)), Some(lease));
    assert_eq!(schedule.take_stopped(0, at(600)), None);
    assert!(!schedule.stop(0));
    schedule.start(0, timing(), at(700));
    assert_eq!(schedule.due(0), Some(at(1700)));
}

#[test]
fn an_advert_that_is_due_when_the_lease_has_ended_is_not_sent() {
    let mut schedule = started(1);
    assert_eq!(
        schedule.next_step(at(1000), at(1000)),
        Step::Release { id: 0 }
    );
}

#[test]
fn whoever_wakes_too_late_sends_nothing_not_even_priority_0() {
    for lease in [NEVER, at(1500)] {
        let mut schedule = started(1);
        let late = at(3000) + Nanos(1);
        assert_eq!(schedule.next_step(late, lease), Step::Overslept { id: 0 });
        assert_eq!(schedule.next_step(late, lease), Step::Wait(None));
        assert_eq!(schedule.take_stopped(0, late), Some(at(1000)));
    }
    let mut punctual = started(1);
    assert!(matches!(
        punctual.next_step(at(3000), NEVER),
        Step::Send { .. }
    ));
}

#[test]
fn the_driver_is_told_of_an_overslept_sender_that_has_not_woken_yet() {
    let mut schedule = started(1);
    assert_eq!(schedule.take_stopped(0, at(3000)), None);
    assert_eq!(schedule.take_stopped(0, at(3001)), Some(at(1000)));
    assert_eq!(schedule.next_step(at(3001), NEVER), Step::Wait(None));
}

#[test]
fn another_interval_counts_from_an_advert_that_is_sent_at_once() {
    let mut schedule = started(1);
    assert!(!schedule.update(0, timing(), at(500)));
    assert_eq!(schedule.due(0), Some(at(1000)));
    let slower = Timing {
        interval: Nanos::from_millis(4000),
        ..timing()
    };
    assert!(schedule.update(0, slower, at(500)));
    assert_eq!(schedule.due(0), Some(at(4500)));
}

#[test]
fn refusals_that_last_are_news_and_a_new_start_forgets_them() {
    let mut schedule = started(1);
    let refused = || {
        let to = IpAddr::from([224, 0, 0, 18]);
        let error = AdvertError::Filtered;
        Some(Refused { to, error })
    };
    schedule.count(0, refused(), at(0));
    assert!(!schedule.take_call());
    schedule.count(0, refused(), at(4000));
    assert!(schedule.take_call());
    assert!(matches!(
        schedule.take_news(0),
        Some(SendingNews::Unsent(_))
    ));
    schedule.start(0, timing(), at(5000));
    schedule.count(0, None, at(5000));
    assert!(!schedule.take_call());
    assert_eq!(schedule.take_news(0), None);
}

#[test]
fn a_thousand_masters_adverts_take_few_wake_ups_and_none_comes_later_than_its_interval() {
    let interval = timing().interval;
    let mut schedule = Schedule::default();
    let mut said: Vec<Instant> = Vec::new();
    let (mut wake_ups, mut sent, mut most) = (0, 0, 0);
    // They become master one after the other, in 20 ms.
    let take_over = |number: usize| at(0) + Nanos(20_000 * number as u64);
    let mut now = at(0);
    while now < at(10_000) {
        if said.len() < 1000 && take_over(said.len()) <= now {
            schedule.start(said.len(), timing(), now);
            said.push(now);
        }
        match schedule.next_step(now, NEVER) {
            Step::Send { id, late } => {
                assert_eq!(late, Nanos(0), "{id}");
                let waited = now.since(said[id]);
                assert!(waited <= interval, "{id}: {waited:?}");
                said[id] = now;
                sent += 1;
            }
            Step::Wait(Some(next)) => {
                if now >= at(2_000) {
                    wake_ups += usize::from(sent > 0);
                    most = most.max(sent);
                }
                let starts = (said.len() < 1000).then(|| take_over(said.len()));
                now = starts.map_or(next, |start| start.min(next));
                sent = 0;
            }
            other => panic!("{other:?}"),
        }
    }
    // Eight seconds have 8,000 adverts.
    assert!((1000..1100).contains(&wake_ups), "{wake_ups}");
    assert!(most <= 8, "{most} at once");
}

#[test]
fn after_a_stand_still_nothing_is_sent_for_a_while() {
    let seconds = |seconds: u64| Nanos::from_millis(seconds * 1000);
    let mut schedule = started(1);
    schedule.stood_still(seconds(2), at(400));
    assert_eq!(schedule.due(0), Some(at(1000)), "others still wait");
    schedule.stood_still(seconds(60), at(400));
    assert_eq!(schedule.due(0), Some(at(1650)));
    schedule.stood_still(seconds(60), at(900));
    assert_eq!(schedule.due(0), Some(at(1650)), "it has waited");
    let sent = schedule.next_step(at(1650), at(9000));
    assert!(matches!(sent, Step::Send { id: 0, .. }), "{sent:?}");
    schedule.stood_still(seconds(60), at(1700));
    assert_eq!(schedule.due(0), Some(at(2950)));
    let mut schedule = Schedule::default();
    let impatient = Timing {
        overslept: seconds(1),
        ..timing()
    };
    schedule.start(0, impatient, at(0));
    schedule.stood_still(seconds(60), at(400));
    assert_eq!(schedule.due(0), Some(at(1000)), "the others would miss it");
}
