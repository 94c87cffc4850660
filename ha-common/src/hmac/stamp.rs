//! The time in a trailer: seconds of UTC in the upper half, their fraction in the lower.

use core::fmt;

/// On the wire 32 bits of seconds since 1970, 16 of their fraction, and a counter of 16 for those of one
/// moment: read as one number, a time in units of 2^-32 s that only grows. It wraps in 2106; all comparisons
/// are of serial numbers (RFC 1982).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp(pub u64);

const NANOS: u64 = 1_000_000_000;

impl Stamp {
    /// The span of so many nanoseconds, rounded down.
    #[inline(always)]
    pub const fn span(nanos: u64) -> u64 {
        let (seconds, rest) = (nanos / NANOS, nanos % NANOS);
        (seconds << 32).wrapping_add((rest << 32) / NANOS)
    }

    /// Whether this is later than the other.
    #[inline(always)]
    pub const fn is_after(self, other: Self) -> bool {
        self.ahead_of(other) > 0
    }

    /// By how much it is later, in units of 2^-32 s; negative if it is earlier.
    #[inline(always)]
    pub const fn ahead_of(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// So much later.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, span: u64) -> Self {
        Self(self.0.wrapping_add(span))
    }

    /// With a counter of zero, as a clock gives it.
    #[must_use]
    pub const fn without_counter(self) -> Self {
        Self(self.0 & !0xffff)
    }

    /// Moved towards the other, by so much at the most.
    #[must_use]
    pub const fn towards(self, other: Self, most: u64) -> Self {
        let way = other.ahead_of(self);
        if way.unsigned_abs() <= most {
            other
        } else if way > 0 {
            self.after(most)
        } else {
            Self(self.0.wrapping_sub(most))
        }
    }
}

/// A span of stamps in words, cut to tenths: `3600.0 s`.
#[derive(Clone, Copy, Debug)]
pub struct InSeconds(pub u64);

impl fmt::Display for InSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = ((self.0 & 0xffff_ffff) * 10) >> 32;
        write!(f, "{}.{tenths} s", self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1 << 32;

    #[test]
    fn nanoseconds_become_seconds_and_their_fraction() {
        assert_eq!(Stamp::span(0), 0);
        assert_eq!(Stamp::span(NANOS), SECOND);
        assert_eq!(Stamp::span(NANOS / 2), SECOND / 2);
        assert_eq!(Stamp::span(1_500_000_000), SECOND + SECOND / 2);
        let utc = Stamp::span(1_800_000_000 * NANOS + NANOS / 4);
        assert_eq!(utc >> 32, 1_800_000_000);
        assert_eq!(utc & 0xffff_ffff, 0x4000_0000);
        assert_eq!(Stamp(utc + 7).without_counter(), Stamp(utc));
        let words = |nanos| std::format!("{}", InSeconds(Stamp::span(nanos)));
        assert_eq!(words(3_600_250_000_000), "3600.2 s");
        assert_eq!(words(0), "0.0 s");
    }

    #[test]
    fn one_moves_towards_another_by_so_much_at_the_most() {
        for (from, to, most, found) in [
            (10, 20, 3, 13),
            (20, 10, 3, 17),
            (10, 12, 3, 12),
            (12, 10, 3, 10),
            (u64::MAX, 5, 3, 2),
            (2, u64::MAX, 2, 0),
            (7, 7, 0, 7),
        ] {
            assert_eq!(Stamp(from).towards(Stamp(to), most), Stamp(found));
        }
    }

    #[test]
    fn order_survives_the_year_2106() {
        let (before, after) = (Stamp(u64::MAX - 5), Stamp(5));
        assert!(after.is_after(before) && !before.is_after(after));
        assert_eq!(after.ahead_of(before), 11);
        assert!(!after.is_after(after));
    }
}
