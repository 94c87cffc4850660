//! What the command line accepts.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::cleanup::CleanupOptions;
use super::datapath::{self, DatapathOptions};
use super::peers::PeersOptions;
use super::status::StatusOptions;
use crate::agent::dirs::Dirs;
use crate::agent::exit::Exit;
use crate::agent::options::RunOptions;

/// VRRP failover agent for virtual IP addresses, with detection in the kernel
#[derive(Debug, Parser)]
#[command(name = "ha-agent", version, after_help = Exit::HELP, max_term_width = 100)]
pub struct Args {
    /// Which agent.
    #[command(flatten)]
    pub dirs: Dirs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent in the foreground
    Run(RunOptions),
    /// Check a configuration and report every error
    CheckConfig {
        /// Configuration file
        #[arg(value_name = "FILE", default_value = "/etc/ha-agent/ha-agent.toml")]
        file: PathBuf,
    },
    /// Show the state of every instance and check, with the reasons
    Status(StatusOptions),
    /// List the hosts that send adverts, how regularly, and what was rejected
    Peers(PeersOptions),
    /// Reload the configuration; an invalid file changes nothing
    Reload {
        /// Carry it out even if it puts an instance in FAULT because this host lacks what the file names
        #[arg(long)]
        force: bool,
    },
    /// Switch one instance to another datapath, at once and without a reload
    #[command(after_help = datapath::HELP)]
    Datapath(DatapathOptions),
    /// Have the running agent go on as the program that is installed now; addresses and adverts go on
    Upgrade,
    /// For `ExecStop`: if systemd is restarting the service, leave everything to the next agent
    HandOver,
    /// Remove what a stopped agent left behind: programs, pins, addresses, routes, rules
    Cleanup(CleanupOptions),
    /// Show the versions of this program and of the running agent
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn directories_may_stand_before_and_after_the_command() {
        for line in [
            ["ha-agent", "--runtime-dir", "/x", "status"],
            ["ha-agent", "status", "--runtime-dir", "/x"],
        ] {
            let args = Args::try_parse_from(line).unwrap();
            assert_eq!(args.dirs.runtime_dir, PathBuf::from("/x"));
            assert_eq!(args.dirs.pin_dir, PathBuf::from("/sys/fs/bpf/ha-agent"));
        }
    }

    #[test]
    fn a_name_and_json_exclude_each_other() {
        assert!(Args::try_parse_from(["ha-agent", "status", "--json", "web"]).is_err());
        assert!(Args::try_parse_from(["ha-agent", "status", "web", "db"]).is_ok());
    }
}
