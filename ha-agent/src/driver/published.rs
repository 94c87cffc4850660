//! What the driver shows of itself: pictures that are replaced as a whole.
//!
//! There is no lock between the driver and those who look: an ordinary thread that is preempted while
//! it holds one would make a real-time thread wait for it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use ha_common::election::{Role, Transition};
use ha_common::layout::{PeerKey, PeerStats, Slot};
use ha_common::units::{Instant, Nanos, Priority};

use super::counted::Counted;
use super::hooks::Reception;
use super::sender::Sent;
use crate::config::model::{DatapathChoice, Instance as Config};
use crate::net::virtual_mac::Device;
use crate::os::notifier::Notifier;
use crate::reconcile::missing::Missing;
use crate::reconcile::placed::Placed;
use crate::router::claims::Claims;
use crate::router::membership::Membership;
use crate::router::notice::Told;
use crate::router::sending::Unsent;
use crate::router::tracked::TrackedItem;

/// One instance, as of the driver's last turn that touched it.
#[derive(Clone, Debug)]
pub struct InstanceStatus {
    pub config: Arc<Config>,
    /// The datapath that a command has set in place of the configured one.
    pub switched: Option<DatapathChoice>,
    /// Its interface's index, if there is one.
    pub ifindex: Option<u32>,
    /// State.
    pub role: Role,
    /// Since when; zero before the first transition.
    pub since: Instant,
    /// Why it takes no part.
    pub reason: Option<String>,
    /// When the preempt delay ends that a backup waits for.
    pub preempt_at: Option<Instant>,
    /// What is advertised.
    pub priority: Priority,
    /// That this is the last resort, and why.
    pub last_resort: Option<String>,
    /// What is tracked.
    pub tracked: Vec<TrackedItem>,
    /// Its place in a sync group.
    pub membership: Option<Membership>,
    /// The address that adverts leave from.
    pub source: Option<IpAddr>,
    /// The index of what holds the addresses: its interface, or the device of its virtual MAC.
    pub address_device: Option<u32>,
    /// The device of its virtual MAC.
    pub device: Option<Device>,
    /// Where adverts are heard.
    pub datapath: Option<DatapathStatus>,
    /// The last transition, its cause in words, and its latency.
    pub last: Option<(Transition, String, Option<Nanos>)>,
    /// How many there have been.
    pub transitions: u64,
    /// Turns of the driver for this instance's events.
    pub wakeups: u64,
    /// What left; it goes on counting.
    pub sent: Arc<Sent>,
    /// Adverts that the kernel has refused for long.
    pub unsent: Option<Unsent>,
    /// Announcements that left.
    pub announced: u64,
    /// Claims of the addresses by others.
    pub claims: Claims,
    /// Addresses and devices put back.
    pub restored: u64,
    /// What it may put on the interface, or has put there, where the kernel's maps do not tell the next agent of it.
    pub placed: Option<Placed>,
    /// What a master wants and does not have, and what nobody wants and is there.
    pub missing: Vec<Missing>,
    /// Why routes and rules are not there, by their number in the configuration, routes before rules.
    pub routing_errors: HashMap<usize, String>,
    /// Routes and rules put back.
    pub routing_restored: u64,
    /// How often something else had overwritten the slot, or what it needs beside it.
    pub slot_restored: u64,
    /// What is wrong, and was said once.
    pub notices: Vec<Told>,
}

impl InstanceStatus {
    /// One that has not been looked at yet.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            priority: config.priority,
            config,
            switched: None,
            ifindex: None,
            role: Role::Initialize,
            since: Instant(0),
            reason: None,
            preempt_at: None,
            last_resort: None,
            tracked: Vec::new(),
            membership: None,
            source: None,
            address_device: None,
            device: None,
            datapath: None,
            last: None,
            transitions: 0,
            wakeups: 0,
            sent: Arc::default(),
            unsent: None,
            announced: 0,
            claims: Claims::default(),
            restored: 0,
            placed: None,
            missing: Vec::new(),
            routing_errors: HashMap::new(),
            routing_restored: 0,
            slot_restored: 0,
            notices: Vec::new(),
        }
    }
}

/// Where adverts are heard.
#[derive(Clone, Debug)]
pub struct DatapathStatus {
    /// By which datapath, and why.
    pub(crate) reception: Reception,
    /// The slot in the kernel's map.
    pub kernel_slot: Option<u32>,
    /// The slot in the agent, and its peers.
    pub soft: Option<Box<SocketSlotStatus>>,
    /// The addresses that pass only while the slot is master: those that are there by us, or are about to be.
    pub listed: Vec<IpAddr>,
    /// Since when the slot counts for this agent, and what it had counted before.
    pub counted_since: (Instant, Counted),
    /// Whether the kernel keeps the deadline.
    pub kernel_timer: bool,
    /// Whether adverts end in the BPF program.
    pub consume: bool,
}

/// A plain-socket slot.
#[derive(Clone, Debug)]
pub struct SocketSlotStatus {
    pub slot: Slot,
    pub peers: Vec<(PeerKey, PeerStats)>,
}

/// Why the driver woke, counted.
#[derive(Debug, Default)]
pub struct Wakeups {
    /// Records in the ring, or packets on a plain socket.
    pub events: AtomicU64,
    /// Deadlines.
    pub timers: AtomicU64,
    /// The coarse look at every slot.
    pub watchdog: AtomicU64,
    /// Commands from the rest of the agent.
    pub commands: AtomicU64,
    /// Results of checks.
    pub checks: AtomicU64,
    /// Changes of interfaces and addresses.
    pub links: AtomicU64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct PublishedStatus {
    /// In configured order.
    pub views: Vec<Arc<InstanceStatus>>,
    /// What earlier agents have left and cannot be removed yet.
    pub leftovers: Vec<Missing>,
    /// Addresses of ours that no instance has any more and that may still be there.
    pub owed: Vec<Placed>,
}

#[derive(Debug)]
pub struct StatusPublisher {
    picture: ArcSwap<PublishedStatus>,
    turns: AtomicU64,
    changed: Notifier,
    /// Why the driver woke.
    pub wakeups: Wakeups,
}

impl StatusPublisher {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            picture: ArcSwap::default(),
            turns: AtomicU64::new(0),
            changed: Notifier::new()?,
            wakeups: Wakeups::default(),
        })
    }

    /// The newest picture.
    pub fn picture(&self) -> Arc<PublishedStatus> {
        self.picture.load_full()
    }

    /// How many turns the driver has made, and steps of long ones: it lives while this grows.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Rings when something other than a counter has changed.
    pub fn bell(&self) -> &Notifier {
        &self.changed
    }

    /// The driver has made one more turn, or one more step of it.
    pub(super) fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// A new picture.
    pub(super) fn show(&self, picture: PublishedStatus) {
        self.picture.store(Arc::new(picture));
        self.changed.notify();
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
