//! The lab's clock: `CLOCK_MONOTONIC`, as the agent and the kernel half use it.

use ha_common::units::{Instant, NANOS_PER_SECOND};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The present.
pub fn now() -> Instant {
    Instant(nanos(clock_gettime(ClockId::Monotonic)))
}

/// How to turn the kernel's packet time stamps, which are `CLOCK_REALTIME`, into [`Instant`]s.
#[derive(Clone, Copy, Debug)]
pub struct RealtimeOffset {
    realtime: u64,
    monotonic: u64,
}

impl RealtimeOffset {
    /// Reads both clocks. Sample again often: the wall clock may be slewed or set.
    pub fn sample() -> Self {
        let before = now();
        let realtime = nanos(clock_gettime(ClockId::Realtime));
        let after = now();
        Self {
            realtime,
            monotonic: before.0.midpoint(after.0),
        }
    }

    /// The instant at which the wall clock showed `realtime` (nanoseconds since the epoch).
    pub fn instant(self, realtime: u64) -> Instant {
        if realtime >= self.realtime {
            Instant(self.monotonic.saturating_add(realtime - self.realtime))
        } else {
            Instant(self.monotonic.saturating_sub(self.realtime - realtime))
        }
    }
}

/// Nanoseconds of a clock that never shows a time before its zero.
fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(NANOS_PER_SECOND)
        .saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_reading_converts_to_the_monotonic_instant_it_was_taken_at() {
        let offset = RealtimeOffset::sample();
        let before = now();
        let wall = nanos(clock_gettime(ClockId::Realtime));
        let after = now();
        let converted = offset.instant(wall);
        // The sample itself is only as exact as the time between its two readings.
        let slack = 5_000_000;
        assert!(converted.0 + slack >= before.0 && converted.0 <= after.0 + slack);
    }
}
