//! The part of `status` about other hosts that claim a master's addresses by ARP or neighbour discovery.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::moment::WallTime;

/// What was claimed while this host was master, since the agent started. The kernel half tells of 160 claims
/// a second at the most.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    pub count: u64,
    /// How many in the last minute.
    pub per_minute: u64,
    /// How many of all came from further MACs, after the first 16.
    pub unnamed: u64,
    /// Who claimed, the last one first.
    pub by: Vec<Claimant>,
}

/// A host that claims an address of ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claimant {
    /// Its MAC, as in `52:54:00:12:34:56`.
    pub mac: String,
    /// The address that it claimed last.
    pub address: IpAddr,
    /// How often it claimed an address.
    pub count: u64,
    /// Since when; an hour without a claim is an end.
    pub since: WallTime,
    /// When it last did.
    pub last: WallTime,
}
