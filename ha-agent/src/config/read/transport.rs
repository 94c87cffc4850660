//! `source`, `group`, `peers` and what goes with them: the keys of an instance's transport.

use std::net::IpAddr;

use ha_common::accept::TtlRange;
use ha_common::units::Family;
use ha_common::wire::numbers::TTL;

use super::address;
use super::table::{At, Field, Table};
use crate::config::model::{Peer, Transport, Unicast, standard_group};

/// The keys that mean something to unicast only.
const COMPANIONS: [&str; 3] = ["peer_ttl", "ttl", "check_source"];

/// What could be read.
pub(crate) struct RawTransport {
    source: Given<IpAddr>,
    group: Given<IpAddr>,
    /// The peers that could be read.
    pub(crate) peers: Vec<At<Peer>>,
    kind: Option<Kind>,
}

/// The value of a key that may be absent.
enum Given<T> {
    Absent,
    Right(At<T>),
    /// It was wrong, which has been reported.
    Wrong,
}

impl<T: Copy> Given<T> {
    fn at(&self) -> Option<&At<T>> {
        match self {
            Self::Right(at) => Some(at),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value or its default; `None` if it was wrong.
    fn or(&self, default: T) -> Option<T> {
        match self {
            Self::Right(at) => Some(*at.get_ref()),
            Self::Absent => Some(default),
            Self::Wrong => None,
        }
    }
}

enum Kind {
    Multicast,
    /// All but the peers.
    Unicast(Unicast),
}

/// Reads the keys. What they must be to each other and to other keys is checked in `check::transport`.
pub(crate) fn read(table: &mut Table<'_>) -> RawTransport {
    let source = table.get("source");
    let group = table.get("group");
    let peers = table.get("peers");
    let companions = COMPANIONS.map(|key| (key, table.get(key)));
    let source = optional(source.as_ref(), |f| read_address(f, "10.99.0.1"));
    let Some(peers) = peers else {
        for (key, field) in &companions {
            if let Some(field) = field {
                let message = format!(
                    "`{key}` goes with `peers`: adverts to a group always have TTL {TTL} and are \
                     heard from everybody on the link"
                );
                table.report.error(field.key_span(), message);
            }
        }
        return RawTransport {
            source,
            group: optional(group.as_ref(), read_group),
            peers: Vec::new(),
            kind: Some(Kind::Multicast),
        };
    };
    if let Some(group) = &group {
        let message = format!(
            "`group` is for multicast, and this instance has `peers` ({}); remove one of them",
            table.report.line(peers.key_span())
        );
        table.report.error(group.key_span(), message);
    }
    let [peer_ttl, ttl, check_source] = companions.map(|(_, field)| field);
    let peer_ttl = optional(peer_ttl.as_ref(), read_peer_ttl);
    let peer_ttl = peer_ttl.or(TtlRange::LINK);
    let default = peer_ttl.unwrap_or(TtlRange::LINK);
    let (peers, all) = read_peers(&peers, default).unwrap_or_default();
    let ttl = optional(ttl.as_ref(), read_ttl);
    let check_source = optional(check_source.as_ref(), Field::boolean);
    let unicast = || {
        Some(Unicast {
            peers: Vec::new(),
            peer_ttl: peer_ttl?,
            ttl: ttl.or(TTL)?,
            check_source: check_source.or(true)?,
        })
    };
    let kind = unicast().filter(|_| all).map(Kind::Unicast);
    RawTransport {
        source,
        group: Given::Absent,
        peers,
        kind,
    }
}

impl RawTransport {
    /// `source`, if it is there and could be read.
    pub(crate) fn source(&self) -> Option<&At<IpAddr>> {
        self.source.at()
    }

    /// `group`, if it is there and could be read.
    pub(crate) fn group(&self) -> Option<&At<IpAddr>> {
        self.group.at()
    }

    /// Whether adverts go to a group.
    pub(crate) fn is_multicast(&self) -> bool {
        matches!(self.kind, Some(Kind::Multicast))
    }

    /// `source` and the transport, if all could be read.
    pub(crate) fn model(&self, family: Family) -> Option<(Option<IpAddr>, Transport)> {
        let group = self.group.or(standard_group(family))?;
        let source = match &self.source {
            Given::Right(at) => Some(*at.get_ref()),
            Given::Absent => None,
            Given::Wrong => return None,
        };
        let transport = match self.kind.as_ref()? {
            Kind::Multicast => Transport::Multicast { group },
            Kind::Unicast(unicast) => Transport::Unicast(Unicast {
                peers: self.peers.iter().map(|peer| *peer.get_ref()).collect(),
                ..unicast.clone()
            }),
        };
        Some((source, transport))
    }
}

fn optional<'t, T>(
    field: Option<&Field<'t>>,
    read: impl FnOnce(&Field<'t>) -> Option<T>,
) -> Given<T> {
    match field.map(|field| (field, read(field))) {
        None => Given::Absent,
        Some((field, Some(value))) => Given::Right(field.at(value)),
        Some((_, None)) => Given::Wrong,
    }
}

fn read_address(field: &Field<'_>, such_as: &str) -> Option<IpAddr> {
    address::read_host(
        field,
        &format!("an IP address without a prefix length, such as \"{such_as}\""),
    )
}

fn read_group(field: &Field<'_>) -> Option<IpAddr> {
    let expected = "a multicast address such as \"224.0.0.18\"";
    let Ok(group) = field.text(expected)?.parse::<IpAddr>() else {
        return field.wrong(expected);
    };
    let stays_home = matches!(group, IpAddr::V6(v6) if v6.octets()[1] & 0x0f < 2);
    if !group.is_multicast() {
        return field.wrong(format_args!("{expected}; for unicast, write `peers`"));
    }
    if stays_home {
        return field.problem(format_args!(
            "must be a group that reaches the link (ff02::...); {group} never leaves this host"
        ));
    }
    Some(group)
}

fn read_ttl(field: &Field<'_>) -> Option<u8> {
    u8::try_from(field.integer(" (a TTL or hop limit)")?).ok()
}

fn read_peer_ttl(field: &Field<'_>) -> Option<TtlRange> {
    let mut table = field.table()?;
    let range = read_range(&mut table, "min", "max", TtlRange::LINK);
    table.finish();
    range
}

fn read_range(
    table: &mut Table<'_>,
    low: &'static str,
    high: &'static str,
    default: TtlRange,
) -> Option<TtlRange> {
    let min = table.optional(low, default.min, read_ttl);
    let max = table.optional(high, default.max, read_ttl);
    let (min_at, max) = (min?, max?.into_inner());
    let min = *min_at.get_ref();
    if min > max {
        let message = format!("`{low}` must be at most `{high}`, and {min} is more than {max}");
        table.report.error(&min_at.span(), message);
        return None;
    }
    Some(TtlRange { min, max })
}

/// The peers that could be read, and whether these are all.
fn read_peers(field: &Field<'_>, default: TtlRange) -> Option<(Vec<At<Peer>>, bool)> {
    let entries = field.list("a list such as [\"10.99.0.2\"]")?;
    let read: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some(entry.at(read_peer(entry, default)?)))
        .collect();
    let all = read.len() == entries.len();
    Some((read, all))
}

fn read_peer(field: &Field<'_>, default: TtlRange) -> Option<Peer> {
    if !field.is_table() {
        let address = read_address(field, "10.99.0.2")?;
        return Some(Peer {
            address,
            ttl: default,
        });
    }
    let mut table = field.table()?;
    let address = table.required("address", |f| read_address(f, "10.99.0.2"));
    let ttl = read_range(&mut table, "min_ttl", "max_ttl", default);
    table.finish();
    Some(Peer {
        address: address?.into_inner(),
        ttl: ttl?,
    })
}
