//! The decisions of one check, as a pure state machine: `handle(now, input)` returns what to do.
//!
//! It owns the schedule of probes, the counters of `fall` and `rise`, and the restart of a service.
//! No clock, no I/O: the task around it (`task.rs`) runs what the actions say and feeds back what came
//! of it. Whatever inputs come in whatever order, at most one probe and one restart command are out.
//!
//! ```text
//!            passed                    fall reached, or the service died for certain
//! Starting ----------> Up ------------------------------------------+
//!    | failed          ^ ^                                          v
//!    +-----------------|-|-----------------> Restarting (command, settling, backoff) --passed--> Up
//!                      | +--- rise passes                           | attempts used up
//!                      +---------------------------- Down <---------+
//! ```
//! While `Restarting` the verdict is what it was before, so a restart that works moves no address. A command that cannot be
//! started, for want of descriptors, processes or memory, uses up no attempt and is tried for ever; the verdict falls meanwhile.

use ha_common::units::{Instant, Nanos};

use super::event::{Kind, Verdict};
use schedule::Schedule;

mod io;
mod schedule;
#[cfg(test)]
mod tests;
mod unstarted;

pub(super) use io::{Action, Input, Outcome, Policy, RestartPolicy, View};

/// The pause between probes while a service is coming back or may just have died.
const QUICK: Nanos = Nanos::from_millis(50);
/// How long an answer after a death is not trusted: children that outlive a server for a moment, until
/// the service manager ends them, answer in its place.
const ORPHANS: Nanos = Nanos::from_millis(1_000);
/// Results in a row that may be thrown away because this process was late itself.
const DISCARDS: u32 = 3;
/// The longest wait between two restart attempts.
const BACKOFF_CAP: Nanos = Nanos::from_millis(600_000);

/// One check's decisions.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    policy: Policy,
    state: State,
    schedule: Schedule,
    /// Discarded results in a row.
    discards: u32,
    /// Restart attempts used up since the service was last stable.
    spent: u32,
}

#[derive(Clone, Debug)]
enum State {
    Starting,
    Up {
        failures: u32,
        /// Passes in a row, up to `rise`.
        passes: u32,
        /// A watched process died, and no probe has passed since then that can be trusted.
        death: Option<Death>,
    },
    Restarting(Outage),
    Down {
        passes: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Death {
    pid: u32,
    at: Instant,
}

#[derive(Clone, Debug)]
struct Outage {
    /// The one that there was before: while restarts are tried it stays. `Down` if none of them could be started.
    verdict: Option<Verdict>,
    began: Instant,
    cause: String,
    attempt: u32,
    /// How often in a row the command could not be started.
    unstarted: u32,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Command,
    /// `error` is the command's; then one probe decides, since somebody else may have been quicker.
    Settling {
        until: Instant,
        error: Option<String>,
    },
    Backoff {
        until: Instant,
    },
}

impl Machine {
    /// A check whose first probe is due at `now`.
    pub(super) fn new(policy: Policy, now: Instant) -> Self {
        Self {
            schedule: Schedule::new(policy.interval, now),
            policy,
            state: State::Starting,
            discards: 0,
            spent: 0,
        }
    }

    /// The same for a service that was up until its check was changed: `fall` failures in a row make it fall, and no less.
    pub(super) fn of_one_that_was_up(policy: Policy, now: Instant) -> Self {
        let mut machine = Self::new(policy, now);
        machine.state = State::Up {
            failures: 0,
            passes: 0,
            death: None,
        };
        machine
    }

    /// When to call `handle` with `Input::Timer` at the latest; `None`: something is out that will report.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let probe = self.schedule.due();
        match &self.state {
            State::Starting | State::Up { .. } | State::Down { .. } => probe,
            State::Restarting(outage) => match outage.phase {
                Phase::Command => None,
                Phase::Settling { .. } => probe,
                Phase::Backoff { until } => Some(probe.map_or(until, |at| at.min(until))),
            },
        }
    }

    /// For the status.
    pub(super) fn view(&self) -> View {
        let (verdict, restarting) = match &self.state {
            State::Starting => (None, false),
            State::Up { .. } => (Some(Verdict::Up), false),
            State::Restarting(outage) => (outage.verdict, true),
            State::Down { .. } => (Some(Verdict::Down), false),
        };
        View {
            verdict,
            restarting,
        }
    }

    /// One turn.
    pub(super) fn handle(&mut self, now: Instant, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Timer => self.timer(now, &mut out),
            Input::Probed(outcome) => self.probed(now, outcome, &mut out),
            Input::Died { pid } => self.died(now, pid, &mut out),
            Input::RestartEnded(result) => self.restart_ended(now, result, &mut out),
            Input::RestartUnstarted(why) => self.restart_unstarted(now, &why, &mut out),
        }
        out
    }

