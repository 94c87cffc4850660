//! The election among simulated hosts: random trouble from seeds, the protocol's deadlines to the
//! microsecond, and injected bugs that the invariants must find. Needs no root.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::io::Write as _;

use fastrand::Rng;
use ha_agent::driver::sender::LEASE;
use ha_common::election::{FIRST_PAUSE, LONGEST_PAUSE, Params, Role, Rules, Transition};
use ha_common::units::{Centiseconds, Nanos, Priority, Version};
use ha_sim::bugs::{self, BUGS};
use ha_sim::campaign;
use ha_sim::invariants::{self, Invariant};
use ha_sim::network::Sending;
use ha_sim::node::Stall;
use ha_sim::script::{self, Script};
use ha_sim::world::{LATENCY, Setup};
use ha_sim::{Hooks, Op, Reload, World, groups, play, scenario};
use proptest::prelude::*;

/// Enough to see each operation in each state many times; `cargo xtask test` asks for more by `HA_SIM_SCHEDULES`, and a
/// longer run is `cargo xtask sim`.
const SEEDS: u64 = 500;
/// A planted bug must show within this many scenarios.
const SEEDS_TO_FIND_A_BUG: u64 = 500;

#[test]
fn every_invariant_holds_in_random_trouble() {
    let seeds = campaign::schedules("HA_SIM_SCHEDULES", SEEDS).expect("a number");
    match campaign::run(0..seeds, play, Hooks::NONE) {
        // Past the test harness, which keeps what a test prints that passes.
        Ok(total) => writeln!(std::io::stderr(), "{total}").expect("standard error"),
        Err(violation) => panic!(
            "{violation}\nreplay: cargo xtask sim --seed {} --trace",
            violation.seed
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_seed_replays_exactly(seed in any::<u64>()) {
        prop_assert_eq!(play(seed, Hooks::NONE, false), play(seed, Hooks::NONE, false));
    }
}

/// Each bug that can be injected is found by the invariant that it breaks.
#[test]
fn every_injected_bug_is_found_by_its_invariant() {
    for bug in BUGS {
        let play = if bug.groups { groups::play } else { play };
        let mut seeds = 0..SEEDS_TO_FIND_A_BUG;
        let broken = |seed| Some(play(seed, bug.hooks, false).err()?.what.invariant);
        let found = seeds.any(|seed| broken(seed) == Some(bug.breaks));
        assert!(found, "{} does not break {:?}", bug.name, bug.breaks);
    }
}

/// An invariant that nothing can break would be no witness of anything.
#[test]
fn every_invariant_is_broken_by_a_bug() {
    for invariant in Invariant::ALL {
        let breaks = |bug: &&bugs::Bug| bug.breaks == *invariant;
        assert!(BUGS.iter().any(|bug| breaks(&bug)), "{invariant:?}");
    }
}

/// What is left of a failing scenario fails as well, and no part of it can be spared.
#[test]
fn a_failing_scenario_shrinks_to_what_it_takes() {
    let bug = bugs::named("never-fires").expect("it is there");
    let fails = |script: &Script| scenario::play_script(script, bug.hooks, false).is_err();
    let script = (0..SEEDS_TO_FIND_A_BUG)
        .map(scenario::script)
        .find(|script| fails(script))
        .expect("it is found");
    let small = script::shrink(&script, fails);
    assert!(fails(&small));
    let ops = |script: &Script| -> usize { script.rounds.iter().map(|it| it.ops.len()).sum() };
    assert!(
        ops(&small) <= 2 && small.rounds.len() == 1,
        "{} of {} operations are left: {small:#?}",
        ops(&small),
        ops(&script)
    );
}

const MAX_DELAY: Nanos = Nanos(200_000);

fn params(host: u8, priority: u8, interval: u16, preempt: bool) -> Params {
    Params {
        rules: Rules {
            version: Version::V3,
            own_address: [10, 99, 0, host].into(),
            priority: Priority(priority),
            interval: Centiseconds(interval),
            preempt,
            down_multiplier: 3,
        },
        start_hold: Nanos(0),
        preempt_delay: Nanos(0),
        grouped: false,
    }
}

/// The hosts run, and the first of them is master.
fn running(params: &[Params]) -> World {
    let rng = Rng::with_seed(1);
    let mut world = World::new(
        Setup::single(params.len(), MAX_DELAY),
        params,
        rng,
        Hooks::NONE,
        false,
    );
    world.after(Nanos(0), Op::Start(0));
    world.run_for(invariants::bound(&world));
    for node in 1..params.len() {
        world.after(Nanos(0), Op::Start(node));
    }
    settle(&mut world);
    assert_eq!(world.masters(), [0]);
    world
}

fn settle(world: &mut World) {
    world.run_for(invariants::bound(world));
    world.run_for(invariants::owed(world));
    invariants::always(world).expect("agents and hosts are in step");
    invariants::settled(world).expect("there is one master");
}

/// The next change of this node to this role.
fn wait_for(world: &mut World, node: usize, to: Role) -> Transition {
    let seen = world.reports.len();
    // Long enough for every crash and stall below to end first.
    let end = world.now + invariants::bound(world) + Nanos(20 * LEASE.0);
    loop {
        let new = world.reports.get(seen..).unwrap_or_default();
        if let Some((_, transition)) = new.iter().find(|(id, t)| *id == node && t.to == to) {
            return *transition;
        }
        assert!(world.step(end), "node {node} did not become {to}");
    }
}

fn at_once(world: &mut World, op: Op) {
    world.after(Nanos(0), op);
}

/// RFC 9568 section 6.4.2 (expiry), RFC 3768 section 6.4.2 (expiry).
#[test]
fn a_backup_takes_over_at_the_deadline_and_not_before() {
    for interval in [1, 100] {
        let mut world = running(&[
            params(1, 100, interval, true),
            params(2, 90, interval, true),
        ]);
        at_once(&mut world, Op::Stall(0, Stall::Host, Nanos(u64::MAX / 4)));
        // What was on the wire arrives.
        world.run_for(MAX_DELAY);
        let heard = world.nodes[1].detector.last_heard().expect("a master");
        let taken = wait_for(&mut world, 1, Role::Master);
        let deadline = heard + world.nodes[1].params.rules.initial_down();
        assert!(taken.at >= deadline && taken.at <= deadline + LATENCY);
        assert!(taken.cause.to_string().starts_with("no advert for 3"));
    }
}

#[test]
fn after_a_stop_the_backup_waits_only_for_the_skew() {
    let mut world = running(&[params(1, 100, 100, true), params(2, 90, 100, true)]);
    let stopped = world.now;
    at_once(&mut world, Op::Stop(0));
    let taken = wait_for(&mut world, 1, Role::Master);
    // (256 - 90) * 1 s / 256 (RFC 9568 section 6.1 (skew))
    let skew = Nanos(648_437_500);
    assert!(taken.at >= stopped + skew);
    assert!(taken.at <= stopped + Nanos(skew.0 + MAX_DELAY.0 + 2 * LATENCY.0));
    assert_eq!(taken.cause.to_string(), "priority 0 from 10.99.0.1");
    assert!(!world.nodes[0].addresses);
}

#[test]
fn an_agent_that_is_killed_and_restarted_in_time_moves_nothing() {
    let mut world = running(&[params(1, 100, 100, true), params(2, 90, 100, true)]);
    let transitions = world.reports.len();
    at_once(&mut world, Op::Crash(0, Nanos::from_millis(200)));
    settle(&mut world);
    assert_eq!(world.reports.len(), transitions);
    assert_eq!(world.masters(), [0]);
}

#[test]
fn an_agent_that_comes_back_too_late_has_one_clean_way_back() {
    let mut world = running(&[params(1, 100, 1, true), params(2, 90, 1, true)]);
    at_once(&mut world, Op::Crash(0, Nanos::from_millis(200)));
    wait_for(&mut world, 1, Role::Master);
    wait_for(&mut world, 0, Role::Master);
    settle(&mut world);
    let of_second: Vec<_> = world.reports.iter().filter(|(id, _)| *id == 1).collect();
    assert_eq!(of_second.len(), 3, "to backup, to master, to backup");
    assert_eq!(world.masters(), [0]);
}

#[test]
fn a_backup_whose_agent_stalled_finds_that_the_master_lives() {
    let mut world = running(&[params(1, 100, 1, true), params(2, 90, 1, true)]);
    let transitions = world.reports.len();
    for what in [Stall::Driver, Stall::Process] {
        at_once(&mut world, Op::Stall(1, what, Nanos::from_millis(500)));
        world.run_for(Nanos::from_millis(600));
    }
    assert_eq!(world.reports.len(), transitions);
}

#[test]
fn a_driver_that_hangs_longer_than_the_lease_is_no_zombie_master() {
    let mut world = running(&[params(1, 100, 100, true), params(2, 90, 100, true)]);
    let start = world.now;
    let hang = Nanos(10 * LEASE.0);
    at_once(&mut world, Op::Stall(0, Stall::Driver, hang));
    let taken = wait_for(&mut world, 1, Role::Master);
    let latest = LEASE.0 + 648_437_500 + MAX_DELAY.0 + LATENCY.0;
    assert!(taken.at <= start + Nanos(latest));
    // It has been out of the election; the better one comes back when it wakes.
    world.run_for(hang);
    settle(&mut world);
    assert_eq!(world.masters(), [0]);
}

#[test]
fn a_nopreempt_master_that_was_paused_does_not_fight_its_equal() {
    let mut world = running(&[params(1, 100, 1, false), params(2, 100, 1, false)]);
    at_once(
        &mut world,
        Op::Stall(0, Stall::Host, Nanos::from_millis(500)),
    );
    wait_for(&mut world, 1, Role::Master);
    let yielded = wait_for(&mut world, 0, Role::Backup);
    assert!(yielded.cause.to_string().contains("10.99.0.2"));
    settle(&mut world);
    assert_eq!(world.masters(), [1]);
}

/// The other one has the lower address: a standard master that wakes up would send its advert first and
/// so drive a healthy master away.
#[test]
fn a_nopreempt_master_that_was_paused_leaves_the_one_of_lower_rank_alone() {
    for (priority, last) in [(100, 1), (90, 3)] {
        let mut world = running(&[params(2, 100, 1, false), params(last, priority, 1, false)]);
        assert_eq!(world.masters(), [0]);
        at_once(
            &mut world,
            Op::Stall(0, Stall::Process, Nanos::from_millis(500)),
        );
        wait_for(&mut world, 1, Role::Master);
        wait_for(&mut world, 0, Role::Backup);
        settle(&mut world);
        assert_eq!(world.masters(), [1], "against priority {priority}");
    }
}

#[test]
fn a_muted_master_is_replaced_and_wins_the_addresses_back() {
    let mut world = running(&[params(1, 100, 1, true), params(2, 90, 1, true)]);
    at_once(&mut world, Op::Sending(0, Sending::Filtered));
    wait_for(&mut world, 1, Role::Master);
    at_once(&mut world, Op::Sending(0, Sending::Works));
    wait_for(&mut world, 1, Role::Backup);
    settle(&mut world);
    assert_eq!(world.masters(), [0]);
    assert_eq!(world.nodes[1].cache, Some(0));
}

/// Its slot had noted the master before, in another life: the healthy priority must be known all the same.
#[test]
fn a_restarted_backup_under_nopreempt_notices_when_its_masters_weights_drop() {
    let mut world = running(&[params(1, 100, 10, false), params(2, 90, 10, false)]);
    at_once(&mut world, Op::Crash(1, Nanos::from_millis(50)));
    settle(&mut world);
    assert_eq!(world.masters(), [0]);
    at_once(&mut world, Op::Reload(0, Reload::Priority(Priority(80))));
    wait_for(&mut world, 1, Role::Master);
    settle(&mut world);
    assert_eq!(world.masters(), [1]);
}

/// The second host returns while the first, of lower priority, is master.
fn with_delayed_return(delay: Nanos) -> World {
    let mut second = params(2, 110, 10, true);
    second.preempt_delay = delay;
    let mut world = World::new(
        Setup::single(2, MAX_DELAY),
        &[params(1, 100, 10, true), second],
        Rng::with_seed(1),
        Hooks::NONE,
        false,
    );
    world.after(Nanos(0), Op::Start(0));
    world.run_for(invariants::bound(&world));
    at_once(&mut world, Op::Start(1));
    world
}

#[test]
fn a_returning_host_leaves_a_healthy_master_alone_for_its_preempt_delay() {
    let delay = Nanos::from_millis(5_000);
    let mut world = with_delayed_return(delay);
    let back = wait_for(&mut world, 1, Role::Backup).at;
    let taken = wait_for(&mut world, 1, Role::Master);
    // The last advert that still counted came up to an interval before the delay was over.
    let rules = world.nodes[1].params.rules;
    let down = rules.initial_down();
    assert!(
        taken.at + rules.interval.nanos() >= back + delay + down,
        "{taken:?}"
    );
    assert!(
        taken.at <= back + delay + Nanos(down.0 + 2 * LATENCY.0),
        "{taken:?}"
    );
    assert!(taken.cause.to_string().contains("has lower priority 100"));
    settle(&mut world);
    assert_eq!(world.masters(), [1]);
}

#[test]
fn a_preempt_delay_does_not_keep_a_returned_host_from_a_master_that_dies() {
    let mut world = with_delayed_return(Nanos::from_millis(600_000));
    wait_for(&mut world, 1, Role::Backup);
    world.run_for(Nanos::from_millis(1_000));
    let died = world.now;
    at_once(&mut world, Op::Stall(0, Stall::Host, Nanos(u64::MAX / 4)));
    let taken = wait_for(&mut world, 1, Role::Master);
    let down = world.nodes[1].params.rules.initial_down();
    assert!(taken.at <= died + Nanos(down.0 + MAX_DELAY.0 + LATENCY.0));
}

#[test]
fn nopreempt_does_not_keep_a_backup_from_a_master_whose_weights_dropped() {
    let mut world = running(&[params(1, 100, 10, false), params(2, 90, 10, false)]);
    at_once(&mut world, Op::Reload(0, Reload::Priority(Priority(80))));
    let taken = wait_for(&mut world, 1, Role::Master);
    assert_eq!(taken.from, Role::Backup);
    settle(&mut world);
    // And the first one, mended, leaves a healthy master alone.
    at_once(&mut world, Op::Reload(0, Reload::Priority(Priority(100))));
    settle(&mut world);
    assert_eq!(world.masters(), [1]);
}

/// Each one's announcement is a claim to the other, and nothing ever tells them who is to yield.
#[test]
fn two_masters_that_hear_only_each_others_announcements_do_not_answer_without_end() {
    let mut world = running(&[params(1, 100, 100, true), params(2, 90, 100, true)]);
    at_once(&mut world, Op::Sending(0, Sending::Filtered));
    at_once(&mut world, Op::Sending(1, Sending::Filtered));
    wait_for(&mut world, 1, Role::Master);
    let begin = world.announcements.clone();
    world.run_for(Nanos(2 * LONGEST_PAUSE.0));
    // Neither gives in: at once, and after pauses of 100 ms, 400 ms, 1.6 s, 6.4 s and 16 s.
    let made = |world: &World, node: usize| world.announcements[node] - begin[node];
    for node in 0..2 {
        assert_eq!(world.masters(), [0, 1]);
        let made = made(&world, node);
        assert!((5..=7).contains(&made), "node {node}: {made}");
    }
    // And so for ever, once in the longest pause.
    let then = world.announcements.clone();
    world.run_for(Nanos(100 * LONGEST_PAUSE.0));
    for (node, (now, then)) in world.announcements.iter().zip(&then).enumerate() {
        let made = now - then;
        assert!((99..=101).contains(&made), "node {node}: {made}");
    }
    // They hear of each other: one yields, and the neighbours know where the addresses are.
    at_once(&mut world, Op::Sending(0, Sending::Works));
    at_once(&mut world, Op::Sending(1, Sending::Works));
    settle(&mut world);
    assert_eq!(world.masters(), [0]);
}

/// A third host believes whoever spoke last.
#[test]
fn when_a_split_heals_the_neighbours_are_right_within_a_tenth_of_a_second_of_the_first_claim() {
    let mut world = running(&[
        params(1, 100, 100, true),
        params(2, 90, 100, true),
        params(3, 80, 100, true),
    ]);
    at_once(&mut world, Op::Partition(vec![0, 1, 1]));
    wait_for(&mut world, 1, Role::Master);
    world.run_for(Nanos::from_millis(500));
    assert_eq!(world.nodes[2].cache, Some(1));
    at_once(&mut world, Op::Partition(vec![0, 0, 0]));
    let yielded = wait_for(&mut world, 1, Role::Backup);
    world.run_for(Nanos(FIRST_PAUSE.0 + MAX_DELAY.0 + 2 * LATENCY.0));
    assert_eq!(world.nodes[2].cache, Some(0), "{yielded:?}");
    settle(&mut world);
    assert_eq!(world.nodes[2].cache, Some(0));
}
