//! The sender's decisions: which advert goes out when, what becomes of one that is late, and what the end of the
//! driver's lease means. A pure value that is told the time; the sender thread and the simulation carry out what it
//! says.

use ha_common::election::Rules;
use ha_common::stand_still::listening;
use ha_common::timing::master_down;
use ha_common::units::{Instant, Nanos};

use super::departures::Departures;
use super::due_queue::DueQueue;
use super::refusals::{Refusals, Refused};
use crate::router::sending::SendingNews;

/// How long the driver may be silent before its adverts stop: 5 s.
pub const LEASE: Nanos = Nanos::from_millis(5000);

/// The spans that one virtual router's adverts go by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// From one advert to the next.
    pub interval: Nanos,
    /// Being later than this means that others may have taken over meanwhile: what is left of their
    /// `Master_Down_Interval`, without the skew, when an advert is due.
    pub overslept: Nanos,
    /// For how long adverts may be refused before a person hears of it: the own `Master_Down_Interval`.
    pub patience: Nanos,
}

impl Timing {
    /// A master's with these rules.
    pub fn of(rules: &Rules) -> Self {
        let interval = rules.interval.nanos();
        // One interval has gone by when an advert is due.
        let left = u64::from(rules.down_multiplier.saturating_sub(1).max(1));
        Self {
            interval,
            overslept: Nanos(interval.0 * left),
            patience: master_down(
                rules.version,
                rules.priority,
                rules.interval,
                rules.down_multiplier,
            ),
        }
    }
}

/// What the sender does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send the advert of this virtual router.
    Send {
        /// Its number.
        id: usize,
        /// How long ago it was due.
        late: Nanos,
    },
    /// The driver's lease has ended: send priority 0 for this virtual router, and nothing after it.
    Release {
        /// Its number.
        id: usize,
    },
    /// This virtual router's advert is so late that others may have taken over: nothing is sent.
    Overslept {
        /// Its number.
        id: usize,
    },
    /// Nothing before this time; without one, nothing until something is started.
    Wait(Option<Instant>),
}

/// What all virtual routers of a host send, and when. They are numbered from zero.
#[derive(Debug, Default)]
pub struct Schedule {
    queue: DueQueue,
    departures: Departures,
    routers: Vec<Entry>,
    /// Somebody was stopped, or its adverts are refused or leave again, since the driver was last called.
    calls_driver: bool,
}

#[derive(Debug, Default)]
struct Entry {
    /// From start to stop.
    timing: Option<Timing>,
    /// Stopped by the sender itself, and silent since then; the driver is to look at the slot.
    stopped: Option<Instant>,
    /// Its next advert waits an interval longer, once: a clock that is set again and again must not silence it.
    waits: bool,
    /// Whether the kernel takes its adverts.
    refusals: Refusals,
}

impl Schedule {
    /// Makes room for this virtual router.
    pub fn reserve(&mut self, id: usize) {
        if id >= self.routers.len() {
            self.routers.resize_with(id + 1, Entry::default);
            self.queue.reserve(id + 1);
        }
    }

    fn entry(&mut self, id: usize) -> &mut Entry {
        self.reserve(id);
        &mut self.routers[id]
    }

    fn timing(&self, id: usize) -> Option<Timing> {
        self.routers.get(id)?.timing
    }

    /// Whether this virtual router's adverts go out.
    pub fn is_sending(&self, id: usize) -> bool {
        self.timing(id).is_some()
    }

    /// When the next advert of this virtual router is due, if its adverts go out.
    pub fn due(&self, id: usize) -> Option<Instant> {
        self.queue.due(id)
    }

    /// Starts: the first advert is the caller's to send now, and the next leaves an interval later at the latest.
    pub fn start(&mut self, id: usize, timing: Timing, now: Instant) {
        *self.entry(id) = Entry {
            timing: Some(timing),
            ..Entry::default()
        };
        self.begin_interval(id, timing, now);
    }

    /// The next adverts go by this timing. True if one is to be sent now, for the interval has changed.
    pub fn update(&mut self, id: usize, timing: Timing, now: Instant) -> bool {
        let Some(before) = self.timing(id) else {
            return false;
        };
        self.entry(id).timing = Some(timing);
        before.interval != timing.interval && self.advert_now(id, now)
    }

