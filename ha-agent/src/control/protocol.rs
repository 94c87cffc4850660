//! The control protocol: one JSON object a line, each way.
//!
//! A request is `{"v":1,"cmd":"status"}`. Two commands have arguments:
//! `{"v":1,"cmd":"datapath","instance":"web","datapath":"socket"}` and, at will,
//! `{"v":1,"cmd":"reload","force":true}`. An answer has one key that says
//! what it is: `status`, `peers`, `reload`, `datapath`, `upgrade`, `version` or `error`. `watch` is answered with
//! `status` lines until either side closes. [`parse_request`] is pure, so that it can be fuzzed.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::config::model::DatapathChoice;
use crate::status::agent::Status;
use crate::status::instance::Datapath;
use crate::status::peers::Peers;

/// The protocol's version, `v` in a request.
pub const PROTOCOL_VERSION: u64 = 1;

/// The longest request in bytes, without its newline.
pub const MAX_REQUEST: usize = 4096;

/// How much of a wrong request an error quotes, in characters.
const MAX_QUOTE: usize = 40;

/// What can be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// One snapshot.
    Status,
    /// A snapshot now, on every change, and at least every second.
    Watch,
    /// Read the configuration again.
    Reload {
        /// `force`: also if that puts an instance in FAULT for want of something that this host does not have.
        force: bool,
    },
    /// What the kernel counted per peer.
    Peers,
    /// Receive the adverts of an instance by another datapath, until a reload changes its `datapath` or
    /// the agent ends.
    Datapath {
        /// `instance`: its name.
        instance: String,
        /// `datapath`: as the configuration writes it.
        datapath: DatapathChoice,
    },
    /// Go on as the program that is installed now.
    Upgrade,
    /// End without leaving: the service manager starts another agent at once, which carries on.
    HandOver,
    Version,
}

impl Command {
    /// Every command's name.
    pub const NAMES: [&'static str; 8] = [
        "status",
        "watch",
        "reload",
        "peers",
        "datapath",
        "upgrade",
        "hand_over",
        "version",
    ];

