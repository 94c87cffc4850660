//! The one clock of the protocol: `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` reads it.

use std::time::Duration;

use ha_common::units::{Instant, NANOS_PER_SECOND, Nanos};
use nix::time::{ClockId, clock_gettime};

/// The time now.
pub fn now() -> Instant {
    // The clock exists on every kernel that this builds for; zero would only make deadlines late.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Instant(0), |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
        Instant(
            seconds
                .saturating_mul(NANOS_PER_SECOND)
                .saturating_add(nanos),
        )
    })
}

/// The standard library's span as ours; 584 years at most.
pub fn nanos(span: Duration) -> Nanos {
    Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
