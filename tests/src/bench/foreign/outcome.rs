//! What a contestant came to on one course, and beside the one without an agent.

use serde::Serialize;

use super::course::{Course, Role};
use super::hook::{Hook, NONE};
use super::iperf::Sample;
use crate::bench::sample::Summary;

/// What it came to.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) subject: &'static str,
    pub(super) role: Role,
    pub(super) course: Course,
    pub(super) hook: Hook,
    /// What `status` called its datapath.
    pub(super) runs: Option<String>,
    /// Why it could not be had here.
    pub(super) refused: Option<String>,
    pub(super) rate: Option<Summary>,
    pub(super) cpu: Option<Summary>,
    pub(super) buffer: Option<Summary>,
    /// Its rate by that without an agent in the same round.
    pub(super) rate_ratio: Option<Summary>,
    /// The same of the CPU time for a gigabyte, or a million packets.
    pub(super) cpu_ratio: Option<Summary>,
    pub(super) samples: Vec<Sample>,
}

impl Outcome {
    pub(super) const fn new(
        subject: &'static str,
        role: Role,
        course: Course,
        hook: &Hook,
    ) -> Self {
        Self {
            subject,
            role,
            course,
            hook: *hook,
            runs: None,
            refused: None,
            rate: None,
            cpu: None,
            buffer: None,
            rate_ratio: None,
            cpu_ratio: None,
            samples: Vec::new(),
        }
    }

    pub(super) fn sum_up(&mut self) {
        let summary = |value: fn(&Sample) -> f64| {
            let values: Vec<f64> = self.samples.iter().map(value).collect();
            Summary::of(&values)
        };
        self.rate = summary(|it| it.rate);
        self.cpu = summary(|it| it.cpu);
        self.buffer = summary(|it| it.buffer);
    }
}

/// Compares all with the one without an agent on the same course, round by round.
pub(super) fn compare(outcomes: &mut [Outcome]) {
    let bases: Vec<(Course, Vec<Sample>)> = outcomes
        .iter()
        .filter(|it| it.hook == NONE)
        .map(|it| (it.course, it.samples.clone()))
        .collect();
    for outcome in outcomes {
        let Some((_, base)) = bases.iter().find(|(course, _)| *course == outcome.course) else {
            continue;
        };
        let ratios = |value: fn(&Sample) -> f64| {
            let rounds = outcome.samples.iter().zip(base);
            let values: Vec<f64> = rounds.map(|(own, base)| value(own) / value(base)).collect();
            Summary::of(&values)
        };
        (outcome.rate_ratio, outcome.cpu_ratio) = (ratios(|it| it.rate), ratios(|it| it.cpu));
    }
}
