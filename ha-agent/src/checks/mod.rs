//! Health checks: probes, the supervisor that restarts a service, and what the driver hears of them.
//!
//! One task a check; that of a file is in `file`, and hears of changes instead of asking. Of the others
//! `machine` decides (pure), `task` acts, `probe` asks, `watcher` holds the process
//! behind the check so that its death is an event, `exec` runs commands, `status` is what one can see.
//!
//! How a death becomes a restart, with `fall = 2` and `interval = "1s"`:
//! - With a watched process (the one that listens on the address of an `http` or `tcp` check, or the one
//!   that the configuration names) the death is known at once and a probe follows immediately. If that
//!   is refused, the service is gone for certain: the restart begins without waiting for `fall`.
//!   Any other failure, such as a server that is still shutting down, is asked again after 50 ms.
//! - Without one (another host's address, no right to look into `/proc`) `fall` counts.
//! - While a restart is tried the verdict stays `Up`, so the outage that nobody is told of lasts at most
//!   `timeout + settle` for each attempt, and the backoff between them. An attempt whose command fails
//!   is over after one more probe.
//! - When the attempts are used up the check is `Down`, and no restart is tried until it has risen.
//!
//! A check without `restart` that watches a listener still counts to `fall` after a death: the service
//! manager, or an administrator, may be restarting the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::model::{Check, Probe};

mod child;
mod clock;
mod error;
mod event;
mod exec;
mod file;
mod listener;
mod machine;
mod orphans;
mod pidfd;
mod probe;
mod result_queue;
mod status;
mod task;
mod user;
mod watcher;

pub use error::CheckError;
pub use event::{CheckEvent, Kind, Verdict};
pub use status::{CheckStatus, LastRun};

/// Runs a command once, as the agent itself: whether it succeeded, and the end of what it printed. The error says why it
/// did not end by itself. Within a tokio runtime.
pub async fn run_once(argv: &[String], limit: Duration) -> Result<(bool, String), String> {
    let runner = exec::Runner::new(argv, None, exec::Leftovers::Kill);
    match runner.run(limit).await {
        Ok(ended) => Ok((ended.status.success(), ended.output)),
        Err(error) => Err(error.to_string()),
    }
}

/// All running checks. Dropping it stops them, without waiting.
#[derive(Debug)]
pub struct Checks {
    running: Vec<Running>,
    events: mpsc::Sender<CheckEvent>,
}

#[derive(Debug)]
struct Running {
    check: Check,
    record: Arc<Mutex<status::Record>>,
    /// Dropped to stop the task.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Checks {
    /// Starts every check at once; each runs its first probe immediately. Within a tokio runtime.
    ///
    /// Events come without delay. If the queue is full the checks go on, the latest verdict of each
    /// waits for room, and what it replaces is counted: a queue of twice the number of checks is ample.
    pub fn start(checks: Vec<Check>, events: mpsc::Sender<CheckEvent>) -> Result<Self, CheckError> {
        let ready = prepare(checks, &events, |_| false)?;
        // It ends with the runtime: commands may die later than their checks.
        tokio::spawn(orphans::collect());
        Ok(Self {
            running: ready.into_iter().map(Ready::spawn).collect(),
            events,
        })
    }

    /// The state of every check, in the order of the configuration.
    pub fn snapshot(&self) -> Vec<CheckStatus> {
        self.running
            .iter()
            .map(|running| {
                let record = running
                    .record
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                record.snapshot()
            })
            .collect()
    }

    /// Makes `checks` the running ones. One that is the same as before goes on untouched; one that is
    /// new or changed starts afresh, so a `First` event follows for it (at once where it was up: it then takes `fall` failures
    /// to fall); the others end, with whatever they were running. On an error nothing has changed.
    pub async fn apply(&mut self, checks: Vec<Check>) -> Result<(), CheckError> {
        let is_running = |check: &Check| self.running.iter().any(|running| running.check == *check);
        let fresh = checks.iter().filter(|check| !is_running(check)).cloned();
        let was_up = |check: &Check| {
            let mut running = self.running.iter();
            running.any(|running| running.check.name == check.name && running.is_up())
        };
        let fresh = prepare(fresh.collect(), &self.events, was_up)?;

        let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| checks.contains(&running.check));
        // Before the new ones start: never may two restart commands of one check run at once.
        end(ended).await;
        let mut running: Vec<Running> = kept;
        running.extend(fresh.into_iter().map(Ready::spawn));
        running.sort_by_key(|running| checks.iter().position(|check| *check == running.check));
        self.running = running;
        Ok(())
    }

    /// Stops all checks and waits for their tasks; commands that still run are killed.
    pub async fn stop(self) {
        end(self.running).await;
    }
}

impl Running {
    fn is_up(&self) -> bool {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.snapshot().verdict == Some(Verdict::Up)
    }
}

async fn end(running: Vec<Running>) {
    let tasks: Vec<JoinHandle<()>> = running
        .into_iter()
        .map(|running| {
            drop(running.stop);
            running.task
        })
        .collect();
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!("check task panicked: {error}");
        }
    }
}

/// A check that can run, but does not yet.
struct Ready {
    check: Check,
    record: Arc<Mutex<status::Record>>,
    task: Work,
}

/// What a check does.
enum Work {
    /// It asks, again and again.
    Probe(Box<task::Task>),
    /// It is told.
    File(Box<file::FileTask>),
}

fn prepare(
    checks: Vec<Check>,
    events: &mpsc::Sender<CheckEvent>,
    was_up: impl Fn(&Check) -> bool,
) -> Result<Vec<Ready>, CheckError> {
    let ready = |check: Check| {
        let record = Arc::new(Mutex::new(status::Record::new(&check)));
        let shared = Arc::clone(&record);
        let task = match &check.probe {
            Probe::File(probe) => Work::File(Box::new(file::FileTask::new(
                &check.name,
                probe.clone(),
                shared,
                events.clone(),
            ))),
            Probe::Http(_)
            | Probe::Tcp(_)
            | Probe::Process(_)
            | Probe::ProcessCount(_)
            | Probe::Command(_) => {
                let was_up = was_up(&check);
                let task = task::Task::new(&check, shared, events.clone(), was_up)?;
                Work::Probe(Box::new(task))
            }
        };
        Ok(Ready {
            check,
            record,
            task,
        })
    };
    checks.into_iter().map(ready).collect()
}

impl Ready {
    fn spawn(self) -> Running {
        let (stop, stopped) = oneshot::channel();
        Running {
            check: self.check,
            record: self.record,
            stop,
            task: match self.task {
                Work::Probe(task) => tokio::spawn(task.run(stopped)),
                Work::File(task) => tokio::spawn(task.run(stopped)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
