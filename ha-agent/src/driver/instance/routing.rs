//! The routes and rules of a master: added after the addresses, removed before them, and put back when
//! somebody else removes them.
//!
//! One that cannot be added is reported and tried again, and the instance stays master: an address that
//! answers on its own network is better than none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ha_common::units::Instant;

use super::Instance;
use crate::config::model::Instance as Config;
use crate::driver::system::System;
use crate::net::address::Outcome;
use crate::net::routing::RoutingEntry;
use crate::reconcile::configured_routing::{entries, routing_of};
use crate::reconcile::placed_routing::{called, placed_entries};
use crate::router::Wanted;
use crate::router::notice::Notice;

impl Instance {
    /// Sees to it that all of them are there. What is there already is no news to the kernel, so that this
    /// also finds out what somebody has removed.
    pub(super) fn add_routing(&mut self, system: &mut System, now: Instant) {
        if self.port.is_none() {
            return;
        }
        let config = Arc::clone(self.config());
        let (wanted, mut errors) = placed_entries(&config, &system.links);
        if wanted.is_empty() && errors.is_empty() {
            return;
        }
        let (numbers, routing): (Vec<usize>, Vec<RoutingEntry>) = wanted.into_iter().unzip();
        self.leave_tables(&routing, system);
        let outcomes = match system.routing.add(&routing) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Those that are there will be found to be there, or removed by what they are.
                self.routing.keep(routing);
                self.routing.retry.failed(now);
                return self.failed(error.to_string(), system);
            }
        };
        let before: HashSet<RoutingEntry> = std::mem::take(&mut self.routing.placed)
            .into_iter()
            .collect();
        let mut was_there = Vec::new();
        for ((way, number), outcome) in routing.into_iter().zip(numbers).zip(outcomes) {
            let was_placed = before.contains(&way) || self.routing.missing.contains(&way);
            match outcome {
                Ok(Outcome::Done) if was_placed => self.say_restored(&config, number, system),
                Ok(Outcome::Already) if !was_placed => was_there.push((number, way.clone())),
                Ok(Outcome::Done | Outcome::Already) => {}
                Err(_) if before.contains(&way) => {
                    self.routing.missing.insert(way);
                    continue;
                }
                Err(error) => {
                    errors.insert(number, called(error, &config, number));
                    continue;
                }
            }
            self.routing.missing.remove(&way);
            self.routing.placed.push(way);
        }
        // One whose interface has another name now is there still, and ours to remove.
        self.routing.keep(before);
        if errors.is_empty() && self.routing.missing.is_empty() {
            self.routing.retry.clear();
        } else if self
            .routing
            .retry
            .next_deadline()
            .is_none_or(|at| at <= now)
        {
            self.routing.retry.failed(now);
        }
        self.tell_foreign_routing(&config, &was_there, &mut errors, system);
        self.say_errors(errors, system);
    }

    /// Takes routes away from the table of a VRF that their interface is not in any more, or from the main one if
    /// it is in a VRF now; `wanted` has them where they belong.
    fn leave_tables(&mut self, wanted: &[RoutingEntry], system: &mut System) {
        let is_moved = |placed: &RoutingEntry| match placed {
            RoutingEntry::Route(placed) => wanted
                .iter()
                .any(|way| matches!(way, RoutingEntry::Route(way) if placed.is_moved(way))),
            RoutingEntry::Rule(_) => false,
        };
        let placed = std::mem::take(&mut self.routing.placed);
        let (moved, kept): (Vec<RoutingEntry>, Vec<RoutingEntry>) =
            placed.into_iter().partition(is_moved);
        self.routing.placed = kept;
        if let Some(what) = self.remove_these(moved, system) {
            self.failed(what, system);
        }
    }

    /// Of routes and rules that were there when we came to add them, those that no agent added: they stay when we leave.
    fn tell_foreign_routing(
        &mut self,
        config: &Config,
        was_there: &[(usize, RoutingEntry)],
        errors: &mut HashMap<usize, String>,
        system: &mut System,
    ) {
        if was_there.is_empty() {
            return;
        }
        let Ok(ours) = system.routing.list() else {
            return;
        };
        for (number, way) in was_there {
            if ours.iter().any(|own| own.is_in_place_of(way)) {
                continue;
            }
            self.routing.placed.retain(|placed| placed != way);
            if let Some(entry) = entries(config).nth(*number) {
                let text = format!(
                    "{entry}, or another one to the same destination, already existed; it is left alone and \
                     will remain when this host is not master: remove it from the host's network configuration"
                );
                errors.insert(*number, text);
            }
        }
    }

    fn say_restored(&mut self, config: &Config, number: usize, system: &System) {
        self.dirty = true;
        self.routing.restored += 1;
        if let Some(entry) = entries(config).nth(number) {
            self.say(
                Notice::Warning(format!(
                    "restored {entry}, which something else had removed"
                )),
                system,
            );
        }
    }

    /// Each once, for as long as it stays the same.
    fn say_errors(&mut self, errors: HashMap<usize, String>, system: &System) {
        for (number, text) in &errors {
            if self.routing.errors.get(number) != Some(text) {
                self.say(Notice::Warning(text.clone()), system);
            }
        }
        self.dirty |= self.routing.errors != errors;
        self.routing.errors = errors;
    }

    fn failed(&self, what: String, system: &System) {
        self.say(Notice::Failed(what), system);
    }

    /// While master: puts back what somebody else has removed, and tries what failed.
    pub(crate) fn verify_routing(&mut self, system: &mut System, now: Instant) {
        if self.router.wanted() == Wanted::Everything {
            self.add_routing(system, now);
        }
    }

    /// What was to be tried again.
    pub(super) fn routing_due(&mut self, system: &mut System, now: Instant) {
        if self.router.wanted() == Wanted::Everything {
            return self.add_routing(system, now);
        }
        if let Some(what) = self.remove_routing(system, now) {
            self.failed(what, system);
        }
    }

    /// Takes all of them away, the last one first. Why some are still there, if so.
    pub(super) fn remove_routing(&mut self, system: &mut System, now: Instant) -> Option<String> {
        self.routing.give_up();
        let placed = std::mem::take(&mut self.routing.placed);
        let failure = self.remove_these(placed, system);
        if failure.is_some() {
            self.routing.retry.failed(now);
        } else {
            self.routing.retry.clear();
        }
        failure
    }

    /// Lets go of what the coming configuration no longer has.
    pub(crate) fn drop_routing(&mut self, coming: &Config, system: &mut System) {
        if coming.routes == self.config().routes && coming.rules == self.config().rules {
            return;
        }
        let stays: HashSet<RoutingEntry> = routing_of(coming, &system.links).into_iter().collect();
        let placed = std::mem::take(&mut self.routing.placed);
        let (kept, dropped) = placed.into_iter().partition(|way| stays.contains(way));
        self.routing.placed = kept;
        // The numbers are the coming configuration's from here on.
        self.routing.forget_troubles();
        if let Some(what) = self.remove_these(dropped, system) {
            self.failed(what, system);
        }
    }

    fn remove_these(
        &mut self,
        mut routing: Vec<RoutingEntry>,
        system: &mut System,
    ) -> Option<String> {
        if routing.is_empty() {
            return None;
        }
        routing.reverse();
        let outcomes = match system.routing.remove(&routing) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                routing.reverse();
                self.routing.placed.extend(routing);
                return Some(error.to_string());
            }
        };
        let mut failure = None;
        for (way, outcome) in routing.into_iter().zip(outcomes).rev() {
            if let Err(error) = outcome {
                failure = Some(error.to_string());
                self.routing.placed.push(way);
            }
        }
        failure
    }

    /// What an earlier life left of ours, when we do not carry on from it.
    pub(super) fn clear_left_routing(&self, system: &mut System) {
        let routing = routing_of(self.config(), &system.links);
        if routing.is_empty() {
            return;
        }
        let routing: Vec<RoutingEntry> = routing.into_iter().rev().collect();
        let Ok(outcomes) = system.routing.remove(&routing) else {
            return;
        };
        for (way, outcome) in routing.iter().zip(outcomes) {
            if outcome == Ok(Outcome::Done) {
                self.say(
                    Notice::Info(format!("removed {way}, left behind by an earlier run")),
                    system,
                );
            }
        }
    }
}
