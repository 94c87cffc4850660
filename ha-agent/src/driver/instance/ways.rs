//! The routes and rules of a master: added after the addresses, removed before them, and put back when
//! somebody else removes them.
//!
//! One that cannot be added is reported and tried again, and the instance stays master: an address that
//! answers on its own network is better than none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};

use super::{Edges, Instance};
use crate::config::model::Instance as Config;
use crate::driver::report::Report;
use crate::driver::ways::{entries, ways_of};
use crate::net::address::Outcome;
use crate::net::way::Way;

/// How soon what could not be added is tried again.
const RETRY: Nanos = Nanos::from_millis(1_000);

/// What an instance has in the kernel's routing.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// What is there by our doing, in the order in which it was added.
    placed: Vec<Way>,
    /// Why the others are not, by their number in the configuration, routes before rules.
    errors: HashMap<usize, String>,
    retry_at: Option<Instant>,
    /// How many were put back.
    restored: u64,
}

impl Ways {
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
}

impl Instance {
    /// Sees to it that all of them are there. What is there already is no news to the kernel, so that this
    /// also finds out what somebody has removed.
    pub(super) fn add_ways(&mut self, edges: &mut Edges<'_>, now: Instant) {
        self.ways.retry_at = None;
        if self.port.is_none() {
            return;
        }
        let config = Arc::clone(&self.config);
        let (mut wanted, mut numbers, mut errors) = (Vec::new(), Vec::new(), HashMap::new());
        for (number, entry) in entries(&config).enumerate() {
            match entry.placed(&config, edges.links) {
                Ok(way) => {
                    wanted.push(way);
                    numbers.push(number);
                }
                Err(name) => {
                    errors.insert(
                        number,
                        format!("adding {entry}: there is no interface {name}"),
                    );
                }
            }
        }
        if wanted.is_empty() && errors.is_empty() {
            return;
        }
        let before: HashSet<Way> = std::mem::take(&mut self.ways.placed).into_iter().collect();
        let outcomes = match edges.ways.add(&wanted) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Those that are there will be found to be there, or removed by their number.
                self.ways.placed = wanted;
                self.ways.retry_at = Some(now + RETRY);
                return self.failed(error.to_string(), edges);
            }
        };
        let mut was_there = Vec::new();
        for ((way, number), outcome) in wanted.into_iter().zip(numbers).zip(outcomes) {
            match outcome {
                Ok(outcome) => {
                    let is_new = !before.contains(&way);
                    match outcome {
                        Outcome::Done if is_new => {}
                        Outcome::Done => self.say_restored(&config, number, edges),
                        Outcome::Already if is_new => was_there.push((number, way.clone())),
                        Outcome::Already => {}
                    }
                    self.ways.placed.push(way);
                }
                Err(error) => {
                    let entry = entries(&config).nth(number);
                    let error = entry.map_or(error.clone(), |entry| error.called(&entry));
                    errors.insert(number, error.to_string());
                }
            }
        }
        if !errors.is_empty() {
            self.ways.retry_at = Some(now + RETRY);
        }
        self.tell_foreign_ways(&config, &was_there, &mut errors, edges);
        self.say_errors(errors, edges);
    }

    /// Of ways that were there when we came to add them, those that no agent added: they stay when we leave.
    fn tell_foreign_ways(
        &mut self,
        config: &Config,
        was_there: &[(usize, Way)],
        errors: &mut HashMap<usize, String>,
        edges: &mut Edges<'_>,
    ) {
        if was_there.is_empty() {
            return;
        }
        let Ok(ours) = edges.ways.list() else { return };
        for (number, way) in was_there {
            if ours.iter().any(|own| own.is_in_place_of(way)) {
                continue;
            }
            self.ways.placed.retain(|placed| placed != way);
            if let Some(entry) = entries(config).nth(*number) {
                let text = format!(
                    "{entry} or another to the same was there already, and will stay when this host is \
                     not master: take it out of the host's own network configuration"
                );
                errors.insert(*number, text);
            }
        }
    }

    fn say_restored(&mut self, config: &Config, number: usize, edges: &Edges<'_>) {
        self.dirty = true;
        self.ways.restored += 1;
        if let Some(entry) = entries(config).nth(number) {
            edges.reporter.say(Report::Warning {
                instance: Arc::clone(&self.name),
                what: format!("somebody removed {entry}; it is back"),
            });
        }
    }

    /// Each once, for as long as it stays the same.
    fn say_errors(&mut self, errors: HashMap<usize, String>, edges: &Edges<'_>) {
        for (number, text) in &errors {
            if self.ways.errors.get(number) != Some(text) {
                edges.reporter.say(Report::Warning {
                    instance: Arc::clone(&self.name),
                    what: text.clone(),
                });
            }
        }
        self.dirty |= self.ways.errors != errors;
        self.ways.errors = errors;
    }

    fn failed(&self, what: String, edges: &Edges<'_>) {
        edges.reporter.say(Report::Failed {
            instance: Arc::clone(&self.name),
            what,
        });
    }

    /// While master: puts back what somebody else has removed, and tries what failed.
    pub(crate) fn verify_ways(&mut self, edges: &mut Edges<'_>, now: Instant) {
        if self.role() == Role::Master {
            self.add_ways(edges, now);
        }
    }

    /// What was to be tried again.
    pub(super) fn ways_due(&mut self, edges: &mut Edges<'_>, now: Instant) {
        if self.ways.retry_at.is_some_and(|at| at <= now) {
            self.ways.retry_at = None;
            self.verify_ways(edges, now);
        }
    }

    /// Takes all of them away, the last one first. Why some are still there, if so.
    pub(super) fn remove_ways(&mut self, edges: &mut Edges<'_>) -> Option<String> {
        self.ways.retry_at = None;
        self.ways.errors.clear();
        let placed = std::mem::take(&mut self.ways.placed);
        self.remove_these(placed, edges)
    }

    /// Lets go of what the coming configuration no longer has.
    pub(crate) fn drop_ways(&mut self, coming: &Config, edges: &mut Edges<'_>) {
        if coming.routes == self.config.routes && coming.rules == self.config.rules {
            return;
        }
        let stays: HashSet<Way> = ways_of(coming, edges.links).into_iter().collect();
        let placed = std::mem::take(&mut self.ways.placed);
        let (kept, dropped) = placed.into_iter().partition(|way| stays.contains(way));
        self.ways.placed = kept;
        // The numbers are the coming configuration's from here on.
        self.ways.errors.clear();
        if let Some(what) = self.remove_these(dropped, edges) {
            self.failed(what, edges);
        }
    }

    fn remove_these(&mut self, mut ways: Vec<Way>, edges: &mut Edges<'_>) -> Option<String> {
        if ways.is_empty() {
            return None;
        }
        ways.reverse();
        let outcomes = match edges.ways.remove(&ways) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                ways.reverse();
                self.ways.placed.extend(ways);
                return Some(error.to_string());
            }
        };
        let mut failure = None;
        for (way, outcome) in ways.into_iter().zip(outcomes).rev() {
            if let Err(error) = outcome {
                failure = Some(error.to_string());
                self.ways.placed.push(way);
            }
        }
        failure
    }

    /// What an earlier life left of ours, when we do not carry on from it.
    pub(super) fn clear_left_ways(&self, edges: &mut Edges<'_>) {
        let ways = ways_of(&self.config, edges.links);
        if ways.is_empty() {
            return;
        }
        let ways: Vec<Way> = ways.into_iter().rev().collect();
        let Ok(outcomes) = edges.ways.remove(&ways) else {
            return;
        };
        for (way, outcome) in ways.iter().zip(outcomes) {
            if outcome == Ok(Outcome::Done) {
                edges.reporter.say(Report::Said {
                    instance: Arc::clone(&self.name),
                    what: format!("removed {way}, left behind by an earlier run"),
                });
            }
        }
    }
}
