//! What a reload does: one plan from the running configuration to the new one. The driver carries it out, and
//! the answer to `ha-agent reload` prints it.
//!
//! A virtual router is the same before and after if its interface, family and VRID are, a check or a group if
//! its name is. An address may move from one router to another in one reload, so what leaves and what changes
//! lets go of its addresses before anything takes them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use ha_common::units::{Family, Vrid};

use super::differences;
pub use super::differences::Difference;
use super::key_table::{self, Reload, Section};
use super::model::{Check, Config, Group, Instance};

/// What makes an instance the same virtual router before and after a reload.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RouterId {
    /// The interface's name.
    pub interface: String,
    /// The family of the addresses.
    pub family: Family,
    /// The VRID.
    pub vrid: Vrid,
}

impl RouterId {
    /// The identity of a configured instance.
    pub fn of(instance: &Instance) -> Self {
        Self {
            interface: instance.interface.clone(),
            family: instance.family,
            vrid: instance.vrid,
        }
    }
}

/// A whole reload. The order of sections and the warnings of a file do not count.
#[derive(Debug, Eq, PartialEq)]
pub struct Plan<'c> {
    /// `[[instance]]`.
    pub routers: Sections<'c, Instance>,
    /// `[[check]]`.
    pub checks: Sections<'c, Check>,
    /// `[[group]]`. All groups are formed anew at each reload; what their members know stays.
    pub groups: Sections<'c, Group>,
    /// What differs in `[node]`: it takes effect when the agent is started anew.
    pub node: Vec<Difference>,
}

/// What becomes of the sections of one kind.
#[derive(Debug, Eq, PartialEq)]
pub struct Sections<'c, T> {
    /// Those that only the running configuration has, in its order.
    pub leaving: Vec<&'c T>,
    /// One step for each section of the new configuration, in its order.
    pub steps: Vec<Step<'c, T>>,
}

/// What becomes of one section of the new configuration.
#[derive(Debug, Eq, PartialEq)]
pub enum Step<'c, T> {
    /// It comes.
    Start(&'c T),
    /// It is as before.
    Keep(&'c T),
    /// It is there already, and differs.
    Change(Change<'c, T>),
}

/// A section that is in both configurations and differs.
#[derive(Debug, Eq, PartialEq)]
pub struct Change<'c, T> {
    /// As it runs.
    pub old: &'c T,
    /// As it shall be.
    pub new: &'c T,
    /// What differs, in the order of the model; never nothing.
    pub differences: Vec<Difference>,
    /// Why it is stopped and started anew; `None`: it is changed while it runs.
    pub restart: Option<Restart>,
}

/// Why something cannot be changed while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// This key is fixed while it runs.
    Key(&'static str),
    /// The device of its virtual MAC is made with IPv6 or without, and the addresses now need the other.
    Ipv6OfDevice,
    /// It is another virtual router: see [`replaced`](super::replaced::replaced).
    AnotherRouter,
}

impl<'c, T> Step<'c, T> {
    /// The section of the new configuration.
    pub fn section(&self) -> &'c T {
        match self {
            Self::Start(new) | Self::Keep(new) => new,
            Self::Change(change) => change.new,
        }
    }

    /// Whether what runs goes on with it, changed or not.
    pub fn carries_on(&self) -> bool {
        match self {
            Self::Start(_) => false,
            Self::Keep(_) => true,
            Self::Change(change) => change.restart.is_none(),
        }
    }

    /// The change, if it is one.
    pub fn change(&self) -> Option<&Change<'c, T>> {
        match self {
            Self::Change(change) => Some(change),
            Self::Start(_) | Self::Keep(_) => None,
        }
    }
}

impl Plan<'_> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.routers.is_empty()
            && self.checks.is_empty()
            && self.groups.is_empty()
            && self.node.is_empty()
    }
}

impl<'c, T> Sections<'c, T> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty() && self.steps.iter().all(|step| matches!(step, Step::Keep(_)))
    }

    /// Those that come, in the new order.
    pub fn starting(&self) -> impl Iterator<Item = &'c T> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Start(new) => Some(*new),
            Step::Keep(_) | Step::Change(_) => None,
        })
    }

    /// Those that differ, in the new order.
    pub fn changes(&self) -> impl Iterator<Item = &Change<'c, T>> + '_ {
        self.steps.iter().filter_map(Step::change)
    }
}

/// What makes the running configuration the new one.
pub fn plan<'c>(old: &'c Config, new: &'c Config) -> Plan<'c> {
    let name = |check: &Check| check.name.clone();
    let group_name = |group: &Group| group.name.clone();
    Plan {
        routers: sections(&old.instances, &new.instances, RouterId::of, router),
        checks: sections(&old.checks, &new.checks, name, check),
        groups: sections(&old.groups, &new.groups, group_name, group),
        node: differences::node(&old.node, &new.node),
    }
}

type Judged = (Vec<Difference>, Option<Restart>);

fn sections<'c, T, K: Eq + Hash>(
    old: &'c [T],
    new: &'c [T],
    id: impl Fn(&T) -> K,
    compare: impl Fn(&T, &T) -> Judged,
) -> Sections<'c, T> {
    let before: HashMap<K, &T> = old.iter().map(|section| (id(section), section)).collect();
    let after: HashSet<K> = new.iter().map(&id).collect();
    let step = |new: &'c T| {
        let Some(old) = before.get(&id(new)).copied() else {
            return Step::Start(new);
        };
        let (differences, restart) = compare(old, new);
        if differences.is_empty() {
            return Step::Keep(new);
        }
        Step::Change(Change {
            old,
            new,
            differences,
            restart,
        })
    };
    let stays = |section: &&T| after.contains(&id(section));
    Sections {
        leaving: old.iter().filter(|section| !stays(section)).collect(),
        steps: new.iter().map(step).collect(),
    }
}

/// The first of these keys of a section that does not apply to what runs.
fn fixed(section: &Section, differences: &[Difference]) -> Option<Restart> {
    let keys = differences.iter().filter_map(|it| section.key(it.key));
    let mut fixed = keys.filter(|key| key.reload == Reload::Anew);
    fixed.next().map(|key| Restart::Key(key.name))
}

fn router(old: &Instance, new: &Instance) -> Judged {
    let differences = differences::router(old, new);
    let device = || {
        let other = old.holds_ipv6() != new.holds_ipv6();
        (new.virtual_mac.is_some() && other).then_some(Restart::Ipv6OfDevice)
    };
    let restart = fixed(&key_table::INSTANCE, &differences).or_else(device);
    (differences, restart)
}

/// A check that differs in anything starts anew: what it has found so far may say nothing about the new one. To
/// those that track it the old result counts until there is a new one.
fn check(old: &Check, new: &Check) -> Judged {
    let differences = differences::check(old, new);
    let restart = fixed(&key_table::CHECK, &differences);
    (differences, restart)
}

fn group(old: &Group, new: &Group) -> Judged {
    (differences::group(old, new), None)
}
