//! When the whole table is read: as soon as notifications were lost, again after a read that failed, and every so often
//! without any reason, since a table that is wrong stays so for ever.

use ha_common::units::{Instant, Nanos};

use crate::net::retry::Trouble;

/// How often the table is read without any reason.
const ROUND: Nanos = Nanos(10_000_000_000);

/// And at least this many times what reading it took: it may cost a thousandth of a processor.
const SHARE: u64 = 1000;

/// The plan, as a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Upkeep {
    /// Whether what was not heard may be in it.
    lost: bool,
    round: Instant,
    trouble: Option<Trouble>,
}

impl Upkeep {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self {
            lost: true,
            round: Instant(0),
            trouble: None,
        }
    }

    /// Notifications were lost.
    pub(super) fn lost(&mut self) {
        self.lost = true;
    }

    /// Whether what is read next may differ by more than is heard.
    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }

    /// When the table is to be read next. After a failure not before its pause is over: what overflows the socket makes
    /// reading fail as well.
    pub(super) fn due(&self) -> Instant {
        match &self.trouble {
            Some(trouble) => trouble.next,
            None if self.lost => Instant(0),
            None => self.round,
        }
    }

    /// The table was read, from `began` to `now`.
    pub(super) fn read(&mut self, began: Instant, now: Instant) {
        let took = now.since(began).0;
        self.lost = false;
        self.trouble = None;
        self.round = now + Nanos(took.saturating_mul(SHARE).max(ROUND.0));
    }

    /// It could not be, or nothing can be heard.
    pub(super) fn failed(&mut self, why: String, now: Instant) {
        self.lost = true;
        self.trouble = Some(Trouble::after(self.trouble.take(), why, now));
    }

    /// Why the table may be an old one.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_table_is_read_at_once_every_ten_seconds_and_after_losses() {
        let mut upkeep = Upkeep::new();
        assert_eq!(upkeep.due(), Instant(0));
        upkeep.read(Instant(SECOND), Instant(SECOND + 1));
        assert!(!upkeep.has_lost());
        assert_eq!(upkeep.due(), Instant(11 * SECOND + 1));
        upkeep.lost();
        assert_eq!(upkeep.due(), Instant(0));
        // A table that takes long is read more seldom.
        upkeep.read(Instant(20 * SECOND), Instant(20 * SECOND + SECOND / 10));
        assert_eq!(upkeep.due(), Instant(120 * SECOND + SECOND / 10));
    }

    #[test]
    fn a_read_that_fails_is_tried_again_after_a_pause_however_much_is_lost_meanwhile() {
        let mut upkeep = Upkeep::new();
        upkeep.read(Instant(SECOND), Instant(SECOND));
        upkeep.failed("why".to_owned(), Instant(2 * SECOND));
        upkeep.lost();
        assert_eq!(upkeep.due(), Instant(2 * SECOND + SECOND / 10));
        upkeep.failed("why".to_owned(), Instant(3 * SECOND));
        assert_eq!(upkeep.due(), Instant(3 * SECOND + SECOND / 5));
        let trouble = upkeep.trouble().unwrap();
        assert_eq!((trouble.attempts, trouble.since), (2, Instant(2 * SECOND)));
        upkeep.read(Instant(4 * SECOND), Instant(4 * SECOND));
        assert_eq!(upkeep.trouble(), None);
    }
}
