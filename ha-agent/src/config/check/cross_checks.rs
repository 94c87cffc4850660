//! What only shows when the sections are seen together: things that are there twice, or are named
//! and not there.

use crate::suggest::nearest;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

use super::addresses::is_link_local;
use super::{virtual_mac, weights};
use crate::config::diagnostics::Report;
use crate::config::model::Node;
use crate::config::model::virtual_route::VirtualRoute;
use crate::config::model::virtual_rule::VirtualRule;
use crate::config::read::{At, RawCheck, RawInstance, quoted_list, shortened};

/// How many names a message lists.
pub(crate) const MAX_LISTED: usize = 10;
/// How many unknown names are compared with all the known ones, which takes its time.
pub(crate) const MAX_ADVISED: usize = 10;

/// Reports what does not go together.
pub(super) fn check(
    report: &Report<'_>,
    node: Option<&Node>,
    instances: &[RawInstance],
    checks: &[RawCheck],
) {
    let instance_names = instances.iter().filter_map(|i| i.name.as_ref());
    unique_names(report, "instance", instance_names);
    let check_names = checks.iter().filter_map(|c| c.name.as_ref());
    unique_names(report, "check", check_names);
    unique_routers(report, instances);
    unique_addresses(report, instances);
    peers_are_other_hosts(report, instances);
    virtual_mac::check(report, instances);
    unique_routes(report, instances);
    tracked_checks_exist(report, instances, checks);
    checks_are_tracked(report, instances, checks);
    weights::check(report, instances, checks);

    if instances.is_empty() {
        report.error(
            &(0..0),
            "the file has no [[instance]], so there is nothing to keep alive",
        );
    }
    if let Some(node) = node
        && instances.len() > usize::try_from(node.max_slots).unwrap_or(usize::MAX)
    {
        let message = format!(
            "the file has {} instances, and `max_slots` leaves room for {}",
            instances.len(),
            node.max_slots
        );
        report.error(&(0..0), message);
    }
}

pub(crate) fn unique_names<'n>(
    report: &Report<'_>,
    kind: &str,
    names: impl Iterator<Item = &'n At<String>>,
) {
    let mut seen = HashMap::new();
    for name in names {
        if let Some(earlier) = seen.get(name.get_ref()) {
            let message = format!(
                "{kind} `{}` is defined already ({}); names must be unique",
                name.get_ref(),
                report.line(earlier)
            );
            report.error(&name.span(), message);
        } else {
            seen.insert(name.get_ref(), name.span());
        }
    }
}

/// Two routers of one VRID and family on one link would be each other's master.
fn unique_routers(report: &Report<'_>, instances: &[RawInstance]) {
    let mut seen = HashMap::new();
    for raw in instances {
        let (Some(interface), Some(vrid), Some(family)) =
            (&raw.interface, &raw.vrid, raw.owned.family)
        else {
            continue;
        };
        let key = (interface.get_ref(), *vrid.get_ref(), family);
        if let Some(earlier) = seen.get(&key) {
            let message = format!(
                "vrid {} is in use on {} already ({}); give each instance of an interface and \
                 address family its own vrid",
                vrid.get_ref(),
                interface.get_ref(),
                report.line(earlier)
            );
            report.error(&vrid.span(), message);
        } else {
            seen.insert(key, vrid.span());
        }
    }
}

/// A link-local address means something only on its link, and may be there once on each.
fn unique_addresses(report: &Report<'_>, instances: &[RawInstance]) {
    let mut seen: HashMap<(IpAddr, Option<&str>), (usize, _)> = HashMap::new();
    for (index, raw) in instances.iter().enumerate() {
        let interface = raw.interface.as_ref().map(|i| i.get_ref().as_str());
        for at in raw.owned.addresses.iter().chain(&raw.owned.excluded) {
            let ip = at.get_ref().addr();
            let link = if is_link_local(ip) { interface } else { None };
            match seen.get(&(ip, link)) {
                // Twice in one list was reported there.
                Some((owner, _)) if *owner == index => {}
                Some((_, earlier)) => {
                    let message = format!(
                        "{ip} belongs to another instance already ({}); an address moves with \
                         one instance",
                        report.line(earlier)
                    );
                    report.error(&at.span(), message);
                }
                None => {
                    seen.insert((ip, link), (index, at.span()));
                }
            }
        }
    }
}

