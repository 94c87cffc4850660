//! `peers`.

use super::Dirs;
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

/// Shows the peers that the pinned maps know, or those of a running agent that has nothing pinned.
pub(super) fn peers(dirs: &Dirs, options: &PeersOptions) -> Result<(), Failure> {
    // A running agent also knows what plain sockets heard.
    let connected = Client::connect(&dirs.runtime_dir);
    if let (Err(_), Ok(peers)) = (&connected, crate::agent::peers::pinned(&dirs.pin_dir)) {
        return show(&peers, options);
    }
    match connected?.ask(Command::Peers)? {
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
