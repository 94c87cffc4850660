//! What the agent costs the traffic that is not its own: with no agent, and with each hook that its programs
//! can be attached to.
//!
//! `hook` is the table of the contestants, `course` what traffic they are put through, `subject` the host that
//! carries it, which `veth` and `guest` are; `iperf` makes the traffic, `counters` and `offload` read what the
//! host says of it, `table` and `aim` say what came out.

mod aim;
mod counters;
mod course;
mod end;
mod guest;
mod hook;
mod iperf;
mod offload;
mod outcome;
mod subject;
mod table;
mod veth;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::json;
use super::machine::Machine;
use crate::lab::require_tools;
use course::{Course, Role};
use guest::Guest;
use hook::HOOKS;
use iperf::Server;
use offload::Change;
use outcome::Outcome;
use subject::{Entry, Subject, enter, leave, with_role};
use veth::Veth;

/// How long it measures.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds; in each every contestant has its turn.
    pub rounds: usize,
    /// How long each reading takes, in seconds.
    pub seconds: u32,
    /// Where the results go as JSON.
    pub json: PathBuf,
}

/// All that was measured.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    seconds: u32,
    outcomes: Vec<Outcome>,
    changes: Vec<Change>,
}

/// Measures, prints the tables and writes the JSON.
pub fn run(options: &Options) -> Result<()> {
    require_tools(&[iperf::PROGRAM, "ethtool"])?;
    let mut report = Report {
        machine: Machine::read(iperf::PROGRAM)?,
        rounds: options.rounds,
        seconds: options.seconds,
        outcomes: Vec::new(),
        changes: Vec::new(),
    };
    report.measure(&Veth::new()?)?;
    report.measure(&Guest::boot()?)?;
    report.machine.note_end()?;
    print!("{}", report.text());
    json::write(&options.json, &report)
}

impl Report {
    /// Puts one host through everything.
    fn measure(&mut self, subject: &dyn Subject) -> Result<()> {
        let server = Server::start(subject.lab().client_host())?;
        for role in subject.roles() {
            with_role(subject, *role, || self.rounds_of(subject, *role, &server))
                .with_context(|| format!("{}, {}", subject.name(), role.name()))?;
        }
        Ok(())
    }

    fn rounds_of(&mut self, subject: &dyn Subject, role: Role, server: &Server) -> Result<()> {
        let first = self.outcomes.len();
        for hook in &HOOKS {
            let courses = subject.courses(role).iter();
            let outcomes = courses.map(|course| Outcome::new(subject.name(), role, *course, hook));
            self.outcomes.extend(outcomes);
        }
        // The first traffic finds cold caches, and neighbours that are not known.
        self.turn(subject, role, 0, server, first, true)?;
        for round in 0..self.rounds {
            eprintln!(
                "{}, {}: round {} of {}",
                subject.name(),
                role.name(),
                round + 1,
                self.rounds
            );
            for place in 0..HOOKS.len() {
                // Nobody always comes after the same one.
                let turn = (place + round) % HOOKS.len();
                self.turn(subject, role, turn, server, first, false)?;
            }
        }
        for outcome in self.outcomes.iter_mut().skip(first) {
            outcome.sum_up();
        }
        outcome::compare(self.outcomes.get_mut(first..).unwrap_or_default());
        Ok(())
    }

    /// One contestant's turn in a round.
    fn turn(
        &mut self,
        subject: &dyn Subject,
        role: Role,
        number: usize,
        server: &Server,
        first: usize,
        warm_up: bool,
    ) -> Result<()> {
        let hook = HOOKS.get(number).context("no such contestant")?;
        let courses: &[Course] = subject.courses(role);
        let own = first + number * courses.len();
        let before = offload::read(subject)?;
        let (runs, refused) = match enter(subject, hook, role)? {
            Entry::Runs(kind) => (kind, None),
            Entry::Refused(why) => (None, Some(why)),
        };
        let during = offload::read(subject)?;
        let outcomes = self.outcomes.get_mut(own..own + courses.len());
        for outcome in outcomes.context("an outcome for each course")? {
            outcome.runs.clone_from(&runs);
            outcome.refused.clone_from(&refused);
            if refused.is_some() {
                continue;
            }
            let sample = iperf::measure(subject, outcome.course, self.seconds, server)
                .with_context(|| format!("{}: {}", hook.name, outcome.course.name()))?;
            if !warm_up {
                outcome.samples.push(sample);
            }
        }
        leave(subject, hook, role)?;
        let after = offload::differences(&before, &offload::read(subject)?);
        offload::restore(subject, &before, &after)?;
        let known = |it: &Change| it.subject == subject.name() && it.hook == hook.name;
        if !self.changes.iter().any(known) {
            self.changes.push(Change {
                subject: subject.name(),
                hook: hook.name,
                during: offload::differences(&before, &during),
                after,
            });
        }
        Ok(())
    }
}
