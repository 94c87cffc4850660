//! When something that has failed is tried again.

use ha_common::units::{Instant, Nanos};

/// The first wait, and the longest.
const FIRST: Nanos = Nanos::from_millis(1_000);
const LONGEST: Nanos = Nanos::from_millis(60_000);

/// When to try again: a second after the first failure, then after twice as long each time, up to a minute.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retry {
    failing: Option<Failing>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Failing {
    since: Instant,
    at: Instant,
    wait: Nanos,
}

impl Retry {
    /// It failed.
    pub fn failed(&mut self, now: Instant) {
        let wait = self
            .failing
            .map_or(FIRST, |it| Nanos(it.wait.0 * 2).min(LONGEST));
        self.failing = Some(Failing {
            since: self.failing.map_or(now, |it| it.since),
            at: now + wait,
            wait,
        });
    }

    /// It worked, or is not wanted any more.
    pub fn clear(&mut self) {
        self.failing = None;
    }

    /// Since when it has failed.
    pub fn since(&self) -> Option<Instant> {
        self.failing.map(|it| it.since)
    }

    /// When to try again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.failing.map(|it| it.at)
    }

    /// Whether it is time to.
    pub fn is_due(&self, now: Instant) -> bool {
        self.failing.is_some_and(|it| it.at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_last_one_up_to_a_minute_and_a_success_forgets_them() {
        let mut retry = Retry::default();
        assert_eq!(retry.next_deadline(), None);
        let start = Instant(7_000_000_000);
        let mut now = start;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            retry.failed(now);
            let next = now + Nanos::from_millis(wait * 1000);
            assert_eq!(retry.next_deadline(), Some(next));
            assert!(!retry.is_due(now) && retry.is_due(next));
            assert_eq!(retry.since(), Some(start), "since the first of them");
            now = next;
        }
        retry.clear();
        assert_eq!((retry.next_deadline(), retry.since()), (None, None));
        retry.failed(now);
        assert_eq!(retry.next_deadline(), Some(now + FIRST));
        assert_eq!(retry.since(), Some(now));
    }
}
