//! Virtual addresses, by themselves or with their form, and those of other hosts.

use std::net::{IpAddr, Ipv4Addr};

use ha_common::units::Family;
use ipnet::IpNet;

use super::table::{At, Field};
use crate::config::model::virtual_address::{Form, Label, Scope, VirtualAddress};

/// What an entry of `addresses` or `excluded` may be.
const ENTRY: &str = "an IP address with a prefix length, such as \"10.99.0.100/24\", or a table, \
                     { address = \"10.99.0.100/24\", ... }";
const ADDRESS: &str = "an IP address with a prefix length, such as \"10.99.0.100/24\"";

/// An address by itself, or a table of it and its form. A label is held against the interface's name.
pub(crate) fn read_entry(
    field: &Field<'_>,
    interface: Option<&At<String>>,
) -> Option<VirtualAddress> {
    if field.is_table() {
        return read_table(field, interface);
    }
    read(field, ENTRY).map(VirtualAddress::from)
}

fn read_table(field: &Field<'_>, interface: Option<&At<String>>) -> Option<VirtualAddress> {
    let mut table = field.table()?;
    let t = &mut table;
    let net = t.required("address", |f| read(f, ADDRESS));
    let net = net.map(At::into_inner);
    let label = t.optional("label", None, |f| {
        only_ipv4(f, net)?;
        read_label(f, interface).map(Some)
    });
    let scope = t.optional("scope", None, |f| {
        only_ipv4(f, net)?;
        f.choice(&SCOPES.map(|scope| (scope.name(), Some(scope))))
    });
    let peer = t.optional("peer", None, |f| read_peer(f, net).map(Some));
    let has_peer = peer.as_ref().is_none_or(|peer| peer.get_ref().is_some());
    let broadcast = t.optional("broadcast", None, |f| {
        only_ipv4(f, net)?;
        if f.text_if_any() == Some("none") {
            return Some(None);
        }
        read_broadcast(f, net, has_peer).map(Some)
    });
    table.finish();
    let (net, peer) = (net?, peer?.into_inner());
    Some(VirtualAddress {
        // The kernel keeps one prefix length, which is the other end's where there is one.
        net: peer.map_or(Some(net), |peer: IpNet| {
            IpNet::new(net.addr(), peer.prefix_len()).ok()
        })?,
        form: Form {
            label: label?.into_inner(),
            scope: scope?.into_inner(),
            broadcast: broadcast?.into_inner(),
            peer: peer.map(|peer| peer.addr()),
        },
    })
}

const SCOPES: [Scope; 4] = [Scope::Global, Scope::Site, Scope::Link, Scope::Host];

fn only_ipv4(field: &Field<'_>, net: Option<IpNet>) -> Option<()> {
    match net {
        Some(IpNet::V6(_)) => field.problem("goes with IPv4 addresses only"),
        Some(IpNet::V4(_)) | None => Some(()),
    }
}

/// The kernel takes any text; old tools look for the interface's name in front.
fn read_label(field: &Field<'_>, interface: Option<&At<String>>) -> Option<Label> {
    let interface = interface.map(|at| at.get_ref().as_str());
    let name = interface.unwrap_or("eth0");
    let expected =
        format!("the interface's name, ':' and a text, such as \"{name}:1\", of at most 15 bytes");
    let text = field.text(&expected)?;
    let rest = match interface {
        Some(interface) => text
            .strip_prefix(interface)
            .and_then(|r| r.strip_prefix(':')),
        None => Some(text),
    };
    let good = |c: char| !c.is_whitespace() && !c.is_control();
    let label = rest
        .filter(|rest| !rest.is_empty() && rest.chars().all(good))
        .and_then(|_| Label::new(text));
    match label {
        Some(label) => Some(label),
        None => field.wrong(expected),
    }
}

fn read_peer(field: &Field<'_>, net: Option<IpNet>) -> Option<IpNet> {
    let peer = read(
        field,
        "the other end's IP address, such as \"10.99.0.2/32\"",
    )?;
    let Some(net) = net else { return Some(peer) };
    if family(&peer) != family(&net) {
        return field.problem(format_args!("must be of the family of {}", net.addr()));
    }
    if peer.addr() == net.addr() {
        return field.problem("must be another address than `address`");
    }
    let is_whole = net.prefix_len() == net.max_prefix_len();
    if !is_whole && net.prefix_len() != peer.prefix_len() {
        let message = format!(
            "the prefix length of `peer` counts, /{}; the one of `address` is ignored",
            peer.prefix_len()
        );
        field.report.warn(&field.span(), message);
    }
    Some(peer)
}

fn read_broadcast(field: &Field<'_>, net: Option<IpNet>, has_peer: bool) -> Option<Ipv4Addr> {
    let expected = "\"none\", \"auto\" or an IPv4 address such as \"10.99.0.255\"";
    match field.text(expected)? {
        "auto" if has_peer => field
            .problem("cannot be \"auto\" with a `peer`: the network of the address is not known"),
        "auto" => match net {
            Some(IpNet::V4(net)) if net.prefix_len() > 30 => field.problem(format_args!(
                "cannot be \"auto\": a network of prefix length {} has no broadcast address",
                net.prefix_len()
            )),
            Some(IpNet::V4(net)) => Some(net.broadcast()),
            // It was reported already.
            Some(IpNet::V6(_)) | None => None,
        },
        text => match text.parse::<Ipv4Addr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => Some(address),
            _ => field.wrong(expected),
        },
    }
}

/// An address with an optional prefix length.
pub(crate) fn read(field: &Field<'_>, expected: &str) -> Option<IpNet> {
    let text = field.text(expected)?;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if address.contains('%') {
        return field.problem("must be written without a zone: `interface` says where it is");
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        return field.wrong(expected);
    };
    if let Some(kind) = unusable(address) {
        return field.problem(format_args!(
            "must be an address that one host can have; {address} is {kind}"
        ));
    }
    let Some(length) = length else {
        return Some(IpNet::from(address));
    };
    let most = IpNet::from(address).max_prefix_len();
    // A prefix of 0 would make the interface the way to everywhere.
    let length = length.parse().ok().filter(|l| (1..=most).contains(l));
    match length.and_then(|length| IpNet::new(address, length).ok()) {
        Some(net) => Some(net),
        None => field.wrong(format_args!(
            "an address with a prefix length from 1 to {most} after '/'"
        )),
    }
}

/// An address that one host can have, without a prefix length; `expected` says what is.
pub(crate) fn read_host(field: &Field<'_>, expected: &str) -> Option<IpAddr> {
    let text = field.text(expected)?;
    if text.contains('%') {
        return field.problem("must be written without a zone: `interface` says where it is");
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return field.wrong(expected);
    };
    if let Some(kind) = unusable(address) {
        return field.problem(format_args!(
            "must be an address that one host can have; {address} is {kind}"
        ));
    }
    Some(address)
}

/// The family of an address.
pub(crate) const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// The family of a network.
pub(crate) fn family(net: &IpNet) -> Family {
    match net {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    }
}

fn unusable(address: IpAddr) -> Option<&'static str> {
    match address {
        a if a.is_unspecified() => Some("the unspecified address"),
        a if a.is_loopback() => Some("a loopback address"),
        a if a.is_multicast() => Some("a multicast address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Some("an IPv4 address in an IPv6 one; write the IPv4 address")
        }
        _ => None,
    }
}
