//! The options of `run`.

use std::path::PathBuf;

use crate::config::model::LogFormat;

/// `ha-agent run`, beside the directories.
#[derive(Clone, Debug, clap::Args)]
pub struct RunOptions {
    /// The configuration
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ha-agent/ha-agent.toml"
    )]
    pub config: PathBuf,
    /// Form of the log; without it the configuration's `log_format` counts
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to log, such as `debug`, or `info,ha_ebpf=debug` for each advert that the BPF program
    /// refuses; without it `RUST_LOG` counts, then `info`
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Write down what each election is told and what it does about it, without secrets; if there is a
    /// file of that name, a number is added
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}
