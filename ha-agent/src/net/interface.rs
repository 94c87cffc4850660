//! Questions about interfaces at start-up, answered at once and in words.

use crate::suggest::nearest;
use std::collections::HashMap;
use std::fmt::Write;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use nix::errno::Errno;

use super::links::Link;
use super::links::message::link_from_message;
use super::netlink::{NetlinkError, RouteSocket};
use super::observed::{NEW_ADDRESS, ObservedAddress};
use super::raw_link::{NEW_LINK, RawLink};

/// How many interfaces an error message lists.
const LISTED: usize = 20;

/// The interface cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of this name.
    #[error("no such interface: {name}{}; this host has: {}", suggestion(.name, .existing), list(.existing))]
    Missing {
        /// The name asked for.
        name: String,
        /// The names that exist.
        existing: Vec<String>,
    },
    /// The kernel cannot be asked.
    #[error("cannot look up interface {name}: {source}")]
    Netlink {
        /// The name asked for.
        name: String,
        source: NetlinkError,
    },
}

/// Looks up an interface with its addresses, in the calling thread's network namespace.
pub fn interface(name: &str) -> Result<Link, InterfaceError> {
    let found = all().map_err(|source| InterfaceError::Netlink {
        name: name.to_owned(),
        source,
    })?;
    let mut existing = Vec::new();
    for link in found {
        if link.names().any(|own| own == name) {
            return Ok(link);
        }
        existing.extend(link.names().map(str::to_owned));
    }
    Err(InterfaceError::Missing {
        name: name.to_owned(),
        existing,
    })
}

/// All interfaces with their addresses, in the calling thread's network namespace.
pub fn all() -> Result<Vec<Link>, NetlinkError> {
    let mut socket = RouteSocket::open()?;
    let mut request = LinkMessage::default();
    // Statistics are most of a link message, and of no interest.
    let without_statistics = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
    request.attributes.push(without_statistics);
    let request = RouteNetlinkMessage::GetLink(request);
    let mut links = socket.dump_raw(&request, |kind, payload| match kind {
        NEW_LINK => RawLink::read(payload).as_ref().and_then(link_from_message),
        _ => None,
    })?;
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let addresses = socket.dump_raw(&request, |kind, payload| match kind {
        NEW_ADDRESS => ObservedAddress::read(payload),
        _ => None,
    });
    let addresses = match addresses {
        // A kernel without IP at all.
        Err(NetlinkError::Refused(refusal)) if refusal.errno == Errno::EOPNOTSUPP => Vec::new(),
        other => other?,
    };
    let places = links.iter().enumerate().map(|(at, link)| (link.index, at));
    let places: HashMap<u32, usize> = places.collect();
    for (index, present) in addresses {
        if let Some(link) = places.get(&index).and_then(|at| links.get_mut(*at)) {
            link.addresses.push(present);
        }
    }
    Ok(links)
}

fn suggestion(name: &str, existing: &[String]) -> String {
    nearest(name, existing.iter().map(String::as_str))
        .map(|candidate| format!("; did you mean {candidate}?"))
        .unwrap_or_default()
}

fn list(existing: &[String]) -> String {
    let mut text = existing
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = existing.len().checked_sub(LISTED).filter(|more| *more > 0) {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::net::lab;
    use crate::net::links::LinkKind;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_nearly_exists_is_suggested() {
        let error = |name: &str, existing| InterfaceError::Missing {
            name: name.to_owned(),
            existing,
        };
        assert_eq!(
            error("eht0", names(&["lo", "eth0", "docker0"])).to_string(),
            "no such interface: eht0; did you mean eth0?; this host has: lo, eth0, docker0"
        );
        assert_eq!(
            error("xyz", names(&["lo", "eth0"])).to_string(),
            "no such interface: xyz; this host has: lo, eth0"
        );
    }

    #[test]
    fn a_long_list_is_cut_short() {
        let many: Vec<_> = (0..25).map(|n| format!("veth{n}")).collect();
        assert!(list(&many).ends_with("veth19 and 5 more"));
        assert!(list(&many[..20]).ends_with("veth19"));
    }

    #[test]
    fn root_an_interface_is_described_as_it_is() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.ip("link add br0 type bridge");
            lab.ip("link set near mtu 1400 master br0");
            let link = interface("near").unwrap();
            assert_eq!(
                (link.index, link.mtu, link.mac),
                (lab.near, 1400, Some(lab::NEAR_MAC))
            );
            assert!(link.is_up());
            assert_eq!(link.kind, LinkKind::Veth);
            assert_eq!(link.master, Some(interface("br0").unwrap().index));
            assert_eq!(
                link.primary_ipv4(|_| false),
                Some("10.99.0.1".parse().unwrap())
            );
            assert!(link.link_local(|_| false).is_some());
            assert!(interface("lo").unwrap().is_up());
            assert!(!link.forwards_ipv6);
            fs::write("/proc/sys/net/ipv6/conf/near/forwarding", "1").unwrap();
            assert!(interface("near").unwrap().forwards_ipv6);
            lab.ip("link set near down");
            assert!(!interface("near").unwrap().is_up());
            let error = interface("neat").unwrap_err().to_string();
            assert_eq!(
                error,
                "no such interface: neat; did you mean near?; this host has: lo, br0, near"
            );
        });
    }
}
