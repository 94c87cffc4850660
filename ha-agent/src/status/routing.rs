//! The part of `status` about routes and rules.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One entry of `routes`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Route {
    /// The network; of length 0 for the default.
    pub to: IpNet,
    /// `unicast`, `blackhole`, `unreachable` or `prohibit`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface; `null` where nothing is sent.
    pub dev: Option<String>,
    /// Lower wins.
    pub metric: u32,
    pub table: u32,
    /// What the host's own packets along it start from.
    pub source: Option<IpAddr>,
    /// As `ip route` writes it, without what is the default.
    pub text: String,
    /// Whether the kernel really has it, and as one of the agent's.
    pub present: bool,
    /// Why a master could not add it; `null` if it could, or is none.
    pub error: Option<String>,
}

/// One entry of `rules`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// Where packets come from.
    pub from: Option<IpNet>,
    /// Where they are going.
    pub to: Option<IpNet>,
    /// The interface that they came in by.
    pub iif: Option<String>,
    /// Their mark.
    pub fwmark: Option<u32>,
    /// The number of the table that they are looked up in.
    pub table: u32,
    /// Lower is looked up first.
    pub priority: u32,
    /// As `ip rule` writes it.
    pub text: String,
    /// Whether the kernel really has it, and as one of the agent's.
    pub present: bool,
    /// Why a master could not add it; `null` if it could, or is none.
    pub error: Option<String>,
}
