//! What a recording holds: values, of which each stands in a line of its own as JSON.
//!
//! The recorder writes these types and the tests read them back; `tests/scenarios/README.md` describes them.

use ha_common::election::{Actions, FaultCause, Input, Params};
use ha_common::units::Instant;
use serde::{Deserialize, Serialize};

/// One line of a recording, or with events of its own of another such file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line<E = Event> {
    /// When, by `CLOCK_MONOTONIC`.
    pub at: Instant,
    /// The instance that it is about; `None` is the whole agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What happened.
    pub event: E,
}

/// What a recording tells.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would be an allocation of the driver's"
)]
pub enum Event {
    /// The recording begins; always the first line.
    Recording(Head),
    /// An election came into being with these parameters.
    Begins(Params),
    /// An election was told something.
    Turn(Turn),
    /// So many events are missing here.
    Lost(u64),
    /// The recording is over; always the last line, but of an agent that was killed.
    End,
}

/// What made the recording.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The version of ha-agent.
    pub version: String,
    /// The configuration file that it ran with, less its secrets.
    pub config: String,
}

/// What an election was told, and what it wanted done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What it was told.
    pub input: Input,
    /// The name that the failed check of the input has, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// What it wanted done, in order.
    #[serde(default, skip_serializing_if = "Actions::is_empty")]
    pub actions: Actions,
}

impl Turn {
    /// With the name of the check that the input is about; `checks` are the checks' names by number.
    pub fn new(input: Input, actions: Actions, checks: &[String]) -> Self {
        let check = match input {
            Input::Fault(FaultCause::Check(id)) => checks.get(usize::from(id.0)).cloned(),
            _ => None,
        };
        Self {
            input,
            check,
            actions,
        }
    }
}
