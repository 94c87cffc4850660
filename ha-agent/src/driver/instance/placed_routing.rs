//! What an instance has in the kernel's routing, and what it still lacks there.

use std::collections::{HashMap, HashSet};

use ha_common::units::Instant;

use crate::config::model::Instance as Config;
use crate::driver::configured_routing::entries;
use crate::net::links::LinkTable;
use crate::net::routing::{RoutingEntry, RoutingError};

/// What an instance has in the kernel's routing.
#[derive(Debug, Default)]
pub(super) struct PlacedRouting {
    /// What is there by our doing, in the order in which it was added.
    pub(super) placed: Vec<RoutingEntry>,
    /// What was there and could not be put back at once: what it needs may have been removed with it, and
    /// come back with the addresses.
    pub(super) missing: HashSet<RoutingEntry>,
    /// Why the others are not, by their number in the configuration, routes before rules.
    pub(super) errors: HashMap<usize, String>,
    pub(super) retry_at: Option<Instant>,
    /// How many were put back.
    pub(super) restored: u64,
}

impl PlacedRouting {
    /// When something is to be tried again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Why some are not there, by their number.
    pub(super) fn errors(&self) -> HashMap<usize, String> {
        self.errors.clone()
    }

    /// How many were put back.
    pub(super) fn restored(&self) -> u64 {
        self.restored
    }

    /// These may be there by our doing as well.
    pub(super) fn keep(&mut self, routing: impl IntoIterator<Item = RoutingEntry>) {
        let known: HashSet<RoutingEntry> =
            self.placed.iter().chain(&self.missing).cloned().collect();
        let unknown = routing.into_iter().filter(|way| !known.contains(way));
        self.placed.extend(unknown);
    }

    /// Nothing is to be tried any more.
    pub(super) fn forget_troubles(&mut self) {
        self.retry_at = None;
        self.errors.clear();
        self.missing.clear();
    }
}

/// Configured routes and rules as the kernel is to have them, by their number, and why the others cannot be.
pub(super) fn placed_entries(
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
pub(super) fn called(error: RoutingError, config: &Config, number: usize) -> String {
    match entries(config).nth(number) {
        Some(entry) => error.called(&entry).to_string(),
        None => error.to_string(),
    }
}
