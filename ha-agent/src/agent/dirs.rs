//! The two directories that tell agents on one host apart.

use std::path::PathBuf;

/// The two directories that tell agents on one host apart.
#[derive(Clone, Debug, clap::Args)]
pub struct Dirs {
    /// Directory of the control socket
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/run/ha-agent"
    )]
    pub runtime_dir: PathBuf,
    /// Directory of the pinned maps and links, on a bpffs
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/sys/fs/bpf/ha-agent"
    )]
    pub pin_dir: PathBuf,
}
