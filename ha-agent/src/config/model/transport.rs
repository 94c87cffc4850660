//! How the adverts of an instance travel: to a multicast group, or by unicast to a list of peers.

use std::net::IpAddr;

use ha_common::accept::TtlRange;
use ha_common::units::Family;
use ha_common::wire::numbers;
use serde::Serialize;

use super::written;

/// Where adverts go, and whose are heard.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Transport {
    /// To a group, and from everybody on the link.
    Multicast {
        /// `group`: of the addresses' family; default 224.0.0.18 or `ff02::12` (RFC 9568 sections 5.1.1.2,
        /// 5.1.2.2).
        group: IpAddr,
    },
    /// To each peer.
    Unicast(Unicast),
}

/// What unicast takes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unicast {
    /// `peers`: 1 to 64, of the addresses' family, none of them twice or a virtual address.
    pub peers: Vec<Peer>,
    /// `peer_ttl`: which TTLs are accepted where the peer has none of its own; default 255 only.
    pub peer_ttl: TtlRange,
    /// `ttl`: of our own adverts, 1 to 255; default 255.
    pub ttl: u8,
    /// `check_source`: whether adverts of others than the peers are rejected; default true.
    pub check_source: bool,
}

/// One entry of `peers`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Peer {
    /// `address`.
    pub address: IpAddr,
    /// `min_ttl` and `max_ttl`: which TTLs are accepted from it, 1 to 255.
    #[serde(flatten, serialize_with = "written::peer_ttl")]
    pub ttl: TtlRange,
}

impl Transport {
    /// Multicast as the standards have it.
    pub fn standard(family: Family) -> Self {
        Self::Multicast {
            group: standard_group(family),
        }
    }

    /// Where adverts go.
    pub fn destinations(&self) -> Vec<IpAddr> {
        match self {
            Self::Multicast { group } => vec![*group],
            Self::Unicast(unicast) => unicast.peers.iter().map(|peer| peer.address).collect(),
        }
    }

    /// The TTL or hop limit that adverts leave with: RFC 9568 sections 5.1.1.3 (ttl-sent), 5.1.2.3 (hops-sent);
    /// RFC 3768 section 5.2.3 (ttl-sent).
    pub const fn ttl(&self) -> u8 {
        match self {
            Self::Multicast { .. } => numbers::TTL,
            Self::Unicast(unicast) => unicast.ttl,
        }
    }
}

/// The standards' group of a family.
pub(crate) fn standard_group(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from(numbers::GROUP_V4),
        Family::V6 => IpAddr::from(numbers::GROUP_V6),
    }
}
