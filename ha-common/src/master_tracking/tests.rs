//! Slots that hear adverts.

use super::*;
use crate::wire::vrrp::ChecksumScope;

pub(crate) const MS: u64 = 1_000_000;
/// 10 ms intervals and priority 90: down after 36.484375 ms.
pub(crate) const INTERVAL: u16 = 1;
pub(crate) const START: u64 = 1_000_000 * MS;

pub(crate) fn host(last: u8) -> RawAddress {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[10, 99, 0, last]);
    address
}

pub(crate) fn slot(state: u8) -> Slot {
    Slot {
        state,
        version: 3,
        flags: flags::PREEMPT | flags::FENCE,
        own_priority: 90,
        own_interval: INTERVAL,
        own_address: host(9),
        down_multiplier: 3,
        ..Slot::default()
    }
}

pub(crate) fn advert(last: u8, priority: u8) -> Advert {
    Advert {
        source: host(last),
        hash: 1,
        interval: Centiseconds(INTERVAL),
        priority: Priority(priority),
        count: 1,
        flavour: ChecksumScope::PseudoHeader,
        length: 12,
        signed: false,
    }
}

pub(crate) fn hear(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    let outcome = on_advert(slot, advert, now);
    if let Some(span) = outcome.arm_for {
        slot.deadline = now + span.0;
    }
    outcome
}

const REARM: Option<Nanos> = Some(Nanos(36_484_375));

/// RFC 9568 section 6.4.2 (follow).
#[test]
fn an_unchanged_advert_rearms_in_silence() {
    let mut slot = slot(state::BACKUP);
    let first = hear(&mut slot, &advert(1, 200), START);
    assert_eq!((first.arm_for, first.notify), (REARM, true));
    let next = hear(&mut slot, &advert(1, 200), START + 10 * MS);
    assert_eq!((next.arm_for, next.notify), (REARM, false));
}

#[test]
fn the_backup_that_takes_over_is_followed_though_it_speaks_before_our_deadline() {
    let mut slot = slot(state::BACKUP);
    hear(&mut slot, &advert(1, 200), START);
    // The other backup has priority 150: its skew is 4.14 ms, ours 6.48 ms.
    let takes_over = START + 34_140_625;
    assert!(takes_over < slot.deadline);
    assert!(hear(&mut slot, &advert(2, 150), takes_over).notify);
    assert_eq!(slot.master_address, host(2));
    for beat in 1..100 {
        let outcome = hear(&mut slot, &advert(2, 150), takes_over + beat * 10 * MS);
        assert_eq!((outcome.arm_for, outcome.notify), (REARM, false));
    }
}

#[test]
fn of_two_masters_that_both_speak_the_better_one_is_followed() {
    let mut slot = slot(state::BACKUP);
    hear(&mut slot, &advert(1, 150), START);
    hear(&mut slot, &advert(2, 150), START + MS);
    assert_eq!(
        slot.master_address,
        host(2),
        "the higher address wins a tie"
    );
    hear(&mut slot, &advert(3, 200), START + 2 * MS);
    for beat in 0..20 {
        let now = START + 3 * MS + beat * 10 * MS;
        let outcome = hear(&mut slot, &advert(2, 150), now);
        assert_eq!((outcome.arm_for, outcome.notify), (REARM, true));
        assert_eq!(slot.master_address, host(3));
        assert!(!hear(&mut slot, &advert(3, 200), now + MS).notify);
    }
}

/// RFC 9568 section 6.4.2 (ignore): its adverts leave the timer alone, and yet it is known who is replaced.
#[test]
fn a_master_that_is_to_be_preempted_is_noted_and_told_once_and_sets_no_timer() {
    let mut slot = slot(state::BACKUP);
    slot.deadline = START + 36 * MS;
    for beat in 0..3 {
        let now = START + beat * 10 * MS;
        let outcome = hear(&mut slot, &advert(1, 80), now);
        assert_eq!((outcome.arm_for, outcome.notify), (None, beat == 0));
        assert_eq!((slot.master_address, slot.last_heard), (host(1), now));
        assert!(awaits_preemption(&slot));
    }
    // Another one below it is not even news; one above it is.
    assert_eq!(
        hear(&mut slot, &advert(2, 70), START + 31 * MS),
        Outcome::default()
    );
    assert_eq!(slot.master_address, host(1));
    assert!(hear(&mut slot, &advert(3, 85), START + 32 * MS).notify);
    assert_eq!(slot.deadline, START + 36 * MS);
    // One that counts is followed, and not forgotten for one that does not.
    assert_eq!(
        hear(&mut slot, &advert(4, 90), START + 33 * MS).arm_for,
        REARM
    );
    assert_eq!(
        hear(&mut slot, &advert(3, 85), START + 34 * MS),
        Outcome::default()
    );
    assert_eq!(slot.master_address, host(4));
}

