//! What the driver tells the rest of the agent: values in a bounded queue, never a log line of its
//! own, because a log can block.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ha_common::election::{Notice, Transition};
use ha_common::units::Nanos;
use ipnet::IpNet;
use tokio::sync::mpsc;

/// How many reports may wait; then they are dropped and counted. A transition is one report.
const QUEUE: usize = 4096;

/// Something worth a line.
#[derive(Clone, Debug)]
pub enum Report {
    /// A state changed.
    Transition {
        /// The instance.
        instance: Arc<str>,
        /// From what to what, and why.
        transition: Transition,
        /// The cause in words.
        cause: String,
        /// The priority sum in words.
        priority: String,
        /// From the deadline to the first advert on its way, where a deadline was the cause.
        latency: Option<Nanos>,
    },
    /// Something is odd and the state did not change for it.
    Notice {
        /// The instance.
        instance: Arc<str>,
        /// What.
        notice: Notice,
    },
    /// A master's address list is not ours.
    ListDiffers {
        /// The instance.
        instance: Arc<str>,
        /// Whose.
        source: IpAddr,
        /// How many addresses it lists.
        theirs: u8,
        /// How many we have.
        ours: usize,
    },
    /// An advert was rejected for the first time for this reason from this source.
    Rejected {
        /// The instance.
        instance: Arc<str>,
        /// The reason's name.
        reason: &'static str,
        /// From where.
        source: IpAddr,
    },
    /// Somebody removed an address that we hold; it was put back.
    Restored {
        /// The instance.
        instance: Arc<str>,
        /// Which.
        address: IpNet,
    },
    /// An address that an earlier life had left behind was removed.
    Leftover {
        /// The instance.
        instance: Arc<str>,
        /// Which.
        address: IpNet,
    },
    /// The instance has found its interface.
    Attached {
        /// The instance.
        instance: Arc<str>,
        /// Which datapath runs.
        datapath: &'static str,
        /// Why the better ones do not.
        refusals: Vec<String>,
        /// True if the kernel keeps its timer.
        kernel_timer: bool,
    },
    /// Something failed.
    Failed {
        /// The instance.
        instance: Arc<str>,
        /// What, with its cause.
        what: String,
    },
}

/// The driver's end of the queue.
#[derive(Clone, Debug)]
pub struct Reporter {
    queue: mpsc::Sender<Report>,
    dropped: Arc<AtomicU64>,
}

impl Reporter {
    /// A queue, and its other end.
    pub fn channel() -> (Self, mpsc::Receiver<Report>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (
            Self {
                queue,
                dropped: Arc::default(),
            },
            receiver,
        )
    }

    /// Says it, or counts it if nobody has listened for long.
    pub fn say(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reports that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
