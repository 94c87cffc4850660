//! An entry of `routes`.

use std::net::IpAddr;

use ha_common::units::Family;
use ipnet::IpNet;

use super::address::{family, family_of};
use super::parse_names;
use super::table::{At, Field};
use crate::config::diagnostics::Report;
use crate::config::model::virtual_route::{RouteKind, VirtualRoute, usual_metric};

/// The kernel's own table of the host's addresses, `RT_TABLE_LOCAL`.
const LOCAL_TABLE: u32 = 255;

/// Reads an entry. `family` is the instance's: what `"default"` means where nothing else says.
pub(crate) fn read(field: &Field<'_>, instance: Option<Family>) -> Option<VirtualRoute> {
    let mut table = field.table()?;
    let t = &mut table;
    let kind = t.optional("type", RouteKind::Unicast, |f| {
        f.choice(&RouteKind::ALL.map(|kind| (kind.name(), kind)))
    });
    let sends = kind
        .as_ref()
        .is_none_or(|kind| *kind.get_ref() == RouteKind::Unicast);
    let via = t.optional("via", None, |f| {
        only_if_sent(f, sends)?;
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
        .or(instance);
    let to = t.required("to", |f| read_network(f, hint));
    let dev = t.optional("dev", None, |f| {
        only_if_sent(f, sends)?;
        parse_names::interface(f).map(Some)
    });
    let metric = t.optional("metric", None, |f| read_metric(f, hint).map(Some));
    let number = t.optional("table", None, |f| read_table(f).map(Some));
    let has_gateway = via.as_ref().is_none_or(|via| via.get_ref().is_some());
    let onlink = t.optional("onlink", false, |f| read_onlink(f, has_gateway));
    let report = table.report;
    table.finish();
    let to = to?.into_inner();
    in_family_of(report, &to, "via", via.as_ref())?;
    in_family_of(report, &to, "source", source.as_ref())?;
    Some(VirtualRoute {
        to,
        kind: kind?.into_inner(),
        via: via?.into_inner(),
        dev: dev?.into_inner(),
        metric: metric?.into_inner().unwrap_or_else(|| usual_metric(&to)),
        table: number?.into_inner(),
        source: source?.into_inner(),
        onlink: onlink?.into_inner(),
    })
}

fn only_if_sent(field: &Field<'_>, sends: bool) -> Option<()> {
    if sends {
        return Some(());
    }
    field.problem("goes with type = \"unicast\": along this route nothing is sent")
}

/// The kernel has no metric 0 for IPv6.
fn read_metric(field: &Field<'_>, family: Option<Family>) -> Option<u32> {
    let least = i64::from(family == Some(Family::V6));
    u32::try_from(field.integer_in(least..=i64::from(u32::MAX), "")?).ok()
}

fn read_onlink(field: &Field<'_>, has_gateway: bool) -> Option<bool> {
    let onlink = field.boolean()?;
    if onlink && !has_gateway {
        return field.problem("goes with `via`: it is said of a gateway");
    }
    Some(onlink)
}

/// Reports an address of another family than the network's.
fn in_family_of(
    report: &Report<'_>,
    to: &IpNet,
    key: &str,
    at: Option<&At<Option<IpAddr>>>,
) -> Option<()> {
    let differs = |address: IpAddr| family_of(address) != family(to);
    match at {
        Some(at) if at.get_ref().is_some_and(differs) => {
            let message = format!("`{key}` must be of the family of `to`, {to}");
            report.error(&at.span(), message);
            None
        }
        Some(_) | None => Some(()),
    }
}

/// The number of a table that is not the kernel's own.
pub(crate) fn read_table(field: &Field<'_>) -> Option<u32> {
    let number = field.integer(", the number of a routing table")?;
    match u32::try_from(number).ok()? {
        LOCAL_TABLE => {
            field.problem("must not be 255, the kernel's own table of the host's addresses")
        }
        number => Some(number),
    }
}

/// A network, as the kernel wants it: without a bit that its prefix length leaves out.
pub(crate) fn read_network(field: &Field<'_>, family: Option<Family>) -> Option<IpNet> {
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
