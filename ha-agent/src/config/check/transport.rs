//! What the keys of the transport must be to each other and to the addresses.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Family;

use super::addresses::is_link_local;
use crate::config::diagnostics::Report;
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::read::{At, RawInstance, family_of};

/// Reports what does not go together.
pub(super) fn check(report: &Report<'_>, raw: &RawInstance) {
    let Some(family) = raw.owned.family else {
        return;
    };
    let source = raw.transport.source();
    if let Some(source) = source {
        check_source(report, raw, source, family);
    }
    check_peers(report, raw, source, family);
    if let Some(group) = raw.transport.group() {
        check_group(report, group, family);
    }
}

fn check_source(report: &Report<'_>, raw: &RawInstance, source: &At<IpAddr>, family: Family) {
    let address = *source.get_ref();
    let is_owner = raw
        .priority
        .as_ref()
        .is_some_and(|it| it.get_ref().is_owner());
    let is_in = |list: &[At<VirtualAddress>]| {
        let mut all = list.iter().map(|at| at.get_ref().addr());
        all.any(|held| held == address)
    };
    // An owner has its `addresses` always.
    let moves = is_in(&raw.owned.addresses) && !is_owner || is_in(&raw.owned.excluded);
    if family_of(address) != family {
        report.error(&source.span(), other_family("source", address, family));
    } else if moves {
        let message = format!(
            "`source` must be an address that stays on this host, and {address} is one of the \
                 virtual `addresses`"
        );
        report.error(&source.span(), message);
    } else if family == Family::V6 && raw.transport.is_multicast() && !is_link_local(address) {
        // RFC 9568 section 5.1.2.1.
        let message = "`source` should be link-local (fe80::...): that is where multicast \
                           adverts over IPv6 come from, and strict peers discard others";
        report.warn(&source.span(), message);
    }
}

fn check_peers(
    report: &Report<'_>,
    raw: &RawInstance,
    source: Option<&At<IpAddr>>,
    family: Family,
) {
    let peers = &raw.transport.peers;
    let mut seen = HashSet::new();
    let first = peers.first().map(|peer| peer.get_ref().address);
    for at in peers {
        let address = at.get_ref().address;
        if family_of(address) != family {
            report.error(
                &at.span(),
                other_family("an entry of `peers`", address, family),
            );
        } else if !seen.insert(address) {
            report.error(&at.span(), format!("{address} is in this list already"));
        } else if source.is_some_and(|source| *source.get_ref() == address) {
            let message = format!("{address} is this host's own `source`, not a peer");
            report.error(&at.span(), message);
        } else if first.is_some_and(|first| !same_reach(first, address)) {
            let message = "`peers` over IPv6 must be all link-local (fe80::...) or none: one \
                               `source` reaches them all";
            report.error(&at.span(), message);
        }
    }
    if let (Some(source), Some(first)) = (source, first)
        && family_of(first) == family
        && family_of(*source.get_ref()) == family
        && !same_reach(first, *source.get_ref())
    {
        let message = "`source` must be link-local (fe80::...) if the `peers` are, and only then";
        report.error(&source.span(), message);
    }
}

/// IPv4 has link-local addresses too, but there they reach what the others reach.
fn same_reach(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() || is_link_local(one) == is_link_local(other)
}

fn check_group(report: &Report<'_>, group: &At<IpAddr>, family: Family) {
    let address = *group.get_ref();
    if family_of(address) != family {
        report.error(&group.span(), other_family("group", address, family));
    }
}

fn other_family(what: &str, found: IpAddr, family: Family) -> String {
    let name = match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let what = if what.contains(' ') {
        what.to_owned()
    } else {
        format!("`{what}`")
    };
    format!("{what} must be an {name} address, as the `addresses` are, not {found}")
}
