//! A point in time as it is reported: the wall clock for people, the age for arithmetic.

use std::time::{Duration, SystemTime};

use ha_common::units::Nanos;
use serde::{Deserialize, Serialize};

/// When something happened.
///
/// The agent only keeps monotonic times. The wall clock is worked out when a snapshot is taken, so
/// `at` follows a clock that was set meanwhile, while `ago_us` cannot be wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WallTime {
    /// RFC 3339 in UTC with milliseconds, such as `2026-03-01T12:00:00.250Z`.
    pub at: String,
    /// How long ago that was when the snapshot was taken, in microseconds.
    pub ago_us: u64,
}

impl WallTime {
    /// The moment that lies `ago` before `now`.
    pub fn before(now: SystemTime, ago: Nanos) -> Self {
        // A clock that stands before 1970 + `ago` has no such moment, and humantime panics outside
        // of 1970 to 9999: both show as the epoch.
        let at = now
            .checked_sub(ago.to_duration())
            .filter(|at| {
                at.duration_since(SystemTime::UNIX_EPOCH)
                    .is_ok_and(|since| since < LAST_PRINTABLE)
            })
            .unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            at: humantime::format_rfc3339_millis(at).to_string(),
            ago_us: ago.0 / 1_000,
        }
    }
}

/// When something will happen, as far as is known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Countdown {
    /// RFC 3339 in UTC with milliseconds.
    pub at: String,
    /// How far off that was when the snapshot was taken, in microseconds.
    pub in_us: u64,
}

impl Countdown {
    /// The moment that lies `span` after `now`.
    pub fn after(now: SystemTime, span: Nanos) -> Self {
        let at = now.checked_add(span.to_duration()).unwrap_or(now);
        Self {
            at: WallTime::before(at, Nanos(0)).at,
            in_us: span.0 / 1_000,
        }
    }
}

/// 9999-01-01, safely inside what RFC 3339 can express.
const LAST_PRINTABLE: Duration = Duration::from_hours(70_380_768);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_snapshot_time_less_its_age() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let moment = WallTime::before(now, Nanos(1_500_000_999));
        assert_eq!(moment.at, "1970-01-12T13:46:38.499Z");
        assert_eq!(moment.ago_us, 1_500_000);
    }

    #[test]
    fn a_moment_ahead_is_the_snapshot_time_and_the_span() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ahead = Countdown::after(now, Nanos(1_500_000_999));
        assert_eq!(ahead.at, "1970-01-12T13:46:41.500Z");
        assert_eq!(ahead.in_us, 1_500_000);
    }

    #[test]
    fn a_clock_that_is_off_by_centuries_does_not_panic() {
        let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(
            WallTime::before(early, Nanos(5_000_000_000)).at,
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            WallTime::before(late, Nanos(0)).at,
            "1970-01-01T00:00:00.000Z"
        );
    }
}
