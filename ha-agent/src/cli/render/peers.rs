//! `peers` for a person: a table, and below it who had adverts refused and why.

use std::fmt::Write as _;

use super::instance::reject_list;
use super::text::{BOLD, Cell, PLAIN, Table, WARN, field};
use crate::status::format::span;
use crate::status::instance::Family;
use crate::status::moment::WallTime;
use crate::status::peers::{Frames, Peer, Peers};

/// The whole text, in colour, ending in a newline.
pub(crate) fn render_peers(peers: &Peers) -> String {
    let mut out = String::new();
    if peers.peers.is_empty() {
        out.push_str("No adverts received from any peer.\n");
    } else {
        render_list(&mut out, peers);
        render_earlier(&mut out, peers);
    }
    if let Some(frames) = &peers.frames {
        out.push('\n');
        field(&mut out, "frames", PLAIN, &frames_line(frames));
    }
    out
}

/// Maps that are pinned go on counting from one agent to the next: whether this peer's count began before this agent.
fn is_earlier(peer: &Peer, started: Option<&WallTime>) -> bool {
    started.is_some_and(|started| peer.first_seen_us > started.ago_us)
}

/// What the marks in the table mean.
fn render_earlier(out: &mut String, peers: &Peers) {
    let Some(started) = &peers.started else {
        return;
    };
    let earlier = peers
        .peers
        .iter()
        .filter(|peer| is_earlier(peer, Some(started)));
    if let Some(oldest) = earlier.map(|peer| peer.first_seen_us).max() {
        let text = format!(
            "*: since before this agent was started {} ago, the oldest for {}",
            span(started.ago_us),
            span(oldest)
        );
        out.push('\n');
        field(out, "counted", PLAIN, &text);
    }
}

/// Those that are always there, and whatever else there was.
fn frames_line(frames: &Frames) -> String {
    let mut text = format!("{} of VRRP", frames.vrrp);
    for (count, what) in [
        (frames.not_ours, "for virtual routers not configured here"),
        (frames.tagged, "more with a VLAN tag"),
        (frames.unreadable, "more that cannot be parsed"),
        (frames.consumed, "consumed"),
        (
            frames.authenticated,
            "packets in an IPsec authentication header, which are not inspected",
        ),
        (
            frames.events_dropped,
            "events lost because the ring was full",
        ),
        (
            frames.peers_refused,
            "peers not listed because too many came at once",
        ),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    match &frames.since {
        Some(since) => format!("{text}; in {}", span(since.ago_us)),
        None => format!("{text}; since the maps were made"),
    }
}

fn render_list(out: &mut String, peers: &Peers) {
    let (peers, started) = (&peers.peers, peers.started.as_ref());
    let mut table = Table::new(&[
        "INTERFACE",
        "VRID",
        "PEER",
        "ADVERTS",
        "REJECTS",
        "PRIO",
        "EVERY",
        "GAPS",
        "SEEN",
    ]);
    for peer in peers {
        table.row(row(peer, is_earlier(peer, started)));
    }
    table.render(out);
    let refused = peers.iter().filter(|peer| peer.rejects.total() > 0);
    for (index, peer) in refused.enumerate() {
        if index == 0 {
            out.push('\n');
        }
        let text = format!(
            "from {} on {}, VRID {}{}",
            peer.address,
            interface(peer),
            peer.vrid,
            reject_list(&peer.rejects)
        );
        field(out, "rejected", WARN, &text);
    }
}

fn row(peer: &Peer, is_earlier: bool) -> Vec<Cell> {
    let or_dash = |text: Option<String>| Cell::new(text.unwrap_or_else(|| "-".to_owned()));
    let family = match peer.family {
        Family::Ipv4 => "",
        Family::Ipv6 => " v6",
    };
    let rejected = peer.rejects.total();
    let mark = if is_earlier { "*" } else { "" };
    vec![
        Cell::new(interface(peer)),
        Cell::new(format!("{}{family}", peer.vrid)),
        Cell::styled(peer.address.to_string(), BOLD),
        Cell::new(format!("{}{mark}", peer.adverts)),
        if rejected == 0 {
            Cell::new("0")
        } else {
            Cell::styled(rejected.to_string(), WARN)
        },
        or_dash(peer.last.map(|last| last.priority.to_string())),
        or_dash(peer.last.map(|last| span(last.interval_us))),
        or_dash(
            peer.gap
                .as_ref()
                .map(|gap| format!("{}-{}", span(gap.min_us), span(gap.max_us))),
        ),
        Cell::new(format!("{} ago", span(peer.last_seen_us))),
    ]
}

fn interface(peer: &Peer) -> String {
    peer.interface
        .clone()
        .unwrap_or_else(|| format!("#{} gone", peer.ifindex))
}

#[cfg(test)]
mod tests {
    use ha_common::reject::Reject;

    use super::*;
    use crate::status::peers::{Gap, LastAdvert};
    use crate::status::rejects::RejectCounts;

    fn sample() -> Peers {
        let mut rejects = RejectCounts::default();
        rejects.add(Reject::Checksum, 100_000);
        rejects.add(Reject::Ttl, 2);
        let peer = Peer {
            interface: Some("eth0".to_owned()),
            ifindex: 2,
            family: Family::Ipv4,
            vrid: 51,
            address: "10.99.0.1".parse().unwrap(),
            adverts: 273_600,
            bytes: 10_944_000,
            rejects: RejectCounts::default(),
            first_seen_us: 273_600_000_000,
            last_seen_us: 312_400,
            last: Some(LastAdvert {
                priority: 100,
                version: 3,
                interval_us: 1_000_000,
            }),
            gap: Some(Gap {
                min_us: 999_100,
                max_us: 3_001_200,
                histogram: Vec::new(),
            }),
        };
        let forger = Peer {
            interface: None,
            ifindex: 7,
            family: Family::Ipv6,
            address: "fe80::1234:5678:9abc:def0".parse().unwrap(),
            first_seen_us: 60_000_000,
            adverts: 0,
            rejects,
            last: None,
            gap: None,
            ..peer.clone()
        };
        let started = WallTime {
            at: "2026-03-01T12:00:00.250Z".to_owned(),
            ago_us: 7_500_000_000,
        };
        Peers {
            pin_dir: None,
            started: Some(started.clone()),
            peers: vec![peer, forger],
            frames: Some(Frames {
                since: Some(started),
                vrrp: 373_602,
                tagged: 20,
                authenticated: 3,
                ..Frames::default()
            }),
        }
    }

    #[test]
    fn peers_are_a_table_with_the_refused_below() {
        let text = anstream::adapter::strip_str(&render_peers(&sample())).to_string();
        assert_eq!(text, include_str!("peers/expected.txt"));
    }

    #[test]
    fn pinned_maps_are_called_by_their_age_alone() {
        let mut peers = sample();
        peers.started = None;
        if let Some(frames) = &mut peers.frames {
            frames.since = None;
        }
        let text = anstream::adapter::strip_str(&render_peers(&peers)).to_string();
        assert!(!text.contains("this agent"), "{text}");
        assert!(text.contains("since the maps were made"), "{text}");
    }

    #[test]
    fn no_peers_are_said_in_words() {
        let peers = Peers {
            pin_dir: None,
            started: None,
            peers: Vec::new(),
            frames: None,
        };
        assert_eq!(render_peers(&peers), "No adverts received from any peer.\n");
    }
}
