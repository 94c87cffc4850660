//! `cleanup`.

use std::path::PathBuf;

use super::output::Output;
use crate::agent::cleanup::{self, End};
use crate::agent::dirs::Dirs;
use crate::agent::failure::Failure;
use crate::datapath::attach::XdpLinks;

/// Options of `cleanup`.
#[derive(Clone, Debug, clap::Args)]
pub struct CleanupOptions {
    /// Configuration file of the stopped agent
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ha-agent/ha-agent.toml"
    )]
    pub config: PathBuf,
    /// For `ExecStopPost`: do nothing if systemd is about to restart the agent; after a stop, keep XDP
    /// programs attached, because detaching resets some cards
    #[arg(long)]
    pub unless_restarting: bool,
}

/// Does it, and says what was done and what could not be.
pub(super) fn cleanup(dirs: &Dirs, options: &CleanupOptions) -> Result<(), Failure> {
    let end = if options.unless_restarting {
        cleanup::service_end()
    } else {
        End::Final
    };
    let xdp = match end {
        End::Restarted => return Ok(()),
        End::Stopped => XdpLinks::Keep,
        End::Final => XdpLinks::Remove,
    };
    let cleaned = cleanup::cleanup(dirs, &options.config, xdp)?;
    let mut text = cleaned.done.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Output::new().write(&text)?;
    cleaned.problem.map_or(Ok(()), Err)
}
