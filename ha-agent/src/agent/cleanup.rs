//! `cleanup`: what an agent that is gone for good has left behind.
//!
//! The pinned maps know which addresses the agent held, and `placed.json` which others, so a configuration that is gone or
//! broken keeps nothing from being cleared away; it only says so afterwards.

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ha_common::layout::FenceKey;

use super::dirs::Dirs;
use super::exit::Exit;
use super::failure::Failure;
use super::peers::address;
use super::placed;
use crate::config::Config;
use crate::config::model::virtual_address::VirtualAddress;
use crate::control::server::ControlSocket;
use crate::datapath::attach::{self, XdpLinks};
use crate::datapath::pins;
use crate::datapath::reader;
use crate::net::address::AddressTable;
use crate::net::interface;
use crate::net::links::Link;
use crate::net::netlink::NetlinkError;
use crate::net::observed::ObservedAddress;
use crate::net::routing::RoutingTable;
use crate::net::virtual_mac::MacvlanTable;
use crate::reconcile::leftovers::{self, Removed};
use crate::reconcile::placed::Placed;

/// Results of a systemd service (`$SERVICE_RESULT`, systemd.exec(5)) that are followed by a restart: the
/// next agent carries on with what this one has left, so it must stay.
const RESTARTED: [&str; 5] = ["signal", "core-dump", "watchdog", "exit-code", "oom-kill"];

/// The unit's `RestartPreventExitStatus`: what ended with these does not mend itself.
const FINAL: [Exit; 3] = [Exit::Usage, Exit::Config, Exit::Privilege];

/// What systemd says of how the service ended (systemd.exec(5)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The agent will be started again, and carries on with what is there.
    Restarted,
    /// By a stop, which may be half of a restart: all is taken away, but programs in XDP stay, for many cards
    /// reset when one goes. They have nothing to do, since the agent has emptied its maps.
    Stopped,
    /// Otherwise, or nobody says.
    Final,
}

/// By the environment that systemd gives an `ExecStopPost`.
pub fn service_end() -> End {
    let variable = |name| std::env::var(name).unwrap_or_default();
    end_of(&variable("SERVICE_RESULT"), &variable("EXIT_STATUS"))
}

fn end_of(result: &str, status: &str) -> End {
    if status == (Exit::HandedOver as u8).to_string() {
        End::Restarted
    } else if result == "success" {
        End::Stopped
    } else if is_restarted_after(result, status) {
        End::Restarted
    } else {
        End::Final
    }
}

fn is_restarted_after(result: &str, status: &str) -> bool {
    let is_final = FINAL.iter().any(|exit| status == (*exit as u8).to_string());
    RESTARTED.contains(&result) && !(result == "exit-code" && is_final)
}

/// What came of a clean-up.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// What was done, a line each.
    pub done: Vec<String>,
    /// What could not be done, or not be known; the rest was done all the same.
    pub problem: Option<Failure>,
}

impl Cleaned {
    /// A step could not be taken, or not wholly. The first problem counts: what follows may come of it.
    fn take(&mut self, step: Result<(), Failure>) {
        if let Err(problem) = step {
            self.problem.get_or_insert(problem);
        }
    }

    /// What a step has removed, and why others are still there.
    fn removed<T>(&mut self, removed: Removed<T>, line: impl Fn(&T) -> String) {
        self.done.extend(removed.done.iter().map(line));
        if let Some(why) = removed.failure {
            self.take(Err(Failure::text(Exit::General, why)));
        }
    }
}

