//! The time that a sender signs by: it goes on as the monotonic clock does, whatever is done to the wall clock.
//!
//! A receiver holds an advert against its own clock, or against the sender's last one and how long ago that was
//! ([`super::replay`]). A sender whose time jumps with its wall clock, because somebody set it, passes neither, and
//! is dead to everybody while it lives. So a sender's time only drifts to where the wall clock is, in steps that
//! receivers take although they miss some adverts.

use super::replay::ReplayState;
use super::stamp::Stamp;
use crate::units::{Instant, Nanos};

/// After a silence of so long the wall clock counts alone: nobody is still counting from the last advert, and a clock
/// that was wrong then has probably been set right since.
const SILENCE: Nanos = Nanos::from_millis(60_000);
/// One advert moves the time by this part of the window at the most: as many may be missed.
const OF_WINDOW: u64 = 8;
/// And by this part of what has gone by since the last one, so that time never goes back, and a receiver that was cut
/// off for three windows still knows its sender.
const OF_ELAPSED: u64 = 4;

/// What one virtual router has signed, and by what time it goes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SigningClock {
    /// UTC when `CLOCK_MONOTONIC` was zero, by what was signed last; none: the wall clock has the word.
    utc_at_zero: Option<Stamp>,
    last: Option<Signed>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Signed {
    stamp: Stamp,
    /// `CLOCK_MONOTONIC`.
    at: Instant,
}

impl SigningClock {
    /// The stamp of the next advert, at `now`, with `wall` for UTC when `CLOCK_MONOTONIC` was zero, as the wall clock
    /// has it. `window` is how far receivers let it be off, as a span of stamps; 0: they only want it to grow.
    ///
    /// It is never the same twice, and never goes back unless a wrong time of long ago is out of the window.
    pub fn next(&mut self, now: Instant, wall: Stamp, window: u64) -> Stamp {
        let base = self.base(now, wall, window);
        let clock = base.after(Stamp::span(now.0)).without_counter();
        let stamp = match self.last {
            Some(last) => later(clock, last.stamp, window),
            None => clock,
        };
        self.utc_at_zero = Some(base);
        self.last = Some(Signed { stamp, at: now });
        stamp
    }

    /// What was signed last, for [`Self::resume`].
    pub fn said(&self) -> Option<ReplayState> {
        self.last.map(|last| ReplayState {
            stamp: last.stamp.0,
            at: last.at.0,
            mac: 0,
        })
    }

    /// Goes on from what an earlier life has signed, unless this one has signed something: by its time, which the
    /// receivers expect, and never by an earlier one. Both are of the same `CLOCK_MONOTONIC`.
    pub fn resume(&mut self, left: ReplayState) {
        if self.last.is_some() {
            return;
        }
        let (stamp, at) = (Stamp(left.stamp), Instant(left.at));
        self.last = Some(Signed { stamp, at });
        self.utc_at_zero = Some(Stamp(stamp.0.wrapping_sub(Stamp::span(at.0))));
    }

    /// What was said by this time has had no listeners for a while that nobody can tell, as of a machine that stood
    /// still: the next advert goes by the wall clock alone.
    pub fn forget_time(&mut self) {
        self.utc_at_zero = None;
    }

    fn base(&self, now: Instant, wall: Stamp, window: u64) -> Stamp {
        let (Some(base), Some(last)) = (self.utc_at_zero, self.last) else {
            return wall;
        };
        let elapsed = now.since(last.at);
        if window == 0 || elapsed > SILENCE {
            return wall;
        }
        let most = (window / OF_WINDOW).min(Stamp::span(elapsed.0) / OF_ELAPSED);
        base.towards(wall, most)
    }
}

