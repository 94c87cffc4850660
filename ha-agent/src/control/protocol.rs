//! The control protocol: one JSON object a line, each way.
//!
//! A request is `{"v":1,"cmd":"status"}`. An answer has one key that says what it is: `status`,
//! `peers`, `reload`, `version` or `error`. `watch` is answered with `status` lines until either
//! side closes. [`parse_request`] is pure, so that it can be fuzzed.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::peers::Peers;
use super::status::Status;

/// The protocol's version, `v` in a request.
pub const PROTOCOL_VERSION: u64 = 1;

/// The longest request in bytes, without its newline.
pub const MAX_REQUEST: usize = 4096;

/// How much of a wrong request an error quotes, in characters.
const MAX_QUOTE: usize = 40;

/// What can be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// One snapshot.
    Status,
    /// A snapshot now, on every change, and at least every second.
    Watch,
    /// Read the configuration again.
    Reload,
    /// What the kernel counted per peer.
    Peers,
    /// The agent's version.
    Version,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 5] = [
        Self::Status,
        Self::Watch,
        Self::Reload,
        Self::Peers,
        Self::Version,
    ];

    /// `cmd` in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Watch => "watch",
            Self::Reload => "reload",
            Self::Peers => "peers",
            Self::Version => "version",
        }
    }

    /// The line that asks for it, with its newline.
    pub fn to_line(self) -> String {
        format!("{{\"v\":{PROTOCOL_VERSION},\"cmd\":\"{}\"}}\n", self.name())
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
    /// `cmd` is none of [`Command::ALL`].
    #[error("unknown command \"{0}\"; known are {known}", known = known_commands())]
    UnknownCommand(String),
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
    Command::ALL
        .into_iter()
        .find(|command| command.name() == raw.cmd)
        .ok_or_else(|| RequestError::UnknownCommand(quote(&raw.cmd, MAX_QUOTE)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    v: u64,
    cmd: String,
}

fn known_commands() -> String {
    Command::ALL.map(Command::name).join(", ")
}

/// The beginning of a text from outside, with nothing in it that could play with a terminal.
fn quote(text: &str, limit: usize) -> String {
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
}

/// The agent that answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VersionInfo {
    /// Its version.
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
    /// The configuration is wrong; the running one stays.
    Config,
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_command_reads_its_own_line() {
        for command in Command::ALL {
            let line = command.to_line();
            assert_eq!(parse_request(line.trim_end().as_bytes()), Ok(command));
        }
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_known_ones() {
        let error = parse_request(br#"{"v":1,"cmd":"promote\u001b[2J"}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown command \"promote\\u{1b}[2J\"; known are status, watch, reload, peers, version"
        );
    }

    #[test]
    fn another_protocol_version_is_refused_before_its_command_is_looked_at() {
        assert_eq!(
            parse_request(br#"{"v":2,"cmd":"teleport"}"#),
            Err(RequestError::Version(2))
        );
    }

    #[test]
    fn unknown_keys_missing_keys_and_trailing_text_are_refused() {
        for line in [
            r#"{"v":1,"cmd":"status","x":1}"#,
            r#"{"cmd":"status"}"#,
            r#"{"v":1}"#,
            r#"{"v":1,"cmd":"status"} x"#,
            r#"["v",1]"#,
            "",
        ] {
            let result = parse_request(line.as_bytes());
            assert!(matches!(result, Err(RequestError::Malformed(_))), "{line}");
        }
    }

    #[test]
    fn a_request_at_the_limit_is_read_and_one_byte_more_is_not() {
        let mut line = br#"{"v":1,"cmd":"status"}"#.to_vec();
        line.resize(MAX_REQUEST, b' ');
        assert_eq!(parse_request(&line), Ok(Command::Status));
        line.push(b' ');
        assert_eq!(parse_request(&line), Err(RequestError::TooLong));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_errors_stay_short(
            line in prop::collection::vec(any::<u8>(), 0..MAX_REQUEST + 64),
        ) {
            if let Err(error) = parse_request(&line) {
                prop_assert!(error.to_string().len() < 1024);
            }
        }

        #[test]
        fn only_known_names_are_commands(name in ".{0,60}") {
            let line = serde_json::json!({ "v": 1, "cmd": name }).to_string();
            let result = parse_request(line.as_bytes());
            let known = Command::ALL.iter().any(|command| command.name() == name);
            prop_assert_eq!(result.is_ok(), known);
        }
    }
}
