//! Puts the parts together: reads the configuration, loads the kernel half, starts the driver, the
//! checks and the control socket, and ends them in the order in which nothing is left behind.

pub mod cleanup;
mod control_service;
mod descriptors;
pub mod dirs;
mod ending;
pub mod exit;
pub mod failure;
mod forward;
mod kernel_log;
mod load_config;
mod log;
pub mod options;
mod other_lists;
pub mod peers;
mod placed;
mod preflight;
mod recording;
mod reload;
mod reload_costs;
mod reload_summary;
mod running;
mod same_host;
mod serve;
mod signals;
mod status;
mod switch_datapath;
pub mod systemd;
mod upgrade;

use tokio::runtime::{Builder, Runtime};
use tracing::warn;

use crate::control::server::ControlSocket;
use crate::logging;

use dirs::Dirs;
use ending::Ending;
use exit::Exit;
use failure::Failure;
use options::RunOptions;

pub use load_config::{load, load_for_this_host};

/// Runs in the foreground until SIGTERM or SIGINT.
pub fn run(dirs: &Dirs, options: &RunOptions) -> Result<(), Failure> {
    let config = load(&options.config, "choose another file with --config")?;
    let format = options.log_format.unwrap_or(config.node.log_format);
    let log = logging::start(format, options.log_level.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, &error))?;
    for warning in &config.warnings {
        warn!("{}", warning.one_line());
    }
    preflight::require_capabilities()?;
    crate::os::descriptors::raise();
    if let Some(warning) = descriptors::warning(&config) {
        warn!("{warning}");
    }
    let socket = ControlSocket::claim(&dirs.runtime_dir)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve::until_told(config, dirs, options, socket));
    // Nothing that still runs there may hold up the end.
    runtime.shutdown_background();
    match outcome? {
        Ending::Stopped => Ok(()),
        Ending::Upgrade(program) => {
            // What it still has to say is said before there is nobody to say it.
            drop(log);
            Err(upgrade::become_program(&program))
        }
        Ending::HandedOver => Err(Failure::text(
            Exit::HandedOver,
            "everything stays for the agent that is started next",
        )),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ha-async")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Environment, &error))
}
