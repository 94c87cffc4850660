//! A state's colour, and a priority in words.

use std::fmt::Write as _;

use anstyle::Style;

use super::text::{BAD, CALM, GOOD, WARN};
use crate::status::instance::{PrioritySum, State};

pub(super) const fn state_style(state: State) -> Style {
    match state {
        State::Initialize => WARN,
        State::Backup => CALM,
        State::Master => GOOD,
        State::Fault => BAD,
    }
}

/// `100 -20 (nginx) = 80`, or `100` alone.
pub(super) fn priority_sum(priority: &PrioritySum) -> String {
    let mut text = priority.base.to_string();
    let mut sum = i32::from(priority.base);
    for weight in priority.weights.iter().filter(|weight| weight.applied) {
        let _ = write!(text, " {:+} ({})", weight.adds, weight.check);
        sum = sum.saturating_add(i32::from(weight.adds));
    }
    let effective = priority.effective;
    if let Some(last_resort) = &priority.last_resort {
        let _ = write!(text, ", {last_resort}");
    } else if let Some(member) = &priority.capped_by {
        let _ = write!(text, ", {effective} by {member}");
    } else if sum != i32::from(effective) {
        let _ = write!(text, " = {effective} (clamped)");
    } else if priority.weights.iter().any(|weight| weight.applied) {
        let _ = write!(text, " = {effective}");
    }
    text
}
