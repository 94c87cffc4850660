//! When a check is run: on a grid of intervals, or sooner when there is reason to hurry.

use ha_common::units::{Instant, Nanos};

/// The runs of one check; at most one is out.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    interval: Nanos,
    out: bool,
    /// The next run on the grid.
    next: Instant,
    /// An earlier one off the grid.
    hurry: Option<Instant>,
}

impl Schedule {
    /// The first run is due at `start`, which is where the grid begins.
    pub(super) const fn new(interval: Nanos, start: Instant) -> Self {
        Self {
            interval,
            out: false,
            next: start,
            hurry: None,
        }
    }

    /// When the next run is due; `None` while one is out.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.out {
            return None;
        }
        Some(self.hurry.map_or(self.next, |at| at.min(self.next)))
    }

    /// One run earlier than the grid says. It is forgotten when any run starts.
    pub(super) fn hurry(&mut self, at: Instant) {
        self.hurry = Some(at);
    }

    /// A run starts; one that was out is replaced.
    pub(super) fn started(&mut self, now: Instant) {
        self.out = true;
        self.hurry = None;
        self.skip_missed(now);
    }

    /// The run that was out has ended. False if none was.
    pub(super) fn ended(&mut self, now: Instant) -> bool {
        let was_out = std::mem::take(&mut self.out);
        if was_out {
            self.skip_missed(now);
        }
        was_out
    }

    /// The run that was out will never be heard of, and nothing is urgent. False if none was out.
    pub(super) fn abandon(&mut self) -> bool {
        self.hurry = None;
        std::mem::take(&mut self.out)
    }

    /// Moves the next run to the first point of the grid that lies ahead: no drift, and no burst
    /// after a run or a stall that took longer than the interval.
    fn skip_missed(&mut self, now: Instant) {
        if self.next > now {
            return;
        }
        let interval = self.interval.0.max(1);
        let missed = now.since(self.next).0 / interval + 1;
        self.next = self.next + Nanos(missed.saturating_mul(interval));
    }
}
