//! The driver's end of a recording: values in a bounded queue, as with its reports, and never a line of
//! text of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use ha_common::election::{Actions, Input, Params};
use ha_common::units::Instant;

use super::line::{Event, Turn};
use crate::os::notifier::Notifier;

/// How many entries may wait for the file, about 2 MB; then they are dropped and counted. 255 virtual
/// routers that lose their master make some 800 at once.
const QUEUE: usize = 4096;

/// An event with its place.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The instance.
    pub instance: Arc<str>,
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
    /// How many entries right before this one found the queue full.
    pub lost_before: u64,
}

/// The driver's end. It takes no lock; when nobody records, it does nothing.
#[derive(Clone, Debug)]
pub struct Recorder(Option<Arc<Shared>>);

/// The other end.
#[derive(Debug)]
pub struct Entries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Entry>,
    bell: Notifier,
    /// Entries that did not fit, and that no entry in the queue tells of yet.
    untold: AtomicU64,
}

impl Recorder {
    /// Nobody records.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A queue, and its other end.
    pub fn channel() -> io::Result<(Self, Entries)> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE),
            bell: Notifier::new()?,
            untold: AtomicU64::new(0),
        });
        Ok((Self(Some(Arc::clone(&shared))), Entries(shared)))
    }

    /// An election came into being.
    pub fn begins(&self, instance: &Arc<str>, at: Instant, params: &Params) {
        if let Some(shared) = &self.0 {
            shared.put(instance, at, Event::Begins(*params));
        }
    }

    /// An election was told this and wanted that done. `checks` are the checks' names by number.
    pub fn fed(
        &self,
        instance: &Arc<str>,
        at: Instant,
        input: &Input,
        actions: &Actions,
        checks: &[String],
    ) {
        if let Some(shared) = &self.0 {
            let turn = Turn::new(*input, *actions, checks);
            shared.put(instance, at, Event::Turn(turn));
        }
    }
}

impl Shared {
    /// The driver alone puts, so what does not fit stands right before what fits next.
    fn put(&self, instance: &Arc<str>, at: Instant, event: Event) {
        let lost_before = self.untold.swap(0, Ordering::Relaxed);
        let entry = Entry {
            instance: Arc::clone(instance),
            at,
            event,
            lost_before,
        };
        if self.queue.push(entry).is_err() {
            self.untold.fetch_add(lost_before + 1, Ordering::Relaxed);
        }
        self.bell.notify();
    }
}

impl Entries {
    /// The oldest entry, if there is one.
    pub fn next(&self) -> Option<Entry> {
        self.0.queue.pop()
    }

    /// Entries that did not fit after the last one of the queue. They are told of only once.
    pub fn take_lost(&self) -> u64 {
        self.0.untold.swap(0, Ordering::Relaxed)
    }

    /// Rings when there is something to write.
    pub fn bell(&self) -> &Notifier {
        &self.0.bell
    }
}

#[cfg(test)]
mod tests {
    use super::super::usual_params;
    use super::*;

    fn tick(recorder: &Recorder, at: u64) {
        let (name, actions) = (Arc::from("web"), no_actions());
        recorder.fed(&name, Instant(at), &Input::Tick, &actions, &[]);
    }

    /// What a new election makes of a tick: nothing.
    fn no_actions() -> Actions {
        ha_common::election::Election::new(usual_params()).handle(Instant(1), Input::Tick)
    }

    #[test]
    fn what_does_not_fit_is_counted_at_the_place_where_it_is_missing() {
        let (recorder, entries) = Recorder::channel().unwrap();
        for at in 0..QUEUE + 3 {
            tick(&recorder, at as u64);
        }
        assert_eq!(entries.next().unwrap().at, Instant(0));
        tick(&recorder, 9_999);
        let mut final_time = None;
        while let Some(entry) = entries.next() {
            let (at, lost) = (entry.at.0, entry.lost_before);
            assert_eq!(lost, if at == 9_999 { 3 } else { 0 }, "at {at}");
            final_time = Some(at);
        }
        assert_eq!(final_time, Some(9_999));
        assert_eq!(entries.take_lost(), 0);
    }

    #[test]
    fn what_was_lost_last_of_all_is_told_when_asked() {
        let (recorder, entries) = Recorder::channel().unwrap();
        for at in 0..QUEUE + 2 {
            tick(&recorder, at as u64);
        }
        while entries.next().is_some() {}
        assert_eq!(entries.take_lost(), 2);
        assert_eq!(entries.take_lost(), 0);
    }

    #[test]
    fn a_check_is_recorded_by_the_name_that_it_had() {
        use ha_common::election::{CheckId, FaultCause};
        let (recorder, entries) = Recorder::channel().unwrap();
        let input = Input::Fault(FaultCause::Check(CheckId(1)));
        let checks = ["disk".to_owned(), "nginx".to_owned()];
        let name = Arc::from("web");
        recorder.fed(&name, Instant(5), &input, &no_actions(), &checks);
        let Some(Event::Turn(turn)) = entries.next().map(|entry| entry.event) else {
            panic!("nothing recorded");
        };
        assert_eq!(turn.check.as_deref(), Some("nginx"));
    }
}
