//! What goes into a check's machine, and what comes out of it.

use ha_common::units::Nanos;

use crate::checks::event::{Kind, Verdict};

/// What the configuration says about one check.
#[derive(Clone, Debug)]
pub(in crate::checks) struct Policy {
    /// From one probe's start to the next's.
    pub(in crate::checks) interval: Nanos,
    /// Failures in a row until it is down.
    pub(in crate::checks) fall: u32,
    /// Successes in a row until it is up again.
    pub(in crate::checks) rise: u32,
    /// How to bring the service back.
    pub(in crate::checks) restart: Option<RestartPolicy>,
    /// Whether a death that a probe confirms is enough to be down, without counting to `fall`.
    /// Not so for a watched listener that nobody restarts: an administrator's own restart of the
    /// service is a death too, and `fall` is what lets it pass unnoticed.
    pub(in crate::checks) death_is_final: bool,
}

/// What the configuration says about restarts.
#[derive(Clone, Debug)]
pub(in crate::checks) struct RestartPolicy {
    /// Per outage.
    pub(in crate::checks) attempts: u32,
    /// How long after the command the service may take to pass a probe.
    pub(in crate::checks) settle: Nanos,
    /// The wait before the second attempt, doubled for each further one.
    pub(in crate::checks) backoff: Nanos,
}

/// What the task tells the machine.
#[derive(Clone, Debug)]
pub(in crate::checks) enum Input {
    /// The deadline has come.
    Timer,
    /// The probe has ended.
    Probed(Outcome),
    /// A watched process has died.
    Died { pid: u32 },
    /// The restart command has ended; the error says how it failed.
    RestartEnded(Result<(), String>),
    /// The restart command could not even be started, for want of descriptors, processes or memory; why.
    RestartUnstarted(String),
}

/// How a probe ended.
#[derive(Clone, Debug)]
pub(in crate::checks) enum Outcome {
    /// The service is healthy.
    Passed,
    /// It is not.
    Failed {
        /// Nobody is there at all: connection refused, no such process.
        gone: bool,
        /// In words.
        reason: String,
    },
    /// The probe timed out, but this process slept past the time-out: it says nothing.
    Discarded,
    /// The agent could not ask, for want of descriptors or memory: it says nothing, however often.
    Unasked,
}

/// What the task must do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::checks) enum Action {
    /// Start a probe; one that is still out is abandoned.
    Probe,
    /// Abandon the probe that is out.
    Abandon,
    /// Run the restart command.
    Restart,
    /// Tell the world.
    Tell(Kind, String),
}

/// What a status shows of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::checks) struct View {
    /// `None` until the first result.
    pub(in crate::checks) verdict: Option<Verdict>,
    /// An outage is being worked on.
    pub(in crate::checks) restarting: bool,
}
