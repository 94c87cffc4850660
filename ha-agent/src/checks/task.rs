//! The task of one check: it runs what the machine decides, and tells the machine what came of it.
//!
//! It owns the probe, the restart command and the watched process of its check; when it ends, by
//! `Checks::stop` or because the configuration no longer has the check, all of them end with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_common::units::Instant;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::clock::{nanos, now};
use super::error::CheckError;
use super::event::{CheckEvent, Kind, Verdict};
use super::exec::{Leftovers, Runner};
use super::machine::{Action, Input, Machine, Outcome, Policy, RestartPolicy};
use super::probe::{Prober, Report};
use super::result_queue::ResultQueue;
use super::status::Record;
use super::watcher::{Sight, Watcher};
use crate::config::model::{Check, Probe};

type Running<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Everything one check needs, ready to run.
pub(super) struct Task {
    name: Arc<str>,
    prober: Prober,
    restart: Option<(Runner, Duration)>,
    machine: Machine,
    watcher: Watcher,
    probe: Running<Report>,
    command: Running<Input>,
    /// It was up when it was changed.
    was_up: bool,
    /// Nobody could be asked the last time.
    unasked: bool,
    record: Arc<Mutex<Record>>,
    result_queue: ResultQueue,
}

impl Task {
    /// Fails if the check could never run. `was_up`: one of its name was, until now.
    pub(super) fn new(
        check: &Check,
        record: Arc<Mutex<Record>>,
        events: mpsc::Sender<CheckEvent>,
        was_up: bool,
    ) -> Result<Self, CheckError> {
        let restart = check.restart.as_ref().map(|restart| {
            let runner = Runner::new(&restart.command, None, Leftovers::Keep);
            (runner, restart.timeout)
        });
        Ok(Self {
            name: check.name.as_str().into(),
            prober: Prober::new(check)?,
            restart,
            machine: if was_up {
                Machine::of_one_that_was_up(policy(check), now())
            } else {
                Machine::new(policy(check), now())
            },
            was_up,
            watcher: Watcher::new(check),
            probe: None,
            command: None,
            unasked: false,
            record,
            result_queue: ResultQueue::new(events),
        })
    }

