//! Peers as they are shown, wherever their statistics were read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use aya::maps::MapError;
use ha_common::layout::{Counter, GAP_BUCKETS, PeerKey, PeerStats};
use ha_common::units::{Centiseconds, Instant};

use crate::datapath::reader::Reader;
use crate::net::interface;
use crate::net::links::LinkTable;
use crate::os::clock;
use crate::status::instance::Family;
use crate::status::moment::WallTime;
use crate::status::peers::{Bucket, Frames, Gap, LastAdvert, Peer, Peers};
use crate::status::rejects::RejectCounts;

/// Reads the peers from pinned maps, whether or not an agent runs.
pub fn pinned(pin_dir: &Path) -> Result<Peers, MapError> {
    let reader = Reader::pinned(pin_dir)?;
    // Without the names of interfaces their numbers are shown.
    let names: HashMap<u32, String> = interface::all()
        .map(|links| {
            links
                .into_iter()
                .map(|link| (link.index, link.name))
                .collect()
        })
        .unwrap_or_default();
    let now = clock::now();
    let peers = sorted(
        reader
            .peers()
            .iter()
            .map(|(key, stats)| peer(key, stats, now, names.get(&key.slot.ifindex).cloned())),
    );
    Ok(Peers {
        pin_dir: Some(pin_dir.to_owned()),
        started: None,
        peers,
        frames: Some(frames(&reader)),
    })
}

/// What the kernel half counted over all interfaces since its maps were made.
pub(super) fn frames(reader: &Reader) -> Frames {
    Frames {
        since: None,
        vrrp: reader.counter(Counter::Vrrp),
        not_ours: reader.counter(Counter::NotOurs),
        tagged: reader.counter(Counter::Tagged),
        unreadable: reader.counter(Counter::Unreadable),
        consumed: reader.counter(Counter::Consumed),
        authenticated: reader.counter(Counter::Authenticated),
        events_dropped: reader.counter(Counter::EventsDropped),
        peers_refused: reader.counter(Counter::PeersRefused),
    }
}

/// What it has counted since it had counted that, at this moment.
pub(super) fn frames_since(counted: &Frames, before: &Frames, since: WallTime) -> Frames {
    Frames {
        since: Some(since),
        vrrp: counted.vrrp.saturating_sub(before.vrrp),
        not_ours: counted.not_ours.saturating_sub(before.not_ours),
        tagged: counted.tagged.saturating_sub(before.tagged),
        unreadable: counted.unreadable.saturating_sub(before.unreadable),
        consumed: counted.consumed.saturating_sub(before.consumed),
        authenticated: counted.authenticated.saturating_sub(before.authenticated),
        events_dropped: counted.events_dropped.saturating_sub(before.events_dropped),
        peers_refused: counted.peers_refused.saturating_sub(before.peers_refused),
    }
}

/// Peers that the agent itself has read.
pub(super) fn shown(peers: &[(PeerKey, PeerStats)], now: Instant, links: &LinkTable) -> Vec<Peer> {
    sorted(peers.iter().map(|(key, stats)| {
        let name = links.get(key.slot.ifindex).map(|link| link.name.clone());
        peer(key, stats, now, name)
    }))
}

fn sorted(peers: impl Iterator<Item = Peer>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = peers.collect();
    peers.sort_by_key(|peer| (peer.ifindex, peer.vrid, peer.address));
    peers
}

fn peer(key: &PeerKey, stats: &PeerStats, now: Instant, interface: Option<String>) -> Peer {
    let age = |at: u64| now.since(Instant(at)).0 / 1000;
    Peer {
        interface,
        ifindex: key.slot.ifindex,
        family: family(key.slot.family),
        vrid: key.slot.vrid,
        address: address(key.slot.family, key.address),
        adverts: stats.adverts,
        bytes: stats.bytes,
        rejects: RejectCounts::new(stats.rejects),
        first_seen_us: age(stats.first_seen),
        last_seen_us: age(stats.last_seen),
        last: (stats.adverts > 0).then_some(LastAdvert {
            priority: stats.priority,
            version: stats.version,
            interval_us: Centiseconds(stats.interval).nanos().0 / 1000,
        }),
        gap: (stats.gap_max > 0).then(|| gap(stats)),
    }
}

fn gap(stats: &PeerStats) -> Gap {
    let histogram = stats.gaps.iter().enumerate().map(|(bucket, count)| Bucket {
        below_us: (bucket + 1 < GAP_BUCKETS).then_some(1000 << bucket),
        count: *count,
    });
    Gap {
        min_us: stats.gap_min / 1000,
        max_us: stats.gap_max / 1000,
        histogram: histogram.collect(),
    }
}

pub(super) const fn family(raw: u8) -> Family {
    if raw == 6 { Family::Ipv6 } else { Family::Ipv4 }
}

pub(super) fn address(family: u8, raw: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = raw;
    if family == 6 {
        IpAddr::from(raw)
    } else {
        IpAddr::from([a, b, c, d])
    }
}
