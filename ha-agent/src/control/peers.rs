//! The types of `peers --json`: what the kernel half counted, per sender and virtual router.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::instance::Family;
use super::rejects::RejectCounts;

/// All peers that the maps know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Peers {
    /// The pin directory whose maps were read; `null` if a running agent read its unpinned maps.
    pub pin_dir: Option<PathBuf>,
    /// One entry for each interface, virtual router and source address.
    pub peers: Vec<Peer>,
}

/// One sender of adverts for one virtual router, as seen on one interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Peer {
    /// The interface's name; `null` if it is gone.
    pub interface: Option<String>,
    /// The interface's index.
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
    /// How many.
    pub count: u64,
}
