//! The two spans of the protocol, in nanoseconds, as the kernel half and the election compute them.

use crate::units::{Centiseconds, NANOS_PER_SECOND, Nanos, Priority, Version};

/// How many intervals without an advert make a master dead, unless configured otherwise.
pub const DEFAULT_DOWN_MULTIPLIER: u8 = 3;

/// `Skew_Time`.
///
/// v3: `((256 - priority) * Master_Adver_Interval) / 256` (RFC 9568 section 6.1 (skew)).
/// v2: `(256 - priority) / 256` seconds, whatever the interval (RFC 3768 section 6.1 (skew)).
/// Multiplied before divided: a skew cut to whole units would be zero at short intervals.
pub const fn skew(version: Version, priority: Priority, interval: Centiseconds) -> Nanos {
    let unit = match version {
        Version::V2 => NANOS_PER_SECOND,
        Version::V3 => interval.nanos().0,
    };
    Nanos((256 - priority.0 as u64) * unit / 256)
}

/// `Master_Down_Interval`: `multiplier * Master_Adver_Interval + Skew_Time`
/// (RFC 9568 section 6.1 (down), RFC 3768 section 6.1 (down); the standards' multiplier is 3).
pub const fn master_down(
    version: Version,
    priority: Priority,
    interval: Centiseconds,
    multiplier: u8,
) -> Nanos {
    Nanos(multiplier as u64 * interval.nanos().0 + skew(version, priority, interval).0)
}

/// Whether a window that began at `start` has ended at `now`, `CLOCK_MONOTONIC` nanoseconds both.
///
/// Another CPU may have begun it a moment after this one has read its clock: then it has not.
#[inline(always)]
pub const fn has_ended(start: u64, length: u64, now: u64) -> bool {
    now.saturating_sub(start) > length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_another_cpu_began_a_moment_later_has_not_ended() {
        for (start, now, ended) in [
            (1000, 1100, false),
            (1000, 1101, true),
            (1000, 999, false),
            (0, 101, true),
        ] {
            assert_eq!(has_ended(start, 100, now), ended, "{start} {now}");
        }
    }

    /// RFC 9568 section 6.1 (skew).
    #[test]
    fn v3_skew_scales_with_the_interval_and_is_never_cut_to_zero() {
        // (256 - 90) * 10 ms / 256 = 6.484375 ms
        assert_eq!(
            skew(Version::V3, Priority(90), Centiseconds(1)),
            Nanos(6_484_375)
        );
        assert_eq!(
            skew(Version::V3, Priority(254), Centiseconds(1)),
            Nanos(78_125)
        );
    }

    /// RFC 3768 section 6.1 (skew).
    #[test]
    fn v2_skew_does_not_depend_on_the_interval() {
        let one = skew(Version::V2, Priority(100), Centiseconds(100));
        assert_eq!(one, skew(Version::V2, Priority(100), Centiseconds(500)));
        assert_eq!(one, Nanos(609_375_000));
    }

    /// RFC 9568 section 6.1 (down), RFC 3768 section 6.1 (down).
    #[test]
    fn master_down_is_three_intervals_and_skew() {
        assert_eq!(
            master_down(Version::V3, Priority(90), Centiseconds(1), 3),
            Nanos(36_484_375)
        );
        // 3 * 2 s + (256 - 100) / 256 s
        assert_eq!(
            master_down(Version::V2, Priority(100), Centiseconds(200), 3),
            Nanos(6_609_375_000)
        );
    }
}
