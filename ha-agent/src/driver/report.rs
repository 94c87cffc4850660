//! What the driver tells the rest of the agent: values in a bounded queue, never a log line of its
//! own, because a log can block.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use ha_common::election::{Notice, Transition};
use ha_common::units::Nanos;
use ipnet::IpNet;

use super::wake::Wake;

use crate::config::model::Datapath;

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
        datapath: Datapath,
        /// Why it does.
        because: String,
        /// Why others do not, and what else should be known.
        refusals: Vec<String>,
        /// True if the kernel keeps its timer.
        kernel_timer: bool,
    },
    /// Something was done that a person may want to know of.
    Said {
        /// The instance.
        instance: Arc<str>,
        /// What.
        what: String,
    },
    /// Something works, and will not do what is expected of it.
    Warning {
        /// The instance.
        instance: Arc<str>,
        /// What, and what to do about it.
        what: String,
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
///
/// It takes no lock, also not to wake whoever listens: an ordinary thread that is preempted while it holds
/// one would make the driver wait between two take-overs.
#[derive(Clone, Debug)]
pub struct Reporter(Arc<Shared>);

/// The other end.
#[derive(Debug)]
pub struct Reports(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Report>,
    bell: Wake,
    dropped: AtomicU64,
}

impl Reporter {
    /// A queue, and its other end.
    pub fn channel() -> io::Result<(Self, Reports)> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE),
            bell: Wake::new()?,
            dropped: AtomicU64::new(0),
        });
        Ok((Self(Arc::clone(&shared)), Reports(shared)))
    }

    /// Says it, or counts it if nobody has listened for long.
    pub fn say(&self, report: Report) {
        if self.0.queue.push(report).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.0.bell.wake();
    }
}

impl Reports {
    /// The oldest report, if there is one.
    pub fn next(&self) -> Option<Report> {
        self.0.queue.pop()
    }

    /// Rings when there is something to read.
    pub fn bell(&self) -> &Wake {
        &self.0.bell
    }

    /// Reports that were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(what: &str) -> Report {
        Report::Failed {
            instance: Arc::from("web"),
            what: what.to_owned(),
        }
    }

    #[test]
    fn reports_come_in_order_and_what_does_not_fit_is_counted() {
        let (reporter, reports) = Reporter::channel().unwrap();
        for number in 0..QUEUE + 2 {
            reporter.say(failed(&number.to_string()));
        }
        assert_eq!(reports.dropped(), 2);
        for number in 0..QUEUE {
            let Some(Report::Failed { what, .. }) = reports.next() else {
                panic!("nothing at {number}");
            };
            assert_eq!(what, number.to_string());
        }
        assert!(reports.next().is_none());
    }
}
