//! The lab's clock: `CLOCK_MONOTONIC`, as the agent and the kernel half use it.

use ha_common::units::{Instant, NANOS_PER_SECOND};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The present.
pub fn now() -> Instant {
    Instant(nanos(clock_gettime(ClockId::Monotonic)))
}

/// Readings this far apart are as good as at once: 20 µs.
const CLOSE: u64 = 20_000;
/// Samples that are tried for readings that close.
const SAMPLES: usize = 100;

/// How to turn the kernel's packet time stamps, which are `CLOCK_REALTIME`, into [`Instant`]s.
#[derive(Clone, Copy, Debug)]
pub struct RealtimeOffset {
    realtime: u64,
    monotonic: u64,
}

impl RealtimeOffset {
    /// Reads both clocks. Sample again often: the wall clock may be slewed or set.
    ///
    /// A thread that is preempted between the readings, on a busy machine for milliseconds, would be wrong
    /// by as much: of some samples the one with the least between them counts.
    pub fn sample() -> Self {
        let mut best = Self::once();
        for _ in 1..SAMPLES {
            if best.1 <= CLOSE {
                break;
            }
            let next = Self::once();
            if next.1 < best.1 {
                best = next;
            }
        }
        best.0
    }

    /// A sample, and how far apart its readings were in nanoseconds.
    fn once() -> (Self, u64) {
        let before = now();
        let realtime = nanos(clock_gettime(ClockId::Realtime));
        let after = now();
        let sample = Self {
            realtime,
            monotonic: before.0.midpoint(after.0),
        };
        (sample, after.0.saturating_sub(before.0))
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
        // What is left is the time between the sample's own two readings.
        let slack = 1_000_000;
        assert!(converted.0 + slack >= before.0 && converted.0 <= after.0 + slack);
    }
}
