//! How often something else has removed what we put back: a fight over an address must not become a busy loop with
//! a log line for each round.

use ha_common::units::{Instant, Nanos};

/// What was put back longer ago than this belongs to another story.
const WINDOW: Nanos = Nanos::from_millis(10_000);
/// So many in a row are put back at once.
const AT_ONCE: u32 = 3;
/// The first pause after those, and the longest.
const FIRST_PAUSE: Nanos = Nanos::from_millis(1_000);
const LONGEST_PAUSE: Nanos = Nanos::from_millis(60_000);
/// Between two lines in the log while it lasts.
const LINE: Nanos = Nanos::from_millis(60_000);

/// The restores of the addresses of one virtual router.
#[derive(Clone, Debug, Default)]
pub(super) struct Restores {
    in_a_row: u32,
    last: Option<Instant>,
    paused_until: Option<Instant>,
    said: Option<Instant>,
}

impl Restores {
    /// Until when nothing is put back.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|at| now < *at)
    }

    /// Something was put back; true if that is worth a line.
    pub(super) fn restored(&mut self, now: Instant) -> bool {
        let pause = self.pause();
        let goes_on = self
            .last
            .is_some_and(|last| now.since(last).0 <= WINDOW.0 + pause.0);
        if !goes_on {
            *self = Self::default();
        }
        self.in_a_row += 1;
        self.last = Some(now);
        self.paused_until = (self.in_a_row >= AT_ONCE).then(|| now + self.pause());
        let says = self.in_a_row <= AT_ONCE || self.said.is_none_or(|at| now.since(at) >= LINE);
        if says {
            self.said = Some(now);
        }
        says
    }

    /// How long nothing is put back after the last time.
    fn pause(&self) -> Nanos {
        let Some(beyond) = self.in_a_row.checked_sub(AT_ONCE) else {
            return Nanos(0);
        };
        Nanos(FIRST_PAUSE.0 << beyond.min(6)).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_is_fought_ever_more_rarely_and_told_once_a_minute() {
        let mut restores = Restores::default();
        let start = Instant(1_000_000_000);
        let mut now = start;
        let (mut rounds, mut lines) = (0, 0);
        while now.since(start) < Nanos::from_millis(600_000) {
            if let Some(until) = restores.paused_until(now) {
                now = until;
            }
            rounds += 1;
            lines += u32::from(restores.restored(now));
            // It is gone again within the millisecond.
            now = now + Nanos::from_millis(1);
        }
        assert_eq!(rounds, 18, "in ten minutes");
        assert_eq!(lines, 13, "of {rounds}");
    }

    #[test]
    fn one_that_was_put_back_once_is_put_back_at_once_later() {
        let mut restores = Restores::default();
        let mut now = Instant(1_000_000_000);
        for _ in 0..100 {
            assert_eq!(restores.paused_until(now), None);
            assert!(restores.restored(now));
            now = now + Nanos::from_millis(11_000);
        }
    }
}
