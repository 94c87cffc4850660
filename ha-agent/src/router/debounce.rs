//! A state that is believed once it has lasted: what keeps a flapping link from moving addresses.
//!
//! Pure: it is told what is seen and when, and says when it wants to be asked again.

use ha_common::units::{Instant, Nanos};

use crate::config::model::Delay;

/// One thing that is up or down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Debounce {
    down_delay: Nanos,
    up_delay: Nanos,
    /// What is believed; `None` before the first sight, which is believed at once.
    believed: Option<bool>,
    /// When the opposite of what is believed will be, if it lasts.
    due: Option<Instant>,
    /// What `see` was last told to count: it grows with changes that were too quick to be seen.
    changes: u32,
}

impl Debounce {
    /// Nothing seen yet.
    pub(super) fn new(delay: Delay) -> Self {
        Self {
            down_delay: Nanos::from(delay.down),
            up_delay: Nanos::from(delay.up),
            believed: None,
            due: None,
            changes: 0,
        }
    }

    /// The same with other delays: what is believed stays, and what was waited for is waited for anew.
    #[must_use]
    pub(super) fn with_delay(self, delay: Delay) -> Self {
        Self {
            believed: self.believed,
            changes: self.changes,
            ..Self::new(delay)
        }
    }

    /// It is up or down now. `changes` counts how often it has come and gone, as far as anybody knows: a
    /// flap that nobody saw begins the wait again.
    pub(super) fn see(&mut self, now: Instant, is_up: bool, changes: u32) {
        let flapped = std::mem::replace(&mut self.changes, changes) != changes;
        match self.believed {
            None => self.believe(is_up),
            Some(believed) if believed == is_up => self.due = None,
            Some(_) if self.due.is_some() && !flapped => {}
            Some(_) => {
                let delay = if is_up {
                    self.up_delay
                } else {
                    self.down_delay
                };
                self.due = Some(now + delay);
            }
        }
        self.tick(now);
    }

    /// What is believed.
    pub(super) const fn believed(&self) -> Option<bool> {
        self.believed
    }

    /// When to call `tick`.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Believes what has lasted until now; true if that is news.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let lasted = self.due.is_some_and(|due| due <= now);
        if lasted {
            self.believe(!self.believed.unwrap_or(false));
        }
        lasted
    }

    fn believe(&mut self, is_up: bool) {
        self.believed = Some(is_up);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DELAY: Delay = Delay {
        down: Duration::from_millis(500),
        up: Duration::from_secs(2),
    };

    fn at(millis: u64) -> Instant {
        Instant(0) + Nanos::from_millis(millis)
    }

    /// What is seen (time in ms, up, changes of carrier so far), and what is believed right after it,
    /// with the time in ms at which the opposite will be.
    type Step = ((u64, bool, u32), (bool, Option<u64>));

    fn play(delay: Delay, steps: &[Step]) {
        let mut state = Debounce::new(delay);
        for ((millis, is_up, changes), (believed, due)) in steps {
            // As the driver does: what was due before this sight is believed first.
            state.tick(at(*millis));
            state.see(at(*millis), *is_up, *changes);
            let found = (state.believed(), state.due());
            assert_eq!(found, (Some(*believed), due.map(at)), "at {millis} ms");
        }
    }

    #[test]
    fn the_first_sight_is_believed_at_once() {
        play(DELAY, &[((7, false, 0), (false, None))]);
        play(DELAY, &[((7, true, 0), (true, None))]);
    }

    #[test]
    fn without_a_delay_everything_is_believed_at_once() {
        play(
            Delay::default(),
            &[
                ((0, true, 0), (true, None)),
                ((5, false, 1), (false, None)),
                ((5, true, 2), (true, None)),
            ],
        );
    }

    #[test]
    fn a_failure_counts_once_it_has_lasted_and_so_does_the_recovery() {
        play(
            DELAY,
            &[
                ((0, true, 0), (true, None)),
                ((100, false, 1), (true, Some(600))),
                ((599, false, 1), (true, Some(600))),
                ((600, false, 1), (false, None)),
                ((1000, true, 2), (false, Some(3000))),
                ((2999, true, 2), (false, Some(3000))),
                ((3000, true, 2), (true, None)),
            ],
        );
    }

    #[test]
    fn a_flap_within_the_delay_changes_nothing_and_begins_the_wait_again() {
        play(
            DELAY,
            &[
                ((0, true, 0), (true, None)),
                ((100, false, 1), (true, Some(600))),
                ((200, true, 2), (true, None)),
                ((300, false, 3), (true, Some(800))),
                // Up and down again between two sights.
                ((700, false, 5), (true, Some(1200))),
                ((1100, true, 6), (true, None)),
            ],
        );
    }

    #[test]
    fn other_delays_keep_what_is_believed() {
        let mut state = Debounce::new(DELAY);
        state.see(at(0), false, 0);
        state.see(at(10), true, 1);
        let mut state = state.with_delay(Delay::default());
        assert_eq!((state.believed(), state.due()), (Some(false), None));
        state.see(at(20), true, 1);
        assert_eq!(state.believed(), Some(true));
    }

    #[test]
    fn a_tick_tells_whether_something_was_due() {
        let mut state = Debounce::new(DELAY);
        state.see(at(0), true, 0);
        assert!(!state.tick(at(9_999)));
        state.see(at(10_000), false, 1);
        assert!(!state.tick(at(10_499)));
        assert!(state.tick(at(10_500)));
        assert!(!state.tick(at(10_501)));
    }
}
