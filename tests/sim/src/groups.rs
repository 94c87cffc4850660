//! Random hosts with sync groups and random trouble on each of their segments, all of it from one seed;
//! and what must hold of groups.

use fastrand::Rng;
use ha_common::election::{Params, Rules};
use ha_common::group::MemberState;
use ha_common::units::{Centiseconds, Nanos, Priority, Version};

use crate::bugs::Hooks;
use crate::grid::Grid;
use crate::invariants::{self, Broken, Invariant};
use crate::node::{Life, Stall};
use crate::ops::{Op, Reload};
use crate::scenario::{
    Summary, Violation, address, lease, pick, play_in, schedule, sending, watched, weather,
};
use crate::script::{ROUNDS, Round, Script};
use crate::world::{Setup, World};

/// How long after the last disturbance every group must be where it belongs.
///
/// Where the segments fall into parts differently, hosts that cannot hear each other are tied by those
/// between them: the best host leads within the bound of a single virtual router, which makes the next
/// best yield, which sets the next one free, and so on: once for each host.
pub fn bound(world: &World, grid: Grid) -> Nanos {
    Nanos(invariants::bound(world).0 * grid.hosts as u64)
}

/// What must hold after every event: the members of a host that runs are master together or not at all, but
/// for those that are new to the group after a crash.
pub fn always(world: &World, grid: Grid) -> Result<(), Broken> {
    invariants::always(world)?;
    for host in (0..grid.hosts).filter(|host| world.moved.includes(*host)) {
        let members = || grid.members(host).map(|id| &world.nodes[id]);
        let standings = || members().filter_map(|node| Some(node.election()?.standing()));
        let whole = |it: MemberState| matches!(it, MemberState::Master | MemberState::Joining);
        let leads = standings().any(|it| it == MemberState::Master);
        if leads && !standings().all(whole) && members().all(|node| node.life == Life::Running) {
            let standings: Vec<_> = standings().collect();
            let how = format!("host {host} leads in part: {standings:?}");
            return Err(Invariant::GroupLeadsWhole.broken(how));
        }
    }
    Ok(())
}

/// What must hold once it has been quiet for [`bound`].
pub fn settled(world: &World, grid: Grid) -> Result<(), Broken> {
    for host in 0..grid.hosts {
        let masters = grid.members(host).filter(|id| world.nodes[*id].is_master());
        let masters = masters.count();
        if masters != 0 && masters != grid.segments {
            let how = format!("host {host} is master of {masters} segments only");
            return Err(Invariant::GroupLeadsWhole.broken(how));
        }
    }
    let leads = |host: usize| world.nodes[grid.node(host, 0)].is_master();
    let meet = |a: usize, b: usize| {
        let connected = |it| world.network.connected(grid.node(a, it), grid.node(b, it));
        (0..grid.segments).any(connected)
    };
    let leaders: Vec<usize> = (0..grid.hosts).filter(|host| leads(*host)).collect();
    for (index, &one) in leaders.iter().enumerate() {
        if let Some(other) = leaders[index + 1..].iter().find(|other| meet(one, **other)) {
            let how = format!("hosts {one} and {other} both lead on one segment");
            return Err(Invariant::GroupHasOneLeader.broken(how));
        }
    }
    let idle = (0..grid.hosts).filter(|host| !leads(*host));
    for host in idle.filter(|host| is_eligible(world, grid, *host)) {
        let gives_way =
            |leader: &&usize| meet(host, **leader) && !beats(world, grid, host, **leader);
        if !leaders.iter().any(|leader| gives_way(&leader)) {
            let how = format!("host {host} could lead and does not; {leaders:?} do");
            return Err(Invariant::GroupIsLed.broken(how));
        }
    }
    Ok(())
}

fn is_eligible(world: &World, grid: Grid, host: usize) -> bool {
    let mut members = grid.members(host);
    members.all(|id| world.nodes[id].is_eligible())
}

/// The lowest of the members counts.
fn lowest(world: &World, grid: Grid, host: usize) -> Option<Priority> {
    let members = grid.members(host);
    members
        .map(|id| world.nodes[id].params.rules.priority)
        .min()
}

/// Whether the host takes the leader's place.
fn beats(world: &World, grid: Grid, host: usize, leader: usize) -> bool {
    let mut members = grid.members(host);
    members.all(|id| world.nodes[id].params.rules.preempt)
        && lowest(world, grid, host) > lowest(world, grid, leader)
}

/// Plays the scenario of this seed.
pub fn play(seed: u64, bug: Hooks, trace: bool) -> Result<Summary, Violation> {
    play_script(&script(seed), bug, trace)
}

