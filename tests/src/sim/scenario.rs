//! Random nodes and random trouble, all of it from one seed.

use std::net::IpAddr;

use fastrand::Rng;
use ha_common::election::{Params, Rules};
use ha_common::units::{Centiseconds, Nanos, Priority, Version};

use super::judge;
use super::node::Stall;
use super::ops::{Op, Reload};
use super::script::{ROUNDS, Round, Script};
use super::world::{Plant, World};

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// What replays it.
    pub seed: u64,
    /// Virtual time since the start.
    pub at: Nanos,
    /// What did not hold.
    pub what: String,
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
pub fn play(seed: u64, plant: Plant, trace: bool) -> Result<Summary, Violation> {
    play_script(&script(seed), plant, trace)
}

/// The scenario of this seed.
pub fn script(seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed);
    let params = cluster(&mut rng);
    let interval = longest_interval(&params);
    let world_seed = rng.u64(..);
    let nodes = params.len();
    let rounds = (0..ROUNDS).map(|round| {
        let mut ops = Vec::new();
        if round == 0 {
            for node in 0..nodes {
                ops.push((Nanos(rng.u64(0..4 * interval.0)), Op::Start(node)));
            }
        }
        let trouble = Nanos(rng.u64(5..40) * interval.0);
        for _ in 0..rng.usize(2..16) {
            let at = Nanos(rng.u64(0..trouble.0));
            ops.push((at, random_op(&mut rng, nodes, interval)));
        }
        Round {
            trouble,
            ops,
            quiet: parts(&mut rng, nodes, 4),
        }
    });
    Script {
        seed,
        rounds: rounds.collect(),
        // Well below a master-down interval, as on a LAN.
        max_delay: Nanos(interval.0.min(10_000_000) / 5),
        world_seed,
        params,
    }
}

/// Plays it.
pub fn play_script(script: &Script, plant: Plant, trace: bool) -> Result<Summary, Violation> {
    let rng = Rng::with_seed(script.world_seed);
    let world = World::new(&script.params, script.max_delay, rng, plant, trace);
    play_in(world, script, play_round)
}

/// Plays a script's rounds in a world; `round` plays one, and says how slowly it came to rest.
pub(super) fn play_in(
    mut world: World,
    script: &Script,
    round: impl Fn(&mut World, &Round) -> Result<u64, String>,
) -> Result<Summary, Violation> {
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
pub(super) fn schedule(world: &mut World, round: &Round) {
    for (at, op) in &round.ops {
        world.after(*at, op.clone());
    }
    world.after(round.trouble, Op::Quiet(round.quiet.clone()));
}

fn play_round(world: &mut World, round: &Round) -> Result<u64, String> {
    schedule(world, round);
    watched(world, round.trouble, judge::always)?;

    let bound = judge::bound(world);
    let quiet = world.now;
    watched(world, bound, judge::always)?;
    watched(world, judge::owed(world), judge::always)?;
    judge::settled(world, quiet)?;
    let last = world.reports.last().map(|(_, t)| t.at.since(quiet));
    let slowest = last.unwrap_or_default().0 * 1000 / bound.0.max(1);

    // And it stays so: nothing was merely caught in passing.
    let transitions = world.reports.len();
    let told = events(world);
    watched(world, bound, judge::always)?;
    judge::settled(world, quiet)?;
    if world.reports.len() != transitions {
        return Err("a change of state although nothing happened".into());
    }
    if events(world) != told {
        return Err("an agent was woken although nothing happened".into());
    }
    Ok(slowest)
}

fn events(world: &World) -> u64 {
    world.nodes.iter().map(|node| node.detector.events()).sum()
}

/// Runs the world for this span, and asks after every event.
pub(super) fn watched(
    world: &mut World,
    span: Nanos,
    always: impl Fn(&World) -> Result<(), String>,
) -> Result<(), String> {
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

pub(super) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

/// Two to five nodes; ties, owners and differing intervals are likely.
fn cluster(rng: &mut Rng) -> Vec<Params> {
    let version = pick(rng, &[Version::V2, Version::V3, Version::V3]);
    let v6 = version == Version::V3 && rng.bool();
    let common = match version {
        Version::V2 => pick(rng, &[100, 200]),
        Version::V3 => pick(rng, &[1, 1, 5, 10, 100, 400]),
    };
    let nopreempt = rng.u8(0..4);
    (1..=rng.u8(2..=5))
        .map(|host| {
            // v2 rejects another interval than its own (RFC 3768 section 7.1).
            let odd = version == Version::V3 && rng.u8(0..5) == 0;
            let interval = Centiseconds(if odd {
                common * pick(rng, &[2, 7])
            } else {
                common
            });
            let hold = pick(rng, &[0, 0, 1, 5]) * interval.nanos().0;
            let preempt_delay = pick(rng, &[0, 0, 0, 7, 20]) * interval.nanos().0;
            Params {
                rules: Rules {
                    version,
                    own_address: if v6 {
                        IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host)])
                    } else {
                        IpAddr::from([10, 0, 0, host])
                    },
                    priority: priority(rng),
                    interval,
                    preempt: rng.u8(0..4) >= nopreempt,
                    down_multiplier: pick(rng, &[3, 3, 3, 2, 5]),
                },
                start_hold: Nanos(hold),
                preempt_delay: Nanos(preempt_delay),
                grouped: false,
            }
        })
        .collect()
}

fn priority(rng: &mut Rng) -> Priority {
    Priority(pick(rng, &[1, 50, 90, 100, 100, 100, 150, 200, 254, 255]))
}

/// Two parts at random, or one whole as often as asked for.
fn parts(rng: &mut Rng, nodes: usize, wholes_to_each_split: u8) -> Vec<u8> {
    let sides = if rng.u8(0..=wholes_to_each_split) == 0 {
        2
    } else {
        1
    };
    (0..nodes).map(|_| rng.u8(0..sides)).collect()
}

fn random_op(rng: &mut Rng, nodes: usize, interval: Nanos) -> Op {
    let node = rng.usize(0..nodes);
    let span = Nanos(rng.u64(1..12 * interval.0));
    match rng.u8(0..26) {
        0..=2 => Op::Start(node),
        3 => Op::Stop(node),
        4..=6 => Op::Crash(node, span),
        7 | 8 => Op::Stall(node, Stall::Driver, span),
        9 | 10 => Op::Stall(node, Stall::Process, span),
        11 | 12 => Op::Stall(node, Stall::Host, span),
        13 | 14 => Op::Reload(node, Reload::Priority(priority(rng))),
        15 | 16 => Op::Check(node, rng.bool()),
        17 | 18 => Op::Link(node, rng.bool()),
        19 => Op::Mute(node, rng.bool()),
        20..=22 => Op::Partition(parts(rng, nodes, 1)),
        23 => Op::Refuse(node, rng.bool()),
        24 => Op::Reload(node, Reload::any(rng)),
        _ => Op::Weather(rng.u16(0..400), rng.u16(0..200)),
    }
}