    /// One advert out of turn, the next an interval later at the latest. False if none may be sent.
    pub fn advert_now(&mut self, id: usize, now: Instant) -> bool {
        let Some(timing) = self.timing(id) else {
            return false;
        };
        self.begin_interval(id, timing, now);
        true
    }

    fn begin_interval(&mut self, id: usize, timing: Timing, now: Instant) {
        let due = now + timing.interval;
        let due = self.departures.first(id, due, timing.interval);
        self.queue.put(id, due);
    }

    /// Stops. True if a last word may be sent: not if the sender has stopped by itself.
    pub fn stop(&mut self, id: usize) -> bool {
        self.queue.remove(id);
        let before = std::mem::take(self.entry(id));
        before.timing.is_some()
    }

    /// Once after the sender stopped this virtual router by itself, or would if it had woken already: since
    /// when it is silent. Nothing may be sent before somebody has looked at the slot.
    pub fn take_stopped(&mut self, id: usize, now: Instant) -> Option<Instant> {
        self.stop_if_overslept(id, now);
        self.entry(id).stopped.take()
    }

    /// Since when and why the kernel refuses this virtual router's adverts, if that has begun or ended since
    /// somebody last asked.
    pub fn take_news(&mut self, id: usize) -> Option<SendingNews> {
        self.entry(id).refusals.take_news()
    }

    /// The advert of this virtual router has left at `now`, or the kernel refused it.
    pub fn count(&mut self, id: usize, refused: Option<Refused>, now: Instant) {
        let Some(timing) = self.timing(id) else {
            return;
        };
        let entry = self.entry(id);
        entry.refusals.count(refused, now, timing.patience);
        let news = entry.refusals.has_news();
        self.calls_driver |= news;
    }

    /// The machine may have stood still for `span` until now, of which due times know nothing: where others may have
    /// taken over meanwhile, nothing is sent for a while, in which they are heard. Not where the others would miss
    /// even that.
    pub fn stood_still(&mut self, span: Nanos, now: Instant) {
        for id in 0..self.routers.len() {
            let Some(timing) = self.timing(id) else {
                continue;
            };
            let misses_none = timing.overslept.0 >= 2 * timing.interval.0;
            if span > timing.overslept && misses_none && !self.routers[id].waits {
                self.routers[id].waits = true;
                self.queue.put(id, now + listening(timing.interval));
            }
        }
    }

    /// Whether there is something new for the driver to look at, since this was last asked.
    pub fn take_call(&mut self) -> bool {
        std::mem::take(&mut self.calls_driver)
    }

    /// What is to be done at `now`, while the driver's lease lasts until `lease`. To be asked again until it says wait.
    ///
    /// RFC 9568 section 6.4.3 (advertise), RFC 3768 section 6.4.3 (advertise).
    pub fn next_step(&mut self, now: Instant, lease: Instant) -> Step {
        let Some((due, id)) = self.queue.first() else {
            return Step::Wait(None);
        };
        if now < due && now < lease {
            return Step::Wait(Some(due.min(lease)));
        }
        if self.stop_if_overslept(id, now) {
            return Step::Overslept { id };
        }
        if now >= lease {
            self.stop_silently(id, now);
            return Step::Release { id };
        }
        if let Some(timing) = self.timing(id) {
            // From the due time, so that lateness does not add up; but never a burst to catch up.
            let next = due + timing.interval;
            let next = if next > now {
                next
            } else {
                now + timing.interval
            };
            let next = self.departures.next(next, timing.interval);
            self.queue.put(id, next);
            self.entry(id).waits = false;
        }
        Step::Send {
            id,
            late: now.since(due),
        }
    }

    /// Stops a virtual router whose advert is so late that others may have taken over meanwhile.
    fn stop_if_overslept(&mut self, id: usize, now: Instant) -> bool {
        let (Some(due), Some(timing)) = (self.queue.due(id), self.timing(id)) else {
            return false;
        };
        let overslept = now.since(due) > timing.overslept;
        if overslept {
            self.stop_silently(id, due);
        }
        overslept
    }

    fn stop_silently(&mut self, id: usize, since: Instant) {
        self.queue.remove(id);
        let entry = self.entry(id);
        entry.timing = None;
        entry.stopped = Some(since);
        entry.refusals = Refusals::default();
        self.calls_driver = true;
    }
}

#[cfg(test)]
mod tests;
