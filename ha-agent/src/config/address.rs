//! Virtual addresses, and those of other hosts.

use std::net::IpAddr;

use ha_common::units::Family;
use ipnet::IpNet;

use super::reader::Field;

/// An address with an optional prefix length.
pub(super) fn read(field: &Field<'_>) -> Option<IpNet> {
    let expected = "an IP address with a prefix length, such as \"10.99.0.100/24\"";
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
pub(super) fn read_host(field: &Field<'_>, expected: &str) -> Option<IpAddr> {
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
pub(super) fn family(net: &IpNet) -> Family {
    match net {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    }
}

/// True for the two ranges whose addresses mean something only on one link.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
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

/// Why an address is most likely not meant to be one host's, with its prefix.
pub(super) fn doubtful(net: &IpNet) -> Option<&'static str> {
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
