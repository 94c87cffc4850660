//! Random nodes and random trouble, all of it from one seed.

use std::net::IpAddr;

use fastrand::Rng;
use ha_agent::driver::sender::LEASE;
use ha_common::election::{Params, Rules};
use ha_common::units::{Centiseconds, Nanos, Priority, Version};

use crate::bugs::Hooks;
use crate::grid::Grid;
use crate::invariants::{self, Broken, Invariant};
use crate::network::Sending;
use crate::node::Stall;
use crate::ops::{Op, Reload};
use crate::script::{ROUNDS, Round, Script};
use crate::world::{Setup, World};

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// What replays it.
    pub seed: u64,
    /// Virtual time since the start.
    pub at: Nanos,
    /// What did not hold.
    pub what: Broken,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, at, what } = self;
        write!(f, "seed {seed} after {:?}: {what}", at.to_duration())
    }
}

/// What a scenario went through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Events handled.
    pub events: u64,
    /// Transitions reported.
    pub transitions: usize,
    /// Longest time from quiet to the last transition, in thousandths of the bound.
    pub slowest_per_mille: u64,
}

/// Plays the scenario of this seed.
pub fn play(seed: u64, bug: Hooks, trace: bool) -> Result<Summary, Violation> {
    play_script(&script(seed), bug, trace)
}

/// The scenario of this seed: one virtual router on each host, or now and then two that have nothing to do with each
/// other but the agent that runs them.
pub fn script(seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed);
    let grid = Grid {
        hosts: rng.usize(2..=5),
        segments: pick(&mut rng, &[1, 1, 1, 2]),
    };
    let params = cluster(&mut rng, grid);
    let interval = longest_interval(&params);
    let world_seed = rng.u64(..);
    let setup = Setup {
        grid,
        grouped: false,
        // Well below a master-down interval, as on a LAN.
        max_delay: Nanos(interval.0.min(10_000_000) / 5),
        lease: lease(&mut rng, interval),
    };
    let rounds = (0..ROUNDS).map(|round| {
        let mut ops = Vec::new();
        if round == 0 {
            for host in 0..grid.hosts {
                let at = Nanos(rng.u64(0..4 * interval.0));
                grid.on_host(&mut ops, host, at, Op::Start);
            }
        }
        let trouble = Nanos(rng.u64(5..40) * interval.0);
        for _ in 0..rng.usize(2..16) {
            let at = Nanos(rng.u64(0..trouble.0));
            random_op(&mut ops, &mut rng, grid, &params, at, interval);
        }
        Round {
            trouble,
            ops,
            quiet: parts(&mut rng, grid, 4),
        }
    });
    let rounds = rounds.collect();
    Script {
        seed,
        params,
        setup,
        world_seed,
        rounds,
    }
}

/// The agent's lease, or a short one: at intervals of some milliseconds it would take long to see that end.
pub(crate) fn lease(rng: &mut Rng, interval: Nanos) -> Nanos {
    let short = Nanos(interval.0 * rng.u64(3..10));
    pick(rng, &[LEASE, short.min(LEASE)])
}

/// Plays it.
pub fn play_script(script: &Script, bug: Hooks, trace: bool) -> Result<Summary, Violation> {
    play_in(script, bug, trace, play_round)
}

/// Plays a script's rounds in a world; `round` plays one, and says how slowly it came to rest.
pub(crate) fn play_in(
    script: &Script,
    bug: Hooks,
    trace: bool,
    round: impl Fn(&mut World, &Round) -> Result<u64, Broken>,
) -> Result<Summary, Violation> {
    let rng = Rng::with_seed(script.world_seed);
    let mut world = World::new(script.setup, &script.params, rng, bug, trace);
    if world.trace {
        for (id, params) in script.params.iter().enumerate() {
            println!("node {id}: {params:?}");
        }
    }
    let start = world.now;
    let mut summary = Summary::default();
    let result = script.rounds.iter().try_for_each(|it| {
        let slowest = round(&mut world, it)?;
        summary.slowest_per_mille = summary.slowest_per_mille.max(slowest);
        Ok(())
    });
    summary.events = world.handled;
    summary.transitions = world.reports.len();
    result.map(|()| summary).map_err(|what| Violation {
        seed: script.seed,
        at: world.now.since(start),
        what,
    })
}

/// Has the trouble of a round happen.
pub(crate) fn schedule(world: &mut World, round: &Round) {
    for (at, op) in &round.ops {
        world.after(*at, op.clone());
    }
    world.after(round.trouble, Op::Quiet(round.quiet.clone()));
}

fn play_round(world: &mut World, round: &Round) -> Result<u64, Broken> {
    schedule(world, round);
    watched(world, round.trouble, invariants::always)?;

    let bound = invariants::bound(world);
    let quiet = world.now;
    watched(world, bound, invariants::always)?;
    watched(world, invariants::owed(world), invariants::always)?;
    invariants::settled(world)?;
    let last = world.reports.last().map(|(_, t)| t.at.since(quiet));
    let slowest = last.unwrap_or_default().0 * 1000 / bound.0.max(1);

    // And it stays so: nothing was merely caught in passing.
    let transitions = world.reports.len();
    let told = events(world);
    watched(world, bound, invariants::always)?;
    invariants::settled(world)?;
    if world.reports.len() != transitions {
        return Err(Invariant::RestIsStable.broken("a change of state although nothing happened"));
    }
    if events(world) != told {
        return Err(Invariant::RestIsSilent.broken("an agent was woken although nothing happened"));
    }
    Ok(slowest)
}

