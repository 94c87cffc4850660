//! The effective priority as a sum, and what keeps an instance from taking part.

use std::fmt::Write as _;

use ha_common::units::Priority;

use super::tracked::TrackedItem;

/// Base and tracked, clamped to 1 to 254; an owner (255) ignores weights
/// (RFC 9568 section 5.2.4 (backup), RFC 3768 section 5.3.4 (backup)).
pub fn effective(base: Priority, tracked: &[TrackedItem]) -> Priority {
    if base.is_owner() {
        return base;
    }
    let sum = tracked.iter().fold(i32::from(base.0), |sum, item| {
        sum + i32::from(item.applied())
    });
    Priority(u8::try_from(sum.clamp(1, 254)).unwrap_or(1))
}

/// The sum in words: `100 -20 (nginx) = 80`; just the number if no item has a weight.
pub fn in_words(base: Priority, tracked: &[TrackedItem]) -> String {
    let mut words = base.to_string();
    for item in tracked.iter().filter(|item| item.applied() != 0) {
        // Writing to a string cannot fail.
        let _ = write!(words, " {:+} ({item})", item.applied());
    }
    let total = effective(base, tracked);
    if total == base {
        words
    } else {
        format!("{words} = {total}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Track;
    use crate::router::health::Health;

    fn item(weight: i16, health: Health) -> TrackedItem {
        let mut item = TrackedItem::new(&Track {
            weight: Some(weight),
            ..Track::check("nginx")
        });
        item.on_check("nginx", health);
        item
    }

    /// RFC 9568 section 5.2.4 (backup), RFC 3768 section 5.3.4 (backup).
    #[test]
    fn the_sum_follows_the_signs_and_is_clamped() {
        let cases = [
            (100, vec![], 100),
            (100, vec![item(-20, Health::Down)], 80),
            (100, vec![item(-20, Health::Up)], 100),
            (100, vec![item(-20, Health::Pending)], 100),
            (100, vec![item(30, Health::Up)], 130),
            (100, vec![item(30, Health::Down)], 100),
            (10, vec![item(-200, Health::Down)], 1),
            (250, vec![item(100, Health::Up)], 254),
            (255, vec![item(-100, Health::Down)], 255),
        ];
        for (base, tracked, want) in cases {
            assert_eq!(
                effective(Priority(base), &tracked),
                Priority(want),
                "{base} {tracked:?}"
            );
        }
    }

    #[test]
    fn the_words_show_only_what_counts() {
        assert_eq!(
            in_words(Priority(100), &[item(-20, Health::Down)]),
            "100 -20 (nginx) = 80"
        );
        assert_eq!(in_words(Priority(100), &[item(-20, Health::Up)]), "100");
    }
}
