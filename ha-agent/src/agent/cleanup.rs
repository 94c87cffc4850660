//! `cleanup`: what an agent that is gone for good has left behind.

use std::path::Path;

use crate::cli::{Dirs, Exit, Failure};
use crate::control::server::ControlSocket;
use crate::datapath::pins;
use crate::net::address::{AddressBook, Outcome, Placement};
use crate::net::interface;

/// Results of a systemd service (`$SERVICE_RESULT`, systemd.exec(5)) that are followed by a restart: the
/// next agent carries on with what this one has left, so it must stay.
const RESTARTED: [&str; 5] = ["signal", "core-dump", "watchdog", "exit-code", "oom-kill"];

/// True if systemd says that the agent will be started again.
pub fn is_restarting() -> bool {
    std::env::var("SERVICE_RESULT").is_ok_and(|result| RESTARTED.contains(&result.as_str()))
}

/// Takes the programs off the interfaces, removes the pins, and the configured addresses that an agent
/// has added; never an administrator's. Returns what was done, a line each.
pub fn cleanup(dirs: &Dirs, file: &Path) -> Result<Vec<String>, Failure> {
    // An agent that runs holds it; so nothing can be taken away from one.
    let _claim = ControlSocket::claim(&dirs.runtime_dir)?;
    let pins = pins::claim(&dirs.pin_dir)?;
    let mut done = remove_addresses(file)?;
    if pins.is_some() {
        pins::remove_all(&dirs.pin_dir)?;
        done.push(format!("removed the pins in {}", dirs.pin_dir.display()));
    }
    Ok(done)
}

fn remove_addresses(file: &Path) -> Result<Vec<String>, Failure> {
    let config = super::load(file, "name another with --config")?;
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::new(Exit::General, error);
    let mut book = AddressBook::open().map_err(|error| failed(&error))?;
    let mut done = Vec::new();
    for instance in &config.instances {
        // Without its interface it has no addresses either.
        let Ok(link) = interface::interface(&instance.interface) else {
            continue;
        };
        let ours: Vec<Placement> = book
            .list(link.index)
            .map_err(|error| failed(&error))?
            .into_iter()
            .filter(|present| present.ours)
            .filter(|present| {
                instance
                    .virtual_addresses()
                    .any(|ip| ip == present.net.addr())
            })
            .map(|present| Placement {
                ifindex: link.index,
                net: present.net,
            })
            .collect();
        let outcomes = book.remove(&ours).map_err(|error| failed(&error))?;
        for (place, outcome) in ours.iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Done) => {
                    done.push(format!("removed {} from {}", place.net, instance.interface));
                }
                Ok(Outcome::Already) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
    }
    Ok(done)
}
