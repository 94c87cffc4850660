//! What the driver tells the rest of the agent: values in a bounded queue, never a log line of its
//! own, because a log can block.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::notifier::Notifier;
use crossbeam_queue::ArrayQueue;
use ha_common::units::Nanos;

use crate::router::notice::Notice;

/// How many reports may wait; then they are dropped and counted. A transition is one report.
const QUEUE: usize = 4096;

/// Something to tell people of an instance.
#[derive(Clone, Debug)]
pub struct Report {
    pub instance: Arc<str>,
    pub notice: Notice,
    /// Of a take-over: from the deadline to the first advert.
    pub latency: Option<Nanos>,
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
    bell: Notifier,
    dropped: AtomicU64,
}

impl Reporter {
    /// A queue, and its other end.
    pub fn channel() -> io::Result<(Self, Reports)> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE),
            bell: Notifier::new()?,
            dropped: AtomicU64::new(0),
        });
        Ok((Self(Arc::clone(&shared)), Reports(shared)))
    }

    /// Says it, or counts it if nobody has listened for long.
    pub fn say(&self, report: Report) {
        if self.0.queue.push(report).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.0.bell.notify();
    }
}

impl Reporter {
    /// Reports something that no instance owns, under a name of its own.
    pub fn say_of(&self, name: impl Into<Arc<str>>, notice: Notice) {
        self.say(Report {
            instance: name.into(),
            notice,
            latency: None,
        });
    }
}

impl Reports {
    /// The oldest report, if there is one.
    pub fn next(&self) -> Option<Report> {
        self.0.queue.pop()
    }

    /// Rings when there is something to read.
    pub fn bell(&self) -> &Notifier {
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
        Report {
            instance: Arc::from("web"),
            notice: Notice::Failed(what.to_owned()),
            latency: None,
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
            let found = reports.next().map(|report| report.notice);
            assert_eq!(found, Some(Notice::Failed(number.to_string())));
        }
        assert!(reports.next().is_none());
    }
}
