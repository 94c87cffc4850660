//! A route as the kernel knows it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::model::virtual_route::{RouteKey, RouteKind, VirtualRoute};
use crate::net::observed::IFA_PROTO_HA_AGENT;

/// The protocol of our routes (`rtm_protocol`) and rules (`FRA_PROTOCOL`, kernel 4.17): `ip route show
/// table all proto 86`. The same number as on our addresses; `rt_protos` of iproute2 gives it to nobody.
pub const RTPROT_HA_AGENT: u8 = IFA_PROTO_HA_AGENT;

/// A route as the kernel knows it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Route {
    /// The network.
    pub to: IpNet,
    /// What becomes of a packet.
    pub kind: RouteKind,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface's index; none where nothing is sent.
    pub ifindex: Option<u32>,
    /// Lower wins.
    pub metric: u32,
    pub table: u32,
    /// What the host's own packets start from.
    pub source: Option<IpAddr>,
    /// Whether the gateway is on the link although no address says so.
    pub onlink: bool,
}

impl Route {
    /// What there can be one of: network, table and metric.
    pub fn key(&self) -> RouteKey {
        (self.to, self.table, self.metric)
    }

    /// A configured route, once the interface's index is known; `table` is where it goes by default.
    pub fn of(route: &VirtualRoute, ifindex: u32, table: u32) -> Self {
        Self {
            to: route.to,
            kind: route.kind,
            via: route.via,
            ifindex: (route.kind == RouteKind::Unicast).then_some(ifindex),
            metric: route.metric,
            table: route.table.unwrap_or(table),
            source: route.source,
            onlink: route.onlink,
        }
    }

    /// True if it is the other one in another table.
    pub fn is_moved(&self, other: &Self) -> bool {
        let there = Self {
            table: other.table,
            ..*self
        };
        self.table != other.table && there == *other
    }
}
