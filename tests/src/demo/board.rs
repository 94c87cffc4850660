//! What there is to show: the steps, how far they are, and what they cost.

use std::time::Duration;

use crate::scenario::{Fact, Report, STEPS, Settings};

/// How far a step is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Not begun.
    Ahead,
    /// Being played.
    Running,
    /// Held.
    Held(Report),
    /// Did not hold, and why.
    Failed(String),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Row {
    /// 1 to 9.
    pub number: u8,
    /// A few words.
    pub title: &'static str,
    /// What is done.
    pub action: &'static str,
    /// What must follow.
    pub expectation: &'static str,
    /// How far it is.
    pub progress: Progress,
}

impl Row {
    /// The outage in a few letters.
    pub fn cost(&self) -> String {
        match &self.progress {
            Progress::Ahead | Progress::Running => String::new(),
            Progress::Held(report) if report.failed_requests == 0 => "none".to_owned(),
            Progress::Held(report) => span(report.outage),
            Progress::Failed(_) => "FAILED".to_owned(),
        }
    }
}

/// All steps of one run.
#[derive(Clone, Debug)]
pub struct Board {
    /// How it is played.
    pub settings: Settings,
    /// In their order.
    pub rows: Vec<Row>,
}

impl Board {
    /// A run that has not begun.
    pub fn new(settings: Settings) -> Self {
        let rows = STEPS.iter().map(|step| Row {
            number: step.number,
            title: step.title,
            action: step.action,
            expectation: step.expectation,
            progress: Progress::Ahead,
        });
        Self {
            settings,
            rows: rows.collect(),
        }
    }

    /// Where a step stands.
    pub fn set(&mut self, number: u8, progress: Progress) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.number == number) {
            row.progress = progress;
        }
    }

    /// What was measured, but for log lines, which have a place of their own.
    pub fn measured(report: &Report) -> impl Iterator<Item = &Fact> {
        report.facts.iter().filter(|fact| fact.what != "log")
    }

    /// The message of the log line that a step found.
    pub fn logged(report: &Report) -> Option<&str> {
        let line = &report.facts.iter().find(|fact| fact.what == "log")?.value;
        // Behind the time and the level; the fields at its end repeat the message.
        let message = line.splitn(3, ' ').nth(2).unwrap_or(line).trim_start();
        Some(message.split(" instance=").next().unwrap_or(message))
    }
}

/// A span in three digits and a unit.
pub(super) fn span(span: Duration) -> String {
    let micros = span.as_micros();
    if micros >= 1_000_000 {
        format!(
            "{}.{:02} s",
            micros / 1_000_000,
            micros % 1_000_000 / 10_000
        )
    } else {
        format!("{} ms", micros.div_ceil(1000))
    }
}
