//! What an instance tracks, a line for each.

use std::fmt::Write;

use super::text::{BAD, PLAIN, WARN, field};
use crate::status::format::span;
use crate::status::tracked::{Tracked, TrackedState};

/// Appends a line for each.
pub(super) fn render_tracked(out: &mut String, tracked: &[Tracked]) {
    for (index, one) in tracked.iter().enumerate() {
        let label = if index == 0 { "tracked" } else { "" };
        let style = match (one.state, one.counts_in_us) {
            (TrackedState::Down, _) => BAD,
            (TrackedState::Pending, _) | (TrackedState::Up, Some(_)) => WARN,
            (TrackedState::Up, None) => PLAIN,
        };
        field(out, label, style, &line(one));
    }
}

fn line(one: &Tracked) -> String {
    let state = match one.state {
        TrackedState::Pending => "no result yet",
        TrackedState::Up => "counts as up",
        TrackedState::Down => "counts as down",
    };
    let mut text = format!("{}: ", one.name);
    match (&one.found, one.counts_in_us) {
        (Some(found), None) if one.adds.is_some() => text.push_str(found),
        (Some(found), Some(left)) => {
            let _ = write!(text, "{found}, {state} for another {}", span(left));
        }
        (Some(found), None) => {
            let _ = write!(text, "{found}, {state}");
        }
        (None, _) => text.push_str(state),
    }
    match one.weight {
        Some(weight) => {
            let _ = write!(text, "; weight {weight:+}");
        }
        None => text.push_str("; a failure faults the instance"),
    }
    text
}
