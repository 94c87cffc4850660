//! When to look at a file after a change. Pure: no clock, no I/O.

use ha_common::units::{Instant, Nanos};

/// How often to look where the kernel will not tell.
const POLL: Nanos = Nanos::from_millis(1_000);

/// How long a writer that has not closed the file yet gets: a file is often cut to nothing before it is
/// written.
const WRITING: Nanos = Nanos::from_millis(50);
/// Between two looks, however often the file changes.
const PACE: Nanos = Nanos::from_millis(10);

/// What the kernel told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    /// Nothing that concerns the file.
    Nothing,
    /// Something was written, and the writer may not be done.
    Written,
    /// A writer has closed it, or another file or directory has come or gone under one of the names of its
    /// path.
    Settled,
}

/// When to look next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settle {
    due: Option<Instant>,
    /// No look before this.
    pause: Instant,
}

impl Settle {
    /// The first look is due at once.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            due: Some(now),
            pause: now,
        }
    }

    /// When to look; `None`: when the kernel tells.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant, news: News) {
        let due = match news {
            News::Nothing => return,
            // Counted from the first write: one that goes on for ever is looked at all the same.
            News::Written => self.due.unwrap_or(now + WRITING),
            News::Settled => now,
        };
        self.due = Some(due.max(self.pause));
    }

    /// A look has ended; what changes from here on is told, or must be asked for.
    pub(super) fn looked(&mut self, now: Instant, is_told: bool) {
        self.pause = now + PACE;
        self.due = (!is_told).then_some(now + POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant(0) + Nanos::from_millis(millis)
    }

    #[test]
    fn a_write_is_looked_at_once_the_writer_closes_or_has_had_its_time() {
        for (told, due) in [
            (&[(100, News::Nothing)][..], None),
            (&[(100, News::Settled)], Some(100)),
            (&[(100, News::Written)], Some(150)),
            (&[(100, News::Written), (140, News::Written)], Some(150)),
            (&[(100, News::Written), (101, News::Settled)], Some(101)),
            (&[(100, News::Written), (101, News::Nothing)], Some(150)),
        ] {
            let mut settle = Settle::new(at(0));
            settle.looked(at(1), true);
            assert_eq!(settle.due(), None);
            for (millis, news) in told {
                settle.changed(at(*millis), *news);
            }
            assert_eq!(settle.due(), due.map(at), "{told:?}");
        }
    }

    #[test]
    fn looks_keep_a_pace_whatever_is_told() {
        let mut settle = Settle::new(at(0));
        assert_eq!(settle.due(), Some(at(0)));
        settle.looked(at(100), true);
        settle.changed(at(103), News::Settled);
        assert_eq!(settle.due(), Some(at(110)));
        settle.changed(at(104), News::Settled);
        assert_eq!(settle.due(), Some(at(110)));
    }

    #[test]
    fn where_nobody_tells_the_next_look_comes_by_itself() {
        let mut settle = Settle::new(at(0));
        settle.looked(at(5), false);
        assert_eq!(settle.due(), Some(at(5) + POLL));
    }
}
