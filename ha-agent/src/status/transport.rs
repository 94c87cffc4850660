//! How adverts travel, as `status` shows it.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Where adverts go, and whose are heard.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Transport {
    /// To a multicast group, and from everybody on the link.
    Multicast {
        group: IpAddr,
        /// Whether it is the standard's.
        standard: bool,
    },
    /// To each peer by unicast.
    Unicast {
        /// The peers, in configured order.
        peers: Vec<UnicastPeer>,
        /// The TTL or hop limit of our own adverts.
        ttl: u8,
        /// Whether adverts of others than the peers are rejected.
        check_source: bool,
    },
}

/// One peer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UnicastPeer {
    /// Where adverts for it go, and come from.
    pub address: IpAddr,
    /// The least TTL that is accepted from it.
    pub min_ttl: u8,
    /// The greatest.
    pub max_ttl: u8,
}

impl Transport {
    /// In words, where it is not what everybody expects: the standard's group.
    pub(crate) fn in_words(&self, source: Option<IpAddr>) -> Option<String> {
        let mut text = match self {
            Self::Multicast { standard: true, .. } => return None,
            Self::Multicast { group, .. } => format!("to group {group}"),
            Self::Unicast {
                peers,
                ttl,
                check_source,
            } => unicast(peers, *ttl, *check_source),
        };
        if let Some(source) = source {
            // Writing to a String cannot fail.
            let _ = write!(text, ", from {source}");
        }
        Some(text)
    }
}

fn unicast(peers: &[UnicastPeer], ttl: u8, check_source: bool) -> String {
    let peer = |peer: &UnicastPeer| match (peer.min_ttl, peer.max_ttl) {
        (255, 255) => peer.address.to_string(),
        (min, max) => format!("{} (accepted TTL {min} to {max})", peer.address),
    };
    let list: Vec<String> = peers.iter().map(peer).collect();
    let mut text = format!("by unicast to {}", list.join(", "));
    if ttl != 255 {
        let _ = write!(text, ", with TTL {ttl}");
    }
    if !check_source {
        text.push_str(", accepted from any source");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unicast_to(peers: &[(&str, u8, u8)], ttl: u8, check_source: bool) -> Transport {
        let peer = |(address, min_ttl, max_ttl): &(&str, u8, u8)| UnicastPeer {
            address: address.parse().unwrap(),
            min_ttl: *min_ttl,
            max_ttl: *max_ttl,
        };
        Transport::Unicast {
            peers: peers.iter().map(peer).collect(),
            ttl,
            check_source,
        }
    }

    #[test]
    fn only_what_is_not_the_standard_is_put_into_words() {
        let source = Some("10.0.0.1".parse().unwrap());
        let group = |group: &str, standard| Transport::Multicast {
            group: group.parse().unwrap(),
            standard,
        };
        assert_eq!(group("224.0.0.18", true).in_words(source), None);
        assert_eq!(
            group("224.0.0.77", false).in_words(source).unwrap(),
            "to group 224.0.0.77, from 10.0.0.1"
        );
        assert_eq!(
            unicast_to(&[("10.0.0.2", 255, 255)], 255, true)
                .in_words(source)
                .unwrap(),
            "by unicast to 10.0.0.2, from 10.0.0.1"
        );
        assert_eq!(
            unicast_to(&[("10.0.0.2", 255, 255), ("10.1.0.2", 250, 254)], 64, false)
                .in_words(None)
                .unwrap(),
            "by unicast to 10.0.0.2, 10.1.0.2 (accepted TTL 250 to 254), with TTL 64, accepted from any source"
        );
    }

    #[test]
    fn programs_are_told_the_kind_and_what_goes_with_it() {
        let json = serde_json::to_value(unicast_to(&[("fd00::2", 1, 255)], 255, true)).unwrap();
        let expected = serde_json::json!({
            "kind": "unicast",
            "peers": [{ "address": "fd00::2", "min_ttl": 1, "max_ttl": 255 }],
            "ttl": 255,
            "check_source": true,
        });
        assert_eq!(json, expected);
    }
}
