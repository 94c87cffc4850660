//! What an instance tracks beside its own interface: checks and other interfaces.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::written;

/// One entry of `track`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Track {
    /// `check` or `interface`: what is looked at.
    #[serde(flatten)]
    pub subject: Subject,
    /// `weight`, -253 to 253 and not 0: `None` means that a failure faults the instance.
    /// Negative: added while it fails. Positive: added while it succeeds.
    /// Where the check is a file with a number in it, the number is multiplied by it; `None` is 1.
    pub weight: Option<i16>,
    /// `reverse`: failure counts as success and success as failure; default false. A file's number
    /// changes its sign.
    pub reverse: bool,
    /// `delay`: how long an interface must have changed for until it counts; default at once.
    #[serde(skip_serializing_if = "Delay::is_none")]
    pub delay: Delay,
}

/// What is looked at.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// `check`: the name of a `[[check]]`.
    Check(String),
    /// `interface`: an interface that must be there and work.
    #[serde(untagged)]
    Interface {
        /// Its name; it may come later.
        #[serde(rename = "interface")]
        name: String,
        /// `carrier`: whether it must have a carrier as well as be switched on; default true.
        carrier: bool,
    },
}

/// `delay = { down = "0s", up = "0s" }`, or one duration for both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Delay {
    /// `down`: from the failure until it counts, 0 to 10 min.
    #[serde(serialize_with = "written::span")]
    pub down: Duration,
    /// `up`: from the recovery until it counts, 0 to 10 min.
    #[serde(serialize_with = "written::span")]
    pub up: Duration,
}

impl Delay {
    /// Whether there is none.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Track {
    /// A check that faults the instance when it fails.
    pub fn check(name: impl Into<String>) -> Self {
        Self {
            subject: Subject::Check(name.into()),
            weight: None,
            reverse: false,
            delay: Delay::default(),
        }
    }

    /// The name of the tracked check, if it is one.
    pub fn check_name(&self) -> Option<&str> {
        self.subject.check_name()
    }

    /// What takes the instance out when it is a fault, in words for a log line.
    pub fn complaint(&self) -> String {
        match (&self.subject, self.reverse) {
            (Subject::Check(name), false) => format!("check {name} failed"),
            (Subject::Check(name), true) => {
                format!("check {name} succeeded, and it is tracked in reverse")
            }
            (Subject::Interface { name, .. }, false) => format!("tracked interface {name} is down"),
            (Subject::Interface { name, .. }, true) => {
                format!("tracked interface {name} is up, and it is tracked in reverse")
            }
        }
    }
}

impl Subject {
    /// The name of the tracked check, if it is one.
    pub fn check_name(&self) -> Option<&str> {
        match self {
            Self::Check(name) => Some(name),
            Self::Interface { .. } => None,
        }
    }
}

/// As it stands in a sum: `nginx`, `interface eth1`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(name) => f.write_str(name),
            Self::Interface { name, .. } => write!(f, "interface {name}"),
        }
    }
}

/// `carrier = "fault" | "ignore"`: what it means that an instance's own interface has no carrier.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// The instance is in FAULT until the carrier is back.
    #[default]
    Fault,
    /// Nothing: only an interface that is gone or switched off is a fault.
    Ignore,
}
