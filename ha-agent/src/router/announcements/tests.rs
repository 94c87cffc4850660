//! What a plan says is due, and when.

use super::*;

const START: Instant = Instant(1_000_000_000);
const FIVE_AND_FIVE: Cadence = Cadence {
    count: 5,
    repeat_after: Nanos::from_millis(5000),
    repeat_count: 5,
    refresh: Nanos(0),
    gap: Nanos(0),
};
const MINUTE: Cadence = Cadence {
    repeat_count: 0,
    count: 1,
    refresh: Nanos::from_millis(60_000),
    ..FIVE_AND_FIVE
};

/// Follows the plan by its own deadlines and notes when each portion went out.
fn play(plan: &mut AnnouncePlan, until: Instant) -> Vec<(u64, Range<usize>)> {
    let mut log = Vec::new();
    let mut now = START;
    loop {
        while let Some(portion) = plan.due(now) {
            log.push((now.since(START).0 / 1_000_000, portion));
        }
        match plan.next_deadline() {
            Some(next) if next <= until => {
                assert!(
                    next > now,
                    "a deadline that has passed would spin the driver"
                );
                now = next;
            }
            _ => return log,
        }
    }
}

#[test]
fn the_default_configuration_is_five_and_five_and_one_each_minute() {
    let expected = Cadence {
        refresh: Nanos::from_millis(60_000),
        ..FIVE_AND_FIVE
    };
    assert_eq!(Cadence::from(Garp::default()), expected);
}

#[test]
fn one_leaves_at_once_four_shortly_after_and_five_after_five_seconds() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1, Spread::default(), START);
    assert_eq!(plan.next_deadline(), Some(START));
    let log = play(&mut plan, START + Nanos::from_millis(60_000));
    let expected: Vec<_> = [(0, 1), (10, 4), (5000, 5)]
        .into_iter()
        .flat_map(|(at, count)| vec![(at, 0..1); count])
        .collect();
    assert_eq!(log, expected);
    assert_eq!(plan.next_deadline(), None);
}

#[test]
fn of_a_thousand_instances_each_announces_once_before_any_does_twice_and_the_rest_is_spread() {
    let mut in_millis = [0; 21];
    for number in 0..1000 {
        let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1, Spread::of(number), START);
        let log = play(&mut plan, START + Nanos::from_millis(1000));
        let at: Vec<_> = log.iter().map(|(at, _)| *at).collect();
        assert_eq!((at[0], at.len()), (0, 5));
        assert!(at[1] >= 10 && at[1] <= 20 && at[1] == at[4], "{at:?}");
        in_millis[usize::try_from(at[1]).unwrap()] += 1;
    }
    let times: Vec<_> = in_millis.iter().filter(|count| **count > 0).collect();
    assert_eq!(times.len(), 6, "few wake-ups: {in_millis:?}");
    assert!(times.iter().all(|count| **count <= 250), "{in_millis:?}");
}

#[test]
fn a_claim_does_not_wait_for_the_rest_of_the_burst() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1, Spread::default(), START);
    assert_eq!((plan.due(START), plan.due(START)), (Some(0..1), None));
    let claimed = START + Nanos::from_millis(1);
    assert_eq!(plan.due(claimed), None);
    plan.announce_again();
    assert_eq!((plan.due(claimed), plan.due(claimed)), (Some(0..1), None));
}

#[test]
fn a_thousand_addresses_leave_in_portions_and_every_one_before_any_twice() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 1000, Spread::default(), START);
    let log = play(&mut plan, START + Nanos::from_millis(4000));
    assert_eq!(
        log.iter().map(|(_, portion)| portion.len()).sum::<usize>(),
        5000
    );
    assert_eq!(
        log[..4],
        [(0, 0..256), (2, 256..512), (4, 512..768), (6, 768..1000)]
    );
    let mut next = 0;
    for (_, portion) in &log {
        assert_eq!(portion.start, next);
        next = portion.end % 1000;
    }
    for window in 0..log.len() as u64 * 2 {
        let sent: usize = log
            .iter()
            .filter(|(at, _)| *at == window)
            .map(|(_, p)| p.len())
            .sum();
        assert!(sent <= WINDOW_FRAMES);
    }
}

#[test]
fn with_a_gap_announcements_leave_one_by_one_and_none_is_left_out() {
    let cadence = Cadence {
        gap: Nanos::from_millis(20),
        ..FIVE_AND_FIVE
    };
    let mut plan = AnnouncePlan::new(cadence, 3, Spread::default(), START);
    let log = play(&mut plan, START + Nanos::from_millis(60_000));
    let expected: Vec<_> = [0, 5000]
        .iter()
        .flat_map(|burst| (0..15).map(move |n| burst + 20 * n))
        .zip([0, 1, 2].into_iter().cycle())
        .map(|(at, address)| (at, address..address + 1))
        .collect();
    assert_eq!(log, expected);
    // A claim by somebody else does not break it.
    let mut plan = AnnouncePlan::new(cadence, 3, Spread::default(), START);
    assert_eq!(plan.due(START), Some(0..1));
    plan.announce_again();
    assert_eq!(plan.due(START + Nanos::from_millis(19)), None);
}

