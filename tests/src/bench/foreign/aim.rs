//! The aim: what an administrator gets who chooses nothing costs other traffic next to nothing.

use super::hook::{AUTO, CONTROL};
use super::outcome::Outcome;
use crate::bench::figure::verdict;

/// Of the rate without an agent.
const AIM: f64 = 0.97;
/// By how much the same without an agent may differ from itself; beyond that the run says nothing.
const NOISE: f64 = 0.03;

/// One line for each course.
pub(super) fn lines(outcomes: &[Outcome]) -> Vec<String> {
    let auto = outcomes.iter().filter(|it| it.hook == AUTO);
    auto.map(|it| line(it, outcomes)).collect()
}

fn line(auto: &Outcome, outcomes: &[Outcome]) -> String {
    let what = format!(
        "{}, {}, {}",
        auto.subject,
        auto.role.name(),
        auto.course.name()
    );
    let key = |it: &Outcome| (it.subject, it.role, it.course);
    let mut controls = outcomes.iter().filter(|it| it.hook == CONTROL);
    let control = controls.find(|it| key(it) == key(auto));
    let control = control.and_then(|it| it.rate_ratio.as_ref());
    let (Some(found), Some(control)) = (auto.rate_ratio.as_ref(), control) else {
        return format!("NOT MEASURED  {what}");
    };
    let settled = (control.median - 1.0).abs() <= NOISE;
    let verdict = if settled {
        verdict(found.median >= AIM)
    } else {
        "TOO NOISY"
    };
    format!(
        "{verdict:9}  {what}: {:.3} ({:.2} to {:.2}), aim {AIM}; no agent, again: {:.3} ({:.2} to {:.2})",
        found.median, found.min, found.max, control.median, control.min, control.max
    )
}