/// A virtual address comes to this host and goes: adverts to it would come back.
fn peers_are_other_hosts(report: &Report<'_>, instances: &[RawInstance]) {
    let link_of = |raw: &RawInstance, ip| {
        let interface = raw.interface.as_ref().map(|at| at.get_ref().clone());
        interface.filter(|_| is_link_local(ip))
    };
    let virtuals: HashSet<(IpAddr, Option<String>)> = instances
        .iter()
        .flat_map(|raw| {
            let held = raw.owned.addresses.iter().chain(&raw.owned.excluded);
            held.map(move |at| (raw, at))
        })
        .map(|(raw, at)| (at.get_ref().addr(), link_of(raw, at.get_ref().addr())))
        .collect();
    for raw in instances {
        for at in &raw.transport.peers {
            let ip = at.get_ref().address;
            if virtuals.contains(&(ip, link_of(raw, ip))) {
                let message = format!(
                    "an entry of `peers` must be another host's own address, and {ip} is a virtual \
                     address of this file"
                );
                report.error(&at.span(), message);
            }
        }
    }
}

/// The host has one of each, and it goes with the first instance that leaves.
fn unique_routes(report: &Report<'_>, instances: &[RawInstance]) {
    let routes = instances.iter().flat_map(|raw| &raw.owned.routes);
    unique(report, routes, VirtualRoute::key, "this route");
    let rules = instances.iter().flat_map(|raw| &raw.owned.rules);
    unique(report, rules, VirtualRule::key, "this rule");
}

fn tracked_checks_exist(report: &Report<'_>, instances: &[RawInstance], checks: &[RawCheck]) {
    // A check whose name could not be read may be the one that is meant.
    let Some(names) = checks
        .iter()
        .map(|c| c.name.as_ref().map(|n| n.get_ref().as_str()))
        .collect::<Option<Vec<&str>>>()
    else {
        return;
    };
    let known: HashSet<&str> = names.iter().copied().collect();
    let mut advised = 0;
    for at in instances.iter().flat_map(|i| &i.track) {
        let Some(name) = at.get_ref().check_name() else {
            continue;
        };
        if known.contains(name) {
            continue;
        }
        if report.is_full() {
            report.unlisted_error();
            continue;
        }
        advised += 1;
        let near = (advised <= MAX_ADVISED).then(|| nearest(name, names.iter().copied()));
        let advice = match near.flatten() {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "the file has no [[check]]".to_owned(),
            None if names.len() > MAX_LISTED => format!("the file has {} others", names.len()),
            None => format!("the checks are {}", quoted_list(&names)),
        };
        let message = format!("there is no check `{}`; {advice}", shortened(name));
        report.error(&at.span(), message);
    }
}

fn checks_are_tracked(report: &Report<'_>, instances: &[RawInstance], checks: &[RawCheck]) {
    // Where an entry could not be read, it may be the one that tracks the check.
    if !instances.iter().all(|i| i.all_track) {
        return;
    }
    let tracked: HashSet<&str> = instances
        .iter()
        .flat_map(|i| &i.track)
        .filter_map(|at| at.get_ref().check_name())
        .collect();
    for name in checks.iter().filter_map(|c| c.name.as_ref()) {
        if !tracked.contains(name.get_ref().as_str()) {
            let message = format!(
                "no instance tracks check `{0}`, so its failure moves nothing; add \
                 track = [{{ check = \"{0}\" }}]",
                name.get_ref()
            );
            report.warn(&name.span(), message);
        }
    }
}

/// Reports what is there already, in this list or another.
fn unique<'a, K: Eq + Hash, T: 'a>(
    report: &Report<'_>,
    entries: impl Iterator<Item = &'a At<T>>,
    key: impl Fn(&T) -> K,
    what: &str,
) {
    let mut seen = HashMap::new();
    for at in entries {
        match seen.entry(key(at.get_ref())) {
            Entry::Occupied(earlier) => {
                let message = format!("{what} is there already ({})", report.line(earlier.get()));
                report.error(&at.span(), message);
            }
            Entry::Vacant(place) => {
                place.insert(at.span());
            }
        }
    }
}
