//! What is on the host while `status` is put together, read once so that all of the answer is of one moment.

use std::collections::HashSet;
use std::sync::Arc;

use crate::agent::running::Agent;
use crate::driver::published::{InstanceStatus, PublishedStatus};
use crate::net::links::LinkTable;
use crate::net::routing::{RoutingEntry, RoutingTable};

/// What is on the host.
pub(super) struct Host {
    pub(super) links: Arc<LinkTable>,
    /// Routes and rules of ours.
    pub(super) routing: HashSet<RoutingEntry>,
}

impl Host {
    pub(super) fn read(agent: &Agent, picture: &PublishedStatus) -> Self {
        Self {
            links: agent.links.get(),
            routing: routing(picture),
        }
    }
}

/// Those of ours that the kernel has now. It is asked only if there can be any, and on a socket of its own:
/// the driver's is the driver's.
fn routing(picture: &PublishedStatus) -> HashSet<RoutingEntry> {
    let has_ways =
        |view: &InstanceStatus| !(view.config.routes.is_empty() && view.config.rules.is_empty());
    if !picture.views.iter().any(|view| has_ways(view)) {
        return HashSet::new();
    }
    let found = RoutingTable::open().and_then(|mut book| book.list());
    // A kernel that does not say shows none.
    found.unwrap_or_default().into_iter().collect()
}
