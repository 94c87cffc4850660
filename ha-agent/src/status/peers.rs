//! The types of `peers --json`: what the kernel half counted, per sender and virtual router.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::instance::Family;
use super::moment::WallTime;
use super::rejects::RejectCounts;

/// All peers that the maps know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Peers {
    /// The pin directory whose maps were read; `null` if a running agent read its unpinned maps.
    pub pin_dir: Option<PathBuf>,
    /// When the agent that answers was started; `null` if none did.
    #[serde(default)]
    pub started: Option<WallTime>,
    /// One entry for each interface, virtual router and source address.
    pub peers: Vec<Peer>,
    /// What the kernel half counted over all interfaces; `null` where there is none.
    #[serde(default)]
    pub frames: Option<Frames>,
}

/// Frames on the interfaces that the kernel half is on, whoever they were for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Frames {
    /// Since when: since the agent started. `null`: since the maps were made, which outlive agents.
    #[serde(default)]
    pub since: Option<WallTime>,
    /// VRRP frames without a VLAN tag that could be read.
    pub vrrp: u64,
    /// Of these for virtual routers that are not configured here.
    pub not_ours: u64,
    /// Others, with a VLAN tag, which are the VLAN device's business.
    pub tagged: u64,
    /// Others, too short to tell whose they are, or with an IP header that every host discards.
    pub unreadable: u64,
    /// Of `vrrp` those that ended in the kernel half, by `consume`.
    pub consumed: u64,
    /// Packets of any kind in an authentication header of `IPsec`, into which nothing here looks.
    pub authenticated: u64,
    /// Events that the ring to the agent had no room for.
    pub events_dropped: u64,
    /// Peers that were left out of the list, since so many new ones came at once.
    pub peers_refused: u64,
}

/// One sender of adverts for one virtual router, as seen on one interface. All its counters begin with its first frame,
/// which may have come before the agent started: pinned maps outlive agents.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Peer {
    /// The interface's name; `null` if it is gone.
    pub interface: Option<String>,
    pub ifindex: u32,
    /// The address family of the virtual router.
    pub family: Family,
    /// The virtual router, 1 to 255.
    pub vrid: u8,
    /// The source address of the adverts.
    pub address: IpAddr,
    /// Valid adverts.
    pub adverts: u64,
    /// Bytes of all its frames, the refused ones included, without the Ethernet header.
    pub bytes: u64,
    /// Refused adverts by reason.
    pub rejects: RejectCounts,
    /// How long ago the first frame came, in microseconds.
    pub first_seen_us: u64,
    /// How long ago the last frame came, in microseconds.
    pub last_seen_us: u64,
    /// What its last valid advert said; `null` if there was none.
    pub last: Option<LastAdvert>,
    /// The time between its valid adverts; `null` before the second.
    pub gap: Option<Gap>,
}

/// The header of the last valid advert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastAdvert {
    /// 0 to 255; 0: it left.
    pub priority: u8,
    /// 2 or 3.
    pub version: u8,
    /// The announced interval in microseconds.
    pub interval_us: u64,
}

/// The time between consecutive valid adverts of a peer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// The shortest, in microseconds.
    pub min_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// How the gaps are spread, in rising order; each counts what the ones before it did not.
    pub histogram: Vec<Bucket>,
}

/// One step of a histogram.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bucket {
    /// Gaps shorter than this many microseconds; `null`: no upper limit.
    pub below_us: Option<u64>,
    pub count: u64,
}
