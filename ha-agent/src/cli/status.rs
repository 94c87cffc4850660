//! `status`.

use std::path::Path;

use super::ask::unexpected;
use super::output::{Output, Reader, json};
use super::render::{Detail, render_status};
use crate::agent::exit::Exit;
use crate::agent::failure::Failure;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Command, Reply};
use crate::status::agent::Status;

/// Options of `status`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusOptions {
    /// Print JSON
    #[arg(long, conflicts_with = "instances")]
    pub json: bool,
    /// Keep running and show every change
    #[arg(long, short)]
    pub watch: bool,
    /// Instances to show in detail; default: all of them, if they are few
    #[arg(value_name = "INSTANCE")]
    pub instances: Vec<String>,
}

/// Shows the agent's status, once or until interrupted.
pub(super) fn status(runtime_dir: &Path, options: &StatusOptions) -> Result<(), Failure> {
    let mut client = Client::connect(runtime_dir)?;
    let mut output = Output::new();
    if !options.watch {
        let status = expect_status(client.ask(&Command::Status))?;
        let text = text(&status, options, output.is_terminal())?;
        return output.write(&text).map(|_| ());
    }
    let mut reply = client.ask(&Command::Watch);
    loop {
        let status = expect_status(reply)?;
        let shown = if options.json {
            output.write(&text(&status, options, false)?)?
        } else {
            output.redraw(&text(&status, options, false)?)?
        };
        if shown == Reader::Gone {
            return Ok(());
        }
        reply = client.next_reply();
    }
}

fn expect_status(reply: Result<Reply, ClientError>) -> Result<Status, Failure> {
    match reply? {
        Reply::Status(status) => Ok(*status),
        _ => Err(unexpected()),
    }
}

fn text(status: &Status, options: &StatusOptions, pretty: bool) -> Result<String, Failure> {
    if options.json {
        return json(status, pretty);
    }
    if options.instances.is_empty() {
        return Ok(render_status(status, Detail::IfFew));
    }
    let known = |name: &&String| status.instances.iter().any(|known| known.name == **name);
    if let Some(name) = options.instances.iter().find(|name| !known(name)) {
        let names: Vec<&str> = status.instances.iter().map(|i| i.name.as_str()).collect();
        return Err(
            Failure::text(Exit::General, format!("no such instance: \"{name}\""))
                .hint(format!("configured: {}", names.join(", "))),
        );
    }
    Ok(render_status(status, Detail::Named(&options.instances)))
}