/// Removes the routes, rules, devices and addresses that an agent has added, never an administrator's; then
/// takes the programs off the interfaces, if wanted those of XDP as well, and removes the pins. An error means
/// that nothing was done: an agent runs.
pub fn cleanup(dirs: &Dirs, file: &Path, xdp: XdpLinks) -> Result<Cleaned, Failure> {
    // An agent that runs holds both; so nothing can be taken away from one.
    let _socket = ControlSocket::claim(&dirs.runtime_dir)?;
    let pins = pins::claim(&dirs.pin_dir)?;
    let mut cleaned = Cleaned::default();
    let steps = &mut cleaned;
    let step = remove_routing(steps);
    steps.take(step);
    let step = remove_devices(steps);
    steps.take(step);
    let pin_dir = pins.as_ref().map(|_| dirs.pin_dir.as_path());
    let placed = placed::read(&dirs.runtime_dir).unwrap_or_else(|error| {
        steps.take(Err(Failure::new(Exit::General, &error)));
        Vec::new()
    });
    let step = remove_held(pin_dir, &placed, steps);
    steps.take(step);
    if steps.problem.is_none() {
        placed::leave(&dirs.runtime_dir, &[]);
    }
    let step = super::load_config::load(file, "choose another file with --config")
        .and_then(|config| remove_configured(&config, steps));
    steps.take(step);
    // After the addresses: until they are away, the fence of a dead master keeps them quiet.
    let step = remove_filters(steps);
    steps.take(step);
    if pins.is_some() {
        let step = remove_pins(&dirs.pin_dir, xdp, steps);
        steps.take(step);
    }
    Ok(cleaned)
}

/// No agent runs that they could be of.
fn remove_routing(cleaned: &mut Cleaned) -> Result<(), Failure> {
    let mut table = RoutingTable::open().map_err(|error| general(&error))?;
    let removed =
        leftovers::remove_routing(&mut table, |_| false).map_err(|error| general(&error))?;
    cleaned.removed(removed, |entry| format!("removed {entry}"));
    Ok(())
}

fn remove_devices(cleaned: &mut Cleaned) -> Result<(), Failure> {
    let mut table = MacvlanTable::open().map_err(|error| general(&error))?;
    let removed =
        leftovers::remove_devices(&mut table, |_| false).map_err(|error| general(&error))?;
    cleaned.removed(removed, |device| format!("removed {}", device.name));
    Ok(())
}

fn general(error: &NetlinkError) -> Failure {
    Failure::new(Exit::General, error)
}

/// Before Linux 6.6 the programs are filters, which nothing pins and which stay by themselves when an agent dies.
fn remove_filters(cleaned: &mut Cleaned) -> Result<(), Failure> {
    let links = interface::all().map_err(|error| Failure::new(Exit::General, &error))?;
    for link in links {
        match attach::remove_clsact_filters(&link) {
            Ok(true) => {
                let line = format!("removed the tc filters from {}", link.name);
                cleaned.done.push(line);
            }
            Ok(false) => {}
            Err(error) => cleaned.take(Err(Failure::text(
                Exit::General,
                format!("cannot remove the tc filters from {}: {error}", link.name),
            ))),
        }
    }
    Ok(())
}

/// The addresses that the maps say were held when the agent died, and those that it has written down.
fn remove_held(
    pin_dir: Option<&Path>,
    placed: &[Placed],
    cleaned: &mut Cleaned,
) -> Result<(), Failure> {
    let listed = pin_dir.map_or(Ok(Vec::new()), reader::held);
    let listed = listed.unwrap_or_else(|error| {
        cleaned.take(Err(Failure::new(Exit::General, &error)));
        Vec::new()
    });
    let mut table = open_table()?;
    let marks = table.supports_ifa_proto();
    for link in interface::all().map_err(|error| Failure::new(Exit::General, &error))? {
        let held = held_on(&link, &listed, placed);
        // An administrator's address may have been in a master's list; without marks the list must do.
        let is_meant = |present: &ObservedAddress| {
            (present.ours || !marks) && held.contains(&present.net.addr())
        };
        remove(&mut table, &link, is_meant, cleaned);
    }
    Ok(())
}

fn held_on(link: &Link, listed: &[FenceKey], placed: &[Placed]) -> HashSet<IpAddr> {
    let listed = listed.iter().filter(|key| key.ifindex == link.index);
    let placed = placed.iter().filter(|it| it.is_on(link));
    listed
        .map(|key| address(key.family, key.address))
        .chain(placed.flat_map(|it| &it.addresses).copied())
        .collect()
}

