//! What tests read from `ha-agent status --json`: written down a second time on purpose, so that a
//! field that is renamed or dropped by mistake fails a test. Other fields are ignored.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

/// One snapshot.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The host and the process.
    pub node: Node,
    /// The virtual routers.
    pub instances: Vec<Instance>,
    /// The checks.
    pub checks: Vec<Check>,
    /// What woke the driver, by cause.
    pub wakeups: BTreeMap<String, u64>,
}

/// The host and the process.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The agent's process.
    pub pid: u32,
}

/// One virtual router.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// What it is now.
    pub state: State,
    /// How its priority comes about.
    pub priority: Priority,
    /// Who is master.
    pub master: Option<Master>,
    /// The virtual addresses.
    pub addresses: Vec<Address>,
    /// How adverts are received.
    pub datapath: Datapath,
    /// The last change of state.
    pub last_transition: Option<Transition>,
    /// How many there were.
    pub transitions: u64,
    /// What was counted.
    pub counters: Counters,
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not taking part yet.
    Initialize,
    /// Listening.
    Backup,
    /// Holding the addresses.
    Master,
    /// Not taking part: something failed.
    Fault,
}

/// A priority.
#[derive(Clone, Debug, Deserialize)]
pub struct Priority {
    /// As configured.
    pub base: u8,
    /// As advertised.
    pub effective: u8,
}

/// The master as the host knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Master {
    /// Whether it is the host itself.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// Its address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
}

/// A virtual address.
#[derive(Clone, Debug, Deserialize)]
pub struct Address {
    /// With its prefix length.
    pub address: String,
    /// Whether the interface has it.
    pub present: bool,
}

/// How adverts are received.
#[derive(Clone, Debug, Deserialize)]
pub struct Datapath {
    /// `native`, `generic` or `socket`.
    pub kind: Option<String>,
}

/// A change of state.
#[derive(Clone, Debug, Deserialize)]
pub struct Transition {
    /// From.
    pub from: State,
    /// To.
    pub to: State,
    /// Why.
    pub cause: String,
    /// From the deadline to the first action, in microseconds.
    pub latency_us: Option<u64>,
}

/// What was counted.
#[derive(Clone, Debug, Deserialize)]
pub struct Counters {
    /// Valid adverts.
    pub adverts_received: u64,
    /// Refused ones by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Records pushed to the agent.
    pub events: u64,
    /// Times the driver woke for it.
    pub wakeups: u64,
}

/// A check.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// `pending`, `up`, `restarting` or `down`.
    pub state: String,
    /// Runs so far.
    pub runs: u64,
    /// Restart commands that were run.
    pub restarts: u64,
}
