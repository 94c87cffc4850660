//! The one clock of the protocol: `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` reads it.

use std::time::Duration;

use ha_common::hmac::Stamp;
use ha_common::stand_still::Lead;
use ha_common::units::{Instant, NANOS_PER_SECOND};
use nix::time::{ClockId, clock_gettime};

/// Clocks that are read within so many nanoseconds are read together: 1 ms.
const TOGETHER: u64 = 1_000_000;

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
    since_its_zero(ClockId::CLOCK_REALTIME)
}

/// By how much other clocks are ahead of [`now`]; to be compared with an earlier answer.
pub fn lead() -> Lead {
    let mut lead = Lead { boot: 0, wall: 0 };
    // A thread that had to wait between two of these would take the wait for a clock that was set.
    for _ in 0..4 {
        let before = now();
        lead = Lead {
            boot: since_its_zero(ClockId::CLOCK_BOOTTIME).saturating_sub(before.0),
            wall: utc().saturating_sub(before.0),
        };
        if now().since(before).0 < TOGETHER {
            break;
        }
    }
    lead
}

fn since_its_zero(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}

/// UTC when [`now`] was zero. It changes when the wall clock is set, and for nothing else.
pub fn utc_at_zero() -> Stamp {
    let now = now();
    Stamp(Stamp::span(utc()).wrapping_sub(Stamp::span(now.0)))
}
