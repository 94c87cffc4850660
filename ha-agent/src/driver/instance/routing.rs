//! The routes and rules of a master: added after the addresses, removed before them, and put back when
//! somebody else removes them.
//!
//! One that cannot be added is reported and tried again, and the instance stays master: an address that
//! answers on its own network is better than none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};

use super::Instance;
use super::placed_routing::{called, placed_entries};
use crate::config::model::Instance as Config;
use crate::driver::configured_routing::{entries, ways_of};
use crate::driver::system::System;
use crate::net::address::Outcome;
use crate::net::way::Way;
use crate::router::notice::Notice;

/// How soon what could not be added is tried again.
const RETRY: Nanos = Nanos::from_millis(1_000);

impl Instance {
    /// Sees to it that all of them are there. What is there already is no news to the kernel, so that this
    /// also finds out what somebody has removed.
    pub(super) fn add_ways(&mut self, system: &mut System, now: Instant) {
        self.ways.retry_at = None;
        if self.port.is_none() {
            return;
        }
        let config = Arc::clone(self.config());
        let (wanted, mut errors) = placed_entries(&config, &system.links);
        if wanted.is_empty() && errors.is_empty() {
            return;
        }
        let (numbers, ways): (Vec<usize>, Vec<Way>) = wanted.into_iter().unzip();
        self.leave_tables(&ways, system);
        let outcomes = match system.ways.add(&ways) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Those that are there will be found to be there, or removed by what they are.
                self.ways.keep(ways);
                self.ways.retry_at = Some(now + RETRY);
                return self.failed(error.to_string(), system);
            }
        };
        let before: HashSet<Way> = std::mem::take(&mut self.ways.placed).into_iter().collect();
        let mut was_there = Vec::new();
        for ((way, number), outcome) in ways.into_iter().zip(numbers).zip(outcomes) {
            let was_placed = before.contains(&way) || self.ways.missing.contains(&way);
            match outcome {
                Ok(Outcome::Done) if was_placed => self.say_restored(&config, number, system),
                Ok(Outcome::Already) if !was_placed => was_there.push((number, way.clone())),
                Ok(Outcome::Done | Outcome::Already) => {}
                Err(_) if before.contains(&way) => {
                    self.ways.missing.insert(way);
                    continue;
                }
                Err(error) => {
                    errors.insert(number, called(error, &config, number));
                    continue;
                }
            }
            self.ways.missing.remove(&way);
            self.ways.placed.push(way);
        }
        // One whose interface has another name now is there still, and ours to remove.
        self.ways.keep(before);
        if !(errors.is_empty() && self.ways.missing.is_empty()) {
            self.ways.retry_at = Some(now + RETRY);
        }
        self.tell_foreign_ways(&config, &was_there, &mut errors, system);
        self.say_errors(errors, system);
    }

    /// Takes routes away from the table of a VRF that their interface is not in any more, or from the main one if
    /// it is in a VRF now; `wanted` has them where they belong.
    fn leave_tables(&mut self, wanted: &[Way], system: &mut System) {
        let is_moved = |placed: &Way| match placed {
            Way::Route(placed) => wanted
                .iter()
                .any(|way| matches!(way, Way::Route(way) if placed.is_moved(way))),
            Way::Rule(_) => false,
        };
        let placed = std::mem::take(&mut self.ways.placed);
        let (moved, kept): (Vec<Way>, Vec<Way>) = placed.into_iter().partition(is_moved);
        self.ways.placed = kept;
        if let Some(what) = self.remove_these(moved, system) {
            self.failed(what, system);
        }
    }

    /// Of ways that were there when we came to add them, those that no agent added: they stay when we leave.
    fn tell_foreign_ways(
        &mut self,
        config: &Config,
        was_there: &[(usize, Way)],
        errors: &mut HashMap<usize, String>,
        system: &mut System,
    ) {
        if was_there.is_empty() {
            return;
        }
        let Ok(ours) = system.ways.list() else { return };
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

    fn say_restored(&mut self, config: &Config, number: usize, system: &System) {
        self.dirty = true;
        self.ways.restored += 1;
        if let Some(entry) = entries(config).nth(number) {
            self.say(
                Notice::Warning(format!("somebody removed {entry}; it is back")),
                system,
            );
        }
    }

    /// Each once, for as long as it stays the same.
    fn say_errors(&mut self, errors: HashMap<usize, String>, system: &System) {
        for (number, text) in &errors {
            if self.ways.errors.get(number) != Some(text) {
                self.say(Notice::Warning(text.clone()), system);
            }
        }
        self.dirty |= self.ways.errors != errors;
        self.ways.errors = errors;
    }

    fn failed(&self, what: String, system: &System) {
        self.say(Notice::Failed(what), system);
    }

    /// While master: puts back what somebody else has removed, and tries what failed.
    pub(crate) fn verify_ways(&mut self, system: &mut System, now: Instant) {
        if self.role() == Role::Master {
            self.add_ways(system, now);
        }
    }

    /// What was to be tried again.
    pub(super) fn ways_due(&mut self, system: &mut System, now: Instant) {
        if self.ways.retry_at.is_some_and(|at| at <= now) {
            self.ways.retry_at = None;
            self.verify_ways(system, now);
        }
    }

    /// Takes all of them away, the last one first. Why some are still there, if so.
    pub(super) fn remove_ways(&mut self, system: &mut System) -> Option<String> {
        self.ways.forget_troubles();
        let placed = std::mem::take(&mut self.ways.placed);
        self.remove_these(placed, system)
    }

    /// Lets go of what the coming configuration no longer has.
    pub(crate) fn drop_ways(&mut self, coming: &Config, system: &mut System) {
        if coming.routes == self.config().routes && coming.rules == self.config().rules {
            return;
        }
        let stays: HashSet<Way> = ways_of(coming, &system.links).into_iter().collect();
        let placed = std::mem::take(&mut self.ways.placed);
        let (kept, dropped) = placed.into_iter().partition(|way| stays.contains(way));
        self.ways.placed = kept;
        // The numbers are the coming configuration's from here on.
        self.ways.forget_troubles();
        if let Some(what) = self.remove_these(dropped, system) {
            self.failed(what, system);
        }
    }

    fn remove_these(&mut self, mut ways: Vec<Way>, system: &mut System) -> Option<String> {
        if ways.is_empty() {
            return None;
        }
        ways.reverse();
        let outcomes = match system.ways.remove(&ways) {
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
    pub(super) fn clear_left_ways(&self, system: &mut System) {
        let ways = ways_of(self.config(), &system.links);
        if ways.is_empty() {
            return;
        }
        let ways: Vec<Way> = ways.into_iter().rev().collect();
        let Ok(outcomes) = system.ways.remove(&ways) else {
            return;
        };
        for (way, outcome) in ways.iter().zip(outcomes) {
            if outcome == Ok(Outcome::Done) {
                self.say(
                    Notice::Info(format!("removed {way}, left behind by an earlier run")),
                    system,
                );
            }
        }
    }
}