#[test]
fn when_a_backup_preempts_is_its_deadline_while_the_lower_master_speaks() {
    let mut slot = slot(state::BACKUP);
    slot.deadline = START + 36 * MS;
    let at = |millis| Instant(START + millis * MS);
    assert_eq!(preempts_at(&slot, at(0)), None, "nobody was heard");
    hear(&mut slot, &advert(1, 80), START);
    assert_eq!(preempts_at(&slot, at(1)), Some(at(36)));
    assert_eq!(preempts_at(&slot, at(36)), None, "it is over");
    hear(&mut slot, &advert(2, 90), START + 2 * MS);
    assert_eq!(preempts_at(&slot, at(3)), None, "that one counts");
}

#[test]
fn a_followed_master_whose_priority_falls_is_news_and_sets_no_timer_any_more() {
    let mut slot = slot(state::BACKUP);
    hear(&mut slot, &advert(1, 200), START);
    let deadline = slot.deadline;
    for (beat, told) in [(1, true), (2, false)] {
        let outcome = hear(&mut slot, &advert(1, 80), START + beat * 10 * MS);
        assert_eq!((outcome.arm_for, outcome.notify), (None, told));
    }
    assert_eq!((slot.master_priority, slot.deadline), (80, deadline));
}

#[test]
fn a_master_that_does_not_count_leaves_without_a_say_in_how_long_to_wait() {
    let mut slot = slot(state::BACKUP);
    let mut lower = advert(1, 80);
    lower.interval = Centiseconds(4095);
    hear(&mut slot, &lower, START);
    let release = hear(&mut slot, &advert(1, 0), START + MS);
    assert_eq!(
        release.arm_for,
        Some(Nanos(6_484_375)),
        "of our own interval"
    );
}

#[test]
fn the_first_master_is_followed_whatever_stood_in_the_slot_before() {
    let mut slot = slot(state::BACKUP);
    slot.master_priority = 250;
    slot.deadline = START + 1000 * MS;
    hear(&mut slot, &advert(1, 100), START);
    assert_eq!((slot.master_address, slot.master_priority), (host(1), 100));
}

/// RFC 9568 section 6.4.2 (released), RFC 3768 section 6.4.2 (released).
#[test]
fn a_release_shortens_the_wait_to_the_skew_and_the_next_master_is_news() {
    let mut slot = slot(state::BACKUP);
    hear(&mut slot, &advert(1, 200), START);
    let release = hear(&mut slot, &advert(1, 0), START + MS);
    assert_eq!(
        (release.arm_for, release.notify),
        (Some(Nanos(6_484_375)), true)
    );
    let next = hear(&mut slot, &advert(2, 100), START + 2 * MS);
    assert!(next.notify);
    assert_eq!(slot.master_address, host(2));
}

/// RFC 3768 section 6.4.2 (follow).
#[test]
fn v2_does_not_learn_the_interval() {
    let mut slot = slot(state::BACKUP);
    slot.version = 2;
    slot.own_interval = 100;
    let mut advert = advert(1, 100);
    advert.interval = Centiseconds(100);
    let outcome = hear(&mut slot, &advert, START);
    // 3 s and (256 - 90) / 256 s.
    assert_eq!(outcome.arm_for, Some(Nanos(3_648_437_500)));
}

#[test]
fn a_contest_begins_with_the_first_better_advert_and_ends_with_silence_or_a_release() {
    let mut slot = slot(state::MASTER);
    hear(&mut slot, &advert(1, 89), START);
    assert_eq!(slot.contested_since, 0, "a worse master contests nothing");
    assert_eq!(slot.master_address, host(1), "but is noted");
    for beat in 1..10 {
        hear(&mut slot, &advert(2, 100), START + beat * 10 * MS);
        hear(&mut slot, &advert(1, 89), START + beat * 10 * MS + MS);
        assert_eq!(slot.contested_since, START + 10 * MS);
        assert_eq!(
            slot.master_address,
            host(2),
            "is not forgotten for a worse one"
        );
    }
    hear(&mut slot, &advert(1, 89), START + 200 * MS);
    assert_eq!(
        slot.contested_since, 0,
        "silent for longer than its down interval"
    );
    hear(&mut slot, &advert(2, 100), START + 300 * MS);
    assert_eq!(slot.contested_since, START + 300 * MS);
    hear(&mut slot, &advert(1, 0), START + 301 * MS);
    assert_ne!(
        slot.contested_since, 0,
        "somebody else's release changes nothing"
    );
    hear(&mut slot, &advert(2, 0), START + 302 * MS);
    assert_eq!(slot.contested_since, 0);
}

