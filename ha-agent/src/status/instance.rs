//! The part of `status` about one virtual router.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ha_common::election::Role;
use ha_common::units;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::model;

use super::claims::Claims;
use super::fence::Fence;
use super::hmac::Hmac;
use super::missing::Missing;
use super::moment::{Countdown, WallTime};
use super::rejects::RejectCounts;
use super::routing::{Route, Rule};
use super::tracked::Tracked;
use super::transport::Transport;
use super::virtual_mac::VirtualMac;

/// One `[[instance]]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Instance {
    /// `name` in the configuration.
    pub name: String,
    /// The sync group that it is a member of.
    pub group: Option<String>,
    /// The interface's name.
    pub interface: String,
    /// The interface's index; `null` while there is no such interface.
    pub ifindex: Option<u32>,
    /// The address family.
    pub family: Family,
    /// The virtual router, 1 to 255.
    pub vrid: u8,
    /// The protocol's version, 2 or 3.
    pub version: u8,
    /// What it is now.
    pub state: State,
    /// Since when.
    pub since: WallTime,
    /// Why, if it is in `fault` or held in `initialize`.
    pub reason: Option<String>,
    /// How its priority comes about.
    pub priority: PrioritySum,
    /// What is tracked beside the own interface, in configured order.
    pub tracked: Vec<Tracked>,
    /// Whether it takes over from a healthy master of lower priority.
    pub preempt: bool,
    /// While a backup's preempt delay runs: until when it leaves a healthy master of lower priority alone.
    pub preempt_wait: Option<Countdown>,
    /// While a backup is to replace a master of lower priority that it hears: when its timer runs out. A member of a
    /// sync group waits for the others then.
    #[serde(default)]
    pub takes_over: Option<Countdown>,
    /// Who is master; `null` if nobody is known to be.
    pub master: Option<Master>,
    /// The virtual addresses, in configured order.
    pub addresses: Vec<Address>,
    /// The address that adverts leave from; `null` while there is none.
    pub source: Option<IpAddr>,
    /// Adverts of this master that the kernel has refused for longer than the others wait; `null` if they
    /// leave.
    #[serde(default)]
    pub unsent: Option<Unsent>,
    /// How adverts travel.
    pub transport: Transport,
    /// How adverts are signed and verified; `null` if they are not.
    #[serde(default)]
    pub hmac: Option<Hmac>,
    /// The virtual router's own MAC; `null` if it uses the interface's.
    #[serde(default)]
    pub virtual_mac: Option<VirtualMac>,
    /// Those that move along and are not in the adverts, in configured order.
    #[serde(default)]
    pub excluded: Vec<Address>,
    /// The routes that a master adds, in configured order.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The rules that a master adds, in configured order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is wanted on the host and is not so, and when it is tried again.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// How adverts are received.
    pub datapath: Datapath,
    /// What keeps a host whose agent stands still from answering for addresses that another one holds.
    pub fence: Fence,
    /// Whether adverts end in the program.
    pub consume: Consume,
    /// Intervals between adverts.
    pub interval: Interval,
    /// Who notices that the master is silent.
    pub timer: Timer,
    /// The last change of state; `null` before the first.
    pub last_transition: Option<Transition>,
    /// Changes of state since the agent started.
    pub transitions: u64,
    /// What was counted in this life of the agent.
    pub counters: Counters,
    /// Other hosts that claim the addresses by ARP or neighbour discovery while this one is master.
    #[serde(default)]
    pub claims: Claims,
    /// The last refused advert of a plausible peer.
    pub last_rejected: Option<Rejected>,
    /// What is wrong and was logged once, such as a peer with another list of addresses; not what is over.
    pub notices: Vec<Notice>,
}

/// The address family of a virtual router.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl From<units::Family> for Family {
    fn from(family: units::Family) -> Self {
        match family {
            units::Family::V4 => Self::Ipv4,
            units::Family::V6 => Self::Ipv6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// The state of the election, and whether it takes part at all.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not taking part yet: the interface, a check's first result or the start delay is awaited.
    Initialize,
    /// Listening to a master.
    Backup,
    /// Holding the addresses.
    Master,
    /// Not taking part: a check failed or the interface is down.
    Fault,
}

/// As in the log: upper case, as operators know it.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => Role::Initialize.name(),
            Self::Backup => Role::Backup.name(),
            Self::Master => Role::Master.name(),
            Self::Fault => Role::Fault.name(),
        })
    }
}

