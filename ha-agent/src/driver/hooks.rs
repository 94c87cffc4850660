//! The programs on interfaces as the driver sees them: what it wants there, and what an instance gets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::filter_entries::FilterEntries;
use crate::config::model::{Datapath, DatapathChoice};
use crate::datapath::attach::Target;
use crate::datapath::attacher::{Attacher, Outcome, Outcomes, WantedHook};
use crate::datapath::suitability;
use crate::net::links::{Link, LinkKind, LinkLayer, LinkTable};
use crate::status::instance::Refusal;

/// For how long a card may be without link after a native program has come to it or gone from it: the slowest
/// take some seconds, and a switch that has to learn the port anew as many again.
const SETTLING: Duration = Duration::from_secs(10);

/// How the adverts of an instance are received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reception {
    /// By which datapath.
    pub(crate) datapath: Datapath,
    /// By what kind of link.
    pub(crate) link: Option<&'static str>,
    /// Why by this one.
    pub(crate) because: String,
    /// Why not by others.
    pub(crate) refusals: Vec<Refusal>,
    /// What else a person should know.
    pub(crate) notes: Vec<String>,
    /// How often its program was gone and was attached again.
    pub(crate) reattached: u64,
}

/// What an instance gets on its interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    Receive(Reception),
    /// What is wanted is not there yet.
    Pending,
    /// Not what is configured, for this reason.
    Refused(String),
}

/// What an instance needs on its interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need<'a> {
    /// The interface's name.
    pub(crate) interface: &'a str,
    /// How its adverts are to be received.
    pub(crate) choice: DatapathChoice,
    /// How else, if that cannot be had.
    pub(crate) fallback: DatapathChoice,
}

#[derive(Debug)]
pub(crate) struct Hooks {
    attacher: Result<Attacher, String>,
    /// Whether programs outlive the agent.
    pub(crate) pinned: bool,
    /// The groups that cards let in for what is pinned.
    pub(crate) filter_entries: FilterEntries,
    wanted: HashMap<u32, (WantedHook, Instant)>,
    seen: Arc<Outcomes>,
}

impl Hooks {
    /// `attacher`: or why there is no kernel half.
    pub(crate) fn new(attacher: Result<Attacher, String>, pinned: bool) -> Self {
        Self {
            attacher,
            pinned,
            filter_entries: FilterEntries::default(),
            wanted: HashMap::new(),
            seen: Arc::default(),
        }
    }

    /// Whether something has come of what was wanted, or changed, since this was asked last.
    pub(crate) fn has_news(&mut self) -> bool {
        let Ok(attacher) = &self.attacher else {
            return false;
        };
        let newest = attacher.outcomes();
        !Arc::ptr_eq(
            &std::mem::replace(&mut self.seen, Arc::clone(&newest)),
            &newest,
        )
    }

    /// Wants what these instances need, and nothing else.
    pub(crate) fn want<'a>(&mut self, needs: impl Iterator<Item = Need<'a>>, links: &LinkTable) {
        let Ok(attacher) = &self.attacher else { return };
        let mut wanted: HashMap<u32, WantedHook> = HashMap::new();
        for need in needs {
            let Some(link) = links.by_name(need.interface) else {
                continue;
            };
            let hook = wanted
                .entry(link.index)
                .or_insert_with(|| wanted_hook(link, links, need));
            hook.choice = counts(hook.choice, need.choice);
            hook.fallback = hook.fallback.map(|it| counts(it, need.fallback));
        }
        for hook in wanted.values_mut() {
            // The others can always be had, if by a plain socket.
            let names_program = names_program(hook.choice);
            let choice = hook.choice;
            hook.fallback = hook.fallback.filter(|it| names_program && *it != choice);
        }
        let now = Instant::now();
        let renewed: HashMap<u32, (WantedHook, Instant)> = wanted
            .iter()
            .map(|(ifindex, hook)| {
                let since = match self.wanted.get(ifindex) {
                    Some((old, since)) if old == hook => *since,
                    _ => now,
                };
                (*ifindex, (hook.clone(), since))
            })
            .collect();
        if renewed != self.wanted {
            self.wanted = renewed;
            attacher.want(wanted);
        }
    }

    /// What an instance gets on its interface.
    pub(crate) fn decide(
        &self,
        choice: DatapathChoice,
        link: &Link,
        links: &LinkTable,
    ) -> Decision {
        let decision = self.decide_alone(choice, link);
        match (decision, links.port_of(link)) {
            (Decision::Receive(mut reception), Some(upper)) => {
                let note = suitability::note_of_port(reception.datapath, &upper);
                reception.notes.push(note);
                Decision::Receive(reception)
            }
            (decision, _) => decision,
        }
    }

    fn decide_alone(&self, choice: DatapathChoice, link: &Link) -> Decision {
        if suitability::candidates(choice).is_empty() {
            return Decision::Receive(by_socket(choice, Vec::new()));
        }
        if let Err(why) = &self.attacher {
            let kind = suitability::candidates(choice)
                .first()
                .copied()
                .unwrap_or(Datapath::Tc);
            let reason = why.clone();
            return without_program(choice, vec![Refusal { kind, reason }]);
        }
        let wanted = self.wanted.get(&link.index).map(|(hook, _)| hook);
        let outcome = self
            .seen
            .get(&link.index)
            .filter(|outcome| outcome.wanted.life == link.life);
        let Some(outcome) = outcome else {
            return Decision::Pending;
        };
        match outcome.attached {
            Some((datapath, link)) if allows(choice, datapath) => {
                Decision::Receive(by_program(choice, outcome, datapath, link))
            }
            _ if wanted != Some(&outcome.wanted) => Decision::Pending,
            _ if outcome.fell_back.is_some() && outcome.wanted.choice == choice => {
                without_program(choice, outcome.fell_back.clone().unwrap_or_default())
            }
            Some((datapath, _)) => Decision::Refused(format!(
                "another instance on the interface uses {}",
                datapath.title()
            )),
            None => without_program(choice, outcome.refusals.clone()),
        }
    }

    /// Whether nothing on an interface is on its way any more, and whether a program of ours is there.
    pub(crate) fn settled(&self, ifindex: u32) -> Option<bool> {
        if self.attacher.is_err() {
            return Some(false);
        }
        let (wanted, _) = self.wanted.get(&ifindex)?;
        let outcome = self.seen.get(&ifindex)?;
        (outcome.wanted == *wanted).then_some(outcome.attached.is_some())
    }

    /// Until when an interface that a native program has come to, or is on its way to, may be without link by that
    /// alone.
    pub(crate) fn settles_until(&self, ifindex: u32) -> Option<Instant> {
        let native = DatapathChoice::Only(Datapath::Native);
        let (wanted, since) = self.wanted.get(&ifindex)?;
        let is_native = wanted.choice == native
            || self.seen.get(&ifindex).is_some_and(|outcome| {
                outcome.wanted.choice == native
                    || outcome
                        .attached
                        .is_some_and(|(it, _)| it == Datapath::Native)
            });
        if !is_native {
            return None;
        }
        let changed = self.seen.get(&ifindex).map(|outcome| outcome.changed);
        let last = changed.map_or(*since, |changed| changed.max(*since));
        let until = last + SETTLING;
        (until > Instant::now()).then_some(until)
    }

    /// Leaves, and hands out the thread to wait for.
    pub(crate) fn leave(&mut self) -> Option<std::thread::JoinHandle<()>> {
        self.filter_entries.keep_only(|_| false);
        self.attacher.as_mut().ok()?.leave()
    }
}

