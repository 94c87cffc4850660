//! Routes and rules of all instances: which the configuration means, what an earlier agent left of them,
//! and what somebody else took away.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use ha_common::units::Instant;

use super::report::Report;
use super::{Driver, edges};
use crate::config::model::Instance as Config;
use crate::config::virtual_route::{RouteKind, VirtualRoute};
use crate::config::virtual_rule::VirtualRule;
use crate::net::address::Outcome;
use crate::net::links::LinkTable;
use crate::net::way::{Route, Way};

/// A configured way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'c> {
    /// Of `routes`.
    Route(&'c VirtualRoute),
    /// Of `rules`.
    Rule(&'c VirtualRule),
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

/// The configured ways in the order in which they are added: a rule needs its table filled first.
pub(crate) fn entries(config: &Config) -> impl Iterator<Item = Entry<'_>> {
    let routes = config.routes.iter().map(Entry::Route);
    routes.chain(config.rules.iter().map(Entry::Rule))
}

impl Entry<'_> {
    /// As the kernel is to have it; the name of the interface if there is none of it.
    pub(crate) fn placed(&self, config: &Config, links: &LinkTable) -> Result<Way, String> {
        let route = match self {
            Self::Route(route) => *route,
            Self::Rule(rule) => return Ok(Way::Rule((*rule).clone())),
        };
        let name = route.dev.as_ref().unwrap_or(&config.interface);
        match (links.by_name(name), route.kind) {
            (Some(link), _) => Ok(Way::Route(Route::of(route, link.index))),
            (None, RouteKind::Unicast) => Err(name.clone()),
            (None, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit) => {
                Ok(Way::Route(Route::of(route, 0)))
            }
        }
    }
}

/// All of them that can be.
pub(crate) fn ways_of(config: &Config, links: &LinkTable) -> Vec<Way> {
    entries(config)
        .filter_map(|entry| entry.placed(config, links).ok())
        .collect()
}

impl Driver {
    /// Removes the ways that an earlier agent left and that no instance has now.
    pub(super) fn clear_left_ways(&mut self) {
        let found = match self.ways.list() {
            Ok(found) => found,
            Err(error) => {
                return self.reporter.say(Report::Failed {
                    instance: Arc::from("routes and rules of an earlier run"),
                    what: error.to_string(),
                });
            }
        };
        let wanted: HashSet<Way> = self
            .instances
            .iter()
            .flat_map(|instance| ways_of(&instance.config, &self.links))
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
        let Ok(outcomes) = self.ways.remove(&left) else {
            return;
        };
        for (way, outcome) in left.iter().zip(outcomes) {
            if outcome == Ok(Outcome::Done) {
                self.reporter.say(Report::Said {
                    instance: Arc::from("an instance that is no longer configured"),
                    what: format!("removed {way}, left behind by an earlier run"),
                });
            }
        }
    }

    /// Somebody removed some, perhaps ours.
    pub(super) fn verify_ways(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.verify_ways(&mut edges!(self), now);
        }
    }
}