/// A priority with its reasons: `base` and the applied weights, clamped to 1..=254, are `effective`,
/// unless another member of its sync group has less.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PrioritySum {
    /// `priority` in the configuration; 255 is the owner, whom no weight changes.
    pub base: u8,
    /// One for each tracked thing that has a weight.
    pub weights: Vec<Weight>,
    /// What is advertised and compared.
    pub effective: u8,
    /// While it takes part as a last resort, by `last_resort`: that priority, and what has failed.
    #[serde(default)]
    pub last_resort: Option<String>,
    /// The member of its sync group whose lower sum counts in place of its own.
    pub capped_by: Option<String>,
}

/// What something tracked does to a priority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Weight {
    /// What it is called in the sum: a check's name, `interface eth1`, `nginx reversed`.
    pub check: String,
    /// Negative: added while it fails. Positive: added while it succeeds.
    pub weight: i16,
    /// Whether it is being added.
    pub applied: bool,
    /// What is being added now.
    pub adds: i16,
    /// When the weight is added, in words: `while nginx fails`.
    pub when: String,
}

/// The master of a virtual router as this host knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Master {
    /// Whether it is this very instance; then the rest is what it sends.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// The source address of its adverts.
    pub address: IpAddr,
    pub priority: u8,
    /// The interval it announces, in microseconds.
    pub interval_us: u64,
    /// How long ago its last advert came, in microseconds; `null` for ourselves.
    pub last_heard_us: Option<u64>,
    /// How it takes the checksum; `null` where there is only one way (v2, IPv6) or none was learned.
    pub checksum: Option<Checksum>,
}

/// The two ways to take the checksum of v3 over IPv4.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// With the pseudo-header.
    PseudoHeader,
    /// Over the VRRP message alone.
    Payload,
}

/// Adverts that do not leave.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unsent {
    /// The first of them.
    pub since: WallTime,
    /// Where they were to go: with several peers, the first that gets none.
    pub to: IpAddr,
    /// Why not, in words.
    pub why: String,
}

/// One virtual address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Address {
    /// As configured; with the prefix length of the peer, if there is one.
    pub address: IpNet,
    /// Whether the interface really has it, by the kernel's word.
    pub present: bool,
    /// `label`, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `scope`, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `broadcast`, if one is configured; an `"auto"` one as it came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Ipv4Addr>,
    /// `peer`, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
}

/// How adverts are received.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Datapath {
    /// What runs; `null` if nothing is attached.
    pub kind: Option<model::Datapath>,
    /// How it is attached: `tcx`, `clsact`, `xdp`; `null` for a plain socket.
    #[serde(default)]
    pub link: Option<String>,
    /// Why this one runs.
    #[serde(default)]
    pub because: String,
    /// What a command has set in place of the configured one; `null` if that counts.
    #[serde(default, rename = "override")]
    pub overridden: Option<Override>,
    /// Why the others do not run.
    pub why: Vec<Refusal>,
    /// What else should be known of it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How often the program was gone from the interface, and was attached again.
    #[serde(default)]
    pub reattached: u64,
}

/// A datapath by command, until a reload changes `datapath` of the instance, or the agent ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Override {
    /// What counts, as the configuration would write it.
    pub datapath: String,
    /// `datapath` in the configuration.
    pub configured: String,
}

/// Why a datapath does not run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refusal {
    pub kind: model::Datapath,
    pub reason: String,
}

/// Whether adverts for our virtual routers end in the BPF program.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Consume {
    /// `consume` in the configuration.
    pub configured: ConsumeChoice,
    /// What is done: true if they end there, false if they are passed on to the host.
    pub effective: bool,
    pub why: String,
}

/// `consume` in the configuration.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumeChoice {
    /// By the rate of adverts on the interface.
    Auto,
    /// `true`.
    Always,
    /// `false`.
    Never,
}

