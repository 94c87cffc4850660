//! Routes and rules as `status` shows them.

use super::host::Host;
use crate::config::model::Instance;
use crate::config::model::virtual_route::{MAIN_TABLE, RouteKind, VirtualRoute};
use crate::driver::published::InstanceStatus;
use crate::net::links::LinkTable;
use crate::net::routing::RoutingEntry;
use crate::reconcile::configured_routing::ConfiguredEntry;
use crate::status::routing::{Route, Rule};

/// Where a route goes: for one that cannot be placed now, where it would by what is written.
fn table(route: &VirtualRoute, config: &Instance, links: &LinkTable) -> u32 {
    match ConfiguredEntry::Route(route).placed(config, links) {
        Ok(RoutingEntry::Route(route)) => route.table,
        Ok(RoutingEntry::Rule(_)) | Err(_) => route.table.unwrap_or(MAIN_TABLE),
    }
}

/// Both lists.
pub(super) fn routing(view: &InstanceStatus, host: &Host) -> (Vec<Route>, Vec<Rule>) {
    let config = &view.config;
    let is_there = |entry: &ConfiguredEntry<'_>| {
        let way = entry.placed(config, &host.links);
        way.is_ok_and(|way| host.routing.contains(&way))
    };
    let error = |number: usize| view.routing_errors.get(&number).cloned();
    let routes = config.routes.iter().enumerate().map(|(number, it)| Route {
        to: it.to,
        kind: it.kind.name().to_owned(),
        via: it.via,
        dev: (it.kind == RouteKind::Unicast)
            .then(|| it.dev.clone().unwrap_or_else(|| config.interface.clone())),
        metric: it.metric,
        table: table(it, config, &host.links),
        source: it.source,
        text: it.to_string(),
        present: is_there(&ConfiguredEntry::Route(it)),
        error: error(number),
    });
    let first = config.routes.len();
    let rules = config.rules.iter().enumerate().map(|(number, it)| Rule {
        from: it.from,
        to: it.to,
        iif: it.iif.clone(),
        fwmark: it.fwmark,
        table: it.table,
        priority: it.priority,
        text: it.to_string(),
        present: is_there(&ConfiguredEntry::Rule(it)),
        error: error(first + number),
    });
    (routes.collect(), rules.collect())
}
