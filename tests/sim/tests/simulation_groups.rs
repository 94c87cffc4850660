//! Sync groups among simulated hosts, each member on a segment of its own: random trouble from seeds, and
//! the cases that dead-locked other implementations' groups. Needs no root.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::io::Write as _;

use fastrand::Rng;
use ha_common::election::{Params, Role, Rules, Transition};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority, Version};
use ha_sim::grid::Grid;
use ha_sim::node::Stall;
use ha_sim::world::{LATENCY, Setup};
use ha_sim::{Hooks, Op, Reload, World, campaign, groups, invariants};

/// Enough to see each operation in each state many times; `cargo xtask test` asks for more by `HA_SIM_GROUP_SCHEDULES`, and
/// a longer run is `cargo xtask sim --groups`.
const SEEDS: u64 = 500;
const MAX_DELAY: Nanos = Nanos(200_000);
const TWO: Grid = Grid {
    hosts: 2,
    segments: 2,
};

#[test]
fn every_invariant_of_groups_holds_in_random_trouble() {
    let seeds = campaign::schedules("HA_SIM_GROUP_SCHEDULES", SEEDS).expect("a number");
    match campaign::run(0..seeds, groups::play, Hooks::NONE) {
        // Past the test harness, which keeps what a test prints that passes.
        Ok(total) => writeln!(std::io::stderr(), "{total}").expect("standard error"),
        Err(violation) => panic!(
            "{violation}\nreplay: cargo xtask sim --groups --seed {} --trace",
            violation.seed
        ),
    }
}

fn params(segment: u8, host: u8, priority: u8) -> Params {
    Params {
        rules: Rules {
            version: Version::V3,
            own_address: [10, 99, segment, host].into(),
            priority: Priority(priority),
            interval: Centiseconds(10),
            preempt: true,
            down_multiplier: 3,
        },
        start_hold: Nanos(0),
        preempt_delay: Nanos(0),
        grouped: true,
    }
}

/// Two hosts with these priorities of their members; the first has the lower address on both segments.
fn pair(first: [u8; 2], second: [u8; 2]) -> [Params; 4] {
    [
        params(0, 1, first[0]),
        params(0, 2, second[0]),
        params(1, 1, first[1]),
        params(1, 2, second[1]),
    ]
}

fn world(params: &[Params]) -> World {
    seeded(params, 1)
}

fn seeded(params: &[Params], seed: u64) -> World {
    let setup = Setup {
        grid: TWO,
        grouped: true,
        ..Setup::single(TWO.hosts, MAX_DELAY)
    };
    World::new(setup, params, Rng::with_seed(seed), Hooks::NONE, false)
}

/// Both hosts run, and the first of them leads.
fn running(params: &[Params]) -> World {
    let mut world = world(params);
    on_host(&mut world, 0, Op::Start);
    settle(&mut world);
    on_host(&mut world, 1, Op::Start);
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
    world
}

fn settle(world: &mut World) {
    let end = world.now + groups::bound(world, TWO);
    while world.step(end) {
        groups::always(world, TWO).expect("groups are in step");
    }
    groups::settled(world, TWO).expect("there is one leader");
}

fn leaders(world: &World) -> Vec<usize> {
    let leads = |host: &usize| world.nodes[TWO.node(*host, 0)].is_master();
    (0..TWO.hosts).filter(leads).collect()
}

fn on_host(world: &mut World, host: usize, op: impl Fn(usize) -> Op) {
    for node in TWO.members(host) {
        world.after(Nanos(0), op(node));
    }
}

fn on_one(world: &mut World, op: Op) {
    world.after(Nanos(0), op);
}

/// The changes of this host since then, as role and cause by segment.
fn changes(world: &World, host: usize, since: Instant) -> Vec<(usize, Transition)> {
    let all = world.reports.iter().filter(|(_, it)| it.at >= since);
    let of_host = all.filter(|(node, _)| node % TWO.hosts == host);
    of_host.map(|(node, it)| (node / TWO.hosts, *it)).collect()
}

