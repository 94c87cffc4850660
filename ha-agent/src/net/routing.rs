//! Ways: virtual routes and rules in the kernel's tables. Adding, removing and listing them,
//! synchronously, for the driver.
//!
//! Each carries [`RTPROT_HA_AGENT`], so that one that a crash left behind is known to be ours. A removal names
//! it too, and the kernel then removes nothing that does not carry it: an administrator's route to the
//! same network stays.

mod message;
mod route;

pub use route::{RTPROT_HA_AGENT, Route};

use std::fmt;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{RouteMessage, RouteProtocol};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::config::model::virtual_rule::VirtualRule;

use crate::config::model::virtual_route::VirtualRoute;

use super::address::Outcome;
use super::netlink::{NetlinkError, Refusal, RouteSocket};
use message::{NEW_ROUTE, asking, read_route, read_rule, read_source, route_message, rule_message};

/// A route or a rule.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RoutingEntry {
    Route(Route),
    Rule(VirtualRule),
}

impl RoutingEntry {
    /// True if the kernel would not have both.
    pub fn is_in_place_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(one), Self::Route(other)) => one.key() == other.key(),
            (Self::Rule(one), Self::Rule(other)) => one == other,
            (Self::Route(_), Self::Rule(_)) | (Self::Rule(_), Self::Route(_)) => false,
        }
    }
}

/// A way that could not be added or removed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{verb} {what}: {refusal}{}", advice(.refusal.errno))]
pub struct RoutingError {
    /// Which, in words.
    pub what: String,
    /// What the kernel said.
    pub refusal: Refusal,
    verb: &'static str,
}

impl RoutingError {
    /// The same of a way that is better known by this name.
    #[must_use]
    pub fn called(self, name: &dyn fmt::Display) -> Self {
        Self {
            what: name.to_string(),
            ..self
        }
    }
}

/// What a person can do about it.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; the agent needs CAP_NET_ADMIN",
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => {
            "; the gateway must be on a network of the interface, or the route `onlink`"
        }
        Errno::ENETDOWN => "; the interface is down",
        _ => "",
    }
}

/// As `ip route` and `ip rule` write it, with the interface's index for its name.
impl fmt::Display for RoutingEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => {
                let written = VirtualRoute {
                    to: route.to,
                    kind: route.kind,
                    via: route.via,
                    dev: route.ifindex.map(|index| format!("#{index}")),
                    metric: route.metric,
                    table: Some(route.table),
                    source: route.source,
                    onlink: route.onlink,
                };
                write!(f, "route {written}")
            }
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}

/// The driver's hand on the kernel's routes and rules.
pub struct RoutingTable {
    socket: RouteSocket,
}

impl RoutingTable {
    /// Opens the book in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            socket: RouteSocket::open()?,
        })
    }

    /// Adds routing in the order given, all of them in one or few system calls, and reports on each. What is
    /// there already stays as it is, whoever put it there.
    ///
    /// An error means that nothing is known about some of them: adding them again is safe.
    pub fn add(
        &mut self,
        routing: &[RoutingEntry],
    ) -> Result<Vec<Result<Outcome, RoutingError>>, NetlinkError> {
        let requests = routing.iter().map(|way| match way {
            RoutingEntry::Route(route) => RouteNetlinkMessage::NewRoute(route_message(route)),
            RoutingEntry::Rule(rule) => RouteNetlinkMessage::NewRule(rule_message(rule)),
        });
        let answers = self.socket.batch(NLM_F_CREATE | NLM_F_EXCL, requests)?;
        Ok(report("adding", routing, answers, &[Errno::EEXIST]))
    }

    /// Removes those of these routing that are ours, in the order given.
    pub fn remove(
        &mut self,
        routing: &[RoutingEntry],
    ) -> Result<Vec<Result<Outcome, RoutingError>>, NetlinkError> {
        let requests = routing.iter().map(|way| match way {
            RoutingEntry::Route(route) => RouteNetlinkMessage::DelRoute(route_message(route)),
            RoutingEntry::Rule(rule) => RouteNetlinkMessage::DelRule(rule_message(rule)),
        });
        let answers = self.socket.batch(0, requests)?;
        // Routes went with their interface, or with its IPv6; the kernel forgets a table with its last one.
        let already = [Errno::ESRCH, Errno::ENOENT, Errno::ENODEV];
        Ok(report("removing", routing, answers, &already))
    }

    /// The address that the kernel would send from to this one by this interface, if it has a route.
    pub fn source_towards(
        &mut self,
        address: IpAddr,
        ifindex: u32,
    ) -> Result<Option<IpAddr>, NetlinkError> {
        let request = RouteNetlinkMessage::GetRoute(asking(address, ifindex));
        let answer = self.socket.get(&request, |kind, payload| match kind {
            NEW_ROUTE => read_source(payload),
            _ => None,
        });
        match answer {
            // There is no route.
            Err(NetlinkError::Refused(_)) => Ok(None),
            other => other,
        }
    }

    /// Every route and rule of ours, in any table.
    pub fn list(&mut self) -> Result<Vec<RoutingEntry>, NetlinkError> {
        let mut found = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            found.extend(self.list_routes(family)?);
            found.extend(self.list_rules(family)?);
        }
        Ok(found)
    }

    /// The kernel picks ours out by the protocol (4.20); an older one sends all.
    fn list_routes(&mut self, family: AddressFamily) -> Result<Vec<RoutingEntry>, NetlinkError> {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        request.header.protocol = RouteProtocol::from(RTPROT_HA_AGENT);
        let request = RouteNetlinkMessage::GetRoute(request);
        let listed = self.socket.dump(&request, |answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => read_route(&message).map(RoutingEntry::Route),
            _ => None,
        });
        none_without_family(listed)
    }

    fn list_rules(&mut self, family: AddressFamily) -> Result<Vec<RoutingEntry>, NetlinkError> {
        let mut request = RuleMessage::default();
        request.header.family = family;
        let request = RouteNetlinkMessage::GetRule(request);
        let listed = self.socket.dump(&request, |answer| match answer {
            RouteNetlinkMessage::NewRule(message) => read_rule(&message).map(RoutingEntry::Rule),
            _ => None,
        });
        none_without_family(listed)
    }
}

/// A kernel without IPv6, or without rules, has none of them.
fn none_without_family(
    listed: Result<Vec<RoutingEntry>, NetlinkError>,
) -> Result<Vec<RoutingEntry>, NetlinkError> {
    match listed {
        Err(NetlinkError::Refused(refusal))
            if matches!(refusal.errno, Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) =>
        {
            Ok(Vec::new())
        }
        other => other,
    }
}

fn report(
    verb: &'static str,
    routing: &[RoutingEntry],
    answers: Vec<Result<(), Refusal>>,
    already: &[Errno],
) -> Vec<Result<Outcome, RoutingError>> {
    let of_one = |(way, answer): (&RoutingEntry, Result<(), Refusal>)| match answer {
        Ok(()) => Ok(Outcome::Done),
        Err(refusal) if already.contains(&refusal.errno) => Ok(Outcome::Already),
        Err(refusal) => Err(RoutingError {
            what: way.to_string(),
            refusal,
            verb,
        }),
    };
    routing.iter().zip(answers).map(of_one).collect()
}

#[cfg(test)]
mod tests;
