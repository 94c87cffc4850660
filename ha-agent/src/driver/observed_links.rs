//! The interfaces that are tracked, as routers are told of them.

use crate::config::model::{Config, Subject};
use crate::net::links::{Link, LinkTable};
use crate::router::tracked::{ObservedLink, ObservedLinks};

/// The interfaces that a configuration tracks, as they are.
pub(crate) fn tracked_links(config: &Config, links: &LinkTable) -> ObservedLinks {
    let tracks = config.instances.iter().flat_map(|instance| &instance.track);
    let names = tracks.filter_map(|track| match &track.subject {
        Subject::Interface { name, .. } => Some(name),
        Subject::Check(_) => None,
    });
    names
        .filter_map(|name| Some((name.clone(), observed(links.by_name(name)?))))
        .collect()
}

fn observed(link: &Link) -> ObservedLink {
    ObservedLink {
        admin_up: link.admin_up,
        oper_up: link.oper_up,
        carrier_changes: link.carrier_changes,
    }
}