fn causes(world: &World, host: usize, since: Instant) -> Vec<String> {
    let changes = changes(world, host, since);
    let words = |(segment, it): &(usize, Transition)| format!("{segment} {}: {}", it.to, it.cause);
    changes.iter().map(words).collect()
}

/// keepalived #1532: a group stayed in FAULT although the interface was up again.
#[test]
fn a_fault_of_one_member_moves_all_of_them_and_mended_it_brings_all_back() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let start = world.now;
    on_one(&mut world, Op::Link(TWO.node(0, 1), false));
    settle(&mut world);
    assert_eq!(leaders(&world), [1]);
    assert_eq!(
        causes(&world, 0, start),
        [
            "1 FAULT: interface is down",
            "0 FAULT: member number 1 of its group has failed"
        ]
    );
    // Where the master could say so, its group mate's segment waited for the skew only; the other one,
    // cut off, for all of its time. The group took over at the end of both.
    let taken = changes(&world, 1, start);
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0].1.at, taken[1].1.at);
    let down = world.nodes[TWO.node(1, 0)].params.rules.initial_down();
    assert!(taken[0].1.at <= start + Nanos(down.0 + MAX_DELAY.0 + 3 * LATENCY.0));

    let mended = world.now;
    on_one(&mut world, Op::Link(TWO.node(0, 1), true));
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
    assert_eq!(changes(&world, 1, mended).len(), 2, "one clean way back");
}

#[test]
fn a_master_that_dies_is_replaced_on_all_segments_in_one_turn() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let died = world.now;
    on_host(&mut world, 0, |node| {
        Op::Stall(node, Stall::Host, Nanos(u64::MAX / 4))
    });
    world.run_for(groups::bound(&world, TWO));
    let taken = changes(&world, 1, died);
    assert!(
        taken
            .iter()
            .all(|(_, it)| it.to == Role::Master && it.at == taken[0].1.at)
    );
    assert_eq!(taken.len(), 2);
    let down = world.nodes[TWO.node(1, 0)].params.rules.initial_down();
    assert!(taken[0].1.at <= died + Nanos(down.0 + MAX_DELAY.0 + 2 * LATENCY.0));
    let mut said = causes(&world, 1, died);
    said.sort();
    assert!(
        said.iter().any(|it| it.contains("no advert for 3")),
        "{said:?}"
    );
    assert!(said.iter().any(|it| it.contains("takes over")), "{said:?}");
}

#[test]
fn a_segment_that_is_cut_does_not_take_the_other_one_from_a_healthy_master() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let start = world.now;
    on_one(
        &mut world,
        Op::Partition(TWO.sides(|host, segment| u8::from(host == 1 && segment == 0))),
    );
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
    assert!(changes(&world, 0, start).is_empty() && changes(&world, 1, start).is_empty());
    // Its timer runs out again and again; as soon as the other one goes as well, the group takes over.
    on_host(&mut world, 0, Op::Stop);
    let stopped = world.now;
    settle(&mut world);
    assert_eq!(leaders(&world), [1]);
    let taken = changes(&world, 1, stopped)[0].1.at;
    let skew = ha_common::timing::skew(Version::V3, Priority(90), Centiseconds(10));
    assert!(taken <= stopped + Nanos(skew.0 + MAX_DELAY.0 + 3 * LATENCY.0));
}

#[test]
fn a_master_that_comes_back_unchanged_is_not_taken_for_dead() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let cut = |segment: usize| TWO.sides(move |host, it| u8::from(host == 1 && it == segment));
    on_one(&mut world, Op::Partition(cut(0)));
    settle(&mut world);
    let start = world.now;
    // The first segment heals as the second one is cut.
    on_one(&mut world, Op::Partition(cut(1)));
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
    assert!(changes(&world, 1, start).is_empty());
    // And once it is dead on both, it is.
    on_host(&mut world, 0, Op::Stop);
    settle(&mut world);
    assert_eq!(leaders(&world), [1]);
}

