//! Virtual routes and rules: what a master adds to the host's routing, and takes away when it leaves.
//!
//! The types, and how an entry of `routes` is read; [`super::virtual_rule`] reads those of `rules`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use ha_common::units::Family;
use ipnet::IpNet;

use super::address;
use super::names;
use super::reader::{At, Field};
use super::report::Report;

/// The kernel's main table (rtnetlink(7), `RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;
/// The kernel's own table of the host's addresses, `RT_TABLE_LOCAL`.
const LOCAL_TABLE: u32 = 255;
/// What the kernel makes of an IPv6 route without a metric (`IP6_RT_PRIO_USER`); of an IPv4 one it makes 0.
const IPV6_METRIC: u32 = 1024;

/// An entry of `routes`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VirtualRoute {
    /// `to`: the network; of length 0 if it is `"default"`.
    pub to: IpNet,
    /// `type`; default unicast.
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
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
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
    const ALL: [Self; 4] = [
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

fn usual_metric(to: &IpNet) -> u32 {
    match to {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => IPV6_METRIC,
    }
}

/// Reads an entry. `family` is the instance's: what `"default"` means where nothing else says.
pub(super) fn read(field: &Field<'_>, family: Option<Family>) -> Option<VirtualRoute> {
    let mut table = field.table()?;
    let t = &mut table;
    let kind = t.optional("type", RouteKind::Unicast, |f| {
        f.choice(&RouteKind::ALL.map(|kind| (kind.name(), kind)))
    });
    let sends = kind
        .as_ref()
        .is_none_or(|kind| *kind.get_ref() == RouteKind::Unicast);
    let only_if_sent = |f: &Field<'_>| {
        if sends {
            return Some(());
        }
        f.problem("goes with type = \"unicast\": along this route nothing is sent")
    };
    let via = t.optional("via", None, |f| {
        only_if_sent(f)?;
        read_host(f, "the gateway's IP address").map(Some)
    });
    let source = t.optional("source", None, |f| {
        read_host(f, "an IP address of this host").map(Some)
    });
    // What "default" is the default of: the family of what stands beside it, or of the instance.
    let hint = [&via, &source]
        .into_iter()
        .find_map(|at| *at.as_ref()?.get_ref())
        .map(family_of)
        .or(family);
    let to = t.required("to", |f| read_network(f, hint));
    let dev = t.optional("dev", None, |f| {
        only_if_sent(f)?;
        names::interface(f).map(Some)
    });
    let metric = t.optional("metric", None, |f| {
        let least = i64::from(hint == Some(Family::V6));
        u32::try_from(f.integer_in(least..=i64::from(u32::MAX), "")?)
            .ok()
            .map(Some)
    });
    let table_number = t.optional("table", None, |f| read_table(f).map(Some));
    let onlink = t.optional("onlink", false, |f| {
        let onlink = f.boolean()?;
        let has_gateway = via.as_ref().is_none_or(|via| via.get_ref().is_some());
        if onlink && !has_gateway {
            return f.problem("goes with `via`: it is said of a gateway");
        }
        Some(onlink)
    });
    let report = table.report;
    table.finish();
    let to = to?;
    for (key, at) in [("via", &via), ("source", &source)] {
        let Some(at) = at else { continue };
        let differs = |address: &IpAddr| family_of(*address) != address::family(to.get_ref());
        if at.get_ref().as_ref().is_some_and(differs) {
            let message = format!("`{key}` must be of the family of `to`, {}", to.get_ref());
            report.error(&at.span(), message);
            return None;
        }
    }
    let to = to.into_inner();
    Some(VirtualRoute {
        to,
        kind: kind?.into_inner(),
        via: via?.into_inner(),
        dev: dev?.into_inner(),
        metric: metric?.into_inner().unwrap_or_else(|| usual_metric(&to)),
        table: table_number?.into_inner(),
        source: source?.into_inner(),
        onlink: onlink?.into_inner(),
    })
}

/// The family of an address.
pub(super) const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// The number of a table that is not the kernel's own.
pub(super) fn read_table(field: &Field<'_>) -> Option<u32> {
    let number = field.integer(", the number of a routing table")?;
    match u32::try_from(number).ok()? {
        LOCAL_TABLE => {
            field.problem("must not be 255, the kernel's own table of the host's addresses")
        }
        number => Some(number),
    }
}

/// A network, as the kernel wants it: without a bit that its prefix length leaves out.
pub(super) fn read_network(field: &Field<'_>, family: Option<Family>) -> Option<IpNet> {
    let expected = "a network, such as \"192.0.2.0/24\", an address, or \"default\"";
    let text = field.text(expected)?;
    let net = match (text, family) {
        ("default", Some(Family::V4)) => "0.0.0.0/0".parse().ok(),
        ("default", Some(Family::V6)) => "::/0".parse().ok(),
        ("default", None) => {
            return field
                .problem("leaves open which default it is: write \"0.0.0.0/0\" or \"::/0\"");
        }
        _ => text
            .parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)),
    };
    match net {
        None => field.wrong(expected),
        Some(net) if net.addr() != net.network() => {
            field.problem(format_args!("must be a network: write \"{}\"", net.trunc()))
        }
        Some(net) => Some(net),
    }
}

fn read_host(field: &Field<'_>, expected: &str) -> Option<IpAddr> {
    let address = field.text(expected)?.parse::<IpAddr>().ok();
    match address.filter(|it| !it.is_unspecified() && !it.is_multicast()) {
        Some(address) => Some(address),
        None => field.wrong(expected),
    }
}

/// Reports what is there already, in this list or another.
pub(super) fn unique<'a, K: Eq + Hash, T: 'a>(
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
