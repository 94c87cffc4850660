//! `peers`.

use std::io::{self, Write as _};
use std::time::Duration;

use super::ask::unexpected;
use super::output::{Output, json};
use super::render::render_peers;
use crate::agent::dirs::Dirs;
use crate::agent::failure::Failure;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Command, Reply};
use crate::status::peers::Peers;

/// Options of `peers`.
#[derive(Clone, Debug, clap::Args)]
pub struct PeersOptions {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How long a running agent is waited for. It answers within a fraction of this, and the maps have most of
/// what it knows.
const WAIT: Duration = Duration::from_secs(2);

/// Shows the peers that a running agent knows, also those that its plain sockets heard; without its answer,
/// what the pinned maps say. Where none runs that is a failure all the same: what they say may be long past.
pub(super) fn peers(dirs: &Dirs, options: &PeersOptions) -> Result<(), Failure> {
    let asked = Client::connect_within(&dirs.runtime_dir, WAIT, WAIT)
        .and_then(|mut client| client.ask(&Command::Peers));
    let error = match asked {
        Ok(Reply::Peers(peers)) => return show(&peers, options),
        Ok(_) => return Err(unexpected()),
        Err(error @ (ClientError::Refused(_) | ClientError::Unreadable(_))) => {
            return Err(error.into());
        }
        Err(error) => error,
    };
    let Ok(peers) = crate::agent::peers::pinned(&dirs.pin_dir) else {
        return Err(error.into());
    };
    if matches!(error, ClientError::NotRunning { .. }) {
        show(&peers, options)?;
        let error = Failure::from(error);
        let message = format!(
            "{}; these are the pinned maps that an earlier agent left",
            error.message
        );
        return Err(Failure { message, ..error });
    }
    // Apart from the answer, which a program may read. Nobody is left to tell if stderr is closed.
    let _ = writeln!(
        io::stderr(),
        "ha-agent: {error}; reading the pinned maps instead, which lack what plain sockets received"
    );
    show(&peers, options)
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
