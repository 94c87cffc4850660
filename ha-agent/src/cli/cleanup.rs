//! `cleanup`.

use std::path::PathBuf;

use super::Dirs;
use super::failure::Failure;
use super::output::Output;
use crate::agent::cleanup;

/// Options of `cleanup`.
#[derive(Clone, Debug, clap::Args)]
pub struct CleanupOptions {
    /// The configuration that the agent ran
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ha-agent/ha-agent.toml"
    )]
    pub config: PathBuf,
    /// Do nothing if systemd is about to start the agent again (for `ExecStopPost`)
    #[arg(long)]
    pub unless_restarting: bool,
}

/// Does it, and says what was done and what could not be.
pub(super) fn cleanup(dirs: &Dirs, options: &CleanupOptions) -> Result<(), Failure> {
    if options.unless_restarting && cleanup::is_restarting() {
        return Ok(());
    }
    let cleaned = cleanup::cleanup(dirs, &options.config)?;
    let mut text = cleaned.done.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Output::new().write(&text)?;
    cleaned.problem.map_or(Ok(()), Err)
}
