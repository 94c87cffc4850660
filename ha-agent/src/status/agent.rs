//! The type of `status --json`: the node, the driver and the sender. What belongs to one virtual
//! router is in [`super::instance`], what belongs to a check in [`super::checks`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checks::Check;
use super::group::Group;
use super::instance::Instance;
use super::missing::Missing;
use super::moment::WallTime;
use super::watches::Watches;

/// Everything the agent says about itself, as one snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// The host and the process.
    pub node: Node,
    /// The virtual routers, in configured order.
    pub instances: Vec<Instance>,
    /// The checks, in configured order.
    pub checks: Vec<Check>,
    /// The sync groups, in configured order.
    pub groups: Vec<Group>,
    /// What woke the driver since the agent started.
    pub wakeups: Wakeups,
    /// The thread that sends adverts.
    pub sender: Sender,
    /// What earlier agents have left on the host and cannot be removed yet.
    #[serde(default)]
    pub leftovers: Vec<Missing>,
    /// Whether the kernel tells of changes in the network.
    #[serde(default)]
    pub watches: Watches,
    /// What is wrong with the configuration or the host as a whole, one sentence each.
    pub warnings: Vec<String>,
}

/// The host and the process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// `name` in `[node]`.
    pub name: String,
    /// The version of the agent that runs.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: WallTime,
    /// The configuration it runs, as an absolute path.
    pub config: PathBuf,
    /// When that was last read successfully.
    pub loaded: WallTime,
    /// The last reload, by command or signal; `null`: there was none.
    #[serde(default)]
    pub last_reload: Option<LastReload>,
    /// Where its maps and links survive it.
    pub pins: Pins,
}

/// What came of a reload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastReload {
    /// When it ended.
    pub at: WallTime,
    /// Why it failed, in one sentence; `null`: it is in force.
    pub error: Option<String>,
    /// More of the reason, such as every problem of the file, each in one line.
    pub details: Vec<String>,
}

/// Whether maps and links outlive the agent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Pins {
    /// They do: a restarted agent carries on where this one stopped.
    Pinned { dir: PathBuf },
    /// They do not.
    Unpinned { why: String },
}

/// How often the driver woke, by cause. While a backup listens to a healthy master, `ring_events`
/// and `timers` do not grow; `watchdog` grows at its own coarse pace.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Wakeups {
    /// Records of the kernel half.
    pub ring_events: u64,
    /// Deadlines of the election that no kernel timer keeps, such as delays and repeated
    /// announcements.
    pub timers: u64,
    /// The coarse look at every slot.
    pub watchdog: u64,
    /// Requests: status, reload, signals.
    pub commands: u64,
    /// Results of checks.
    pub checks: u64,
    /// Changes of interfaces and addresses told by the kernel.
    pub netlink: u64,
}

impl Wakeups {
    /// All of them together.
    pub fn total(&self) -> u64 {
        [
            self.ring_events,
            self.timers,
            self.watchdog,
            self.commands,
            self.checks,
            self.netlink,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// The thread that sends adverts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sender {
    /// Real-time scheduling.
    pub realtime: Ability,
    /// Memory that cannot be swapped out.
    pub memory_locked: Ability,
    /// The driver's permission to go on advertising.
    pub lease: Lease,
    /// Adverts that left later than half an interval after they were due.
    pub late_sends: u64,
    /// The latest one, in microseconds past its due time.
    pub worst_late_us: u64,
}

/// Something the host may or may not let the agent do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ability {
    /// Whether it is in force.
    pub active: bool,
    /// How it is in force, or why it is not.
    pub why: String,
}

/// The driver's permission for the sender, which lapses if the driver hangs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lease {
    /// Whether it holds.
    pub state: LeaseState,
    /// How long it still holds if nobody renews it, in microseconds; 0 if it lapsed.
    pub left_us: u64,
    /// How often it lapsed since the agent started.
    pub lapses: u64,
}

/// Whether a lease holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Renewed in time.
    Held,
    /// The driver did not renew it: the sender has said priority 0 and is silent.
    Lapsed,
}
