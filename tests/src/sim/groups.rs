//! Random hosts with sync groups and random trouble on each of their segments, all of it from one seed;
//! and what must hold of groups.

use std::net::IpAddr;

use fastrand::Rng;
use ha_common::election::{Election, Params, Rules};
use ha_common::group::MemberState;
use ha_common::units::{Centiseconds, Nanos, Priority, Version};

use super::judge;
use super::node::{Life, Stall};
use super::ops::{Op, Reload};
use super::scenario::{Summary, Violation, pick, play_in, schedule, watched};
use super::script::{ROUNDS, Round, Script};
use super::world::{Plant, World};

/// Hosts by segments: node `host + segment * hosts` is that host's member on that segment.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// How many hosts.
    pub hosts: usize,
    /// How many segments, and so members of each group.
    pub segments: usize,
}

impl Grid {
    /// The node of this host on this segment.
    pub const fn node(self, host: usize, segment: usize) -> usize {
        host + segment * self.hosts
    }

    /// The members of this host's group.
    pub fn members(self, host: usize) -> Vec<usize> {
        (0..self.segments).map(|it| self.node(host, it)).collect()
    }

    /// A world of these nodes, each segment by itself.
    pub fn world(
        self,
        params: &[Params],
        delay: Nanos,
        rng: Rng,
        plant: Plant,
        trace: bool,
    ) -> World {
        let mut world = World::new(params, delay, rng, plant, trace);
        world.groups = (0..self.hosts).map(|host| self.members(host)).collect();
        world.network.partition(&self.sides(|_, _| 0));
        world
    }

    /// What falls into parts where, as the network wants it.
    pub fn sides(self, mut side: impl FnMut(usize, usize) -> u8) -> Vec<u8> {
        let mut sides = Vec::new();
        for (segment, base) in (0..self.segments).zip((0u8..).step_by(16)) {
            sides.extend((0..self.hosts).map(|host| base + side(host, segment) % 16));
        }
        sides
    }
}

/// How long after the last disturbance every group must be where it belongs.
///
/// Where the segments fall into parts differently, hosts that cannot hear each other are tied by those
/// between them: the best host leads within the bound of a single virtual router, which makes the next
/// best yield, which sets the next one free, and so on: once for each host.
pub fn bound(world: &World, grid: Grid) -> Nanos {
    Nanos(judge::bound(world).0 * grid.hosts as u64)
}

/// What must hold after every event: the members of a host that runs are master together or not at all, but
/// for those that are new to the group after a crash.
pub fn always(world: &World, grid: Grid) -> Result<(), String> {
    judge::always(world)?;
    for host in 0..grid.hosts {
        let members = grid.members(host);
        let runs = |id: &usize| world.nodes[*id].life == Life::Running;
        let standing = |id: &usize| world.nodes[*id].election().map(Election::standing);
        let standings: Vec<_> = members.iter().filter_map(standing).collect();
        let leads = standings.contains(&MemberState::Master);
        let whole = |it: &MemberState| matches!(it, MemberState::Master | MemberState::Joining);
        if members.iter().all(runs) && leads && !standings.iter().all(whole) {
            return Err(format!("host {host} leads in part: {standings:?}"));
        }
    }
    Ok(())
}

/// What must hold once it has been quiet for [`bound`].
pub fn settled(world: &World, grid: Grid) -> Result<(), String> {
    for host in 0..grid.hosts {
        let members = grid.members(host);
        let masters = members.iter().filter(|id| world.nodes[**id].is_master());
        let masters = masters.count();
        if masters != 0 && masters != grid.segments {
            return Err(format!("host {host} is master of {masters} segments only"));
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
            return Err(format!("hosts {one} and {other} both lead on one segment"));
        }
    }
    let idle = (0..grid.hosts).filter(|host| !leads(*host));
    for host in idle.filter(|host| is_eligible(world, grid, *host)) {
        let gives_way =
            |leader: &&usize| meet(host, **leader) && !beats(world, grid, host, **leader);
        if !leaders.iter().any(|leader| gives_way(&leader)) {
            return Err(format!(
                "host {host} could lead and does not; {leaders:?} do"
            ));
        }
    }
    Ok(())
}