/// The configured addresses, by their marks alone.
fn remove_configured(config: &Config, cleaned: &mut Cleaned) -> Result<(), Failure> {
    let mut table = open_table()?;
    for instance in &config.instances {
        // Without its interface it has no addresses either.
        let Ok(link) = interface::interface(&instance.interface) else {
            continue;
        };
        let held: HashSet<IpAddr> = instance.held().map(VirtualAddress::addr).collect();
        let is_meant =
            |present: &ObservedAddress| present.ours && held.contains(&present.net.addr());
        remove(&mut table, &link, is_meant, cleaned);
    }
    Ok(())
}

fn remove_pins(pin_dir: &Path, xdp: XdpLinks, cleaned: &mut Cleaned) -> Result<(), Failure> {
    let removed = pins::remove_all(pin_dir, xdp)?;
    // It stays if somebody else's pins are in it, and under the unit, which sees its parent read-only.
    let _ = fs::remove_dir(pin_dir);
    if removed > 0 {
        let line = format!("removed the pins in {}", pin_dir.display());
        cleaned.done.push(line);
    }
    Ok(())
}

/// Removes those addresses of an interface that are meant; one interface that fails does not end it.
fn remove(
    table: &mut AddressTable,
    link: &Link,
    is_meant: impl Fn(&ObservedAddress) -> bool,
    cleaned: &mut Cleaned,
) {
    match leftovers::remove_addresses(table, link.index, &link.addresses, is_meant) {
        Ok(removed) => cleaned.removed(removed, |spec| {
            format!("removed {} from {}", spec.net, link.name)
        }),
        Err(error) => cleaned.take(Err(general(&error))),
    }
}

fn open_table() -> Result<AddressTable, Failure> {
    AddressTable::open().map_err(|error| general(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::link;
    use ha_common::address::raw;

    #[test]
    fn what_was_done_is_said_also_if_something_else_failed_and_the_first_problem_counts() {
        let mut cleaned = Cleaned::default();
        let half = Removed {
            done: vec!["10.99.0.100/24"],
            failure: Some("busy".to_owned()),
        };
        cleaned.removed(half, |it| format!("removed {it}"));
        cleaned.take(Err(Failure::text(Exit::Config, "no file".to_owned())));
        assert_eq!(cleaned.done, ["removed 10.99.0.100/24"]);
        assert!(cleaned.problem.unwrap().to_string().contains("busy"));
    }

    #[test]
    fn what_the_maps_list_and_what_was_written_down_was_held_each_on_its_interface() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let key = |ifindex, address: &str| FenceKey {
            ifindex,
            family: 4,
            pad: [0; 3],
            address: raw(ip(address)),
        };
        let placed = |interface: &str, ifindex, address: &str| Placed {
            interface: interface.to_owned(),
            ifindex,
            addresses: [ip(address)].into(),
        };
        let listed = [key(2, "10.99.0.100"), key(3, "10.99.0.101")];
        let placed = [
            placed("eth0", 2, "10.99.0.102"),
            placed("eth1", 3, "10.99.0.103"),
            placed("gone", 2, "10.99.0.104"),
        ];
        let held = held_on(&link(2, "eth0", &[]), &listed, &placed);
        assert_eq!(held, HashSet::from([ip("10.99.0.100"), ip("10.99.0.102")]));
    }

    #[test]
    fn what_systemd_starts_again_is_told_from_what_it_gives_up() {
        use End::{Final, Restarted, Stopped};
        for (result, status, end) in [
            ("signal", "KILL", Restarted),
            ("watchdog", "ABRT", Restarted),
            ("exit-code", "1", Restarted),
            ("exit-code", "6", Restarted),
            ("exit-code", "", Restarted),
            ("exit-code", "2", Final),
            ("exit-code", "3", Final),
            ("exit-code", "4", Final),
            ("success", "0", Stopped),
            ("success", "75", Restarted),
            ("timeout", "KILL", Final),
            ("", "", Final),
        ] {
            assert_eq!(end_of(result, status), end, "{result} {status}");
        }
    }
}
