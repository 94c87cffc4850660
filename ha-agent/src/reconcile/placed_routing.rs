//! What an instance has in the kernel's routing, and what it still lacks there.

use std::collections::{HashMap, HashSet};

use ha_common::units::Instant;

use super::configured_routing::entries;
use super::missing::Missing;
use super::retry::Retry;
use crate::config::model::Instance as Config;
use crate::net::address::Outcome;
use crate::net::links::LinkTable;
use crate::net::routing::{RoutingEntry, RoutingError};

/// What an instance has in the kernel's routing.
#[derive(Debug, Default)]
pub struct PlacedRouting {
    /// What is there by our doing, in the order in which it was added.
    pub(crate) placed: Vec<RoutingEntry>,
    /// What was there and could not be put back at once: what it needs may have been removed with it, and
    /// come back with the addresses. Each with the kernel's refusal.
    pub(crate) missing: HashMap<RoutingEntry, String>,
    /// What is to go, or may be there though it is not to be: it goes as soon as the kernel lets it.
    leaving: Vec<RoutingEntry>,
    /// Why something of that could not be removed.
    stays_because: Option<String>,
    /// Why the others are not, by their number in the configuration, routes before rules.
    pub(crate) errors: HashMap<usize, String>,
    pub(crate) retry: Retry,
    /// How many were put back.
    pub(crate) restored: u64,
}

impl PlacedRouting {
    /// Whether it is time to.
    pub fn is_due(&self, now: Instant) -> bool {
        self.retry.is_due(now)
    }

    /// Those that a master lacks, by what they are called in its configuration, and those that are still there.
    pub fn lacking<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = Missing> + 'a {
        let of_one = |what, why: &String| Missing {
            what,
            why: why.clone(),
            since: self.retry.since().unwrap_or_default(),
            next_try: self.retry.next_deadline(),
        };
        let entries = entries(config).enumerate();
        let refused = entries.filter_map(move |(number, entry)| {
            Some(of_one(entry.to_string(), self.errors.get(&number)?))
        });
        let missing = self.missing.iter();
        let missing = missing.map(move |(way, why)| of_one(way.to_string(), why));
        let leaving = self.leaving.iter().filter_map(move |way| {
            let why = self.stays_because.as_ref()?;
            Some(of_one(format!("removal of {way}"), why))
        });
        refused.chain(missing).chain(leaving)
    }

    /// When something is to be tried again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.retry.next_deadline()
    }

    /// Why some are not there, by their number.
    pub fn errors(&self) -> HashMap<usize, String> {
        self.errors.clone()
    }

    /// How many were put back.
    pub fn restored(&self) -> u64 {
        self.restored
    }

    /// What is there by our doing, or may be.
    pub fn known(&self) -> impl Iterator<Item = &RoutingEntry> {
        let placed = self.placed.iter().chain(&self.leaving);
        placed.chain(self.missing.keys())
    }

    /// These may be there by our doing as well.
    pub fn keep(&mut self, routing: impl IntoIterator<Item = RoutingEntry>) {
        let known: HashSet<RoutingEntry> = self
            .placed
            .iter()
            .chain(self.missing.keys())
            .cloned()
            .collect();
        let unknown = routing.into_iter().filter(|way| !known.contains(way));
        self.placed.extend(unknown);
    }

    /// All goes: what is there, what was, and what an earlier life may have left of these.
    pub fn give_up(&mut self, configured: Vec<RoutingEntry>) {
        self.errors.clear();
        self.keep_only(&HashSet::new(), configured);
    }

    /// What does not stay goes, whether it is known to be there or is one of these, that may be.
    pub fn keep_only(&mut self, stays: &HashSet<RoutingEntry>, doubtful: Vec<RoutingEntry>) {
        let placed = std::mem::take(&mut self.placed);
        let missing = std::mem::take(&mut self.missing);
        let (stay_missing, missing): (HashMap<_, _>, HashMap<_, _>) = missing
            .into_iter()
            .partition(|(way, _)| stays.contains(way));
        self.missing = stay_missing;
        let leaving = std::mem::take(&mut self.leaving);
        let known = leaving.into_iter().chain(placed);
        let mut seen = HashSet::new();
        let all = known.chain(missing.into_keys()).chain(doubtful);
        for way in all.filter(|way| seen.insert(way.clone())) {
            if !stays.contains(&way) {
                self.leaving.push(way);
            } else if !self.missing.contains_key(&way) {
                self.placed.push(way);
            }
        }
        // What was added last goes first, and a rule before the table that it leads to.
        self.leaving.reverse();
        self.leaving
            .sort_by_key(|way| matches!(way, RoutingEntry::Route(_)));
    }

    /// Routes go from the table of a VRF that their interface is not in any more, or from the main one if it is in a
    /// VRF now; `wanted` has them where they belong.
    pub fn leave_tables(&mut self, wanted: &[RoutingEntry]) {
        let is_moved = |placed: &RoutingEntry| match placed {
            RoutingEntry::Route(placed) => wanted
                .iter()
                .any(|way| matches!(way, RoutingEntry::Route(way) if placed.is_moved(way))),
            RoutingEntry::Rule(_) => false,
        };
        let moved = self.placed.extract_if(.., |placed| is_moved(placed));
        self.leaving.extend(moved);
        self.leaving.retain(|way| !wanted.contains(way));
    }

    /// What is to go, in the order in which it does.
    pub fn leaving(&self) -> &[RoutingEntry] {
        &self.leaving
    }

    /// Whether one that is still there keeps this one out.
    pub fn is_kept_out(&self, way: &RoutingEntry) -> bool {
        self.leaving.iter().any(|left| left.is_in_place_of(way))
    }

    /// Takes in what the kernel answered to removing them. Those that were there, and why others still are if that is
    /// news.
    pub fn removed<E: ToString, F: ToString>(
        &mut self,
        outcomes: Result<Vec<Result<Outcome, E>>, F>,
    ) -> (Vec<RoutingEntry>, Option<String>) {
        let (mut gone, mut failure) = (Vec::new(), None);
        match outcomes {
            Ok(outcomes) => {
                let asked = std::mem::take(&mut self.leaving);
                for (way, outcome) in asked.into_iter().zip(outcomes) {
                    match outcome {
                        Ok(Outcome::Done) => gone.push(way),
                        Ok(Outcome::Already) => {}
                        Err(error) => {
                            failure.get_or_insert_with(|| error.to_string());
                            self.leaving.push(way);
                        }
                    }
                }
            }
            Err(error) => failure = Some(error.to_string()),
        }
        let is_news = failure != self.stays_because;
        self.stays_because.clone_from(&failure);
        (gone, failure.filter(|_| is_news))
    }

    /// All was asked for that is to be had; what failed is tried again.
    pub fn settle(&mut self, now: Instant) {
        if self.errors.is_empty() && self.missing.is_empty() && self.leaving.is_empty() {
            self.retry.clear();
        } else if self.retry.next_deadline().is_none_or(|at| at <= now) {
            self.retry.failed(now);
        }
    }
}

