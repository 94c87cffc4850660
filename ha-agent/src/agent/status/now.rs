//! The moment for which a status is put together, and times as it shows them.

use std::time::SystemTime;

use ha_common::units::{Centiseconds, Instant};

use crate::reconcile;
use crate::status::missing::Missing;
use crate::status::moment::{Countdown, WallTime};

/// When the snapshot is taken, on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) monotonic: Instant,
}

impl Now {
    pub(super) fn moment(self, at: Instant) -> WallTime {
        WallTime::before(self.wall, self.monotonic.since(at))
    }

    /// What is wanted and is not so.
    pub(super) fn missing(self, missing: &reconcile::missing::Missing) -> Missing {
        Missing {
            what: missing.what.clone(),
            why: missing.why.clone(),
            since: self.moment(missing.since),
            next_try: missing.next_try.map(|at| self.ahead(at)),
        }
    }

    pub(super) fn ahead(self, at: Instant) -> Countdown {
        Countdown::after(self.wall, at.since(self.monotonic))
    }
}

/// An interval in microseconds.
pub(super) const fn micros(interval: Centiseconds) -> u64 {
    interval.nanos().0 / 1000
}