fn events(world: &World) -> u64 {
    world.nodes.iter().map(|node| node.detector.events()).sum()
}

/// Runs the world for this span, and asks after every event.
pub(crate) fn watched(
    world: &mut World,
    span: Nanos,
    always: impl Fn(&World) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let end = world.now + span;
    while world.step(end) {
        always(world)?;
    }
    Ok(())
}

fn longest_interval(params: &[Params]) -> Nanos {
    params
        .iter()
        .map(|p| p.rules.interval.nanos())
        .max()
        .unwrap_or_default()
}

pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

/// Ties, owners and differing intervals are likely.
fn cluster(rng: &mut Rng, grid: Grid) -> Vec<Params> {
    let version = pick(rng, &[Version::V2, Version::V3, Version::V3]);
    let common = match version {
        Version::V2 => pick(rng, &[100, 200]),
        Version::V3 => pick(rng, &[1, 1, 5, 10, 100, 400]),
    };
    let nopreempt = rng.u8(0..4);
    let mut params = Vec::new();
    for segment in (0u8..).take(grid.segments) {
        let v6 = version == Version::V3 && rng.bool();
        for host in (1u8..).take(grid.hosts) {
            let mut rules = Rules {
                version,
                own_address: address(v6, segment, host),
                priority: priority(rng),
                interval: Centiseconds(common),
                preempt: rng.u8(0..4) >= nopreempt,
                down_multiplier: pick(rng, &[3, 3, 3, 2, 5]),
            };
            // v2 rejects another interval than its own (RFC 3768 section 7.1).
            if version == Version::V3 && rng.u8(0..5) == 0 {
                rules.interval = Centiseconds(common * pick(rng, &[2, 7]));
            }
            let interval = rules.interval.nanos().0;
            params.push(Params {
                rules,
                start_hold: Nanos(pick(rng, &[0, 0, 1, 5]) * interval),
                preempt_delay: Nanos(pick(rng, &[0, 0, 0, 7, 20]) * interval),
                grouped: false,
            });
        }
    }
    params
}

/// The address of this host on this segment.
pub(crate) fn address(v6: bool, segment: u8, host: u8) -> IpAddr {
    if v6 {
        IpAddr::from([0xfe80, 0, 0, 0, 0, 0, u16::from(segment), u16::from(host)])
    } else {
        IpAddr::from([10, 0, segment, host])
    }
}

fn priority(rng: &mut Rng) -> Priority {
    Priority(pick(rng, &[1, 50, 90, 100, 100, 100, 150, 200, 254, 255]))
}

/// Two parts at random, or one whole as often as asked for, and so on each segment.
fn parts(rng: &mut Rng, grid: Grid, wholes_to_each_split: u8) -> Vec<u8> {
    let sides = if rng.u8(0..=wholes_to_each_split) == 0 {
        2
    } else {
        1
    };
    grid.sides(|_, _| rng.u8(0..sides))
}

pub(crate) fn sending(rng: &mut Rng) -> Sending {
    pick(
        rng,
        &[Sending::Works, Sending::Filtered, Sending::Congested],
    )
}

pub(crate) fn weather(rng: &mut Rng) -> Op {
    Op::Weather(rng.u16(0..400), rng.u16(0..200), rng.u16(0..300))
}

/// What happens to a host happens to all of its virtual routers, what happens on a segment to one.
fn random_op(
    ops: &mut Vec<(Nanos, Op)>,
    rng: &mut Rng,
    grid: Grid,
    params: &[Params],
    at: Nanos,
    interval: Nanos,
) {
    let node = rng.usize(0..params.len());
    let host = grid.host(node);
    let span = Nanos(rng.u64(1..12 * interval.0));
    let stall = pick(rng, &[Stall::Driver, Stall::Process, Stall::Host]);
    let op = match rng.u8(0..26) {
        0..=2 => return grid.on_host(ops, host, at, Op::Start),
        3 => return grid.on_host(ops, host, at, Op::Stop),
        4..=6 => return grid.on_host(ops, host, at, |node| Op::Crash(node, span)),
        7..=12 => return grid.on_host(ops, host, at, |node| Op::Stall(node, stall, span)),
        13 | 14 => Op::Reload(node, Reload::Priority(priority(rng))),
        15 | 16 => Op::Check(node, rng.bool()),
        17 | 18 => Op::Link(node, rng.bool()),
        19 => Op::Sending(node, sending(rng)),
        20..=22 => Op::Partition(parts(rng, grid, 1)),
        23 => Op::Refuse(node, rng.bool()),
        24 => Op::Reload(node, Reload::any(rng, &params[node].rules)),
        _ => weather(rng),
    };
    ops.push((at, op));
}