fn is_eligible(world: &World, grid: Grid, host: usize) -> bool {
    let mut members = grid.members(host).into_iter();
    members.all(|id| world.nodes[id].is_eligible())
}

/// The lowest of the members counts.
fn lowest(world: &World, grid: Grid, host: usize) -> Option<Priority> {
    let members = grid.members(host).into_iter();
    members
        .map(|id| world.nodes[id].params.rules.priority)
        .min()
}

/// Whether the host takes the leader's place.
fn beats(world: &World, grid: Grid, host: usize, leader: usize) -> bool {
    let mut members = grid.members(host).into_iter();
    members.all(|id| world.nodes[id].params.rules.preempt)
        && lowest(world, grid, host) > lowest(world, grid, leader)
}

/// Plays the scenario of this seed.
pub fn play(seed: u64, plant: Plant, trace: bool) -> Result<Summary, Violation> {
    play_script(&script(seed), plant, trace)
}

/// The scenario of this seed.
pub fn script(seed: u64) -> (Grid, Script) {
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
                on_all(&mut ops, grid, host, at, Op::Start);
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
            quiet: sides(&mut rng, grid, 4),
        }
    });
    let script = Script {
        seed,
        rounds: rounds.collect(),
        max_delay: Nanos(shortest.unwrap_or_default().min(10_000_000) / 5),
        world_seed,
        params,
    };
    (grid, script)
}

/// Plays it.
pub fn play_script(
    (grid, script): &(Grid, Script),
    plant: Plant,
    trace: bool,
) -> Result<Summary, Violation> {
    let rng = Rng::with_seed(script.world_seed);
    let world = grid.world(&script.params, script.max_delay, rng, plant, trace);
    play_in(world, script, |world, round| {
        play_round(world, *grid, round)
    })
}

fn play_round(world: &mut World, grid: Grid, round: &Round) -> Result<u64, String> {
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
        return Err("a change of state although nothing happened".into());
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
                    own_address: IpAddr::from([10, 0, net, octet]),
                    priority: if own { priority(rng) } else { *base },
                    interval,
                    preempt: *preempt,
                    down_multiplier: 3,
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

/// Each segment by itself in up to two parts, all of them in the same two, or all of them whole.
fn sides(rng: &mut Rng, grid: Grid, wholes_to_each_split: u8) -> Vec<u8> {
    match rng.u8(0..=wholes_to_each_split + 1) {
        0 => {
            let parts: Vec<u8> = (0..grid.hosts).map(|_| rng.u8(0..2)).collect();
            grid.sides(|host, _| parts[host])
        }
        1 => grid.sides(|_, _| rng.u8(0..2)),
        _ => grid.sides(|_, _| 0),
    }
}

/// What happens to a host happens to all of its members.
fn on_all(
    ops: &mut Vec<(Nanos, Op)>,
    grid: Grid,
    host: usize,
    at: Nanos,
    op: impl Fn(usize) -> Op,
) {
    ops.extend(grid.members(host).into_iter().map(|node| (at, op(node))));
}

fn random_op(ops: &mut Vec<(Nanos, Op)>, grid: Grid, rng: &mut Rng, at: Nanos, interval: Nanos) {
    let host = rng.usize(0..grid.hosts);
    let node = grid.node(host, rng.usize(0..grid.segments));
    let span = Nanos(rng.u64(1..12 * interval.0));
    let stall = pick(rng, &[Stall::Driver, Stall::Process, Stall::Host]);
    let op = match rng.u8(0..23) {
        0..=2 => return on_all(ops, grid, host, at, Op::Start),
        3 => return on_all(ops, grid, host, at, Op::Stop),
        4 | 5 => return on_all(ops, grid, host, at, |node| Op::Crash(node, span)),
        6..=8 => return on_all(ops, grid, host, at, |node| Op::Stall(node, stall, span)),
        9 | 10 => Op::Reload(node, Reload::Priority(priority(rng))),
        11..=13 => Op::Check(node, rng.bool()),
        14..=16 => Op::Link(node, rng.bool()),
        17 => Op::Mute(node, rng.bool()),
        18..=20 => Op::Partition(sides(rng, grid, 0)),
        21 => Op::Refuse(node, rng.bool()),
        _ => Op::Weather(rng.u16(0..400), rng.u16(0..200)),
    };
    ops.push((at, op));
}
