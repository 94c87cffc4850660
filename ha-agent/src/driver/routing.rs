//! Routes and rules of all instances: what an earlier agent left of them, and what somebody else took away.

use std::collections::HashSet;

use ha_common::units::Instant;

use super::configured_routing::ways_of;
use super::thread::Driver;
use crate::net::address::Outcome;
use crate::net::way::Way;
use crate::router::notice::Notice;

impl Driver {
    /// Removes the ways that an earlier agent left and that no instance has now.
    pub(super) fn clear_left_ways(&mut self) {
        let found = match self.system.ways.list() {
            Ok(found) => found,
            Err(error) => {
                return self.system.reporter.say_of(
                    "routes and rules of an earlier run",
                    Notice::Failed(error.to_string()),
                );
            }
        };
        let wanted: HashSet<Way> = self
            .instances
            .iter()
            .flat_map(|instance| ways_of(instance.config(), &self.system.links))
            .collect();
        // A rule goes before the table that it leads to.
        let mut left: Vec<Way> = found
            .into_iter()
            .filter(|way| !wanted.contains(way))
            .collect();
        left.sort_by_key(|way| matches!(way, Way::Route(_)));
        if left.is_empty() {
            return;
        }
        let Ok(outcomes) = self.system.ways.remove(&left) else {
            return;
        };
        for (way, outcome) in left.iter().zip(outcomes) {
            if outcome == Ok(Outcome::Done) {
                self.system.reporter.say_of(
                    "an instance that is no longer configured",
                    Notice::Info(format!("removed {way}, left behind by an earlier run")),
                );
            }
        }
    }

    /// Somebody removed some, perhaps ours.
    pub(super) fn verify_ways(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.verify_ways(&mut self.system, now);
        }
    }
}
