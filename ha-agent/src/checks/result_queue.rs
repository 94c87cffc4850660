//! One check's way to the driver's queue: it never waits, and never loses a verdict.

use tokio::sync::mpsc::{self, error::TrySendError};

use super::event::{CheckEvent, Kind};

/// A queue, and the one verdict that it had no room for.
pub(super) struct ResultQueue {
    queue: mpsc::Sender<CheckEvent>,
    /// A later verdict takes its place: only the latest counts.
    unsent: Option<CheckEvent>,
}

impl ResultQueue {
    pub(super) const fn new(queue: mpsc::Sender<CheckEvent>) -> Self {
        Self {
            queue,
            unsent: None,
        }
    }

    /// Sends, or keeps a verdict for later. Returns how many events nobody will ever see.
    pub(super) fn push(&mut self, event: CheckEvent) -> u64 {
        // Behind one that waits, nobody may overtake.
        if let Some(old) = self.unsent.take() {
            self.unsent = Some(merge(old, event));
            return 1;
        }
        match self.queue.try_send(event) {
            // A closed queue means that the agent is going down.
            Ok(()) | Err(TrySendError::Closed(_)) => 0,
            Err(TrySendError::Full(event)) if event.kind.verdict().is_some() => {
                self.unsent = Some(event);
                0
            }
            Err(TrySendError::Full(_)) => 1,
        }
    }

    /// Comes back when what waited has been sent; never, if nothing waits. May be dropped at any time.
    pub(super) async fn flush(&mut self) {
        if self.unsent.is_none() {
            std::future::pending::<()>().await;
        }
        let permit = self.queue.reserve().await;
        if let (Some(event), Ok(permit)) = (self.unsent.take(), permit) {
            permit.send(event);
        }
    }
}

/// Of two verdicts only the later one counts, but that one of them was the first must not get lost.
fn merge(old: CheckEvent, new: CheckEvent) -> CheckEvent {
    match (old.kind, new.kind.verdict()) {
        (Kind::First(_), Some(verdict)) => CheckEvent {
            kind: Kind::First(verdict),
            ..new
        },
        (
            Kind::Up
            | Kind::Down
            | Kind::Weight
            | Kind::Restarting
            | Kind::RestartFailed
            | Kind::Restarted,
            Some(_),
        ) => new,
        (_, None) => old,
    }
}

#[cfg(test)]
mod tests {
    use ha_common::units::Instant;

    use super::*;
    use crate::checks::event::Verdict::{Down, Up};

    fn event(kind: Kind) -> CheckEvent {
        CheckEvent {
            name: "web".into(),
            kind,
            weight: None,
            detail: String::new(),
            at: Instant(0),
        }
    }

    #[test]
    fn an_unread_first_result_stays_the_first_with_the_latest_verdict() {
        for (old, new, merged) in [
            (Kind::First(Up), Kind::Down, Kind::First(Down)),
            (Kind::First(Down), Kind::Up, Kind::First(Up)),
            (Kind::Up, Kind::Down, Kind::Down),
            (Kind::Down, Kind::Restarted, Kind::Down),
            (Kind::First(Up), Kind::Restarting, Kind::First(Up)),
        ] {
            assert_eq!(merge(event(old), event(new)).kind, merged);
        }
    }

    #[tokio::test]
    async fn a_full_queue_costs_news_but_never_the_latest_verdict() {
        let (queue, mut read) = mpsc::channel(1);
        let mut result_queue = ResultQueue::new(queue);
        assert_eq!(result_queue.push(event(Kind::First(Up))), 0);
        assert_eq!(
            result_queue.push(event(Kind::Restarting)),
            1,
            "no room for news"
        );
        assert_eq!(result_queue.push(event(Kind::Down)), 0, "a verdict waits");
        assert_eq!(result_queue.push(event(Kind::Restarted)), 1);
        assert_eq!(
            result_queue.push(event(Kind::Up)),
            1,
            "a later verdict replaces it"
        );
        assert_eq!(read.recv().await.unwrap().kind, Kind::First(Up));
        result_queue.flush().await;
        assert_eq!(read.recv().await.unwrap().kind, Kind::Up);
        assert!(read.try_recv().is_err());
        assert_eq!(result_queue.push(event(Kind::Down)), 0);
        assert_eq!(read.recv().await.unwrap().kind, Kind::Down);
    }
}
