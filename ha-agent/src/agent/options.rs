//! The options of `run`.

use std::path::PathBuf;

use crate::config::model::LogFormat;

/// `ha-agent run`, beside the directories.
#[derive(Clone, Debug, clap::Args)]
pub struct RunOptions {
    /// Configuration file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ha-agent/ha-agent.toml"
    )]
    pub config: PathBuf,
    /// Log format; overrides `log_format` of the configuration
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log filter, such as `debug`, or `info,ha_ebpf=debug` to log each advert that the BPF program
    /// rejects; default: `RUST_LOG`, then `info`
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Record the inputs and decisions of each election, without secrets; if the file exists, a number
    /// is appended to its name
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}
