//! The time in a trailer: seconds of UTC in the upper half, their fraction in the lower.

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

    /// As the clock gives it, with a counter of zero: nanoseconds since 1970.
    pub const fn of_utc(nanos: u64) -> Self {
        Self(Self::span(nanos) & !0xffff)
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

    /// The stamp of the next advert, after this one, when the clock shows `clock`: never the same twice, and
    /// never back, unless the clock was set back by more than `window` (a span). Then the receivers, whose
    /// clocks were set too, would refuse a sender that stays ahead of them.
    #[must_use]
    pub const fn next(self, clock: Self, window: u64) -> Self {
        let ahead = self.ahead_of(clock);
        if ahead < 0 || window != 0 && ahead.cast_unsigned() > window {
            clock
        } else {
            self.after(1)
        }
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
        let utc = Stamp::of_utc(1_800_000_000 * NANOS + NANOS / 4);
        assert_eq!(utc.0 >> 32, 1_800_000_000);
        assert_eq!(utc.0 & 0xffff_ffff, 0x4000_0000);
    }

    #[test]
    fn the_next_one_follows_the_clock_and_never_repeats() {
        let clock = Stamp::of_utc(NANOS * 1000);
        let window = 5 * SECOND;
        let first = Stamp(0).next(clock, window);
        assert_eq!(first, clock);
        assert_eq!(first.next(clock, window), clock.after(1));
        let later = clock.after(SECOND);
        assert_eq!(first.next(later, window), later);
        // Set back a little: it goes on in the smallest steps. Set back by much: it follows.
        let little = Stamp(clock.0 - 4 * SECOND);
        assert_eq!(first.next(little, window), clock.after(1));
        let much = Stamp(clock.0 - 6 * SECOND);
        assert_eq!(first.next(much, window), much);
        assert_eq!(
            first.next(much, 0),
            clock.after(1),
            "without a window it only grows"
        );
    }

    #[test]
    fn order_survives_the_year_2106() {
        let (before, after) = (Stamp(u64::MAX - 5), Stamp(5));
        assert!(after.is_after(before) && !before.is_after(after));
        assert_eq!(after.ahead_of(before), 11);
        assert!(!after.is_after(after));
    }
}