    /// Runs until `stop` is dropped.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        if self.was_up {
            let detail = "it was up when it was changed".to_owned();
            self.tell(now(), Kind::First(Verdict::Up), detail);
        }
        loop {
            let deadline = self.machine.deadline();
            let input = tokio::select! {
                biased;
                _ = &mut stop => return,
                sight = self.watcher.next() => self.seen(sight),
                report = finished(&mut self.probe) => Some(self.probed(report)),
                ended = finished(&mut self.command) => {
                    self.command = None;
                    Some(ended)
                }
                () = self.result_queue.flush() => None,
                () = sleep_until(deadline) => Some(Input::Timer),
            };
            if let Some(input) = input {
                self.turn(input);
            }
        }
    }

    fn seen(&mut self, sight: Sight) -> Option<Input> {
        let (pid, notice, input) = match sight {
            Sight::Died(id) => {
                debug!(check = %self.name, pid = id.pid, "the watched process died");
                (None, None, Some(Input::Died { pid: id.pid }))
            }
            Sight::Watching(id) => (Some(id.pid), None, None),
            Sight::Blind(why) => (
                None,
                Some(format!("death is noticed by polling: {why}")),
                None,
            ),
        };
        self.update(|record| {
            let status = record.status_mut();
            status.watched_pid = pid;
            status.notice = notice;
        });
        input
    }

    fn probed(&mut self, report: Report) -> Input {
        self.probe = None;
        let at = now();
        let passed = matches!(report.outcome, Outcome::Passed);
        let took = report.latency;
        debug!(check = %self.name, passed, ?took, "{}", report.text);
        if passed {
            self.watcher.passed(at);
        }
        let held = self.watcher.hold(report.held);
        let unasked = matches!(report.outcome, Outcome::Unasked);
        if unasked && !std::mem::replace(&mut self.unasked, unasked) {
            let check = &self.name;
            warn!(%check, "{check} cannot be checked: {}; its state stays", report.text);
        }
        self.unasked = unasked;
        self.update(|record| {
            record.ended(at, passed, &report.text, took);
            let status = record.status_mut();
            status.runs += 1;
            match report.outcome {
                Outcome::Passed => {}
                Outcome::Failed { .. } => status.failures += 1,
                Outcome::Discarded | Outcome::Unasked => status.void += 1,
            }
            if let Some(id) = held {
                status.watched_pid = Some(id.pid);
            }
        });
        Input::Probed(report.outcome)
    }

    fn turn(&mut self, input: Input) {
        let at = now();
        let actions = self.machine.handle(at, input);
        // The record first: whoever hears of an event may ask for it at once.
        let view = self.machine.view();
        self.update(|record| {
            record.verdict(at, view.verdict);
            record.status_mut().restarting = view.restarting;
        });
        for action in actions {
            match action {
                Action::Probe => self.start_probe(),
                Action::Abandon => self.probe = None,
                Action::Restart => self.start_command(),
                Action::Tell(kind, detail) => self.tell(at, kind, detail),
            }
        }
    }

    fn start_probe(&mut self) {
        // The old one goes before the new one comes: never two at once.
        self.probe = None;
        self.probe = Some(if let Some(id) = self.watcher.answers_for_the_probe() {
            Box::pin(std::future::ready(Report {
                outcome: Outcome::Passed,
                text: format!("pid {} is running", id.pid),
                latency: Duration::ZERO,
                held: Vec::new(),
            }))
        } else {
            Box::pin(self.prober.clone().run())
        });
    }

    fn start_command(&mut self) {
        let Some((runner, limit)) = self.restart.clone() else {
            return;
        };
        self.watcher.forget();
        self.update(|record| {
            let status = record.status_mut();
            status.restarts += 1;
            status.watched_pid = None;
        });
        self.command = Some(Box::pin(async move {
            match runner.run(limit).await {
                Ok(ended) if ended.status.success() => Input::RestartEnded(Ok(())),
                Ok(ended) => Input::RestartEnded(Err(ended.describe())),
                Err(error) if error.is_shortage() => Input::RestartUnstarted(error.to_string()),
                Err(error) => Input::RestartEnded(Err(error.to_string())),
            }
        }));
    }

    fn tell(&mut self, at: Instant, kind: Kind, detail: String) {
        let check = &self.name;
        match kind {
            Kind::First(Verdict::Up) => info!(%check, "{check} is up: {detail}"),
            Kind::Up => info!(%check, "{check} is up again: {detail}"),
            // Only files have one.
            Kind::Weight => debug!(%check, "{check}: {detail}"),
            Kind::First(Verdict::Down) | Kind::Down => warn!(%check, "{check} is down: {detail}"),
            Kind::Restarted | Kind::RestartFailed => info!(%check, "{check}: {detail}"),
            Kind::Restarting => debug!(%check, "{check}: {detail}"),
        }
        self.remember_restart(kind, &detail);
        let event = CheckEvent {
            name: Arc::clone(&self.name),
            kind,
            weight: None,
            detail,
            at,
        };
        let dropped = self.result_queue.push(event);
        self.update(|record| record.status_mut().events_dropped += dropped);
    }

    /// What `status` says of restarts: why the last attempt failed and what follows, until the service is up again.
    fn remember_restart(&self, kind: Kind, detail: &str) {
        let said = match kind {
            Kind::RestartFailed => Some(detail.to_owned()),
            Kind::Down | Kind::First(Verdict::Down) if self.restart.is_some() => {
                Some(detail.to_owned())
            }
            Kind::Up | Kind::Restarted | Kind::First(Verdict::Up) => None,
            Kind::Down | Kind::First(Verdict::Down) | Kind::Restarting | Kind::Weight => return,
        };
        self.update(|record| record.status_mut().last_restart = said);
    }

    fn update(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn policy(check: &Check) -> Policy {
    let named = match &check.probe {
        Probe::Process(_) => true,
        Probe::Http(http) => http.process.is_some(),
        // Processes that come and go by themselves are what counting is for: `fall` is for those.
        Probe::Tcp(_) | Probe::Command(_) | Probe::ProcessCount(_) | Probe::File(_) => false,
    };
    Policy {
        interval: nanos(check.interval),
        fall: check.fall,
        rise: check.rise,
        death_is_final: named || check.restart.is_some(),
        restart: check.restart.as_ref().map(|restart| RestartPolicy {
            attempts: restart.attempts,
            settle: nanos(restart.settle),
            backoff: nanos(restart.backoff),
        }),
    }
}

async fn finished<T>(running: &mut Running<T>) -> T {
    match running {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep(at.since(now()).to_duration()).await,
        None => std::future::pending().await,
    }
}