/// Configured routes and rules as the kernel is to have them, by their number, and why the others cannot be.
pub fn placed_entries(
    config: &Config,
    links: &LinkTable,
) -> (Vec<(usize, RoutingEntry)>, HashMap<usize, String>) {
    let (mut placed, mut errors) = (Vec::new(), HashMap::new());
    for (number, entry) in entries(config).enumerate() {
        match entry.placed(config, links) {
            Ok(way) => placed.push((number, way)),
            Err(name) => {
                let text = format!("adding {entry}: no such interface: {name}");
                errors.insert(number, text);
            }
        }
    }
    (placed, errors)
}

/// The kernel's refusal, with the way as it is written in the configuration.
pub fn called(error: RoutingError, config: &Config, number: usize) -> String {
    match entries(config).nth(number) {
        Some(entry) => error.called(&entry).to_string(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::net::links::tests::{link, table};
    use crate::reconcile::configured_routing::routing_of;

    const NOW: Instant = Instant(5_000_000_000);

    /// Two routes and a rule.
    fn configured() -> (Config, Vec<RoutingEntry>) {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
            addresses = [\"10.99.0.100/24\"]\nroutes = [\
            { to = \"default\", via = \"10.99.0.1\", table = 100 }, \
            { to = \"10.1.0.0/16\", via = \"10.99.0.1\" }]\n\
            rules = [{ from = \"10.99.0.100\", table = 100, priority = 100 }]\n";
        let config = parse("test.toml", text).unwrap().instances.remove(0);
        let routing = routing_of(&config, &table(&[link(2, "eth0", &[])]));
        (config, routing)
    }

    type Answers = Result<Vec<Result<Outcome, &'static str>>, &'static str>;

    #[test]
    fn what_is_to_go_stays_on_the_list_until_the_kernel_lets_it_go() {
        let (config, all) = configured();
        let mut routing = PlacedRouting::default();
        routing.placed.clone_from(&all);
        routing.keep_only(&HashSet::from([all[0].clone()]), Vec::new());
        assert_eq!(routing.placed, all[..1]);
        assert_eq!(routing.leaving(), [all[2].clone(), all[1].clone()]);
        let busy: Answers = Ok(vec![Err("busy"), Ok(Outcome::Done)]);
        let (gone, news) = routing.removed(busy);
        assert_eq!((gone, news), (vec![all[1].clone()], Some("busy".into())));
        routing.settle(NOW);
        let lacking: Vec<_> = routing.lacking(&config).collect();
        assert_eq!(lacking[0].what, format!("removal of {}", all[2]));
        assert_eq!((&*lacking[0].why, lacking.len()), ("busy", 1));
        assert!(lacking[0].next_try.is_some_and(|at| routing.is_due(at)));

        // No news, and in the end nothing to do.
        let again: Answers = Ok(vec![Err("busy")]);
        assert_eq!(routing.removed(again).1, None);
        let done: Answers = Ok(vec![Ok(Outcome::Already)]);
        assert_eq!(routing.removed(done).1, None);
        routing.settle(NOW);
        assert_eq!(routing.next_deadline(), None);
        assert_eq!(routing.lacking(&config).count(), 0);
    }

    #[test]
    fn what_may_be_there_goes_with_the_rest() {
        let (_, all) = configured();
        let mut routing = PlacedRouting::default();
        routing.placed.push(all[0].clone());
        routing.missing.insert(all[2].clone(), "down".to_owned());
        // The second is of an earlier life, if it is there at all.
        routing.give_up(all.clone());
        assert_eq!(routing.leaving().len(), 3);
        assert!(matches!(routing.leaving()[0], RoutingEntry::Rule(_)));
        assert!(routing.is_kept_out(&all[1]));
        // All of it is wanted again.
        routing.leave_tables(&all);
        assert!(routing.leaving().is_empty());
    }
}
