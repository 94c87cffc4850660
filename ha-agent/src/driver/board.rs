//! What the driver shows of itself: plain values behind a lock that is held for a copy only.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ha_common::election::{Role, Transition};
use ha_common::layout::{PeerKey, PeerStats, Slot};
use ha_common::units::{Instant, Nanos};
use tokio::sync::watch;

use super::priority::Term;
use super::realtime::Ability;
use super::sender::{Punctuality, Sent};
use crate::config::model::Instance as Config;

/// One instance, as of the driver's last turn that touched it.
#[derive(Clone, Debug)]
pub struct View {
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its interface's index, if there is one.
    pub ifindex: Option<u32>,
    /// State.
    pub role: Role,
    /// Since when; zero before the first transition.
    pub since: Instant,
    /// Why it takes no part.
    pub reason: Option<String>,
    /// The priority's terms.
    pub terms: Vec<Term>,
    /// The address that adverts leave from.
    pub source: Option<IpAddr>,
    /// Where adverts are heard.
    pub datapath: Option<DatapathView>,
    /// The last transition, its cause in words, and its latency.
    pub last: Option<(Transition, String, Option<Nanos>)>,
    /// How many there have been.
    pub transitions: u64,
    /// Turns of the driver for this instance's events.
    pub wakeups: u64,
    /// What left.
    pub sent: Sent,
    /// Announcements that left.
    pub announced: u64,
    /// Addresses put back.
    pub restored: u64,
    /// What was said once.
    pub notices: Vec<(Instant, String)>,
}

/// Where adverts are heard.
#[derive(Clone, Debug)]
pub struct DatapathView {
    /// `native`, `generic` or `socket`.
    pub kind: &'static str,
    /// The better ones, and why they do not run.
    pub refusals: Vec<(&'static str, String)>,
    /// The slot in the kernel's map.
    pub kernel_slot: Option<u32>,
    /// The slot in the agent, and its peers.
    pub soft: Option<Box<SoftView>>,
    /// Whether the kernel keeps the deadline.
    pub kernel_timer: bool,
    /// Whether adverts end in the XDP program.
    pub consume: bool,
}

/// A plain-socket slot.
#[derive(Clone, Debug)]
pub struct SoftView {
    /// The slot.
    pub slot: Slot,
    /// Its peers.
    pub peers: Vec<(PeerKey, PeerStats)>,
}

/// Why the driver woke, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wakeups {
    /// Records in the ring, or packets on a plain socket.
    pub events: u64,
    /// Deadlines.
    pub timers: u64,
    /// The coarse look at every slot.
    pub watchdog: u64,
    /// Commands from the rest of the agent.
    pub commands: u64,
    /// Results of checks.
    pub checks: u64,
    /// Changes of interfaces and addresses.
    pub links: u64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// In configured order.
    pub views: Vec<View>,
    /// Wake-ups.
    pub wakeups: Wakeups,
    /// The sender's punctuality.
    pub punctuality: Punctuality,
    /// When its lease lapses.
    pub lease_until: Instant,
    /// Real-time scheduling of the driver and the sender.
    pub realtime: Option<(Ability, Ability)>,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    picture: Mutex<Picture>,
    changes: watch::Sender<u64>,
    turns: AtomicU64,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            picture: Mutex::default(),
            changes: watch::Sender::new(0),
            turns: AtomicU64::new(0),
        }
    }
}

impl Board {
    /// A copy of everything.
    pub fn picture(&self) -> Picture {
        self.lock().clone()
    }

    /// Changes with everything but mere counters.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that something other than a counter has changed.
    pub fn changed(&self) {
        self.changes
            .send_modify(|number| *number = number.wrapping_add(1));
    }

    /// How many turns the driver has made: it lives while this grows.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The driver has made one more turn.
    pub fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// For the driver to write.
    pub fn lock(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
