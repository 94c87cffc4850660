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
            return self.routing.settle(now);
        }
        let config = Arc::clone(self.config());
        let (wanted, mut errors) = placed_entries(&config, &system.links);
        let (numbers, routing): (Vec<usize>, Vec<RoutingEntry>) = wanted.into_iter().unzip();
        self.routing.leave_tables(&routing);
        self.remove_leaving(&HashSet::new(), system);
        if routing.is_empty() && errors.is_empty() {
            return self.routing.settle(now);
        }
        let outcomes = match system.routing.add(&routing) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Those that are there will be found to be there, or removed by what they are.
                self.routing.keep(routing);
                let error = error.to_string();
                errors.extend(numbers.into_iter().map(|number| (number, error.clone())));
                self.dirty = true;
                self.routing.errors = errors;
                self.routing.settle(now);
                return self.failed(error, system);
            }
        };
        let before: HashSet<RoutingEntry> = std::mem::take(&mut self.routing.placed)
            .into_iter()
            .collect();
        let mut was_there = Vec::new();
        for ((way, number), outcome) in routing.into_iter().zip(numbers).zip(outcomes) {
            let was_placed = before.contains(&way) || self.routing.missing.contains_key(&way);
            match outcome {
                Ok(Outcome::Already) if self.routing.is_kept_out(&way) => {
                    let text = "the one that it replaces cannot be removed".to_owned();
                    errors.insert(number, text);
                    continue;
                }
                Ok(Outcome::Done) if was_placed => self.say_restored(&config, number, system),
                Ok(Outcome::Already) if !was_placed => was_there.push((number, way.clone())),
                Ok(Outcome::Done | Outcome::Already) => {}
                Err(error) if before.contains(&way) => {
                    let why = called(error, &config, number);
                    self.routing.missing.insert(way, why);
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
        self.tell_foreign_routing(&config, &was_there, &mut errors, system);
        self.say_errors(errors, system);
        self.routing.settle(now);
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
            self.add_routing(system, now);
        } else {
            self.remove_routing(system, now);
        }
    }

    /// Takes all of them away, the last one first: what is there by our doing, and what an earlier life may have left.
    /// The kernel removes nothing that is not ours.
    pub(super) fn remove_routing(&mut self, system: &mut System, now: Instant) {
        let configured = routing_of(self.config(), &system.links);
        let unknown = self.unknown(&configured);
        self.routing.give_up(configured);
        self.remove_leaving(&unknown, system);
        self.routing.settle(now);
    }

    /// Lets go of what the coming configuration no longer has.
    pub(crate) fn drop_routing(&mut self, coming: &Config, system: &mut System, now: Instant) {
        if coming.routes == self.config().routes && coming.rules == self.config().rules {
            return;
        }
        let stays: HashSet<RoutingEntry> = routing_of(coming, &system.links).into_iter().collect();
        // One that was refused may be there all the same, of an earlier life.
        let doubtful = routing_of(self.config(), &system.links);
        let doubtful: Vec<_> = doubtful
            .into_iter()
            .filter(|way| !stays.contains(way))
            .collect();
        let unknown = self.unknown(&doubtful);
        self.routing.keep_only(&stays, doubtful);
        // The numbers are the coming configuration's from here on.
        self.routing.errors.clear();
        self.remove_leaving(&unknown, system);
        self.routing.settle(now);
    }

    /// Those of these that this life has nothing to do with.
    fn unknown(&self, routing: &[RoutingEntry]) -> HashSet<RoutingEntry> {
        let known: HashSet<&RoutingEntry> = self.routing.known().collect();
        let routing = routing.iter().filter(|way| !known.contains(way));
        routing.cloned().collect()
    }

    /// Removes what is to go, and tells of what was there though nobody knew.
    fn remove_leaving(&mut self, unknown: &HashSet<RoutingEntry>, system: &mut System) {
        let leaving = self.routing.leaving();
        if leaving.is_empty() {
            return;
        }
        let outcomes = system.routing.remove(leaving);
        let (gone, failure) = self.routing.removed(outcomes);
        self.dirty = true;
        for way in gone.iter().filter(|way| unknown.contains(way)) {
            let text = format!("removed {way}, left behind by an earlier run");
            self.say(Notice::Info(text), system);
        }
        if let Some(what) = failure {
            self.failed(what, system);
        }
    }
}
