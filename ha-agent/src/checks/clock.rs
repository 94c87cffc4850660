//! The clock of the checks: `CLOCK_MONOTONIC`, as everywhere in the agent.

use std::time::Duration;

use ha_common::units::{Instant, Nanos};
use nix::time::{ClockId, clock_gettime};

pub(super) fn now() -> Instant {
    // CLOCK_MONOTONIC exists on every Linux, and the address is ours: the call cannot fail.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Instant(nanos(time).0)
}

/// The same span in the project's unit; more than 584 years are cut.
pub(super) fn nanos(span: Duration) -> Nanos {
    Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
