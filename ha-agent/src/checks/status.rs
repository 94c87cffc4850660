//! What `status` shows of the checks.

use std::time::Duration;

use ha_common::units::Instant;
use serde::Serialize;

use super::clock;
use super::event::Verdict;
use crate::config::model::{Check, Probe};

/// One check, as of the moment the snapshot was taken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CheckStatus {
    pub name: String,
    /// `http`, `tcp`, `process`, `command` or `file`, and what it looks at.
    pub target: String,
    /// What the election believes; `None`: there is no first result yet.
    pub verdict: Option<Verdict>,
    /// The service is being restarted; the verdict stays what it is meanwhile.
    pub restarting: bool,
    /// How long the verdict has been what it is (before the first result: since the start), in milliseconds.
    pub verdict_for_ms: u64,
    pub last: Option<LastRun>,
    /// Runs that ended, with those that failed or were void.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Runs that timed out only because the agent itself was stalled, or that it had no descriptors or memory for;
    /// they count neither way.
    pub void: u64,
    /// Restart commands run.
    pub restarts: u64,
    /// How the last attempt to restart it failed, and what follows; `None` while it is up, or nothing restarts it.
    pub last_restart: Option<String>,
    /// The process whose death would be noticed at once.
    pub watched_pid: Option<u32>,
    /// Why deaths are noticed only by polling, where they could be noticed at once.
    pub notice: Option<String>,
    /// Events that a slow reader missed; verdicts are never among them.
    pub events_dropped: u64,
}

/// The last run of a check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LastRun {
    /// It succeeded.
    pub passed: bool,
    /// What it found, in one line.
    pub text: String,
    /// How long it took, in microseconds.
    pub latency_us: u64,
    /// How long ago it ended, in milliseconds.
    pub ago_ms: u64,
}

/// The same as the task keeps it: points in time instead of spans.
#[derive(Debug)]
pub(super) struct Record {
    status: CheckStatus,
    verdict_since: Instant,
    last_ended: Instant,
}

impl Record {
    pub(super) fn new(check: &Check) -> Self {
        let now = clock::now();
        Self {
            status: CheckStatus {
                name: check.name.clone(),
                target: target(&check.probe),
                verdict: None,
                restarting: false,
                verdict_for_ms: 0,
                last: None,
                runs: 0,
                failures: 0,
                void: 0,
                restarts: 0,
                last_restart: None,
                watched_pid: None,
                notice: None,
                events_dropped: 0,
            },
            verdict_since: now,
            last_ended: now,
        }
    }

    /// What to count and show; the points in time are kept by `ended` and `verdict`.
    pub(super) fn status_mut(&mut self) -> &mut CheckStatus {
        &mut self.status
    }

    pub(super) fn ended(&mut self, now: Instant, passed: bool, text: &str, latency: Duration) {
        self.last_ended = now;
        self.status.last = Some(LastRun {
            passed,
            text: text.to_owned(),
            latency_us: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            ago_ms: 0,
        });
    }

    pub(super) fn verdict(&mut self, now: Instant, verdict: Option<Verdict>) {
        if self.status.verdict != verdict {
            self.status.verdict = verdict;
            self.verdict_since = now;
        }
    }

    pub(super) fn snapshot(&self) -> CheckStatus {
        let now = clock::now();
        let mut status = self.status.clone();
        status.verdict_for_ms = now.since(self.verdict_since).0 / 1_000_000;
        if let Some(last) = &mut status.last {
            last.ago_ms = now.since(self.last_ended).0 / 1_000_000;
        }
        status
    }
}

fn target(probe: &Probe) -> String {
    use crate::config::model::{FileUse, ProcessProbe};
    match probe {
        Probe::Http(http) => format!("http http://{}{}", http.address, http.path),
        Probe::Tcp(address) => format!("tcp {address}"),
        Probe::Process(ProcessProbe::PidFile(path)) => format!("process of {}", path.display()),
        Probe::Process(ProcessProbe::Name(name)) => format!("process named {name}"),
        Probe::ProcessCount(count) if count.args.is_empty() => {
            format!("processes named {}", count.name)
        }
        Probe::ProcessCount(count) => {
            format!(
                "processes named {} with {}",
                count.name,
                count.args.join(" ")
            )
        }
        Probe::File(file) => match file.used_as {
            FileUse::Weight => format!("number in {}", file.path.display()),
            FileUse::Exists => format!("existence of {}", file.path.display()),
            FileUse::Missing => format!("absence of {}", file.path.display()),
        },
        Probe::Command(command) => format!("command {}", command.argv.join(" ")),
    }
}