impl Reception {
    /// All but what changes while it stays the same.
    pub(crate) fn without_notes(&self) -> Self {
        Self {
            notes: Vec::new(),
            ..self.clone()
        }
    }
}

/// Of two instances on an interface one that names a program's datapath counts before one that leaves it open, and
/// this before one that wants none.
fn counts(first: DatapathChoice, other: DatapathChoice) -> DatapathChoice {
    let socket = DatapathChoice::Only(Datapath::Socket);
    if first == socket || first == DatapathChoice::Auto && other != socket {
        other
    } else {
        first
    }
}

/// Whether it insists on a program, which may be refused.
pub(crate) fn names_program(choice: DatapathChoice) -> bool {
    !matches!(
        choice,
        DatapathChoice::Auto | DatapathChoice::Only(Datapath::Socket)
    )
}

fn wanted_hook(link: &Link, links: &LinkTable, need: Need<'_>) -> WantedHook {
    let vlans_above = if matches!(link.kind, LinkKind::Vlan { .. }) {
        Vec::new()
    } else {
        links
            .vlans_above(link.index)
            .map(|vlan| vlan.name.clone())
            .collect()
    };
    WantedHook {
        target: Target {
            ifindex: link.index,
            name: link.name.clone(),
            is_layer3: link.link_layer == LinkLayer::Network,
        },
        life: link.life,
        kind: link.kind.clone(),
        link_layer: link.link_layer,
        vlans_above,
        choice: need.choice,
        fallback: Some(need.fallback),
    }
}

/// Whether a choice may be met by this datapath.
pub(crate) fn allows(choice: DatapathChoice, datapath: Datapath) -> bool {
    choice == DatapathChoice::Auto || choice == DatapathChoice::Only(datapath)
}

fn by_program(
    choice: DatapathChoice,
    outcome: &Outcome,
    datapath: Datapath,
    link: &'static str,
) -> Reception {
    let because = if choice == DatapathChoice::Auto && datapath != Datapath::Tc {
        "another instance on the interface requires it".to_owned()
    } else {
        suitability::because(choice, datapath)
    };
    let refusals = if choice == DatapathChoice::Auto {
        outcome.refusals.clone()
    } else {
        Vec::new()
    };
    Reception {
        datapath,
        link: Some(link),
        because,
        refusals,
        notes: outcome.notes.clone(),
        reattached: outcome.reattached,
    }
}

/// A plain socket if that may be, else the reasons.
fn without_program(choice: DatapathChoice, refusals: Vec<Refusal>) -> Decision {
    match choice {
        DatapathChoice::Auto => Decision::Receive(by_socket(choice, refusals)),
        DatapathChoice::Only(_) => {
            let reasons: Vec<String> = refusals
                .iter()
                .map(|refusal| format!("{}: {}", refusal.kind.name(), refusal.reason))
                .collect();
            Decision::Refused(reasons.join("; "))
        }
    }
}

fn by_socket(choice: DatapathChoice, refusals: Vec<Refusal>) -> Reception {
    Reception {
        datapath: Datapath::Socket,
        link: None,
        because: suitability::because(choice, Datapath::Socket),
        refusals,
        notes: Vec::new(),
        reattached: 0,
    }
}
