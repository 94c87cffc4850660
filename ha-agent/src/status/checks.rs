//! The part of `status` about health checks.

use serde::{Deserialize, Serialize};

use super::moment::WallTime;

/// One `[[check]]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// `name` in the configuration.
    pub name: String,
    /// What it looks at.
    pub kind: CheckKind,
    /// The URL, address, process or command, as a person would write it.
    pub target: String,
    /// What the instances that track it are told.
    pub state: CheckState,
    /// Since when it is in that state.
    pub since: WallTime,
    /// The last run; `null` before the first has ended.
    pub last: Option<CheckResult>,
    /// Runs so far.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Restart commands that were run.
    pub restarts: u64,
    /// How the last attempt to restart it failed, and what follows; `null` while it is up.
    #[serde(default)]
    pub last_restart: Option<String>,
    /// The process whose death is noticed at once; `null` while none is known.
    pub watched_pid: Option<u32>,
    /// Something about the check itself that a person should know, such as a user that is missing.
    pub notice: Option<String>,
}

/// What a check looks at.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    Http,
    Tcp,
    /// A process that must live, or how many there must be.
    Process,
    /// A file's number, or whether it is there.
    File,
    /// A command's exit status.
    Command,
}

/// The state of a check after `fall` and `rise`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// No verdict yet.
    Pending,
    /// Healthy.
    Up,
    /// Down, and the restart command is being given its chance.
    Restarting,
    /// Failed.
    Down,
}

/// How one run ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckResult {
    /// Whether it counts as a success.
    pub ok: bool,
    /// In words. It may quote an untrusted server.
    pub text: String,
    /// How long the run took, in microseconds.
    pub latency_us: u64,
    /// When it ended.
    pub at: WallTime,
}