#[test]
fn a_claim_begins_with_the_first_advert_of_anybody_and_ends_with_his_silence_or_release() {
    let mut slot = slot(state::MASTER);
    assert!(!is_claimed(&slot, START));
    for beat in 0..5 {
        hear(&mut slot, &advert(1, 89), START + beat * 10 * MS);
        assert_eq!(slot.claimed_since, START);
    }
    assert!(is_claimed(&slot, START + 41 * MS));
    assert!(!is_claimed(&slot, START + 100 * MS), "silent");
    hear(&mut slot, &advert(1, 89), START + 100 * MS);
    assert_eq!(slot.claimed_since, START + 100 * MS);
    hear(&mut slot, &advert(1, 0), START + 101 * MS);
    assert_eq!(slot.claimed_since, 0);
    assert!(!is_claimed(&slot, START + 101 * MS), "it left");
}

#[test]
fn a_dead_agents_router_was_taken_over_unless_the_other_has_yielded_to_it() {
    let master = || slot(state::MASTER);
    let mut slot = master();
    assert!(!is_taken_over(&slot, START, START + MS), "nobody spoke");
    // The last advert of one that yields, while the agent still turned.
    hear(&mut slot, &advert(1, 89), START);
    assert!(!is_taken_over(&slot, START + MS, START + 2 * MS));
    // It speaks again, an interval and more after the agent died.
    hear(&mut slot, &advert(1, 89), START + 12 * MS);
    assert!(is_taken_over(&slot, START + MS, START + 13 * MS));
    // A better one needs no silence of ours.
    let mut contested = master();
    hear(&mut contested, &advert(2, 100), START);
    assert!(is_taken_over(&contested, START + MS, START + 2 * MS));
}

#[test]
fn sixteen_events_fit_into_a_window() {
    let mut slot = slot(state::MASTER);
    let burst = |slot: &mut Slot, now| (0..40).filter(|_| may_notify(slot, now)).count();
    assert_eq!(burst(&mut slot, START), 16);
    assert_eq!(burst(&mut slot, START + 100 * MS), 0);
    // By a CPU that has read its clock before another one began the window.
    assert_eq!(burst(&mut slot, START - 1), 0);
    assert_eq!(burst(&mut slot, START + 100 * MS + 1), 16);
}

proptest::proptest! {
    #[test]
    fn ranks_are_a_total_order(a: (u8, [u8; 16]), b: (u8, [u8; 16])) {
        let forth = rank(a.0, a.1, b.0, b.1);
        proptest::prop_assert_eq!(forth, a.cmp(&b));
        proptest::prop_assert_eq!(rank(b.0, b.1, a.0, a.1), forth.reverse());
    }

    /// RFC 9568 section 6.4.2 (follow, ignore), RFC 3768 section 6.4.2 (ignore).
    #[test]
    fn a_backup_is_never_left_without_a_deadline_by_an_advert_that_it_heeds(
        last: u8, priority: u8, preempt: bool, now in START..START * 2,
    ) {
        let mut slot = slot(state::BACKUP);
        slot.flags = if preempt { flags::PREEMPT } else { 0 };
        hear(&mut slot, &advert(1, 200), START);
        let outcome = hear(&mut slot, &advert(last, priority), now);
        let heeded = priority >= 90 || priority != 0 && !preempt || priority == 0 && last == 1;
        proptest::prop_assert_eq!(outcome.arm_for.is_some(), heeded);
    }
}

#[test]
fn an_advert_is_overheard_if_the_slot_follows_another_one_at_that_moment() {
    let mut backup = slot(state::BACKUP);
    let mut hears = |host: u8, priority: u8, now: u64| {
        let advert = advert(host, priority);
        hear(&mut backup, &advert, now);
        follows_another(&backup, &advert)
    };
    assert!(!hears(1, 200, START), "the first one is followed");
    assert!(hears(3, 150, START + MS), "a worse one is not");
    assert!(!hears(3, 0, START + MS), "whoever leaves is not there");
    assert!(!hears(4, 210, START + 2 * MS), "a better one is");
    // Its own interval is 10 ms.
    assert!(!hears(3, 150, START + 60 * MS), "who took over is");
    assert!(!hears(4, 160, START + 61 * MS), "and who took over again");
}
