//! `ha-agent hand-over`: what the unit runs before systemd ends the agent. Of a stop that is half of a restart nothing
//! moves: the agent ends as it would in a crash, and the next one carries on.

use std::path::Path;
use std::process::Command as Program;
use std::{fs, io};

use crate::agent::exit::Exit;
use crate::agent::failure::Failure;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::Command;

/// Has the agent end for the next one, if systemd is about to start one; else does nothing, and systemd ends it.
pub(super) fn hand_over(runtime_dir: &Path) -> Result<(), Failure> {
    let restarts = is_restarting().map_err(|error| {
        let text = format!("cannot ask systemd whether it restarts the service: {error}");
        Failure::text(Exit::General, text)
    })?;
    if !restarts {
        return Ok(());
    }
    let mut client = Client::connect(runtime_dir)?;
    client.ask(&Command::HandOver)?;
    // It closes the connection as it ends; systemd would end it otherwise.
    match client.next_reply() {
        Err(ClientError::Closed) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_restarting() -> io::Result<bool> {
    let Some(unit) = own_unit(&fs::read_to_string("/proc/self/cgroup")?) else {
        return Ok(false);
    };
    let mut systemctl = Program::new("systemctl");
    let output = systemctl
        .args(["list-jobs", "--no-legend", "--plain", &unit])
        .output()?;
    Ok(has_restart_job(
        &String::from_utf8_lossy(&output.stdout),
        &unit,
    ))
}

/// The service that this process belongs to, by its control group (cgroups(7)).
fn own_unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut parts = path.rsplit('/');
    parts
        .find(|part| part.ends_with(".service"))
        .map(str::to_owned)
}

/// Columns of `systemctl list-jobs`: number, unit, type, state.
fn has_restart_job(jobs: &str, unit: &str) -> bool {
    jobs.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some(unit) && columns.next() == Some("restart")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_service_of_the_control_group() {
        for (cgroup, unit) in [
            (
                "0::/system.slice/ha-agent.service\n",
                Some("ha-agent.service"),
            ),
            (
                "0::/../../system.slice/ha-agent@a.service/x\n",
                Some("ha-agent@a.service"),
            ),
            ("1:name=systemd:/x\n0::/user.slice/user-0.slice\n", None),
            ("", None),
        ] {
            assert_eq!(own_unit(cgroup).as_deref(), unit, "{cgroup}");
        }
    }

    #[test]
    fn a_stop_is_told_from_a_restart_by_the_units_job() {
        for (jobs, restarts) in [
            ("412 ha-agent.service restart running\n", true),
            ("412 ha-agent.service stop running\n", false),
            ("412 nginx.service restart waiting\n", false),
            ("", false),
        ] {
            assert_eq!(
                has_restart_job(jobs, "ha-agent.service"),
                restarts,
                "{jobs}"
            );
        }
    }
}
