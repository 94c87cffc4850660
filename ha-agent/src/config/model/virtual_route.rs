//! A route that a master adds to the host's routing, and takes away when it leaves.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

/// The kernel's main table (rtnetlink(7), `RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;
/// What the kernel makes of an IPv6 route without a metric (`IP6_RT_PRIO_USER`); of an IPv4 one it makes 0.
const IPV6_METRIC: u32 = 1024;

/// An entry of `routes`.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct VirtualRoute {
    /// `to`: the network; of length 0 if it is `"default"`.
    pub to: IpNet,
    /// `type`; default unicast.
    #[serde(rename = "type")]
    pub kind: RouteKind,
    /// `via`: the gateway; of the same family.
    pub via: Option<IpAddr>,
    /// `dev`: the interface; default the instance's. Of no meaning where nothing is sent.
    pub dev: Option<String>,
    /// `metric`: less is preferred; default 0 for IPv4, 1024 for IPv6, which has no 0.
    pub metric: u32,
    /// `table`: 1 to 4294967295 and not 255; default the VRF's that the interface is in, else 254, the main one.
    pub table: Option<u32>,
    /// `source`: the address that the host's own packets along it start from.
    pub source: Option<IpAddr>,
    /// `onlink`: whether the gateway is taken to be on the link although no address says so; default false.
    pub onlink: bool,
}

/// `type = "unicast" | "blackhole" | "unreachable" | "prohibit"`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Sent on.
    #[default]
    Unicast,
    /// Dropped.
    Blackhole,
    /// Dropped, and the sender is told that the host cannot be reached.
    Unreachable,
    /// Dropped, and the sender is told that it is not allowed.
    Prohibit,
}

impl RouteKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Unicast,
        Self::Blackhole,
        Self::Unreachable,
        Self::Prohibit,
    ];

    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }
}

/// What the kernel tells two routes apart by: there is one of each.
pub type RouteKey = (IpNet, u32, u32);

impl VirtualRoute {
    /// What it can be there only once with: network, table and metric.
    pub fn key(&self) -> RouteKey {
        (self.to, self.table.unwrap_or(MAIN_TABLE), self.metric)
    }
}

/// As `ip route` writes it, without what is the default.
impl fmt::Display for VirtualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            to,
            kind,
            via,
            dev,
            metric,
            table,
            source,
            onlink,
        } = self;
        if *kind != RouteKind::Unicast {
            write!(f, "{} ", kind.name())?;
        }
        match to.prefix_len() {
            0 => f.write_str("default")?,
            _ => to.fmt(f)?,
        }
        if let Some(via) = via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = dev {
            write!(f, " dev {dev}")?;
        }
        if let Some(table) = table.filter(|table| *table != MAIN_TABLE) {
            write!(f, " table {table}")?;
        }
        if *metric != usual_metric(to) {
            write!(f, " metric {metric}")?;
        }
        if let Some(source) = source {
            write!(f, " src {source}")?;
        }
        if *onlink {
            f.write_str(" onlink")?;
        }
        Ok(())
    }
}

/// The metric of a route that names none.
pub(crate) fn usual_metric(to: &IpNet) -> u32 {
    match to {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => IPV6_METRIC,
    }
}