    /// `cmd` in a request.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Watch => "watch",
            Self::Reload { .. } => "reload",
            Self::Peers => "peers",
            Self::Datapath { .. } => "datapath",
            Self::Upgrade => "upgrade",
            Self::HandOver => "hand_over",
            Self::Version => "version",
        }
    }

    /// The line that asks for it, with its newline.
    pub fn to_line(&self) -> String {
        let arguments = match self {
            Self::Datapath { instance, datapath } => {
                let instance = serde_json::Value::from(instance.as_str());
                format!(
                    ",\"instance\":{instance},\"datapath\":\"{}\"",
                    datapath.name()
                )
            }
            Self::Reload { force: true } => ",\"force\":true".to_owned(),
            Self::Reload { force: false }
            | Self::Status
            | Self::Watch
            | Self::Peers
            | Self::Upgrade
            | Self::HandOver
            | Self::Version => String::new(),
        };
        format!(
            "{{\"v\":{PROTOCOL_VERSION},\"cmd\":\"{}\"{arguments}}}\n",
            self.name()
        )
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST`].
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    TooLong,
    /// Not the expected JSON object.
    #[error("the request is not {{\"v\":1,\"cmd\":\"...\"}}: {0}")]
    Malformed(String),
    /// `v` is not [`PROTOCOL_VERSION`].
    #[error("this agent speaks version {PROTOCOL_VERSION} of the control protocol, not {0}")]
    Version(u64),
    /// `cmd` is none of [`Command::NAMES`].
    #[error("unknown command \"{0}\"; known are {known}", known = Command::NAMES.join(", "))]
    UnknownCommand(String),
    /// The command needs it.
    #[error("the command \"{command}\" needs \"{key}\"")]
    Missing {
        /// `cmd`.
        command: &'static str,
        /// What is missing.
        key: &'static str,
    },
    /// The command has no such argument.
    #[error("the command \"{command}\" takes no \"{key}\"")]
    Needless {
        /// `cmd`.
        command: &'static str,
        /// What is too much.
        key: &'static str,
    },
    /// `datapath` is none of [`DatapathChoice::ALL`].
    #[error(
        "unknown datapath \"{0}\"; known are {known}",
        known = DatapathChoice::ALL.map(DatapathChoice::name).join(", ")
    )]
    UnknownDatapath(String),
}

/// Reads one request, without its newline.
pub fn parse_request(line: &[u8]) -> Result<Command, RequestError> {
    if line.len() > MAX_REQUEST {
        return Err(RequestError::TooLong);
    }
    let raw: RawRequest = serde_json::from_slice(line)
        .map_err(|error| RequestError::Malformed(quote(&error.to_string(), 2 * MAX_QUOTE)))?;
    // The version first: another version may have other commands.
    if raw.v != PROTOCOL_VERSION {
        return Err(RequestError::Version(raw.v));
    }
    let command = match raw.cmd.as_str() {
        "status" => Command::Status,
        "watch" => Command::Watch,
        "reload" => return raw.reload_command(),
        "peers" => Command::Peers,
        "datapath" => return raw.datapath_command(),
        "upgrade" => Command::Upgrade,
        "hand_over" => Command::HandOver,
        "version" => Command::Version,
        other => return Err(RequestError::UnknownCommand(quote(other, MAX_QUOTE))),
    };
    raw.without_arguments(command)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    v: u64,
    cmd: String,
    #[serde(default, deserialize_with = "not_null")]
    instance: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    datapath: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    force: Option<bool>,
}

impl RawRequest {
    fn datapath_command(self) -> Result<Command, RequestError> {
        let missing = |key| RequestError::Missing {
            command: "datapath",
            key,
        };
        needless("datapath", &[("force", self.force.is_some())])?;
        let instance = self.instance.ok_or_else(|| missing("instance"))?;
        let name = self.datapath.ok_or_else(|| missing("datapath"))?;
        let datapath = DatapathChoice::named(&name)
            .ok_or_else(|| RequestError::UnknownDatapath(quote(&name, MAX_QUOTE)))?;
        Ok(Command::Datapath { instance, datapath })
    }

    fn reload_command(self) -> Result<Command, RequestError> {
        let others = [
            ("instance", self.instance.is_some()),
            ("datapath", self.datapath.is_some()),
        ];
        needless("reload", &others)?;
        Ok(Command::Reload {
            force: self.force.unwrap_or_default(),
        })
    }

    fn without_arguments(self, command: Command) -> Result<Command, RequestError> {
        let all = [
            ("instance", self.instance.is_some()),
            ("datapath", self.datapath.is_some()),
            ("force", self.force.is_some()),
        ];
        needless(command.name(), &all)?;
        Ok(command)
    }
}

/// Fails at the first of these arguments that is there.
fn needless(command: &'static str, arguments: &[(&'static str, bool)]) -> Result<(), RequestError> {
    match arguments.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => Err(RequestError::Needless { command, key }),
        None => Ok(()),
    }
}

/// A key that is there has a value.
fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The beginning of a text from outside, with nothing in it that could play with a terminal.
pub(crate) fn quote(text: &str, limit: usize) -> String {
    let mut quoted: String = text
        .chars()
        .take(limit)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(limit).is_some() {
        quoted.push_str("...");
    }
    quoted
}

/// One line of an answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `status` and `watch`.
    Status(Box<Status>),
    /// To `peers`.
    Peers(Peers),
    /// To `reload`: the new configuration is in force.
    Reload(Reloaded),
    /// To `datapath`: the instance receives so now.
    Datapath(Box<Switched>),
    /// To `upgrade` and `hand_over`: it is about to begin.
    Upgrade(Upgrading),
    /// To `version`.
    Version(VersionInfo),
    /// To anything that was not done.
    Error(ErrorReply),
}

/// What a reload did.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reloaded {
    /// What changed, one phrase each; empty if the file says what is already in force.
    pub changes: Vec<String>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
    /// Instances that are in FAULT since then, or for another reason than before, with the reason, one sentence each.
    #[serde(default)]
    pub faults: Vec<String>,
}

/// What `datapath` did.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Switched {
    pub instance: String,
    pub interface: String,
    /// What runs now, as in `status`.
    pub datapath: Datapath,
    /// Whether a program of ours is on the interface, for this instance or for another one.
    pub program: bool,
}

/// What the agent is about to become.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Upgrading {
    /// The program that goes on, as an absolute path.
    pub program: PathBuf,
}

/// The agent that answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VersionInfo {
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The version of the control protocol.
    pub protocol: u64,
}

/// Why something was not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorReply {
    /// What kind of reason, for programs.
    pub kind: ErrorKind,
    /// The reason, for people.
    pub message: String,
    /// More lines, such as every problem of a configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// What kind of reason.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is wrong.
    Request,
    /// No complete request came in time.
    Timeout,
    /// As many clients as are allowed are connected.
    TooManyClients,
    /// There is no such instance.
    UnknownInstance,
    /// The configuration is wrong; the running one stays.
    Config,
    /// The configuration names something that this host does not have, which would cost an instance its part; the running
    /// one stays. `force` carries it out.
    HostLacks,
    /// The agent could not do it.
    Failed,
}

impl ErrorReply {
    /// An error without details.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: Vec::new(),
        }
    }
}

impl From<RequestError> for ErrorReply {
    fn from(error: RequestError) -> Self {
        Self::new(ErrorKind::Request, error.to_string())
    }
}

#[cfg(test)]
mod tests;