/// The scenario of this seed.
pub fn script(seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed);
    let grid = Grid {
        hosts: rng.usize(2..=4),
        segments: rng.usize(2..=3),
    };
    let params = cluster(&mut rng, grid);
    let interval = params.iter().map(|it| it.rules.interval.nanos()).max();
    let interval = interval.unwrap_or_default();
    let shortest = params.iter().map(|it| it.rules.interval.nanos().0).min();
    let world_seed = rng.u64(..);
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
            random_op(&mut ops, grid, &mut rng, at, interval);
        }
        Round {
            trouble,
            ops,
            quiet: grid.random_sides(&mut rng, 4),
        }
    });
    let rounds = rounds.collect();
    let max_delay = Nanos(shortest.unwrap_or_default().min(10_000_000) / 5);
    Script {
        seed,
        setup: Setup {
            grid,
            grouped: true,
            max_delay,
            lease: lease(&mut rng, interval),
        },
        rounds,
        world_seed,
        params,
    }
}

/// Plays it.
pub fn play_script(script: &Script, bug: Hooks, trace: bool) -> Result<Summary, Violation> {
    let grid = script.setup.grid;
    play_in(script, bug, trace, |world, round| {
        play_round(world, grid, round)
    })
}

fn play_round(world: &mut World, grid: Grid, round: &Round) -> Result<u64, Broken> {
    schedule(world, round);
    let always = |world: &World| always(world, grid);
    watched(world, round.trouble, always)?;

    let bound = bound(world, grid);
    let quiet = world.now;
    watched(world, bound, always)?;
    settled(world, grid)?;
    let last = world.reports.last().map(|(_, t)| t.at.since(quiet));
    let slowest = last.unwrap_or_default().0 * 1000 / bound.0.max(1);

    let transitions = world.reports.len();
    watched(world, bound, always)?;
    settled(world, grid)?;
    if world.reports.len() != transitions {
        return Err(Invariant::RestIsStable.broken("a change of state although nothing happened"));
    }
    Ok(slowest)
}

/// Hosts rank by address one way on one segment and another way on the next; ties are likely.
fn cluster(rng: &mut Rng, grid: Grid) -> Vec<Params> {
    let version = pick(rng, &[Version::V2, Version::V3, Version::V3]);
    let common = match version {
        Version::V2 => pick(rng, &[100, 200]),
        Version::V3 => pick(rng, &[1, 1, 5, 10, 100]),
    };
    let v6 = version == Version::V3 && rng.bool();
    let nopreempt = rng.u8(0..4);
    let hosts: Vec<_> = (0..grid.hosts)
        .map(|_| {
            let delay = pick(rng, &[0, 0, 0, 7, 20]);
            (priority(rng), rng.u8(0..4) >= nopreempt, delay)
        })
        .collect();
    let mut params = Vec::new();
    for net in (0u8..).take(grid.segments) {
        let slower = version == Version::V3 && rng.u8(0..5) == 0;
        let interval = Centiseconds(if slower { common * 3 } else { common });
        let mut octets: Vec<u8> = (1..).take(grid.hosts).collect();
        rng.shuffle(&mut octets);
        for (octet, (base, preempt, delay)) in octets.into_iter().zip(&hosts) {
            let own = rng.u8(0..4) == 0;
            params.push(Params {
                rules: Rules {
                    version,
                    own_address: address(v6, net, octet),
                    priority: if own { priority(rng) } else { *base },
                    interval,
                    preempt: *preempt,
                    down_multiplier: pick(rng, &[3, 3, 3, 2, 5]),
                },
                start_hold: Nanos(pick(rng, &[0, 0, 1, 5]) * interval.nanos().0),
                preempt_delay: Nanos(delay * interval.nanos().0),
                grouped: true,
            });
        }
    }
    params
}

/// An owner cannot be in a group.
fn priority(rng: &mut Rng) -> Priority {
    Priority(pick(rng, &[1, 50, 90, 100, 100, 100, 150, 200, 254]))
}

fn random_op(ops: &mut Vec<(Nanos, Op)>, grid: Grid, rng: &mut Rng, at: Nanos, interval: Nanos) {
    let host = rng.usize(0..grid.hosts);
    let node = grid.node(host, rng.usize(0..grid.segments));
    let span = Nanos(rng.u64(1..12 * interval.0));
    let stall = pick(rng, &[Stall::Driver, Stall::Process, Stall::Host]);
    let op = match rng.u8(0..23) {
        0..=2 => return grid.on_host(ops, host, at, Op::Start),
        3 => return grid.on_host(ops, host, at, Op::Stop),
        4 | 5 => return grid.on_host(ops, host, at, |node| Op::Crash(node, span)),
        6..=8 => return grid.on_host(ops, host, at, |node| Op::Stall(node, stall, span)),
        9 | 10 => Op::Reload(node, Reload::Priority(priority(rng))),
        11..=13 => Op::Check(node, rng.bool()),
        14..=16 => Op::Link(node, rng.bool()),
        17 => Op::Sending(node, sending(rng)),
        18..=20 => Op::Partition(grid.random_sides(rng, 0)),
        21 => Op::Refuse(node, rng.bool()),
        _ => weather(rng),
    };
    ops.push((at, op));
}
