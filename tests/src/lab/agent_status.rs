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
    /// The sync groups.
    pub groups: Vec<Group>,
    /// What woke the driver, by cause.
    pub wakeups: BTreeMap<String, u64>,
    /// The thread that sends adverts.
    pub sender: Sender,
    /// What an earlier agent has left and cannot be removed yet.
    pub leftovers: Vec<Missing>,
}

/// A sync group.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What all of its instances are.
    pub state: State,
    /// What all of them advertise.
    pub priority: u8,
    /// Their names.
    pub instances: Vec<String>,
    /// Why it takes no part.
    pub reason: Option<String>,
    /// Who keeps it from taking over.
    pub waits_for: Option<String>,
    /// Who would take over.
    pub would_take_over: Option<String>,
}

/// The thread that sends adverts.
#[derive(Clone, Debug, Deserialize)]
pub struct Sender {
    /// Real-time scheduling.
    pub realtime: Ability,
    /// Memory that is not swapped.
    pub memory_locked: Ability,
    /// The driver's permission.
    pub lease: Lease,
}

/// What the host lets the agent do, or not.
#[derive(Clone, Debug, Deserialize)]
pub struct Ability {
    /// In force.
    pub active: bool,
    /// How, or why not.
    pub why: String,
}

/// The driver's permission to go on advertising.
#[derive(Clone, Debug, Deserialize)]
pub struct Lease {
    /// How often it lapsed.
    pub lapses: u64,
}

/// The host and the process.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The agent's process.
    pub pid: u32,
    /// What came of the last reload.
    pub last_reload: Option<LastReload>,
    /// Whether its maps and links outlive it.
    pub pins: Pins,
}

/// What came of a reload.
#[derive(Clone, Debug, Deserialize)]
pub struct LastReload {
    /// Why it failed.
    pub error: Option<String>,
    /// Each reason in one line.
    pub details: Vec<String>,
}

/// Whether maps and links outlive the agent.
#[derive(Clone, Debug, Deserialize)]
pub struct Pins {
    /// `pinned` or `unpinned`.
    pub state: String,
    /// Why not, if they do not.
    pub why: Option<String>,
}

/// One virtual router.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its sync group.
    pub group: Option<String>,
    /// The interface's index, while it has one.
    pub ifindex: Option<u32>,
    /// What it is now.
    pub state: State,
    /// Why, if it takes no part.
    pub reason: Option<String>,
    /// How its priority comes about.
    pub priority: Priority,
    /// What it tracks beside its interface.
    pub tracked: Vec<Tracked>,
    /// Until when it leaves a healthy master alone.
    pub preempt_wait: Option<Ahead>,
    /// When it preempts.
    pub takes_over: Option<Ahead>,
    /// Intervals between adverts.
    pub interval: Interval,
    /// Who is master.
    pub master: Option<Master>,
    /// Adverts that the kernel refuses.
    pub unsent: Option<Unsent>,
    /// Its own MAC, if it has one.
    pub virtual_mac: Option<VirtualMac>,
    /// The virtual addresses.
    pub addresses: Vec<Address>,
    /// Those that are not in the adverts.
    pub excluded: Vec<Address>,
    /// The routes of a master.
    pub routes: Vec<RoutingEntry>,
    /// The rules of a master.
    pub rules: Vec<RoutingEntry>,
    /// What is wanted and is not so.
    pub missing: Vec<Missing>,
    /// What a stalled agent's host is kept from.
    pub fence: Fence,
    /// How adverts are received.
    pub datapath: Datapath,
    /// Whether adverts end in the BPF program.
    pub consume: Consume,
    /// Who notices that the master is silent.
    pub timer: Timer,
    /// The last refused advert.
    pub last_rejected: Option<Rejected>,
    /// What was found odd, and logged once.
    pub notices: Vec<Notice>,
    /// The last change of state.
    pub last_transition: Option<Transition>,
    /// How many there were.
    pub transitions: u64,
    /// What was counted.
    pub counters: Counters,
    /// Who else claims the addresses.
    pub claims: Claims,
}

/// Something that is wanted and is not so.
#[derive(Clone, Debug, Deserialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Claims of a master's addresses by ARP or neighbour discovery.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// How many.
    pub count: u64,
    /// Who claimed, the last one first.
    pub by: Vec<Claimant>,
}

/// A host that claims an address.
#[derive(Clone, Debug, Deserialize)]
pub struct Claimant {
    /// Its MAC.
    pub mac: String,
    /// The address.
    pub address: IpAddr,
    /// How often.
    pub count: u64,
}

/// Something to come.
#[derive(Clone, Debug, Deserialize)]
pub struct Ahead {
    /// How far off it is, in microseconds.
    pub in_us: u64,
}

/// Intervals between adverts.
#[derive(Clone, Debug, Deserialize)]
pub struct Interval {
    /// How many without an advert make a master dead.
    pub down_multiplier: u8,
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
    /// The member of its group that has less.
    pub capped_by: Option<String>,
}

impl Instance {
    /// Whether it is a backup that has heard its master. One that has just become backup follows nobody yet.
    pub fn follows(&self) -> bool {
        self.state == State::Backup && self.master.as_ref().is_some_and(|master| !master.is_self)
    }

    /// Whether it is a backup of a master of that priority.
    pub fn follows_priority(&self, priority: u8) -> bool {
        self.follows()
            && self
                .master
                .as_ref()
                .is_some_and(|it| it.priority == priority)
    }

    /// Whether it receives by the datapath of that name.
    pub fn receives_by(&self, datapath: &str) -> bool {
        self.datapath.kind.as_deref() == Some(datapath)
    }
}

