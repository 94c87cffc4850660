//! What the host must offer, and in what words it is said when it does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ha_common::layout::DEFAULT_SLOTS;
use procfs::process::Process;
use tracing::{info, warn};

use super::exit::Exit;
use super::failure::Failure;
use super::kernel_log;
use crate::config::Config;
use crate::datapath::attach::XdpLinks;
use crate::datapath::object::{self, LoadOptions, Loaded};
use crate::datapath::pins::{self, Claim, Found, PinError, PinnedLinks, Room};
use crate::datapath::reader::Reader;
use crate::driver::Faults;
use crate::net::links::{Link, LinkTable};
use crate::suggest::nearest;

/// Names what is broken on purpose, comma-separated: `no-kernel`, `no-timer`, `no-marks` (of addresses), `deaf-ring`,
/// `keep-addresses` (none can be removed). For trying what stands behind the kernel's timers and wake-ups, and behind
/// removals; said loudly.
const INJECT: &str = "HA_AGENT_INJECT";

/// capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// The largest list of held addresses, of 100 bytes each or so in the kernel. What has no room in it is held
/// all the same, and only the fence does not know it.
const MOST_HELD: u32 = 1 << 20;

/// The kernel half as far as it could be had.
pub(super) struct Half {
    /// It, or why not.
    pub(super) kernel: Result<Loaded, String>,
    /// Where it is pinned, or why it is not.
    pub(super) pin_dir: Result<PathBuf, String>,
    /// Where links are, if anything is pinned.
    pub(super) links: Option<PinnedLinks>,
    /// What keeps others from those pins.
    pub(super) claim: Option<Claim>,
}

impl Half {
    /// What reads the maps, if they are there.
    pub(super) fn reader(&self) -> Option<Arc<Reader>> {
        let loaded = self.kernel.as_ref().ok()?;
        Some(loaded.kernel.reader())
    }
}

/// True if this fault is wanted.
fn injected(fault: &str) -> bool {
    let wanted = std::env::var(INJECT).unwrap_or_default();
    let found = wanted.split(',').any(|name| name.trim() == fault);
    if found {
        warn!("{INJECT} is set: {fault}");
    }
    found
}

/// Those of them that the driver has a hand in.
pub(super) fn faults() -> Faults {
    Faults {
        no_marks: injected("no-marks"),
        deaf: injected("deaf-ring"),
        keeps_addresses: injected("keep-addresses"),
    }
}

/// Nothing works without these two; the kernel half wants `CAP_BPF` and `CAP_PERFMON` besides, and can be missed.
pub(super) fn require_capabilities() -> Result<(), Failure> {
    let status = Process::myself()
        .and_then(|process| process.status())
        .map_err(|error| Failure::new(Exit::Environment, &error))?;
    let missing: Vec<&str> = [
        (CAP_NET_ADMIN, "CAP_NET_ADMIN"),
        (CAP_NET_RAW, "CAP_NET_RAW"),
    ]
    .into_iter()
    .filter(|(bit, _)| status.capeff & (1 << bit) == 0)
    .map(|(_, name)| name)
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("missing {}", missing.join(" and "));
    Err(Failure::text(Exit::Privilege, message).hint(
        "run it as root, or give its unit AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_NET_ADMIN CAP_NET_RAW",
    ))
}

/// Logs which interfaces of instances are not there. They may come later: a tunnel, a VLAN or a bond often does, and
/// until then their instances are in FAULT.
pub(super) fn say_missing_interfaces(config: &Config, links: &LinkTable) {
    if let Some(warning) = missing_interfaces(config, links) {
        warn!("{warning}");
    }
}

/// What is said of interfaces that are not there, if any is missing: their names once each, and what may have been
/// meant.
fn missing_interfaces(config: &Config, links: &LinkTable) -> Option<String> {
    let known: Vec<&str> = links.iter().flat_map(Link::names).collect();
    let mut missing: Vec<String> = Vec::new();
    for name in config.instances.iter().map(|it| it.interface.as_str()) {
        let meant = nearest(name, known.iter().copied());
        let entry = meant.map_or_else(
            || name.to_owned(),
            |meant| format!("{name} (did you mean {meant}?)"),
        );
        if !known.contains(&name) && !missing.contains(&entry) {
            missing.push(entry);
        }
    }
    (!missing.is_empty()).then(|| {
        format!(
            "no such interface: {}; this host has {}; instances without their interface are in \
             FAULT until it appears",
            missing.join(", "),
            known.join(", ")
        )
    })
}