/// The clock's time, or the first one after the last. A clock that is back by more than the window is right, as the
/// receivers' are, who would refuse a sender that stays ahead of them.
const fn later(clock: Stamp, last: Stamp, window: u64) -> Stamp {
    let ahead = last.ahead_of(clock);
    if ahead < 0 || window != 0 && ahead.cast_unsigned() > window {
        clock
    } else {
        last.after(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::replay::ReplayWindow;
    use super::*;

    const SECOND: u64 = 1 << 32;
    const NANOS: u64 = 1_000_000_000;
    const WINDOW: u64 = 5 * SECOND;
    /// UTC when the monotonic clock was zero.
    const RIGHT: Stamp = Stamp(1_800_000_000 * SECOND);

    fn shifted(seconds: i64) -> Stamp {
        Stamp(RIGHT.0.wrapping_add_signed(seconds << 32))
    }

    fn at(millis: u64) -> Instant {
        Instant(NANOS) + Nanos::from_millis(millis)
    }

    /// What a receiver makes of it whose clock is right.
    struct Receiver(Option<ReplayState>);

    impl Receiver {
        fn hears(&mut self, stamp: Stamp, now: Instant) -> bool {
            let window = ReplayWindow {
                window: WINDOW,
                utc_at_zero: RIGHT.0,
            };
            let fresh = window.judge(stamp, self.0, now.0).is_ok();
            if fresh {
                self.0 = Some(ReplayState {
                    stamp: stamp.0,
                    at: now.0,
                    mac: 0,
                });
            }
            fresh
        }
    }

    #[test]
    fn the_wall_clock_may_be_set_by_any_amount_while_a_master_is_heard() {
        for (step, interval) in [
            (3600, 1000),
            (-3600, 1000),
            (3600, 10),
            (-3600, 10),
            (6, 1000),
            (-6, 1000),
            (-400_000_000, 1000),
        ] {
            let (mut clock, mut receiver) = (SigningClock::default(), Receiver(None));
            let mut last = None;
            for number in 0..20_000 {
                let wall = if number < 5 { RIGHT } else { shifted(step) };
                let now = at(number * interval);
                let stamp = clock.next(now, wall, WINDOW);
                assert!(last.is_none_or(|last| stamp.is_after(last)), "{step}");
                last = Some(stamp);
                // Two of three are lost.
                if number % 3 == 0 {
                    assert!(
                        receiver.hears(stamp, now),
                        "{step} s, {interval} ms: {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn it_comes_to_the_wall_clocks_time_in_the_end() {
        for step in [600, -600] {
            let mut clock = SigningClock::default();
            clock.next(at(0), RIGHT, WINDOW);
            let mut off = u64::MAX;
            for second in 1..=4 * 600 {
                let now = at(second * 1000);
                let stamp = clock.next(now, shifted(step), WINDOW);
                let wall = shifted(step).after(Stamp::span(now.0));
                off = stamp.ahead_of(wall).unsigned_abs();
            }
            assert!(off < SECOND / 1000, "{step}: {off}");
        }
    }

    #[test]
    fn after_a_silence_and_where_the_time_was_forgotten_the_wall_clock_counts_alone() {
        let mut clock = SigningClock::default();
        clock.next(at(0), RIGHT, WINDOW);
        let wall = shifted(3600);
        let now = at(61_000);
        let stamp = clock.next(now, wall, WINDOW);
        assert_eq!(stamp, wall.after(Stamp::span(now.0)).without_counter());
        clock.forget_time();
        let now = at(62_000);
        let stamp = clock.next(now, RIGHT, WINDOW);
        assert_eq!(stamp, RIGHT.after(Stamp::span(now.0)).without_counter());
    }

    #[test]
    fn it_never_says_a_time_twice() {
        for window in [WINDOW, 0] {
            let mut clock = SigningClock::default();
            let first = clock.next(at(0), RIGHT, window);
            assert_eq!(clock.next(at(0), RIGHT, window), first.after(1));
            // Back by less than the window, and nothing that would slow it down.
            clock.forget_time();
            let next = clock.next(at(1000), shifted(-4), window);
            assert_eq!(next, first.after(2));
        }
        let mut clock = SigningClock::default();
        let first = clock.next(at(0), RIGHT, 0);
        let next = clock.next(at(1000), shifted(-3600), 0);
        assert_eq!(next, first.after(1), "without a window it only grows");
    }

    /// The agent was killed, and its clock has been set meanwhile: by an hour, or back by less than the window.
    #[test]
    fn what_an_earlier_life_has_signed_is_gone_on_from() {
        for (window, step) in [(WINDOW, 3600), (WINDOW, -3600), (WINDOW, -3), (0, -3600)] {
            let (mut earlier, mut receiver) = (SigningClock::default(), Receiver(None));
            assert!(receiver.hears(earlier.next(at(0), RIGHT, window), at(0)));
            let left = earlier.said().unwrap();
            let mut clock = SigningClock::default();
            clock.resume(left);
            for second in 1..100 {
                let now = at(second * 1000);
                let stamp = clock.next(now, shifted(step), window);
                assert!(stamp.is_after(Stamp(left.stamp)));
                assert!(
                    window == 0 || receiver.hears(stamp, now),
                    "{step}: {second}"
                );
            }
            let said = clock;
            clock.resume(left);
            assert_eq!(clock, said, "it has a time of its own");
        }
        assert_eq!(SigningClock::default().said(), None);
    }

    /// What is none yet is no time: from 2038 on zero is ahead of the clock, as serial numbers are compared.
    #[test]
    fn the_first_one_is_the_clocks_in_any_year() {
        for window in [WINDOW, 0] {
            let wall = Stamp(0x8000_0001_0000_0000);
            let stamp = SigningClock::default().next(at(0), wall, window);
            assert_eq!(stamp, wall.after(SECOND));
        }
    }
}
