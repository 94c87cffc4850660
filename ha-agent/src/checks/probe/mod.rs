//! One run of a check, whatever its kind: it ends within the time limit and says what it found.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::model::{Check, HttpProbe, Probe};

use super::error::CheckError;
use super::exec::{ExecError, Leftovers, Runner};
use super::machine::Outcome;
use super::pidfd::Held;
use super::user::Identity;

mod count;
mod finding;
mod http;
mod process;
mod tcp;

use count::Counter;
use finding::{Finding, Found};
pub(super) use process::Finder;

/// A time-out that fires later than this says more about this process than about the service.
const LATE: Duration = Duration::from_millis(50);

/// A check that can be run.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    target: Target,
    limit: Duration,
}

#[derive(Clone, Debug)]
enum Target {
    Http(Box<HttpProbe>),
    Tcp(SocketAddr),
    Process(Finder),
    Count(Counter),
    Command(Runner),
    /// Nothing to run: the check is told of changes.
    Told,
}

/// What one run found, for machine and status.
#[derive(Debug)]
pub(super) struct Report {
    /// For the machine.
    pub(super) outcome: Outcome,
    /// For a person.
    pub(super) text: String,
    /// How long it took.
    pub(super) latency: Duration,
    /// The processes to watch, if the probe is about processes.
    pub(super) held: Vec<Held>,
}

impl Prober {
    /// Makes a check ready to run: this is where its user is looked up.
    pub(super) fn new(check: &Check) -> Result<Self, CheckError> {
        let target = match &check.probe {
            Probe::Http(http) => Target::Http(Box::new(http.clone())),
            Probe::Tcp(address) => Target::Tcp(*address),
            Probe::Process(process) => Target::Process(Finder::new(process)),
            Probe::ProcessCount(count) => Target::Count(Counter::new(count)),
            Probe::File(_) => Target::Told,
            Probe::Command(command) => {
                let identity = Identity::of(&check.name, &command.user)?;
                Target::Command(Runner::new(&command.argv, identity, Leftovers::Kill))
            }
        };
        Ok(Self {
            target,
            limit: check.timeout,
        })
    }

    /// Runs it once. Dropping the future abandons the run and all that belongs to it.
    pub(super) async fn run(self) -> Report {
        let began = Instant::now();
        let finding = self.ask().await;
        let finding = if self.looks_into_proc() {
            finding.unless_short()
        } else {
            finding
        };
        let latency = began.elapsed();
        Report {
            outcome: outcome(finding.verdict, &finding.text, latency, self.limit),
            text: finding.text,
            latency,
            held: finding.held,
        }
    }

    /// What cannot be opened there looks as if it did not exist.
    fn looks_into_proc(&self) -> bool {
        matches!(self.target, Target::Process(_) | Target::Count(_))
    }

    async fn ask(&self) -> Finding {
        match &self.target {
            Target::Http(check) => self.limited(http::probe(check)).await,
            Target::Tcp(address) => self.limited(tcp::probe(*address)).await,
            Target::Process(finder) => self.limited(process(finder)).await,
            Target::Count(counter) => self.limited(processes(counter)).await,
            Target::Told => Finding::passed("reports changes by itself".into()),
            // Its limit is enforced where its processes are.
            Target::Command(runner) => self.command(runner).await,
        }
    }

    async fn limited(&self, probe: impl Future<Output = Finding>) -> Finding {
        let finding = tokio::time::timeout(self.limit, probe).await;
        finding.unwrap_or_else(|_| {
            let text = format!("no answer within {} ms", self.limit.as_millis());
            Finding::new(Found::TimedOut, text)
        })
    }

    async fn command(&self, runner: &Runner) -> Finding {
        match runner.run(self.limit).await {
            Ok(ended) if ended.status.success() => Finding::passed(ended.describe()),
            Ok(ended) => Finding::failed(ended.describe()),
            Err(error @ ExecError::TimedOut { .. }) => {
                Finding::new(Found::TimedOut, error.to_string())
            }
            Err(error) if error.is_shortage() => Finding::new(Found::Unasked, error.to_string()),
            Err(error) => Finding::failed(error.to_string()),
        }
    }
}

async fn process(finder: &Finder) -> Finding {
    match finder.find().await {
        Ok(held) => Finding {
            held: vec![held],
            ..Finding::passed("running".into())
        },
        Err(text) => Finding::gone(text),
    }
}

async fn processes(counter: &Counter) -> Finding {
    match counter.count().await {
        Ok(count) if count.fits => Finding {
            held: count.held,
            ..Finding::passed(count.text)
        },
        Ok(count) => Finding::failed(count.text),
        Err(text) => Finding::failed(text),
    }
}

/// A time-out counts only if it fired when it should have: a process that was itself asleep (a
/// suspended machine, a starved scheduler) was in no position to hear the answer.
fn outcome(found: Found, text: &str, took: Duration, limit: Duration) -> Outcome {
    match found {
        Found::Passed => Outcome::Passed,
        Found::Unasked => Outcome::Unasked,
        Found::TimedOut if took.saturating_sub(limit) > LATE.max(limit / 2) => Outcome::Discarded,
        Found::Failed | Found::Gone | Found::TimedOut => Outcome::Failed {
            gone: found == Found::Gone,
            reason: text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_that_fired_far_too_late_is_no_result() {
        let ms = Duration::from_millis;
        let discarded = |found, took, limit| {
            matches!(outcome(found, "", ms(took), ms(limit)), Outcome::Discarded)
        };
        assert!(!discarded(Found::TimedOut, 502, 500));
        assert!(!discarded(Found::TimedOut, 750, 500));
        assert!(discarded(Found::TimedOut, 751, 500));
        assert!(!discarded(Found::TimedOut, 60, 10));
        assert!(discarded(Found::TimedOut, 61, 10));
        assert!(matches!(
            outcome(Found::Unasked, "", ms(1), ms(500)),
            Outcome::Unasked
        ));
        // An answer is an answer, however late it was heard.
        assert!(!discarded(Found::Failed, 9000, 500));
        assert!(!discarded(Found::Gone, 9000, 500));
        assert!(!discarded(Found::Passed, 9000, 500));
    }
}