/// Something tracked.
#[derive(Clone, Debug, Deserialize)]
pub struct Tracked {
    /// What it is called.
    pub name: String,
    /// What it counts as: `pending`, `up` or `down`.
    pub state: String,
    /// What was found.
    pub found: Option<String>,
    /// How long until that counts, in microseconds.
    pub counts_in_us: Option<u64>,
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

/// Adverts that do not leave.
#[derive(Clone, Debug, Deserialize)]
pub struct Unsent {
    /// Where they were to go.
    pub to: IpAddr,
    /// Why not.
    pub why: String,
}

/// A virtual router's own MAC.
#[derive(Clone, Debug, Deserialize)]
pub struct VirtualMac {
    /// The device that has it.
    pub device: String,
    /// Written with colons.
    pub address: String,
    /// Whether the device is switched on.
    pub up: bool,
}

/// A virtual address.
#[derive(Clone, Debug, Deserialize)]
pub struct Address {
    /// With its prefix length.
    pub address: String,
    /// Whether the interface has it.
    pub present: bool,
    /// Its label, if it has one of its own.
    pub label: Option<String>,
}

/// A route or a rule.
#[derive(Clone, Debug, Deserialize)]
pub struct RoutingEntry {
    /// As `ip` writes it.
    pub text: String,
    /// Whether the kernel has it.
    pub present: bool,
    /// Why it could not be added.
    pub error: Option<String>,
}

/// The fence.
#[derive(Clone, Debug, Deserialize)]
pub struct Fence {
    /// `none`, `ingress_only`, `down`, `up` or `closed`.
    pub state: String,
    /// Frames for the addresses that were dropped.
    pub dropped_in: u64,
    /// Frames in their name that were.
    pub dropped_out: u64,
    /// The addresses that are there though the host is not master.
    pub closed: Vec<IpAddr>,
    /// Frames for them that were dropped for that.
    pub not_master_in: u64,
    /// Frames in their name that were.
    pub not_master_out: u64,
    /// How long ago the last one was.
    pub last_us: Option<u64>,
}

/// How adverts are received.
#[derive(Clone, Debug, Deserialize)]
pub struct Datapath {
    /// `tc`, `native`, `generic` or `socket`.
    pub kind: Option<String>,
    /// `tcx`, `clsact` or `xdp`.
    pub link: Option<String>,
    /// Why this one runs.
    pub because: String,
    /// What a command has set.
    #[serde(rename = "override")]
    pub overridden: Option<Override>,
    /// Why the others do not run.
    pub why: Vec<Refusal>,
    /// What else should be known of it.
    pub notes: Vec<String>,
    /// How often its program was gone and was attached again.
    pub reattached: u64,
}

/// A datapath by command.
#[derive(Clone, Debug, Deserialize)]
pub struct Override {
    /// What counts.
    pub datapath: String,
    /// What the configuration says.
    pub configured: String,
}

impl Datapath {
    /// Why the datapath of that kind does not run; empty if nothing is said.
    pub fn refusal(&self, kind: &str) -> &str {
        let found = self.why.iter().find(|refusal| refusal.kind == kind);
        found.map_or("", |refusal| &refusal.reason)
    }
}

/// Why a datapath does not run.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// Which.
    pub kind: String,
    /// Why.
    pub reason: String,
}

/// Whether adverts end in the BPF program.
#[derive(Clone, Debug, Deserialize)]
pub struct Consume {
    /// `auto`, `always` or `never`.
    pub configured: String,
    /// What is done.
    pub effective: bool,
    /// Why.
    pub why: String,
}

/// Who notices that the master is silent.
#[derive(Clone, Debug, Deserialize)]
pub struct Timer {
    /// `kernel` or `watchdog`.
    pub kind: String,
    /// Why it is not the kernel.
    pub why: Option<String>,
    /// How often the kernel's was late.
    pub late: u64,
    /// Whether the agent looks behind it.
    pub guarded: bool,
}

/// Something odd.
#[derive(Clone, Debug, Deserialize)]
pub struct Notice {
    /// One sentence.
    pub text: String,
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
    /// Since when, of what the slot counts.
    pub since: Option<serde_json::Value>,
    /// Valid adverts.
    pub adverts_received: u64,
    /// Refused ones by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Records pushed to the agent.
    pub events: u64,
    /// Times the driver woke for it.
    pub wakeups: u64,
    /// Times the kernel's timer fired.
    pub timer_fired: u64,
    /// Adverts sent.
    pub adverts_sent: u64,
    /// Adverts that the kernel refused.
    pub adverts_unsent: u64,
    /// Announcements sent.
    pub garp_sent: u64,
    /// Times an address was put back.
    pub vip_restored: u64,
    /// Times a route or rule was put back.
    pub routing_restored: u64,
    /// How often something else had overwritten the slot.
    pub slot_restored: u64,
}

/// A refused advert.
#[derive(Clone, Debug, Deserialize)]
pub struct Rejected {
    /// The name of the check that failed.
    pub reason: String,
    /// Who sent it.
    pub source: IpAddr,
}

/// A check.
#[derive(Clone, Debug, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// `pending`, `up`, `restarting` or `down`.
    pub state: String,
    /// The last run.
    pub last: Option<CheckResult>,
    /// Runs so far.
    pub runs: u64,
    /// Restart commands that were run.
    pub restarts: u64,
    /// The process whose death is noticed at once.
    pub watched_pid: Option<u32>,
}

/// How a run of a check ended.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckResult {
    /// In words, with what a command has printed.
    pub text: String,
}
