//! What the addresses of one instance must be to each other, and which are hardly meant.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Family;
use ipnet::IpNet;

use crate::config::diagnostics::Report;
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::read::{At, RawInstance, family};

/// RFC 9568 section 5.2.9 (family); of its (link-local) we only warn.
pub(super) fn check(report: &Report<'_>, raw: &RawInstance) {
    let Some(first) = raw.owned.addresses.first() else {
        return;
    };
    let first_family = family(&first.get_ref().net);
    let mut seen = HashSet::new();
    for at in &raw.owned.addresses {
        let net = &at.get_ref().net;
        if family(net) != first_family {
            let message = format!(
                "all `addresses` of an instance must be of one family, and the first is {}; \
                 give the other family an instance of its own (the same vrid is fine)",
                first.get_ref()
            );
            report.error(&at.span(), message);
        } else if !seen.insert(net.addr()) {
            let message = format!("{} is in this list already", net.addr());
            report.error(&at.span(), message);
        } else {
            warnings(report, at);
        }
    }
    excluded(report, raw, &mut seen);
    if first_family == Family::V6 && !is_link_local(first.get_ref().addr()) {
        let message = "the first IPv6 address should be link-local (fe80::...): RFC 9568 \
                       section 5.2.9 wants it, and strict peers discard adverts without it";
        report.warn(&first.span(), message);
    }
}

/// They may be of either family, but no address can be on an interface twice.
fn excluded(report: &Report<'_>, raw: &RawInstance, seen: &mut HashSet<IpAddr>) {
    for at in &raw.owned.excluded {
        let address = at.get_ref().addr();
        if seen.insert(address) {
            warnings(report, at);
        } else {
            let message = format!("{address} is in `addresses` or `excluded` already");
            report.error(&at.span(), message);
        }
    }
}

fn warnings(report: &Report<'_>, at: &At<VirtualAddress>) {
    let VirtualAddress { net, form } = at.get_ref();
    // With a peer the prefix length is the other end's.
    if form.peer.is_none()
        && let Some(what) = doubtful(net)
    {
        let message = format!("{net} is {what}; was another address or length meant?");
        report.warn(&at.span(), message);
    }
}

/// True for the two ranges whose addresses mean something only on one link.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Why an address is most likely not meant to be one host's, with its prefix.
pub(crate) fn doubtful(net: &IpNet) -> Option<&'static str> {
    let IpNet::V4(v4) = net else {
        return None;
    };
    match v4 {
        _ if v4.prefix_len() >= 31 => None,
        _ if v4.addr() == v4.network() => Some("the address of the network itself"),
        _ if v4.addr() == v4.broadcast() => Some("the broadcast address of its network"),
        _ => None,
    }
}