    fn timer(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let State::Restarting(outage) = &self.state {
            match outage.phase {
                Phase::Command => return,
                Phase::Backoff { until } if now >= until => return self.launch(out),
                Phase::Backoff { .. } | Phase::Settling { .. } => {}
            }
        }
        if self.schedule.due().is_some_and(|at| now >= at) {
            self.probe(now, out);
        }
    }

    fn died(&mut self, now: Instant, pid: u32, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting => {}
            State::Up { death, .. } => *death = Some(Death { pid, at: now }),
            State::Restarting(outage) => match outage.phase {
                Phase::Settling { .. } => {}
                // The probe that follows either of them asks in any case.
                Phase::Command | Phase::Backoff { .. } => return,
            },
            State::Down { passes } => {
                *passes = 0;
                return;
            }
        }
        self.probe(now, out);
    }

    fn restart_ended(&mut self, now: Instant, result: Result<(), String>, out: &mut Vec<Action>) {
        let settle = self.policy.restart.as_ref().map_or(Nanos(0), |r| r.settle);
        let State::Restarting(outage) = &mut self.state else {
            return;
        };
        let Phase::Command = outage.phase else {
            return;
        };
        outage.unstarted = 0;
        outage.phase = match result {
            Ok(()) => Phase::Settling {
                until: now + settle,
                error: None,
            },
            Err(error) => Phase::Settling {
                until: now,
                error: Some(error),
            },
        };
        self.probe(now, out);
    }

    fn probed(&mut self, now: Instant, outcome: Outcome, out: &mut Vec<Action>) {
        if !self.schedule.ended(now) {
            return;
        }
        match outcome {
            Outcome::Discarded if self.discards < DISCARDS => {
                self.discards += 1;
                self.probe(now, out);
            }
            Outcome::Discarded => {
                let reason = format!(
                    "no answer, and {} results before it were void because the agent itself was stalled",
                    self.discards
                );
                self.discards = 0;
                self.failed(now, false, reason, out);
            }
            // The next run on the grid asks again; until then everything stays as it is.
            Outcome::Unasked => {}
            Outcome::Passed => {
                self.discards = 0;
                self.passed(now, out);
            }
            Outcome::Failed { gone, reason } => {
                self.discards = 0;
                self.failed(now, gone, reason, out);
            }
        }
    }

    fn passed(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting => {
                out.push(Action::Tell(Kind::First(Verdict::Up), "it serves".into()));
                self.rise();
            }
            State::Up {
                failures,
                passes,
                death,
            } => {
                *failures = 0;
                let mourned = |death: Death| now < death.at + ORPHANS;
                if death.is_some_and(mourned) {
                    return self.schedule.hurry(now + QUICK);
                }
                *death = None;
                *passes = passes.saturating_add(1).min(self.policy.rise);
                // Attempts are given back only to a service that stays up: a crash loop faster than
                // `rise` intervals uses them up.
                if *passes >= self.policy.rise {
                    self.spent = 0;
                }
            }
            State::Restarting(outage) => {
                let took = millis(now.since(outage.began));
                let cause = &outage.cause;
                let how = match outage.phase {
                    Phase::Settling { error: None, .. } if outage.verdict == Some(Verdict::Up) => {
                        format!(
                            "{cause}; restarted in {took} ms; the check stays up and the VIP where it is"
                        )
                    }
                    Phase::Settling { error: None, .. } => format!("{cause}; started in {took} ms"),
                    Phase::Settling { error: Some(_), .. } => {
                        format!("{cause}; back after {took} ms, though the restart command failed")
                    }
                    Phase::Backoff { .. } | Phase::Command => {
                        format!("{cause}; back after {took} ms, between two restart attempts")
                    }
                };
                let verdict = outage.verdict;
                out.push(Action::Tell(Kind::Restarted, how));
                let news = match verdict {
                    Some(Verdict::Up) => None,
                    Some(Verdict::Down) => Some(Kind::Up),
                    None => Some(Kind::First(Verdict::Up)),
                };
                if let Some(kind) = news {
                    let detail = "it serves after a restart".into();
                    out.push(Action::Tell(kind, detail));
                }
                self.rise();
            }
            State::Down { passes } => {
                *passes += 1;
                if *passes >= self.policy.rise {
                    let detail = format!("it serves again ({} in a row)", times(*passes));
                    out.push(Action::Tell(Kind::Up, detail));
                    self.spent = 0;
                    self.rise();
                }
            }
        }
    }

    /// Back on the grid, with one pass to its credit.
    fn rise(&mut self) {
        self.state = State::Up {
            failures: 0,
            passes: 1,
            death: None,
        };
    }

    fn failed(&mut self, now: Instant, gone: bool, reason: String, out: &mut Vec<Action>) {
        match &mut self.state {
            State::Starting => self.outage(now, now, None, reason, out),
            State::Up {
                failures,
                passes,
                death,
            } => {
                *failures += 1;
                *passes = 0;
                let (failures, death) = (*failures, *death);
                match death {
                    Some(death) if gone && self.policy.death_is_final => {
                        let cause = format!("pid {} died", death.pid);
                        self.outage(now, death.at, Some(Verdict::Up), cause, out);
                    }
                    Some(death) if failures >= self.policy.fall => {
                        let cause = format!("pid {} died, and then: {reason}", death.pid);
                        self.outage(now, death.at, Some(Verdict::Up), cause, out);
                    }
                    None if failures >= self.policy.fall => {
                        let cause = format!("{reason} ({} in a row)", times(failures));
                        self.outage(now, now, Some(Verdict::Up), cause, out);
                    }
                    // Dying, not yet gone: ask again soon.
                    Some(_) if self.policy.death_is_final => self.schedule.hurry(now + QUICK),
                    Some(_) | None => {}
                }
            }
            State::Restarting(outage) => match &mut outage.phase {
                Phase::Settling { until, error } if now >= *until => {
                    let error = error
                        .take()
                        .unwrap_or_else(|| format!("the command succeeded, but {reason}"));
                    self.attempt_failed(now, &error, out);
                }
                Phase::Settling { .. } => self.schedule.hurry(now + QUICK),
                Phase::Command | Phase::Backoff { .. } => {}
            },
            State::Down { passes } => *passes = 0,
        }
    }

    /// The service is out: bring it back, or say so.
    fn outage(
        &mut self,
        now: Instant,
        began: Instant,
        verdict: Option<Verdict>,
        cause: String,
        out: &mut Vec<Action>,
    ) {
        let Some(restart) = &self.policy.restart else {
            return self.fall(verdict, cause, out);
        };
        if self.spent >= restart.attempts {
            let detail = format!(
                "{cause}; not restarted: {} already used without {} in a row since",
                attempts(self.spent),
                times(self.policy.rise)
            );
            return self.fall(verdict, detail, out);
        }
        self.state = State::Restarting(Outage {
            verdict,
            began,
            cause,
            attempt: 0,
            unstarted: 0,
            phase: Phase::Backoff { until: now },
        });
        self.launch(out);
    }

    fn launch(&mut self, out: &mut Vec<Action>) {
        let State::Restarting(outage) = &mut self.state else {
            return;
        };
        self.spent = self.spent.saturating_add(1);
        outage.attempt = self.spent;
        outage.phase = Phase::Command;
        if self.schedule.abandon() {
            out.push(Action::Abandon);
        }
        let limit = self.policy.restart.as_ref().map_or(0, |r| r.attempts);
        let detail = format!(
            "{}; restart attempt {} of {limit}",
            outage.cause, outage.attempt
        );
        out.push(Action::Tell(Kind::Restarting, detail));
        out.push(Action::Restart);
    }

    /// How many restarts are allowed, and the first wait between two.
    fn allowed_restarts(&self) -> (u32, Nanos) {
        let restart = self.policy.restart.as_ref();
        restart.map_or((0, Nanos(0)), |it| (it.attempts, it.backoff))
    }

    fn attempt_failed(&mut self, now: Instant, error: &str, out: &mut Vec<Action>) {
        let (limit, backoff) = self.allowed_restarts();
        let State::Restarting(outage) = &mut self.state else {
            return;
        };
        let attempt = outage.attempt;
        if attempt >= limit {
            let detail = format!(
                "{}; restart attempt {attempt} of {limit} failed: {error}; none is left until it has been up again",
                outage.cause
            );
            let verdict = outage.verdict;
            return self.fall(verdict, detail, out);
        }
        let wait = backed_off(backoff, attempt.saturating_sub(1)).min(BACKOFF_CAP);
        outage.phase = Phase::Backoff { until: now + wait };
        let detail = format!(
            "restart attempt {attempt} of {limit} failed: {error}; the next one follows in {} ms",
            millis(wait)
        );
        out.push(Action::Tell(Kind::RestartFailed, detail));
    }

    fn fall(&mut self, verdict: Option<Verdict>, detail: String, out: &mut Vec<Action>) {
        out.push(Action::Tell(fallen(verdict), detail));
        self.state = State::Down { passes: 0 };
    }

    fn probe(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.schedule.started(now);
        out.push(Action::Probe);
    }
}

/// `backoff * 2^doublings`.
fn backed_off(backoff: Nanos, doublings: u32) -> Nanos {
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    Nanos(backoff.0.saturating_mul(factor))
}

/// What is told of a service that has this verdict and does not serve.
const fn fallen(verdict: Option<Verdict>) -> Kind {
    match verdict {
        Some(Verdict::Up) => Kind::Down,
        None => Kind::First(Verdict::Down),
        // It is down already, and has used up its attempts now.
        Some(Verdict::Down) => Kind::RestartFailed,
    }
}

fn millis(span: Nanos) -> u64 {
    span.0 / 1_000_000
}

fn times(count: u32) -> String {
    format!("{count} time{}", if count == 1 { "" } else { "s" })
}

fn attempts(count: u32) -> String {
    format!("{count} attempt{}", if count == 1 { "" } else { "s" })
}
