//! The command line: what it accepts, and who does it.

mod args;
mod ask;
mod check_config;
pub mod cleanup;
mod datapath;
mod hand_over;
mod output;
mod peers;
mod render;
mod status;
mod upgrade;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

pub use args::{Args, Command};

use crate::agent::exit::Exit;
use crate::agent::failure::Failure;
use crate::agent::systemd;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let is_service = matches!(args.command, Command::Run(_)) && systemd::is_manager();
    match dispatch(args) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "{failure}");
            if is_service && let Some(pause) = failure.exit.pause() {
                std::thread::sleep(pause);
            }
            failure.exit.into()
        }
    }
}

fn dispatch(args: Args) -> Result<(), Failure> {
    let dirs = args.dirs;
    let runtime_dir = &dirs.runtime_dir;
    match args.command {
        Command::Run(options) => crate::agent::run(&dirs, &options),
        Command::Cleanup(options) => cleanup::cleanup(&dirs, &options),
        Command::CheckConfig { file } => check_config::check_config(&file),
        Command::Status(options) => status::status(runtime_dir, &options),
        Command::Peers(options) => peers::peers(&dirs, &options),
        Command::Datapath(options) => datapath::datapath(runtime_dir, &options),
        Command::Reload { force } => ask::reload(runtime_dir, force),
        Command::Upgrade => upgrade::upgrade(runtime_dir),
        Command::HandOver => hand_over::hand_over(runtime_dir),
        Command::Version => ask::version(runtime_dir),
    }
}
