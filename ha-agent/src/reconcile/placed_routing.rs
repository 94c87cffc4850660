//! What an instance has in the kernel's routing, and what it still lacks there.

use std::collections::{HashMap, HashSet};

use ha_common::units::Instant;

use super::configured_routing::entries;
use super::missing::Missing;
use super::retry::Retry;
use crate::config::model::Instance as Config;
use crate::net::links::LinkTable;
use crate::net::routing::{RoutingEntry, RoutingError};

/// What an instance has in the kernel's routing.
#[derive(Debug, Default)]
pub struct PlacedRouting {
    /// What is there by our doing, in the order in which it was added.
    pub(crate) placed: Vec<RoutingEntry>,
    /// What was there and could not be put back at once: what it needs may have been removed with it, and
    /// come back with the addresses.
    pub(crate) missing: HashSet<RoutingEntry>,
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

    /// Those that a master lacks, by what they are called in its configuration.
    pub fn lacking<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = Missing> + 'a {
        let since = self.retry.since().unwrap_or_default();
        let entries = entries(config).enumerate();
        entries.filter_map(move |(number, entry)| {
            Some(Missing {
                what: entry.to_string(),
                why: self.errors.get(&number)?.clone(),
                since,
                next_try: self.retry.next_deadline(),
            })
        })
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

    /// These may be there by our doing as well.
    pub fn keep(&mut self, routing: impl IntoIterator<Item = RoutingEntry>) {
        let known: HashSet<RoutingEntry> =
            self.placed.iter().chain(&self.missing).cloned().collect();
        let unknown = routing.into_iter().filter(|way| !known.contains(way));
        self.placed.extend(unknown);
    }

    /// They are given up: nothing is missed any more.
    pub fn give_up(&mut self) {
        self.errors.clear();
        self.missing.clear();
    }

    /// Nothing is to be tried any more.
    pub fn forget_troubles(&mut self) {
        self.give_up();
        self.retry.clear();
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
