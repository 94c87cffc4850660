//! `ha-agent upgrade`: asks the agent to go on as the installed program, and waits until that answers.

use std::path::Path;
use std::time::{Duration, Instant};

use super::ask::unexpected;
use super::output::Output;
use crate::agent::exit::Exit;
use crate::agent::failure::Failure;
use crate::control::client::Client;
use crate::control::protocol::{Command, Reply};
use crate::status::agent::Status;

/// How long the new program may take to answer.
const WAIT: Duration = Duration::from_secs(10);
/// Between two attempts: there is nothing to be told by while the socket has no owner.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Has the agent go on as the program that is installed now.
pub(super) fn upgrade(runtime_dir: &Path) -> Result<(), Failure> {
    let mut client = Client::connect(runtime_dir)?;
    let before = status_of(&mut client)?;
    let asked = Instant::now();
    let Reply::Upgrade(upgrading) = client.ask(&Command::Upgrade)? else {
        return Err(unexpected());
    };
    let after = wait_for_new(runtime_dir, asked)?;
    let text = format!(
        "ha-agent {} goes on as {} ({}), pid {}\n",
        before.node.version,
        after.node.version,
        upgrading.program.display(),
        after.node.pid
    );
    Output::new().write(&text).map(|_| ())
}

fn status_of(client: &mut Client) -> Result<Status, Failure> {
    match client.ask(&Command::Status)? {
        Reply::Status(status) => Ok(*status),
        _ => Err(unexpected()),
    }
}

/// The first answer of an agent that has started since.
fn wait_for_new(runtime_dir: &Path, asked: Instant) -> Result<Status, Failure> {
    while asked.elapsed() < WAIT {
        let left = WAIT.saturating_sub(asked.elapsed());
        let found = Client::connect_within(runtime_dir, left, left)
            .map_err(Failure::from)
            .and_then(|mut client| status_of(&mut client));
        let age = |status: &Status| Duration::from_micros(status.node.started.ago_us);
        match found {
            Ok(status) if age(&status) < asked.elapsed() => return Ok(status),
            // The one before, or nobody yet.
            Ok(_) | Err(_) => std::thread::sleep(ASK_EVERY),
        }
    }
    Err(Failure::text(
        Exit::General,
        format!("the new agent has not answered within {} s", WAIT.as_secs()),
    )
    .hint("see its log: `journalctl -u ha-agent`"))
}
