//! What an instance tracks, as `status` shows it.

use super::Now;
use crate::config::model::Subject;
use crate::control::tracked::{Tracked, TrackedState};
use crate::driver::priority::Health;
use crate::driver::tracked::Term;

pub(super) fn tracked(terms: &[Term], now: Now) -> Vec<Tracked> {
    let one = |term: &Term| Tracked {
        name: term.to_string(),
        state: match term.counts_as() {
            Health::Pending => TrackedState::Pending,
            Health::Up | Health::Weight(_) => TrackedState::Up,
            Health::Down => TrackedState::Down,
        },
        found: found(term),
        weight: term.weight(),
        reverse: term.track.reverse,
        counts_in_us: term.due().map(|due| due.since(now.monotonic).0 / 1000),
    };
    terms.iter().map(one).collect()
}

fn found(term: &Term) -> Option<String> {
    match term.health {
        Health::Weight(_) => Some(format!("adds {}", term.applied())),
        Health::Pending | Health::Up | Health::Down => term.sight.map(|sight| sight.to_string()),
    }
}

/// When a weight is added, in words.
pub(super) fn when(term: &Term) -> String {
    if let Health::Weight(number) = term.health {
        return format!("times {number}, which {} says", term.track.subject);
    }
    let fails = term.track.weight.is_some_and(|weight| weight < 0) != term.track.reverse;
    let (fail, succeed) = match term.track.subject {
        Subject::Check(_) => ("fails", "succeeds"),
        Subject::Interface { .. } => ("is down", "is up"),
    };
    let verb = if fails { fail } else { succeed };
    format!("while {} {verb}", term.track.subject)
}
