//! The commands that ask the agent one thing: `reload` and `version`.

use std::path::Path;

use super::output::Output;
use crate::agent::exit::Exit;
use crate::agent::failure::Failure;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Command, Reply};

/// Makes the agent read its configuration again and says what that changed.
pub(super) fn reload(runtime_dir: &Path, force: bool) -> Result<(), Failure> {
    let reply = Client::connect(runtime_dir)?.ask(&Command::Reload { force })?;
    let Reply::Reload(reloaded) = reply else {
        return Err(unexpected());
    };
    let mut lines = Vec::new();
    if reloaded.changes.is_empty() {
        lines.push("nothing changed".to_owned());
    }
    lines.extend(reloaded.changes);
    lines.extend(reloaded.warnings);
    Output::new().write(&(lines.join("\n") + "\n"))?;
    let mut faults = reloaded.faults.into_iter();
    let Some(first) = faults.next() else {
        return Ok(());
    };
    let failure = Failure {
        details: faults.collect(),
        ..Failure::text(Exit::Faulted, first)
    };
    Err(failure.hint("the new configuration is in force; see `ha-agent status`"))
}

/// Shows this program's version, and the agent's if one runs and may be asked.
pub(super) fn version(runtime_dir: &Path) -> Result<(), Failure> {
    let asked = Client::connect(runtime_dir).and_then(|mut client| client.ask(&Command::Version));
    let agent = match asked {
        Ok(Reply::Version(agent)) => format!("{} (pid {})", agent.version, agent.pid),
        Ok(_) => return Err(unexpected()),
        Err(ClientError::NotRunning { .. }) => "none".to_owned(),
        // The version of this program was asked for too, and that needs no permission.
        Err(error) => error.to_string(),
    };
    let own = env!("CARGO_PKG_VERSION");
    let text = format!("ha-agent {own}\nrunning agent: {agent}\n");
    Output::new().write(&text).map(|_| ())
}

/// An answer to another question: the agent breaks the protocol.
pub(super) fn unexpected() -> Failure {
    Failure::text(Exit::General, "unexpected reply from the agent")
        .hint("it may have a different version; compare `ha-agent version`")
}
