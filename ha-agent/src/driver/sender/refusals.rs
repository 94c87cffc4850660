//! Adverts that the kernel refuses to send.
//!
//! One that is refused is no matter: a queue can be full for a moment. A master whose adverts have been
//! refused for as long as a backup waits for them has a second master beside it, and a person must hear of it.

use std::net::IpAddr;

use ha_common::units::{Instant, Nanos};

use crate::net::advert::AdvertError;
use crate::router::sending::{SendingNews, Unsent};

/// An advert that the kernel refused.
#[derive(Debug)]
pub struct Refused {
    /// Where it was to go.
    pub to: IpAddr,
    pub error: AdvertError,
}

/// The refusals of one virtual router, one after the other.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    unsent: Option<Unsent>,
    news: bool,
}

impl Refusals {
    /// An advert left at `now` for all destinations, or was refused for one. Refusals that last for longer than
    /// `patience` are news, and so is that they are over.
    pub(super) fn count(&mut self, refused: Option<Refused>, now: Instant, patience: Nanos) {
        let Some(Refused { to, error }) = refused else {
            self.since = None;
            self.news |= self.unsent.take().is_some();
            return;
        };
        let since = *self.since.get_or_insert(now);
        if self.unsent.is_none() && now.since(since) > patience {
            self.unsent = Some(Unsent {
                since,
                to,
                why: error.to_string(),
                too_long: matches!(error, AdvertError::ExceedsMtu(_)),
            });
            self.news = true;
        }
    }

    /// Whether refusals have become news and nobody has asked.
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// What is so now, if that is news.
    pub(super) fn take_news(&mut self) -> Option<SendingNews> {
        let news = std::mem::take(&mut self.news);
        news.then(|| {
            self.unsent
                .clone()
                .map_or(SendingNews::Leave, SendingNews::Unsent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Nanos = Nanos::from_millis(3_600);

    fn refused(error: AdvertError) -> Refused {
        Refused {
            to: IpAddr::from([224, 0, 0, 18]),
            error,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant(0) + Nanos::from_millis(seconds * 1000)
    }

    #[test]
    fn refusals_are_news_once_they_outlast_the_patience_and_again_when_they_are_over() {
        let mut refusals = Refusals::default();
        for second in 0..4 {
            refusals.count(Some(refused(AdvertError::Filtered)), at(second), PATIENCE);
            assert_eq!(refusals.take_news(), None, "at {second} s");
        }
        let too_long = || refused(AdvertError::ExceedsMtu(1600));
        refusals.count(Some(too_long()), at(4), PATIENCE);
        assert!(refusals.has_news());
        let Some(SendingNews::Unsent(unsent)) = refusals.take_news() else {
            panic!("no news")
        };
        assert_eq!((unsent.since, unsent.too_long), (at(0), true));
        assert_eq!(unsent.why, AdvertError::ExceedsMtu(1600).to_string());
        refusals.count(Some(refused(AdvertError::QueueFull)), at(5), PATIENCE);
        assert_eq!(refusals.take_news(), None, "it is known");
        refusals.count(None, at(6), PATIENCE);
        assert_eq!(refusals.take_news(), Some(SendingNews::Leave));
        refusals.count(None, at(7), PATIENCE);
        assert!(!refusals.has_news());
    }

    #[test]
    fn one_that_leaves_between_begins_the_count_anew() {
        let mut refusals = Refusals::default();
        for second in 0..20 {
            let outcome = (second % 4 != 3).then(|| refused(AdvertError::Filtered));
            refusals.count(outcome, at(second), PATIENCE);
        }
        assert!(!refusals.has_news());
    }
}
