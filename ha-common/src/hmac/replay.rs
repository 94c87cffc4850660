//! Whether an advert is new: its time is held against what is known of its sender.
//!
//! keepalived holds it against the wall clock alone, so that one host whose clock is set makes two masters.
//! Here a sender that was heard before is held against itself as well: its time must have gone on, and as far
//! as our monotonic clock did. Setting either clock moves only one of the two comparisons.

use bytemuck::{Pod, Zeroable};

use super::stamp::Stamp;
use crate::reject::Reject;

/// By what the time of a trailer is judged: part of a slot.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct ReplayWindow {
    /// By how much it may differ, either way, in units of 2^-32 s ([`Stamp::span`]); zero: it need only grow.
    pub window: u64,
    /// UTC when `CLOCK_MONOTONIC` was zero, as a [`Stamp`]: the agent corrects it when the clock is set.
    pub utc_at_zero: u64,
}

/// The last advert of a sender whose digest was right.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct ReplayState {
    /// Its [`Stamp`].
    pub stamp: u64,
    /// When it came, `CLOCK_MONOTONIC` nanoseconds.
    pub at: u64,
    /// The Ethernet address that it came from, a number in the lower 48 bits; zero where frames have none.
    pub mac: u64,
}

impl ReplayState {
    /// The time that its sender says by now, by our monotonic clock.
    #[inline(always)]
    const fn expected(&self, now: u64) -> Stamp {
        Stamp(self.stamp).after(Stamp::span(now.saturating_sub(self.at)))
    }
}

impl ReplayWindow {
    /// UTC at this moment of `CLOCK_MONOTONIC`, in nanoseconds.
    #[inline(always)]
    pub const fn utc(&self, now: u64) -> Stamp {
        Stamp(self.utc_at_zero).after(Stamp::span(now))
    }

    /// Whether an advert that came at `now` is of our clock's time, as far as we ask.
    #[inline(always)]
    pub fn is_ours(&self, stamp: Stamp, now: u64) -> bool {
        self.near(stamp, self.utc(now))
    }

    /// Whether its sender's time has leapt ahead since the last one. No recording has that, unless a clock was wrong:
    /// the sender's when it was made, or ours now.
    #[inline(always)]
    pub fn has_leapt(&self, stamp: Stamp, mark: ReplayState, now: u64) -> bool {
        stamp.is_after(mark.expected(now)) && !self.near(stamp, mark.expected(now))
    }

    /// Judges the time of an advert that came at `now`. It is not authentic yet.
    ///
    /// [`Reject::HmacStale`]: neither by our clock nor by the sender's own is it now.
    /// [`Reject::HmacReplay`]: the sender has said something at that time or later before.
    #[inline(always)]
    pub fn judge(&self, stamp: Stamp, mark: Option<ReplayState>, now: u64) -> Result<(), Reject> {
        let utc = self.utc(now);
        let Some(mark) = mark else {
            return or_stale(self.near(stamp, utc));
        };
        let last = Stamp(mark.stamp);
        if stamp.is_after(last) {
            return or_stale(self.near(stamp, mark.expected(now)) || self.near(stamp, utc));
        }
        // The sender's clock was wrong and has been set back. What it said by the wrong one is out of the
        // window, and cannot be played again after this.
        let was_wrong = self.window != 0 && !self.near(last, utc);
        if was_wrong && self.near(stamp, utc) {
            return Ok(());
        }
        Err(Reject::HmacReplay)
    }

    #[inline(always)]
    const fn near(&self, stamp: Stamp, reference: Stamp) -> bool {
        self.window == 0 || stamp.ahead_of(reference).unsigned_abs() <= self.window
    }
}