#[test]
fn what_found_no_room_leaves_in_the_next_window_and_before_anything_leaves_twice() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 100, Spread::default(), START);
    let whole = plan.due(START).unwrap();
    assert_eq!(whole, 0..100);
    plan.put_off(&whole, 60);
    assert_eq!(
        plan.due(START),
        None,
        "the queue has no room in this window"
    );
    let next = plan.next_deadline().unwrap();
    assert_eq!(next, START + WINDOW);
    assert_eq!(plan.due(next), Some(60..100));
    plan.sent();
    let log = play(&mut plan, START + Nanos::from_millis(4000));
    let left: usize = log.iter().map(|(_, portion)| portion.len()).sum();
    assert_eq!(left, 400, "the other four rounds");
}

#[test]
fn a_queue_that_never_has_room_does_not_keep_the_driver_busy_for_ever() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 10, Spread::default(), START);
    let (mut now, mut attempts) = (START, 0);
    while plan.rounds > 0 {
        if let Some(portion) = plan.due(now) {
            attempts += 1;
            plan.put_off(&portion, 0);
        } else {
            now = plan.next_deadline().unwrap();
        }
    }
    assert_eq!(attempts, 250 + 5);
}

#[test]
fn refreshes_missed_in_a_stall_are_not_caught_up() {
    let cadence = Cadence {
        count: 1,
        repeat_after: Nanos(0),
        repeat_count: 5,
        refresh: Nanos::from_millis(1000),
        gap: Nanos(0),
    };
    let mut plan = AnnouncePlan::new(cadence, 1, Spread::default(), START);
    assert_eq!(plan.due(START), Some(0..1));
    assert_eq!(
        plan.due(START),
        None,
        "no second burst without a time for it"
    );
    let late = START + Nanos::from_millis(10_500);
    assert_eq!(plan.due(late), Some(0..1));
    assert_eq!(plan.due(late), None);
    assert_eq!(plan.next_deadline(), Some(late + Nanos::from_millis(500)));
}

#[test]
fn a_refresh_of_few_addresses_leaves_at_once_and_one_of_thousands_takes_half_its_time() {
    let begin = START + Nanos::from_millis(60_000);
    for (addresses, portions, largest) in [(1, 1, 1), (16, 1, 16), (500, 32, 16), (10_000, 295, 34)]
    {
        let mut plan = AnnouncePlan::new(MINUTE, addresses, Spread::default(), START);
        play(&mut plan, begin - Nanos(1));
        let log = play(&mut plan, begin + Nanos::from_millis(59_999));
        let sent: usize = log.iter().map(|(_, portion)| portion.len()).sum();
        assert_eq!(sent, addresses);
        assert_eq!(log.len(), portions, "of {addresses}");
        assert_eq!(log.iter().map(|(_, it)| it.len()).max(), Some(largest));
        assert!(log.windows(2).all(|two| two[1].0 - two[0].0 >= 100));
        let last = log.last().map_or(0, |(at, _)| *at);
        assert!(last <= 60_000 + 30_000, "{addresses} until {last}");
    }
}

#[test]
fn a_refresh_that_cannot_be_through_in_its_time_is_no_burst_either() {
    let cadence = Cadence {
        refresh: Nanos::from_millis(1000),
        ..MINUTE
    };
    let mut plan = AnnouncePlan::new(cadence, 10_000, Spread::default(), START);
    play(&mut plan, START + Nanos::from_millis(999));
    let log = play(&mut plan, START + Nanos::from_millis(10_000));
    let sent: usize = log.iter().map(|(_, portion)| portion.len()).sum();
    assert!(sent <= 91 * WINDOW_FRAMES, "{sent}");
}

#[test]
fn a_claim_during_a_refresh_waits_for_none_of_it() {
    let mut plan = AnnouncePlan::new(MINUTE, 100, Spread::default(), START);
    let begin = START + Nanos::from_millis(60_000);
    play(&mut plan, begin);
    let now = begin + Nanos::from_millis(10);
    assert_eq!(plan.due(now), None);
    plan.announce_again();
    assert_eq!(
        plan.due(now),
        Some(16..100),
        "the rest of the running round"
    );
    assert_eq!(
        plan.due(now),
        Some(0..100),
        "and all of them after the claim"
    );
    assert_eq!(plan.due(now), None);
}

#[test]
fn refreshes_of_many_instances_do_not_come_together() {
    let first = |number| {
        let mut plan = AnnouncePlan::new(MINUTE, 1, Spread::of(number), START);
        assert_eq!(plan.due(START), Some(0..1));
        plan.next_deadline()
            .map(|at| at.since(START).0 / 1_000_000_000)
    };
    assert_eq!(first(0), Some(60));
    let mut seconds = [0; 61];
    for number in 0..4096 {
        seconds[usize::try_from(first(number).unwrap()).unwrap()] += 1;
    }
    assert_eq!(seconds[..30].iter().sum::<u32>(), 0);
    let most = seconds.iter().max();
    assert!(
        most.is_some_and(|most| (137..=160).contains(most)),
        "{seconds:?}"
    );
}

#[test]
fn claims_by_others_cannot_pile_up_announcements() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 2, Spread::default(), START);
    while plan.due(START).is_some() {}
    for _ in 0..1000 {
        plan.announce_again();
    }
    let next = plan.next_deadline().unwrap();
    assert!(next <= START + WINDOW);
    assert_eq!(plan.due(next), Some(0..2));
    assert_eq!(plan.due(next), None);
}

#[test]
fn a_plan_without_addresses_never_wakes_the_driver() {
    let mut plan = AnnouncePlan::new(FIVE_AND_FIVE, 0, Spread::default(), START);
    assert_eq!(plan.due(START), None);
    assert_eq!(plan.next_deadline(), None);
}
