//! Trying again, for ever: what is watched is told of how long it has not been, why, and when it is tried next.

use ha_common::units::{Instant, Nanos};

/// The first pause, and the longest: each is twice the one before.
const FIRST: Nanos = Nanos(100_000_000);
const LONGEST: Nanos = Nanos(10_000_000_000);

/// A series of attempts of which none has succeeded yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// When the first of them failed.
    pub since: Instant,
    /// Why the last one did.
    pub why: String,
    /// How many there were.
    pub attempts: u32,
    /// When the next is made.
    pub next: Instant,
}

impl Trouble {
    /// After an attempt that has failed just now.
    pub(super) fn after(before: Option<Self>, why: String, now: Instant) -> Self {
        let attempts = before
            .as_ref()
            .map_or(0, |it| it.attempts)
            .saturating_add(1);
        Self {
            since: before.map_or(now, |it| it.since),
            why,
            attempts,
            next: now + pause(attempts),
        }
    }
}

fn pause(attempts: u32) -> Nanos {
    let doublings = attempts.saturating_sub(1).min(16);
    Nanos((FIRST.0 << doublings).min(LONGEST.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_for_ever_and_never_more_than_ten_seconds_later() {
        let mut trouble = None;
        let mut now = Instant(7);
        let mut pauses = Vec::new();
        for _ in 0..100 {
            let failed = Trouble::after(trouble, "no memory".to_owned(), now);
            pauses.push(failed.next.since(now).0 / 1_000_000);
            now = failed.next;
            trouble = Some(failed);
        }
        assert_eq!(pauses[..8], [100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
        assert!(pauses[8..].iter().all(|pause| *pause == 10_000));
        let trouble = trouble.unwrap();
        assert_eq!((trouble.since, trouble.attempts), (Instant(7), 100));
    }
}