#[test]
fn members_with_crossed_priorities_do_not_fight_or_wait_for_each_other() {
    let mut world = world(&pair([100, 80], [80, 100]));
    on_host(&mut world, 0, Op::Start);
    on_host(&mut world, 1, Op::Start);
    settle(&mut world);
    assert_eq!(leaders(&world).len(), 1);
    let transitions = world.reports.len();
    settle(&mut world);
    assert_eq!(world.reports.len(), transitions);
}

/// At equal priority the higher address wins, and here that is another host on each segment.
#[test]
fn groups_that_beat_each_other_crosswise_come_to_rest_within_the_bound() {
    let mut crossed = pair([100, 100], [100, 100]);
    crossed[2].rules.own_address = [10, 99, 1, 2].into();
    crossed[3].rules.own_address = [10, 99, 1, 1].into();
    for seed in 0..50 {
        let mut world = seeded(&crossed, seed);
        on_one(
            &mut world,
            Op::Partition(TWO.sides(|host, _| u8::from(host == 1))),
        );
        on_host(&mut world, 0, Op::Start);
        on_host(&mut world, 1, Op::Start);
        world.run_for(invariants::bound(&world));
        assert_eq!(leaders(&world), [0, 1], "each leads on its side");
        on_one(&mut world, Op::Partition(TWO.sides(|_, _| 0)));
        settle(&mut world);
        assert_eq!(leaders(&world).len(), 1);
    }
}

#[test]
fn a_group_that_starts_with_a_fault_leads_once_it_is_mended() {
    let mut world = world(&pair([100, 100], [90, 90]));
    on_one(&mut world, Op::Link(TWO.node(0, 1), false));
    on_one(&mut world, Op::Check(TWO.node(1, 0), false));
    on_host(&mut world, 0, Op::Start);
    on_host(&mut world, 1, Op::Start);
    settle(&mut world);
    assert!(leaders(&world).is_empty());
    for (op, leader) in [
        (Op::Check(TWO.node(1, 0), true), 1),
        (Op::Link(TWO.node(0, 1), true), 0),
    ] {
        on_one(&mut world, op);
        settle(&mut world);
        assert_eq!(leaders(&world), [leader]);
    }
}

/// keepalived #2190: with nopreempt, the cable of one host is pulled and put back, then the other one's, and
/// both stay backups for ever.
#[test]
fn one_host_leads_after_the_cables_of_both_were_pulled_and_put_back() {
    let patient = pair([100, 100], [90, 90]).map(|mut params| {
        params.rules.preempt = false;
        params
    });
    let mut world = running(&patient);
    for host in [0, 1] {
        for up in [false, true] {
            on_one(&mut world, Op::Link(TWO.node(host, 1), up));
            // Long enough to be noticed, too short for a take-over.
            world.run_for(Nanos::from_millis(50));
        }
    }
    settle(&mut world);
    assert_eq!(leaders(&world).len(), 1);
}

#[test]
fn a_weight_on_one_member_moves_all_of_them() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let start = world.now;
    on_one(
        &mut world,
        Op::Reload(TWO.node(0, 1), Reload::Priority(Priority(80))),
    );
    settle(&mut world);
    assert_eq!(leaders(&world), [1]);
    let said = causes(&world, 0, start);
    assert!(
        said[0].contains("better master") && said[1].contains("cannot be master"),
        "{said:?}"
    );
    on_one(
        &mut world,
        Op::Reload(TWO.node(0, 1), Reload::Priority(Priority(100))),
    );
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
}

#[test]
fn an_agent_that_is_killed_and_restarted_in_time_moves_no_group() {
    let mut world = running(&pair([100, 100], [90, 90]));
    let start = world.now;
    on_host(&mut world, 0, |node| {
        Op::Crash(node, Nanos::from_millis(20))
    });
    settle(&mut world);
    assert_eq!(leaders(&world), [0]);
    assert!(changes(&world, 0, start).is_empty() && changes(&world, 1, start).is_empty());
}
