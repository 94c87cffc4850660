//! Routes and rules as the configuration means them, for the interfaces that there are.

use std::fmt;

use crate::config::model::Instance as Config;
use crate::config::model::virtual_route::{MAIN_TABLE, RouteKind, VirtualRoute};
use crate::config::model::virtual_rule::VirtualRule;
use crate::net::links::LinkTable;
use crate::net::routing::{Route, RoutingEntry};

/// A configured route or rule.
#[derive(Clone, Copy, Debug)]
pub enum ConfiguredEntry<'c> {
    /// Of `routes`.
    Route(&'c VirtualRoute),
    /// Of `rules`.
    Rule(&'c VirtualRule),
}

impl fmt::Display for ConfiguredEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

/// Configured routes and rules in the order in which they are added: a rule needs its table filled first.
pub fn entries(config: &Config) -> impl Iterator<Item = ConfiguredEntry<'_>> {
    let routes = config.routes.iter().map(ConfiguredEntry::Route);
    routes.chain(config.rules.iter().map(ConfiguredEntry::Rule))
}

impl ConfiguredEntry<'_> {
    /// As the kernel is to have it; the name of the interface if there is none of it.
    pub fn placed(&self, config: &Config, links: &LinkTable) -> Result<RoutingEntry, String> {
        let route = match self {
            Self::Route(route) => *route,
            Self::Rule(rule) => return Ok(RoutingEntry::Rule((*rule).clone())),
        };
        let name = route.dev.as_ref().unwrap_or(&config.interface);
        match (links.by_name(name), route.kind) {
            (Some(link), _) => {
                let table = links.vrf_table(link).unwrap_or(MAIN_TABLE);
                Ok(RoutingEntry::Route(Route::of(route, link.index, table)))
            }
            (None, RouteKind::Unicast) => Err(name.clone()),
            (None, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit) => {
                Ok(RoutingEntry::Route(Route::of(route, 0, MAIN_TABLE)))
            }
        }
    }
}

/// All of them that can be.
pub fn routing_of(config: &Config, links: &LinkTable) -> Vec<RoutingEntry> {
    entries(config)
        .filter_map(|entry| entry.placed(config, links).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use ha_common::units::Family;

    use super::*;
    use crate::config::parse;
    use crate::net::links::tests::{link, table};
    use crate::net::links::{Link, LinkKind};

    /// The tables that the routes of a file go to.
    fn tables(config: &Config, links: &LinkTable) -> Vec<u32> {
        let routing = routing_of(config, links).into_iter();
        routing
            .filter_map(|way| match way {
                RoutingEntry::Route(route) => Some(route.table),
                RoutingEntry::Rule(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_route_goes_to_the_table_of_the_vrf_that_its_interface_is_in_unless_one_is_given() {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
            addresses = [\"10.99.0.100/24\"]\nroutes = [\
            { to = \"default\", via = \"10.99.0.1\" }, \
            { to = \"10.1.0.0/16\", via = \"10.99.0.1\", table = 254 }, \
            { to = \"10.2.0.0/16\", type = \"blackhole\" }, \
            { to = \"10.3.0.0/16\", via = \"10.98.0.1\", dev = \"eth1\" }]\n";
        let config = parse("test.toml", text).unwrap();
        let config = &config.instances[0];
        assert_eq!(config.family, Family::V4);
        let vrf = Link {
            kind: LinkKind::Vrf { table: 10 },
            ..link(9, "red", &[])
        };
        let inside = Link {
            master: Some(9),
            ..link(2, "eth0", &[])
        };
        let other = link(3, "eth1", &[]);
        let in_vrf = table(&[inside, other.clone(), vrf]);
        let outside = table(&[link(2, "eth0", &[]), other]);
        assert_eq!(tables(config, &in_vrf), [10, 254, 10, 254]);
        assert_eq!(tables(config, &outside), [254; 4]);

        // What the interface's move moves.
        let (before, after) = (routing_of(config, &outside), routing_of(config, &in_vrf));
        let moves = before.iter().map(|old| match old {
            RoutingEntry::Route(old) => after
                .iter()
                .any(|new| matches!(new, RoutingEntry::Route(new) if old.is_moved(new))),
            RoutingEntry::Rule(_) => false,
        });
        assert_eq!(moves.collect::<Vec<_>>(), [true, false, true, false]);
    }
}
