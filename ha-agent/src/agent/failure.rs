//! How a command fails: one line that says what, one that says what to do, and an exit code.

use std::error::Error;
use std::fmt;

use super::exit::Exit;
use crate::checks::CheckError;
use crate::control::client::ClientError;
use crate::control::protocol::{ErrorKind, ErrorReply};
use crate::control::server::ClaimError;
use crate::datapath::pins::PinError;

/// A command that failed.
///
/// `Display` gives `message: cause: cause`, then the details, then a `hint:` line.
#[derive(Debug, Eq, PartialEq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What failed, with its causes, in one line.
    pub message: String,
    /// More lines, printed as they are.
    pub details: Vec<String>,
    /// What to do about it, in one line.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with the message and causes of an error.
    pub fn new(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::text(exit, chain(error))
    }

    /// A failure in words.
    pub fn text(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ha-agent: {}", self.message)?;
        for line in &self.details {
            write!(f, "\n{line}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

/// An error and its causes in one line; a cause that its effect already quotes is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (exit, hint) = match &error {
            ClientError::NotRunning { .. } => (
                Exit::NotRunning,
                "start it with `systemctl start ha-agent`, or name its directory with --runtime-dir",
            ),
            ClientError::Denied { .. } => (Exit::Privilege, "run this as root"),
            ClientError::Silent { .. } => (
                Exit::General,
                "the process may be stopped or stuck; see `journalctl -u ha-agent`",
            ),
            ClientError::Unreadable(_) => (
                Exit::General,
                "the running agent may have a different version; compare `ha-agent version`",
            ),
            ClientError::Refused(reply) => return Self::from(reply.clone()),
            ClientError::Closed => (Exit::NotRunning, "see `journalctl -u ha-agent` for why"),
            ClientError::Io { .. } => return Self::new(Exit::General, &error),
        };
        Self::new(exit, &error).hint(hint)
    }
}

impl From<ErrorReply> for Failure {
    fn from(reply: ErrorReply) -> Self {
        let (exit, hint) = match reply.kind {
            ErrorKind::Config => (
                Exit::Config,
                Some("the running configuration stays in force; fix the file and reload again"),
            ),
            ErrorKind::HostLacks => (
                Exit::Environment,
                Some(
                    "the running configuration stays in force; fix the file, or carry this out with `ha-agent \
                     reload --force`",
                ),
            ),
            ErrorKind::Request => (
                Exit::General,
                Some("the running agent may have a different version; compare `ha-agent version`"),
            ),
            ErrorKind::Timeout
            | ErrorKind::TooManyClients
            | ErrorKind::UnknownInstance
            | ErrorKind::Failed => (Exit::General, None),
        };
        Self {
            exit,
            message: reply.message,
            details: reply.details,
            hint: hint.map(str::to_owned),
        }
    }
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Self {
        let (exit, hint) = match &error {
            ClaimError::Taken { .. } => (
                Exit::AlreadyRunning,
                "stop it first, or give this agent its own --runtime-dir and --pin-dir",
            ),
            ClaimError::OpenToOthers { .. } => (
                Exit::Environment,
                "remove the write permission with `chmod go-w`, or choose another --runtime-dir",
            ),
            ClaimError::NotASocket { .. } => (Exit::Environment, "move it away"),
            ClaimError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => (Exit::Privilege, "run this as root"),
                _ => return Self::new(Exit::Environment, &error),
            },
        };
        Self::new(exit, &error).hint(hint)
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let exit = match &error {
            // Found out here only if the user went away after the configuration was read.
            CheckError::UnknownUser { .. } => Exit::Config,
            CheckError::CannotBecome { .. } => Exit::Privilege,
            CheckError::UserLookup { .. } => Exit::Environment,
        };
        Self::new(exit, &error)
    }
}

impl From<PinError> for Failure {
    fn from(error: PinError) -> Self {
        let exit = match &error {
            PinError::Taken { .. } => {
                return Self::new(Exit::AlreadyRunning, &error)
                    .hint("stop it first, or give this agent its own --pin-dir");
            }
            PinError::Create { source, .. }
            | PinError::Mount { source, .. }
            | PinError::Lock { source, .. }
            | PinError::Stale { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Exit::Privilege,
                _ => Exit::General,
            },
        };
        Self::new(exit, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_of_causes_and_one_of_advice() {
        let error = ClaimError::Io {
            what: "listen on",
            path: "/run/ha-agent/control.sock".into(),
            source: std::io::Error::from(std::io::ErrorKind::PermissionDenied),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::Privilege);
        assert_eq!(
            failure.to_string(),
            "ha-agent: cannot listen on /run/ha-agent/control.sock: permission denied\n\
             hint: run this as root"
        );
    }

    #[test]
    fn a_missing_agent_is_told_from_a_forbidden_one() {
        let path = || "/run/ha-agent/control.sock".into();
        let missing = Failure::from(ClientError::NotRunning { path: path() });
        let denied = Failure::from(ClientError::Denied { path: path() });
        assert_eq!(missing.exit, Exit::NotRunning);
        assert_eq!(denied.exit, Exit::Privilege);
        assert!(missing.to_string().contains("systemctl start ha-agent"));
    }

    #[test]
    fn a_refused_reload_shows_every_problem_of_the_file() {
        let failure = Failure::from(ErrorReply {
            kind: ErrorKind::Config,
            message: "invalid configuration".to_owned(),
            details: vec!["a.toml:3:1: one".to_owned(), "a.toml:9:4: two".to_owned()],
        });
        assert_eq!(failure.exit, Exit::Config);
        assert_eq!(failure.to_string().lines().count(), 4);
    }
}
