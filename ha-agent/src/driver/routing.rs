//! Routes and rules of all instances: what an earlier agent left of them, and what somebody else took away.

use std::collections::HashSet;

use ha_common::units::Instant;

use super::configured_routing::routing_of;
use super::thread::Driver;
use crate::net::address::Outcome;
use crate::net::routing::RoutingEntry;
use crate::router::notice::Notice;

impl Driver {
    /// Removes the routes and rules that an earlier agent left and that no instance has now.
    pub(super) fn clear_left_routing(&mut self) {
        let found = match self.system.routing.list() {
            Ok(found) => found,
            Err(error) => {
                return self.system.reporter.say_of(
                    "routes and rules of an earlier run",
                    Notice::Failed(error.to_string()),
                );
            }
        };
        let wanted: HashSet<RoutingEntry> = self
            .instances
            .iter()
            .flat_map(|instance| routing_of(instance.config(), &self.system.links))
            .collect();
        // A rule goes before the table that it leads to.
        let mut left: Vec<RoutingEntry> = found
            .into_iter()
            .filter(|way| !wanted.contains(way))
            .collect();
        left.sort_by_key(|way| matches!(way, RoutingEntry::Route(_)));
        if left.is_empty() {
            return;
        }
        let Ok(outcomes) = self.system.routing.remove(&left) else {
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
    pub(super) fn verify_routing(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.verify_routing(&mut self.system, now);
        }
    }
}
