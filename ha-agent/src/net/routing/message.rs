//! Routes and rules as netlink messages, and back.

use std::net::IpAddr;

use ha_common::units::Family;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use crate::config::model::virtual_route::RouteKind;
use crate::config::model::virtual_rule::VirtualRule;

use super::route::{RTPROT_HA_AGENT, Route};
use crate::net::attributes::{attribute, ip_of};

/// `RTM_NEWROUTE` (linux/rtnetlink.h).
pub(super) const NEW_ROUTE: u16 = 24;

/// The message that asks for the route to an address by an interface.
pub(super) fn asking(address: IpAddr, ifindex: u32) -> RouteMessage {
    let to = IpNet::from(address);
    let mut message = RouteMessage::default();
    message.header.address_family = netlink_family(address_family(&to));
    message.header.destination_prefix_length = to.prefix_len();
    message.attributes = vec![
        RouteAttribute::Destination(address.into()),
        RouteAttribute::Oif(ifindex),
    ];
    message
}

/// The source of a route that was asked for (`struct rtmsg`, `RTA_PREFSRC`).
pub(super) fn read_source(payload: &[u8]) -> Option<IpAddr> {
    const HEADER: usize = 12;
    const PREFERRED_SOURCE: u16 = 7;
    let family = *payload.first()?;
    ip_of(family, attribute(payload.get(HEADER..)?, PREFERRED_SOURCE)?)
}

/// The message that names a route exactly.
pub(super) fn route_message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: netlink_family(address_family(&route.to)),
        destination_prefix_length: route.to.prefix_len(),
        table: short_table(route.table),
        protocol: RouteProtocol::from(RTPROT_HA_AGENT),
        scope: scope(route),
        kind: match route.kind {
            RouteKind::Unicast => RouteType::Unicast,
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Unreachable => RouteType::Unreachable,
            RouteKind::Prohibit => RouteType::Prohibit,
        },
        flags: if route.onlink {
            RouteFlags::Onlink
        } else {
            RouteFlags::empty()
        },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Priority(route.metric));
    if route.to.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.to.addr().into()));
    }
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
    attributes.extend(route.ifindex.map(RouteAttribute::Oif));
    let source = route.source.map(RouteAddress::from);
    attributes.extend(source.map(RouteAttribute::PrefSource));
    message
}

/// As `ip route add` chooses it: what has no gateway is on the link. Of no meaning for IPv6.
fn scope(route: &Route) -> RouteScope {
    match (route.kind, route.via) {
        (RouteKind::Unicast, None) if route.to.addr().is_ipv4() => RouteScope::Link,
        (
            RouteKind::Unicast
            | RouteKind::Blackhole
            | RouteKind::Unreachable
            | RouteKind::Prohibit,
            _,
        ) => RouteScope::Universe,
    }
}

/// The header has one byte for the table; a larger number stands in an attribute only.
fn short_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC)
}

/// The message that names a rule exactly.
pub(super) fn rule_message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = netlink_family(rule.family);
    message.header.action = RuleAction::ToTable;
    message.header.table = short_table(rule.table);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Table(rule.table));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(
        RTPROT_HA_AGENT,
    )));
    if let Some(from) = rule.from.filter(|from| from.prefix_len() > 0) {
        message.header.src_len = from.prefix_len();
        attributes.push(RuleAttribute::Source(from.addr()));
    }
    if let Some(to) = rule.to.filter(|to| to.prefix_len() > 0) {
        message.header.dst_len = to.prefix_len();
        attributes.push(RuleAttribute::Destination(to.addr()));
    }
    attributes.extend(rule.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.fwmark.map(RuleAttribute::FwMark));
    message
}

/// Reads a listed route of ours.
pub(super) fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    // A copy that the kernel made for a single destination is nobody's route.
    if u8::from(header.protocol) != RTPROT_HA_AGENT || header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut route = Route {
        to: everywhere(header.address_family)?,
        kind: match header.kind {
            RouteType::Unicast => RouteKind::Unicast,
            RouteType::BlackHole => RouteKind::Blackhole,
            RouteType::Unreachable => RouteKind::Unreachable,
            RouteType::Prohibit => RouteKind::Prohibit,
            _ => return None,
        },
        via: None,
        ifindex: None,
        metric: 0,
        table: u32::from(header.table),
        source: None,
        onlink: header.flags.contains(RouteFlags::Onlink),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => {
                route.to = IpNet::new(ip(to)?, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(via) => route.via = Some(ip(via)?),
            // Where nothing is sent, IPv6 names the loopback interface.
            RouteAttribute::Oif(index) if route.kind == RouteKind::Unicast => {
                route.ifindex = Some(*index);
            }
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::PrefSource(source) => route.source = Some(ip(source)?),
            _ => {}
        }
    }
    Some(route)
}

/// Reads a listed rule of ours.
pub(super) fn read_rule(message: &RuleMessage) -> Option<VirtualRule> {
    let header = &message.header;
    let mut rule = VirtualRule {
        family: address_family(&everywhere(header.family)?),
        priority: 0,
        from: None,
        to: None,
        iif: None,
        fwmark: None,
        table: u32::from(header.table),
    };
    let mut protocol = 0;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Protocol(number) => protocol = u8::from(*number),
            RuleAttribute::Source(from) => {
                rule.from = Some(IpNet::new(*from, header.src_len).ok()?);
            }
            RuleAttribute::Destination(to) => {
                rule.to = Some(IpNet::new(*to, header.dst_len).ok()?);
            }
            RuleAttribute::Iifname(name) => rule.iif = Some(name.clone()),
            RuleAttribute::FwMark(mark) => rule.fwmark = Some(*mark).filter(|mark| *mark != 0),
            _ => {}
        }
    }
    (protocol == RTPROT_HA_AGENT && header.action == RuleAction::ToTable).then_some(rule)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

/// The default of a family: a listed route without a destination is that.
fn everywhere(family: AddressFamily) -> Option<IpNet> {
    match family {
        AddressFamily::Inet => IpNet::new(IpAddr::from([0; 4]), 0).ok(),
        AddressFamily::Inet6 => IpNet::new(IpAddr::from([0; 16]), 0).ok(),
        _ => None,
    }
}

pub(super) const fn address_family(net: &IpNet) -> Family {
    match net {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    }
}

const fn netlink_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
