//! The invariants, and the bound within which they must hold once it is quiet.

use ha_common::timing;
use ha_common::units::{Instant, Nanos, Priority};

use super::detector::WINDOW;
use super::node::{Life, Node};
use super::world::{CHECKS, LATENCY, World};

/// How long after the last disturbance there must be one master in each connected part.
///
/// A node that came back last waits for its first check results, then its start hold, then its
/// preempt delay, then one
/// master-down interval: at most three (the multiplier) of the longest interval that anybody can
/// have taught it, and the skew of the lowest priority. A timer armed before it was quiet is no
/// longer than that. Whoever took over in error meanwhile yields at the next advert of a better
/// one: one longest interval, or one window of the event limit, and the way there and back.
pub fn bound(world: &World) -> Nanos {
    let rules = || world.nodes.iter().map(|node| &node.params.rules);
    let hold = world
        .nodes
        .iter()
        .map(|n| Nanos(n.params.start_hold.0 + n.params.preempt_delay.0))
        .max();
    let interval = rules().map(|r| r.interval).max();
    let (Some(hold), Some(interval)) = (hold, interval) else {
        return Nanos(0);
    };
    let down = rules()
        .map(|r| timing::master_down(r.version, Priority(1), interval, r.down_multiplier))
        .max()
        .unwrap_or_default();
    // Whoever was refused its addresses tries again when it has waited long enough, and not before.
    let refused = world.nodes.iter().filter_map(Node::refused_until).max();
    let refused = refused.map_or(Nanos(0), |until| until.since(world.now));
    let passage = 2 * world.network.max_delay.0 + 4 * LATENCY.0;
    let correction = interval.nanos().0.max(WINDOW.0);
    Nanos(refused.0 + CHECKS.0 + hold.0 + down.0 + correction + passage)
}

/// What must hold after every event, whatever happens.
pub fn always(world: &World) -> Result<(), String> {
    world
        .nodes
        .iter()
        .enumerate()
        .try_for_each(|(id, node)| node_in_step(node).map_err(|what| format!("node {id}: {what}")))
}

fn node_in_step(node: &Node) -> Result<(), &'static str> {
    match node.life {
        Life::Running | Life::Stalled(_) => {
            let master = node.is_master();
            if master && !node.addresses && node.refused_until().is_none() {
                return Err("a master without its addresses");
            }
            if !master && node.addresses {
                return Err("addresses without a master");
            }
            if master && !node.sender.is_ordered() {
                return Err("a master that does not advertise");
            }
            if !master && node.sender.is_ordered() {
                return Err("adverts without a master");
            }
            if master != node.detector.is_master() {
                return Err("the slot does not say what the agent is");
            }
        }
        // Addresses stay for the next life to take over or to clean up.
        Life::Dead if node.sender.is_ordered() => return Err("adverts from the dead"),
        Life::Off if node.addresses => return Err("addresses left behind by a stop"),
        Life::Off if node.sender.is_ordered() => return Err("adverts after a stop"),
        Life::Dead | Life::Off => {}
    }
    Ok(())
}

/// How long it takes until the masters have told the neighbours everything that they owe them after claims by
/// others, and these have heard it.
pub fn owed(world: &World) -> Nanos {
    let election = |node: &&Node| node.is_master();
    let masters = world.nodes.iter().filter(election);
    let due = masters.filter_map(|node| node.election()?.next_deadline());
    // What was announced just now is still on its way.
    let passage = LATENCY.0 + world.network.max_delay.0;
    let waits = due.max().map_or(Nanos(0), |at| at.since(world.now));
    Nanos(waits.0 + passage)
}

/// What must hold once it has been quiet for [`bound`], and for what was [`owed`] then. `since` is when it became quiet.
pub fn settled(world: &World, since: Instant) -> Result<(), String> {
    for part in parts(world) {
        one_master(world, &part)?;
        if let Some(&master) = part.iter().find(|&&id| world.nodes[id].is_master()) {
            right_master(world, &part, master)?;
            right_caches(world, &part, master, since)?;
        }
    }
    Ok(())
}

/// The nodes by connected parts.
fn parts(world: &World) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for id in 0..world.nodes.len() {
        match parts
            .iter_mut()
            .find(|part| world.network.connected(part[0], id))
        {
            Some(part) => part.push(id),
            None => parts.push(vec![id]),
        }
    }
    parts
}

fn one_master(world: &World, part: &[usize]) -> Result<(), String> {
    let is_master = |id: &&usize| world.nodes[**id].is_master();
    let masters: Vec<_> = part.iter().filter(is_master).collect();
    let wanted = usize::from(part.iter().any(|&id| world.nodes[id].is_eligible()));
    if masters.len() == wanted {
        Ok(())
    } else {
        Err(format!(
            "part {part:?} has masters {masters:?}, but {wanted} is wanted"
        ))
    }
}

/// Nobody who may preempt has a higher priority than the master.
fn right_master(world: &World, part: &[usize], master: usize) -> Result<(), String> {
    let priority = |id: usize| world.nodes[id].params.rules.priority;
    let passed_over = part.iter().copied().find(|&id| {
        let rules = &world.nodes[id].params.rules;
        world.nodes[id].is_eligible()
            && (rules.preempt || rules.priority.is_owner())
            && priority(id) > priority(master)
    });
    match passed_over {
        None => Ok(()),
        Some(better) => Err(format!(
            "master {master} has priority {}, and {better} with {} does not preempt it",
            priority(master),
            priority(better)
        )),
    }
}

/// The neighbours know the right place of the addresses if anybody announced it since it became
/// quiet, or if two masters met then. Otherwise the announcements may have been lost in the trouble
/// before, and only a refresh would tell.
fn right_caches(
    world: &World,
    part: &[usize],
    master: usize,
    since: Instant,
) -> Result<(), String> {
    let announced = |id: &usize| world.announced[*id].is_some_and(|at| at >= since);
    let rivals = world.rivals.iter().filter(|id| part.contains(id)).count();
    if rivals < 2 && !part.iter().any(announced) {
        return Ok(());
    }
    let misled = part
        .iter()
        .copied()
        .find(|&id| id != master && world.nodes[id].cache != Some(master));
    match misled {
        None => Ok(()),
        Some(id) => Err(format!(
            "node {id} takes {:?} for the place of the addresses, but {master} is master",
            world.nodes[id].cache
        )),
    }
}
