//! The invariants, each by name, and the bound within which they must hold once it is quiet.

use std::fmt;

use ha_agent::router::Router;
use ha_common::timing;
use ha_common::units::{Nanos, Priority};

use crate::detector::WINDOW;
use crate::node::{Life, Node};
use crate::world::{CHECKS, LATENCY, Moved, World};

/// Makes the invariants and the list of them, so that none is missing from it.
macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident: $sentence:literal,)*) => {
        /// What must hold.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Invariant {
            $($(#[$doc])* $name,)*
        }

        impl Invariant {
            /// All of them. Each is broken by a bug that can be injected: a test holds `bugs` to that.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// In a sentence.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

invariants! {
    /// But for one that was refused them and is leaving.
    MasterHoldsAddresses: "a master holds its addresses",
    /// RFC 9568 section 6.4.2: a backup accepts no packets for them.
    OnlyMasterHoldsAddresses: "nobody else holds them",
    /// From the take-over to the end.
    MasterAdvertises: "a master advertises",
    /// From start to stop.
    OnlyMasterAdvertises: "nobody else advertises",
    /// The kernel half decides by it while the agent sleeps.
    SlotAgrees: "the slot says what the agent is",
    /// Of an agent in good order; a crashed one's stay for its next life.
    StopLeavesNoAddresses: "a stopped agent has left no addresses behind",
    /// A sender without a driver would be a zombie.
    StopEndsAdverts: "a stopped agent advertises no more",
    /// A driver that hangs must not keep a master that decides nothing.
    LeaseEndsAdverts: "after the end of the lease no advert leaves but priority 0",
    /// Somebody else may have taken over while it slept.
    SleeperAsksFirst: "who slept for a down interval sends nothing before its driver has looked",
    /// Within the bound, once it is quiet.
    OneMaster: "each connected part has one master, if anybody there may be one",
    /// RFC 9568 section 6.4.2, (400) to (480).
    BestIsMaster: "nobody who preempts is passed over",
    /// The neighbours send packets to whoever announced last.
    CachesAreRight: "the neighbours know where the addresses are",
    /// Within the second bound.
    RestIsStable: "nobody changes its state although nothing happens",
    /// Adverts that change nothing wake nobody.
    RestIsSilent: "no agent is woken although nothing happens",
    /// But for members that are new to it after a crash.
    GroupLeadsWhole: "a host leads all segments of its group or none",
    /// Within the bound, once it is quiet.
    GroupHasOneLeader: "two hosts that hear each other do not both lead",
    /// Within the bound, once it is quiet.
    GroupIsLed: "a host that could lead gives way to one that does",
}

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// How it shows.
    pub how: String,
}

impl Invariant {
    /// It did not hold, which shows like this.
    pub fn broken(self, how: impl Into<String>) -> Broken {
        Broken {
            invariant: self,
            how: how.into(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (it must hold that {})",
            self.how,
            self.invariant.sentence()
        )
    }
}

/// How long after the last disturbance there must be one master in each connected part.
///
/// A node that came back last waits for its first check results, then its start hold, then its
/// preempt delay, then one
/// master-down interval: at most three (the multiplier) of the longest interval that anybody can
/// have taught it, and the skew of the lowest priority. A timer armed before it was quiet is no
/// longer than that. Whoever took over in error meanwhile yields at the next advert of a better
/// one: one longest interval, or one window of the event limit, and the way there and back.
pub fn bound(world: &World) -> Nanos {
    let hold = world
        .nodes
        .iter()
        .map(|n| Nanos(n.params.start_hold.0 + n.params.preempt_delay.0))
        .max();
    let Some(hold) = hold else {
        return Nanos(0);
    };
    // Reloads may have made them shorter, but a timer may have been armed before.
    let (interval, multiplier) = world.slowest;
    let versions = world.nodes.iter().map(|node| node.params.rules.version);
    let down = versions
        .map(|version| timing::master_down(version, Priority(1), interval, multiplier))
        .max()
        .unwrap_or_default();
    let late = world.network.last_arrival().since(world.now);
    // Whoever was refused its addresses tries again when it has waited long enough, and not before.
    let refused = world.nodes.iter().filter_map(Node::refused_until).max();
    let refused = refused.map_or(Nanos(0), |until| until.since(world.now));
    // Whoever has not seen yet that its adverts leave again may yield to one that it hears first.
    let mute = world.nodes.iter().filter_map(Node::would_stay_out).max();
    let mute = mute.filter(|_| world.network.has_refused());
    let refused = Nanos(refused.0 + mute.unwrap_or_default().0);
    let passage = 2 * world.network.max_delay.0 + 4 * LATENCY.0;
    let correction = interval.nanos().0.max(WINDOW.0);
    Nanos(late.0 + refused.0 + CHECKS.0 + hold.0 + down.0 + correction + passage)
}

/// What must hold after every event, whatever happens.
pub fn always(world: &World) -> Result<(), Broken> {
    if let Some(broken) = &world.broken {
        return Err(broken.clone());
    }
    if world.moved == Moved::Nobody {
        return Ok(());
    }
    let moved = |id: &usize| world.moved.includes(world.grid.host(*id));
    (0..world.nodes.len()).filter(moved).try_for_each(|id| {
        in_step(world, id).map_err(|invariant| {
            let Node {
                life, addresses, ..
            } = &world.nodes[id];
            let role = world.nodes[id].router.as_ref().map(Router::role);
            invariant.broken(format!(
                "node {id} is {life:?} and {role:?}; addresses: {addresses}"
            ))
        })
    })
}

fn in_step(world: &World, id: usize) -> Result<(), Invariant> {
    let node = &world.nodes[id];
    let advertises = world.sender(id).is_started(world.grid.router(id));
    match node.life {
        Life::Running | Life::Stalled(_) => {
            let master = node.is_master();
            if master && !node.addresses && node.refused_until().is_none() {
                return Err(Invariant::MasterHoldsAddresses);
            }
            if !master && node.addresses {
                return Err(Invariant::OnlyMasterHoldsAddresses);
            }
            if master && !advertises {
                return Err(Invariant::MasterAdvertises);
            }
            if !master && advertises {
                return Err(Invariant::OnlyMasterAdvertises);
            }
            if master != node.detector.is_master() {
                return Err(Invariant::SlotAgrees);
            }
        }
        Life::Off if node.addresses => return Err(Invariant::StopLeavesNoAddresses),
        Life::Off if advertises => return Err(Invariant::StopEndsAdverts),
        // A dead one's addresses stay for its next life to take over or to clean up.
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

/// What must hold once it has been quiet for [`bound`], and for what was [`owed`] then.
pub fn settled(world: &World) -> Result<(), Broken> {
    for part in parts(world) {
        one_master(world, &part)?;
        if let Some(&master) = part.iter().find(|&&id| world.nodes[id].is_master()) {
            right_master(world, &part, master)?;
            right_caches(world, &part, master)?;
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

fn one_master(world: &World, part: &[usize]) -> Result<(), Broken> {
    let is_master = |id: &&usize| world.nodes[**id].is_master();
    let masters: Vec<_> = part.iter().filter(is_master).collect();
    let wanted = usize::from(part.iter().any(|&id| world.nodes[id].is_eligible()));
    if masters.len() == wanted {
        Ok(())
    } else {
        let how = format!("part {part:?} has masters {masters:?}, but {wanted} is wanted");
        Err(Invariant::OneMaster.broken(how))
    }
}

/// Nobody who may preempt has a higher priority than the master.
fn right_master(world: &World, part: &[usize], master: usize) -> Result<(), Broken> {
    let priority = |id: usize| world.nodes[id].params.rules.priority;
    let passed_over = part.iter().copied().find(|&id| {
        let rules = &world.nodes[id].params.rules;
        world.nodes[id].is_eligible()
            && (rules.preempt || rules.priority.is_owner())
            && priority(id) > priority(master)
    });
    match passed_over {
        None => Ok(()),
        Some(better) => Err(Invariant::BestIsMaster.broken(format!(
            "master {master} has priority {}, and {better} with {} does not preempt it",
            priority(master),
            priority(better)
        ))),
    }
}

/// The neighbours know the right place of the addresses if anybody announced it since what was on its way when it
/// became quiet has arrived, or if two masters met then. Otherwise the announcements may have been lost in the trouble
/// before, or overtaken by older ones, and only a refresh would tell.
fn right_caches(world: &World, part: &[usize], master: usize) -> Result<(), Broken> {
    let (calm_from, overtaken) = world.calm_from;
    let announced = |id: &usize| world.announced[*id].is_some_and(|at| at >= calm_from);
    let rivals = world.rivals.iter().filter(|id| part.contains(id)).count();
    let have_met = rivals > 1 && !overtaken;
    if !have_met && !part.iter().any(announced) {
        return Ok(());
    }
    let misled = part
        .iter()
        .copied()
        .find(|&id| id != master && world.nodes[id].cache != Some(master));
    match misled {
        None => Ok(()),
        Some(id) => Err(Invariant::CachesAreRight.broken(format!(
            "node {id} takes {:?} for the place of the addresses, but {master} is master",
            world.nodes[id].cache
        ))),
    }
}