/// Intervals between adverts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Interval {
    /// Ours, in microseconds.
    pub own_us: u64,
    /// How many of them without an advert make a master dead.
    pub down_multiplier: u8,
    /// What a v3 backup learned from the master and reckons with, in microseconds.
    pub learned_us: Option<u64>,
}

/// Who notices that the master is silent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timer {
    /// What runs.
    pub kind: TimerKind,
    /// Why it is not the kernel's timer; `null` if it is.
    pub why: Option<String>,
    /// Times the kernel's timer fired more than 5 ms late, as a flood on its CPU makes it.
    #[serde(default)]
    pub late: u64,
    /// By how much it was late at the worst, in microseconds, of the last times that came close together; `null`: it never
    /// was.
    #[serde(default)]
    pub latest_us: Option<u64>,
    /// Whether the agent's own timer stands behind it, as it does for 10 s after it was late: by twice
    /// `latest_us`.
    #[serde(default)]
    pub guarded: bool,
}

/// The kinds of timer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// A BPF timer.
    Kernel,
    /// The agent's own.
    Watchdog,
}

/// A change of state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Transition {
    pub from: State,
    pub to: State,
    /// Why, in words.
    pub cause: String,
    pub at: WallTime,
    /// From the deadline to the first action, in microseconds; `null` if no deadline was involved.
    pub latency_us: Option<u64>,
}

/// What was counted for one virtual router since the agent started. What its slot counts is newer where the interface has
/// come back since, or the datapath has changed: see `since`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Since when adverts received and rejected, records and the timer are counted; `null` while nothing is received. All
    /// else counts since the agent started.
    #[serde(default)]
    pub since: Option<WallTime>,
    /// Valid adverts.
    pub adverts_received: u64,
    /// Refused adverts by reason.
    pub rejects: RejectCounts,
    /// Records pushed to the agent.
    pub events: u64,
    /// Times the driver woke for this instance.
    pub wakeups: u64,
    /// Records held back by the rate limit.
    pub suppressed: u64,
    /// Records lost because the ring was full.
    pub dropped: u64,
    /// Times the kernel's timer fired.
    pub timer_fired: u64,
    /// Adverts sent; one to several unicast peers counts for each.
    pub adverts_sent: u64,
    /// Adverts that the kernel refused to send; one to several unicast peers counts for each.
    #[serde(default)]
    pub adverts_unsent: u64,
    /// Gratuitous ARP and unsolicited NA sent.
    pub garp_sent: u64,
    /// Times an address was put back after somebody else removed it.
    pub vip_restored: u64,
    /// Times a route or rule was put back after somebody else removed it.
    #[serde(default)]
    pub routing_restored: u64,
    /// Times the virtual router was written into the BPF maps again after somebody else changed it there.
    #[serde(default)]
    pub slot_restored: u64,
}

/// A refused advert, kept so that a mismatch can be explained.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rejected {
    /// The name of the check that failed, as in `counters.rejects`.
    pub reason: String,
    /// Who sent it.
    pub source: IpAddr,
    /// When it came.
    pub at: WallTime,
    /// Each field that is not as it should be.
    pub differences: Vec<Difference>,
}

/// One field that is not as it should be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// The field's name.
    pub field: String,
    /// What is configured here, or follows from it.
    pub expected: String,
    /// What the advert said.
    pub got: String,
}

/// Something wrong that was logged once. It ends when it is no longer so.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// When it was first seen.
    pub at: WallTime,
    /// When it was last seen.
    #[serde(default)]
    pub last: Option<WallTime>,
    /// One sentence.
    pub text: String,
    /// Of another list of virtual addresses: which ones, once an advert was heard; `null` until then, and of anything else.
    #[serde(default)]
    pub list: Option<ListDifference>,
}

/// Virtual addresses that two hosts do not share.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListDifference {
    /// Those that the other host lists alone, in its order.
    pub only_there: Vec<IpAddr>,
    /// Those that this host lists alone, in configured order.
    pub only_here: Vec<IpAddr>,
}
