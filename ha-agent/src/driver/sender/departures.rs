//! Which adverts leave together.
//!
//! A wake-up of the sender costs as much as an advert, and a host may have a thousand to send in 100 ms. So one that
//! is due shortly after another of the same interval leaves with it, and does so from then on: that is earlier, once,
//! and never later. Where more are due at a time than may leave together, most likely because their virtual routers
//! have all become master at once, they are spread over the interval: else the other hosts' deadlines for them
//! would be as close together.

use ha_common::units::{Instant, Nanos};

use crate::router::spread::Spread;

/// How far an advert may be brought forward, as a part of its interval: a backup must not find out that it is irregular.
const PART: u64 = 32;
/// And at most.
const EARLIER_MAX: Nanos = Nanos::from_millis(10);

/// Adverts that leave in one wake-up. The backups' deadlines for them fall together as well, and there the last of them is
/// acted on some 0.2 ms after the first.
const TOGETHER: usize = 8;

/// The adverts that were given their time last.
#[derive(Debug, Default)]
pub(super) struct Departures {
    due: Instant,
    interval: Nanos,
    adverts: usize,
}

impl Departures {
    /// When an advert leaves that follows the last one of its virtual router and is due then: not later.
    pub(super) fn next(&mut self, due: Instant, interval: Nanos) -> Instant {
        if self.is_near(due, interval) && self.adverts < TOGETHER {
            self.adverts += 1;
            return self.due;
        }
        *self = Self {
            due,
            interval,
            adverts: 1,
        };
        due
    }

    /// The same for one that follows an advert out of turn, by which virtual router `id` has begun an interval.
    pub(super) fn first(&mut self, id: usize, due: Instant, interval: Nanos) -> Instant {
        if self.is_near(due, interval) && self.adverts >= TOGETHER {
            let others = Nanos(interval.0 - interval.0 / PART);
            return due - Spread::of(id).share(others);
        }
        self.next(due, interval)
    }

    fn is_near(&self, due: Instant, interval: Nanos) -> bool {
        let earlier = Nanos(interval.0 / PART).min(EARLIER_MAX);
        self.interval == interval && self.due <= due && due.since(self.due) < earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Nanos = Nanos::from_millis(100);

    fn at(micros: u64) -> Instant {
        Instant(micros * 1000)
    }

    #[test]
    fn what_is_due_shortly_after_another_leaves_with_it_and_what_is_due_later_does_not() {
        let mut departures = Departures::default();
        assert_eq!(departures.next(at(100_000), INTERVAL), at(100_000));
        assert_eq!(departures.next(at(103_100), INTERVAL), at(100_000));
        assert_eq!(departures.next(at(103_200), INTERVAL), at(103_200));
        // Earlier than the last one, and of another interval.
        assert_eq!(departures.next(at(103_000), INTERVAL), at(103_000));
        let other = Nanos::from_millis(1000);
        assert_eq!(departures.next(at(103_000), other), at(103_000));
        assert_eq!(departures.next(at(112_900), other), at(103_000));
        assert_eq!(departures.next(at(113_000), other), at(113_000));
    }

    #[test]
    fn one_alone_keeps_its_interval() {
        let mut departures = Departures::default();
        for round in 1..100 {
            let due = at(100_000 * round);
            assert_eq!(departures.next(due, INTERVAL), due);
        }
    }

    #[test]
    fn a_thousand_that_begin_at_once_leave_over_the_whole_interval() {
        let mut departures = Departures::default();
        let begun = at(500_000);
        let mut in_tenths = [0; 10];
        for id in 0..1000 {
            let due = departures.first(id, begun + INTERVAL, INTERVAL);
            let wait = due.since(begun);
            assert!(
                wait.0 >= INTERVAL.0 / PART && wait <= INTERVAL,
                "{id}: {wait:?}"
            );
            in_tenths[usize::try_from((wait.0 - 1) / (INTERVAL.0 / 10)).unwrap()] += 1;
        }
        // The first tenth has none at its beginning, and the last those that leave together as well.
        for tenth in in_tenths {
            assert!((60..=140).contains(&tenth), "{in_tenths:?}");
        }
    }
}