#[inline(always)]
const fn or_stale(fresh: bool) -> Result<(), Reject> {
    if fresh {
        Ok(())
    } else {
        Err(Reject::HmacStale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1 << 32;
    const NANOS: u64 = 1_000_000_000;
    /// The monotonic clock shows 100 s when it is 1,000,000 s by UTC.
    const NOW: u64 = 100 * NANOS;

    fn freshness(window: u64) -> ReplayWindow {
        ReplayWindow {
            window: window * SECOND,
            utc_at_zero: (1_000_000 - 100) * SECOND,
        }
    }

    fn utc(seconds: u64) -> Stamp {
        Stamp(seconds * SECOND)
    }

    fn mark(seconds: u64, ago: u64) -> ReplayState {
        ReplayState {
            stamp: seconds * SECOND,
            at: NOW - ago * NANOS,
            mac: 0,
        }
    }

    #[test]
    fn the_first_advert_of_a_sender_must_be_of_our_own_time() {
        for (seconds, verdict) in [
            (1_000_000, Ok(())),
            (1_000_005, Ok(())),
            (999_995, Ok(())),
            (1_000_006, Err(Reject::HmacStale)),
            (999_994, Err(Reject::HmacStale)),
        ] {
            assert_eq!(
                freshness(5).judge(utc(seconds), None, NOW),
                verdict,
                "{seconds}"
            );
        }
    }

    #[test]
    fn what_was_said_before_is_refused() {
        let known = Some(mark(1_000_000, 1));
        for (seconds, verdict) in [
            (1_000_001, Ok(())),
            (1_000_000, Err(Reject::HmacReplay)),
            (999_999, Err(Reject::HmacReplay)),
        ] {
            assert_eq!(
                freshness(5).judge(utc(seconds), known, NOW),
                verdict,
                "{seconds}"
            );
        }
    }

    #[test]
    fn our_clock_may_be_set_while_a_known_sender_goes_on() {
        // An hour off by our clock; a second after its last one by the sender's.
        assert_eq!(
            freshness(5).judge(utc(1_003_601), Some(mark(1_003_600, 1)), NOW),
            Ok(())
        );
        assert_eq!(
            freshness(5).judge(utc(996_401), Some(mark(996_400, 1)), NOW),
            Ok(())
        );
        // One that was recorded then is not of now by either.
        let stale = Err(Reject::HmacStale);
        assert_eq!(
            freshness(5).judge(utc(996_401), Some(mark(996_400, 60)), NOW),
            stale
        );
    }

    #[test]
    fn a_senders_clock_may_be_set_right() {
        // Forwards, to our time.
        assert_eq!(
            freshness(5).judge(utc(1_000_000), Some(mark(990_000, 1)), NOW),
            Ok(())
        );
        // Backwards, to our time; what it says then cannot be said again.
        assert_eq!(
            freshness(5).judge(utc(1_000_000), Some(mark(1_003_600, 1)), NOW),
            Ok(())
        );
        let replay = Err(Reject::HmacReplay);
        assert_eq!(
            freshness(5).judge(utc(1_000_000), Some(mark(1_000_000, 1)), NOW),
            replay
        );
        // To any other time it may not.
        let stale = Err(Reject::HmacStale);
        assert_eq!(
            freshness(5).judge(utc(1_007_200), Some(mark(1_003_600, 1)), NOW),
            stale
        );
        assert_eq!(
            freshness(5).judge(utc(900_000), Some(mark(1_003_600, 1)), NOW),
            replay
        );
    }

    #[test]
    fn without_a_window_time_need_only_go_on() {
        assert_eq!(freshness(0).judge(utc(7), None, NOW), Ok(()));
        assert_eq!(freshness(0).judge(utc(8), Some(mark(7, 1)), NOW), Ok(()));
        assert_eq!(
            freshness(0).judge(utc(9_999_999), Some(mark(7, 1)), NOW),
            Ok(())
        );
        let replay = Err(Reject::HmacReplay);
        assert_eq!(freshness(0).judge(utc(7), Some(mark(7, 1)), NOW), replay);
        assert_eq!(freshness(0).judge(utc(6), Some(mark(7, 1)), NOW), replay);
    }

    #[test]
    fn a_leap_ahead_is_told_from_a_recording() {
        let judge = freshness(5);
        for (seconds, mark, leapt) in [
            (1_000_006, mark(1_000_000, 0), true),
            (1_000_005, mark(1_000_000, 0), false),
            (1_000_060, mark(1_000_000, 60), false),
            (1_000_066, mark(1_000_000, 60), true),
            (1_000_001, mark(1_000_000, 60), false),
            (999_000, mark(1_000_000, 0), false),
        ] {
            assert_eq!(judge.has_leapt(utc(seconds), mark, NOW), leapt, "{seconds}");
        }
    }

    /// docs/SECURITY.md says what follows from it.
    #[test]
    fn what_a_clock_that_was_ahead_has_signed_silences_its_sender_for_a_window() {
        let judge = freshness(5);
        let later = |seconds: u64| NOW + seconds * NANOS;
        assert_eq!(
            judge.judge(utc(1_000_004), Some(mark(1_000_000, 0)), NOW),
            Ok(())
        );
        let known = Some(mark(1_000_004, 0));
        let replay = Err(Reject::HmacReplay);
        assert_eq!(judge.judge(utc(1_000_001), known, later(1)), replay);
        assert_eq!(judge.judge(utc(1_000_004), known, later(4)), replay);
        assert_eq!(judge.judge(utc(1_000_005), known, later(5)), Ok(()));
    }

    /// One each three seconds of what was one each second: each is held against the last alone.
    #[test]
    fn lateness_adds_up() {
        let judge = freshness(5);
        let mut known = None;
        for step in 0..20 {
            let (stamp, now) = (utc(1_000_000 + step), NOW + 3 * step * NANOS);
            assert_eq!(judge.judge(stamp, known, now), Ok(()), "{step}");
            known = Some(ReplayState {
                stamp: stamp.0,
                at: now,
                mac: 0,
            });
        }
    }
}
