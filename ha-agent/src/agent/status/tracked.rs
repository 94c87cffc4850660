//! What an instance tracks, as `status` shows it.

use super::now::Now;
use crate::config::model::Subject;
use crate::router::health::Health;
use crate::router::tracked::TrackedItem;
use crate::status::tracked::{Tracked, TrackedState};

pub(super) fn tracked(items: &[TrackedItem], now: Now) -> Vec<Tracked> {
    let one = |item: &TrackedItem| Tracked {
        name: item.to_string(),
        state: match item.counts_as() {
            Health::Pending => TrackedState::Pending,
            Health::Up | Health::Weight(_) => TrackedState::Up,
            Health::Down => TrackedState::Down,
        },
        found: found(item),
        adds: matches!(item.health, Health::Weight(_)).then(|| item.applied()),
        weight: item.weight(),
        reverse: item.track.reverse,
        counts_in_us: item
            .next_deadline()
            .map(|due| due.since(now.monotonic).0 / 1000),
    };
    items.iter().map(one).collect()
}

fn found(item: &TrackedItem) -> Option<String> {
    match item.health {
        Health::Weight(_) => Some(format!("adds {}", item.applied())),
        Health::Pending | Health::Up | Health::Down => item.link.map(|status| status.to_string()),
    }
}

/// When a weight is added, in words.
pub(super) fn when(item: &TrackedItem) -> String {
    if let Health::Weight(number) = item.health {
        return format!("times {number}, read from {}", item.track.subject);
    }
    let fails = item.track.weight.is_some_and(|weight| weight < 0) != item.track.reverse;
    let (fail, succeed) = match item.track.subject {
        Subject::Check(_) => ("fails", "succeeds"),
        Subject::Interface { .. } => ("is down", "is up"),
    };
    let verb = if fails { fail } else { succeed };
    format!("while {} {verb}", item.track.subject)
}