/// Loads the kernel half over the pins, if there can be any. Fails only if they are somebody else's.
pub(super) fn kernel_half(config: &Config, pin_dir: &Path) -> Result<Half, Failure> {
    let room = room(config);
    let (claim, links, pin_dir) = match pins::prepare(pin_dir, room) {
        Ok((claim, found)) => {
            say_found(found, pin_dir);
            let links = PinnedLinks::of(pin_dir, found);
            (Some(claim), Some(links), Ok(pin_dir.to_owned()))
        }
        Err(taken @ PinError::Taken { .. }) => return Err(taken.into()),
        Err(error) => {
            warn!("{error}; maps and links are lost when the agent ends");
            (None, None, Err(error.to_string()))
        }
    };
    let kernel = load(pin_dir.as_deref().ok(), room);
    if let Err(why) = &kernel {
        warn!("no detection in the kernel: {why}; adverts are received by a plain socket");
        if claim.is_some() {
            take_off(pin_dir.as_deref().ok());
        }
    }
    let pin_dir = match (&kernel, pin_dir) {
        (Err(_), Ok(_)) => Err("there are no BPF programs, and so nothing to pin".to_owned()),
        (_, pin_dir) => pin_dir,
    };
    Ok(Half {
        kernel,
        pin_dir,
        links,
        claim,
    })
}

/// Takes off what an earlier agent has left: its programs would go on by themselves, with slots that nobody can command.
fn take_off(pin_dir: Option<&Path>) {
    let removed = pin_dir.map_or(Ok(0), |dir| pins::remove_all(dir, XdpLinks::Remove));
    match removed {
        Ok(0) => {}
        Ok(_) => warn!("removed the programs and maps that an earlier agent left in the kernel"),
        Err(error) => warn!("{error}; what an earlier agent left in the kernel keeps running"),
    }
}

fn say_found(found: Found, dir: &Path) {
    match found {
        Found::Nothing => {}
        Found::Ours => info!("reuses the maps pinned in {}", dir.display()),
        Found::Replaced => warn!("replaced pins of another version in {}", dir.display()),
    }
}

/// The kernel takes the memory of the maps at once, so that the addresses get more than the usual room only
/// where there are more.
fn room(config: &Config) -> Room {
    let held: usize = config.instances.iter().map(|it| it.held().count()).sum();
    let held = u32::try_from(held).unwrap_or(u32::MAX);
    Room {
        slots: config.node.max_slots,
        held: held.clamp(DEFAULT_SLOTS, MOST_HELD),
    }
}

fn load(pin_dir: Option<&Path>, room: Room) -> Result<Loaded, String> {
    if injected("no-kernel") {
        return Err("loading is disabled for a test".to_owned());
    }
    let options = LoadOptions {
        pin_dir,
        max_slots: room.slots,
        max_held: room.held,
        debug: kernel_log::is_wanted(),
        no_timer: injected("no-timer"),
    };
    let mut loaded = object::load(options).map_err(|error| error.in_words())?;
    if options.debug {
        kernel_log::start(&mut loaded.programs);
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::net::links::tests::{link, table};

    fn said_with(present: &[&str], wanted: &[&str]) -> Option<String> {
        let instance = |(number, interface): (u8, &&str)| {
            format!(
                "[[instance]]\nname = \"i{number}\"\ninterface = \"{interface}\"\nvrid = {number}\n\
                 addresses = [\"10.99.0.{number}/24\"]\n"
            )
        };
        let text: String = (1..).zip(wanted).map(instance).collect();
        let config = parse("test.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let links: Vec<_> = (1..)
            .zip(present)
            .map(|(index, name)| link(index, name, &[]))
            .collect();
        missing_interfaces(&config, &table(&links))
    }

    #[test]
    fn an_interface_that_is_not_there_is_said_once_with_the_nearest_name() {
        assert_eq!(said_with(&["lo", "eth0"], &["eth0", "eth0"]), None);
        assert_eq!(
            said_with(&["lo", "eth0"], &["eht0", "eht0", "wg-office"]).as_deref(),
            Some(
                "no such interface: eht0 (did you mean eth0?), wg-office; this host has lo, eth0; instances \
                 without their interface are in FAULT until it appears"
            )
        );
    }
}
