//! What a check tells the outside: the event that the election's driver acts on.

use std::fmt;
use std::sync::Arc;

use ha_common::units::Instant;
use serde::Serialize;

/// What the election believes about a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It serves, or it is being restarted and nobody has given up yet.
    Up,
    /// It does not serve, and every restart attempt of this outage is used up.
    Down,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The first result of this check; exactly one for each start of it, before any `Up` or `Down`.
    First(Verdict),
    /// It was down and has risen.
    Up,
    /// It is up as before, and the number in its file is another one.
    Weight,
    /// It was up and has fallen, and no restart brought it back.
    Down,
    /// A restart command is about to run. The verdict stays what it is.
    Restarting,
    /// A restart attempt failed, and another follows. The verdict stays what it is.
    RestartFailed,
    /// A restart brought the service back. The verdict never changed.
    Restarted,
}

impl Kind {
    /// The new verdict, for the kinds that carry one.
    pub const fn verdict(self) -> Option<Verdict> {
        match self {
            Self::First(verdict) => Some(verdict),
            Self::Up | Self::Weight => Some(Verdict::Up),
            Self::Down => Some(Verdict::Down),
            Self::Restarting | Self::RestartFailed | Self::Restarted => None,
        }
    }
}

/// One thing that happened to one check.
#[derive(Clone, Debug)]
pub struct CheckEvent {
    pub name: Arc<str>,
    pub kind: Kind,
    /// For a file with a number in it: what it adds to a priority, -253 to 253.
    pub weight: Option<i16>,
    /// Why, in one line for a person.
    pub detail: String,
    /// When it was decided, on `CLOCK_MONOTONIC`.
    pub at: Instant,
}
