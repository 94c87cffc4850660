//! Notes of how adverts are received that were logged lately: what comes and goes every 2 s is no line each time.

use std::collections::HashMap;

use ha_common::units::{Instant, Nanos};

/// Between two lines of the same words at the least: ten minutes.
const PAUSE: Nanos = Nanos::from_millis(600_000);

/// When which was logged last.
#[derive(Debug, Default)]
pub(super) struct NoticeFilter(HashMap<String, Instant>);

impl NoticeFilter {
    /// Those that are to be logged now.
    pub(super) fn news(&mut self, notes: &[String], now: Instant) -> Vec<String> {
        self.0.retain(|_, at| now.since(*at) < PAUSE);
        let news: Vec<String> = notes
            .iter()
            .filter(|note| !self.0.contains_key(*note))
            .cloned()
            .collect();
        self.0.extend(news.iter().map(|note| (note.clone(), now)));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_logged_again_after_a_while_only() {
        let mut notice_filter = NoticeFilter::default();
        let both = ["first", "second"].map(str::to_owned);
        let at = |seconds: u64| Instant(1) + Nanos::from_millis(seconds * 1000);
        assert_eq!(notice_filter.news(&both[..1], at(0)), ["first"]);
        assert_eq!(notice_filter.news(&both, at(2)), ["second"]);
        assert!(notice_filter.news(&both, at(599)).is_empty());
        assert_eq!(notice_filter.news(&both, at(600)), ["first"]);
    }
}
