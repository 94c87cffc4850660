//! The one clock of the protocol: `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` reads it.

use std::time::Duration;

use ha_common::hmac::Stamp;
use ha_common::units::{Instant, NANOS_PER_SECOND};
use nix::time::{ClockId, clock_gettime};

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

/// UTC, nanoseconds since 1970.
pub fn utc() -> u64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}

/// UTC when [`now`] was zero. It changes when the wall clock is set, and for nothing else.
pub fn utc_at_zero() -> Stamp {
    let now = now();
    Stamp(Stamp::span(utc()).wrapping_sub(Stamp::span(now.0)))
}
