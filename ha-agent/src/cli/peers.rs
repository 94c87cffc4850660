//! `peers`.

use std::path::Path;

use super::ask::unexpected;
use super::failure::Failure;
use super::output::{Output, json};
use crate::control::client::Client;
use crate::control::peers::Peers;
use crate::control::protocol::{Command, Reply};
use crate::control::render_peers;

/// Options of `peers`.
#[derive(Clone, Debug, clap::Args)]
pub struct PeersOptions {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows the peers that the running agent's maps know.
pub(super) fn peers(runtime_dir: &Path, options: &PeersOptions) -> Result<(), Failure> {
    match Client::connect(runtime_dir)?.ask(Command::Peers)? {
        Reply::Peers(peers) => show(&peers, options),
        _ => Err(unexpected()),
    }
}

/// Shows peers wherever they were read.
pub(super) fn show(peers: &Peers, options: &PeersOptions) -> Result<(), Failure> {
    let mut output = Output::new();
    let text = if options.json {
        json(peers, output.is_terminal())?
    } else {
        render_peers(peers)
    };
    output.write(&text).map(|_| ())
}
