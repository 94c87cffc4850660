//! The part of an instance's `status` about what it tracks: checks and other interfaces.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::text::{BAD, PLAIN, WARN, field, span};

/// One entry of `track`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tracked {
    /// What it is called in the sum: `nginx`, `interface eth1`, `nginx reversed`.
    pub name: String,
    /// What counts: with `reverse` the opposite of what was found.
    pub state: TrackedState,
    /// What was found, where there is more to say than that it is up or down.
    pub found: Option<String>,
    /// `weight`; `null` if a failure faults the instance.
    pub weight: Option<i16>,
    /// `reverse`.
    pub reverse: bool,
    /// How long until what was found counts, if it lasts, in microseconds; `null` if it counts already.
    pub counts_in_us: Option<u64>,
}

/// Whether what is tracked counts as good.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackedState {
    /// Nothing is known yet.
    Pending,
    /// It counts as a success.
    Up,
    /// It counts as a failure.
    Down,
}

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
        TrackedState::Pending => "nothing known yet",
        TrackedState::Up => "counts as up",
        TrackedState::Down => "counts as down",
    };
    let mut text = format!("{}: ", one.name);
    match (&one.found, one.counts_in_us) {
        (Some(found), Some(left)) => {
            let _ = write!(text, "{found}, for {} more it {state}", span(left));
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
