//! What the host must offer, and in what words it is said when it does not.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ha_common::layout::{DEFAULT_SLOTS, FenceKey};
use procfs::process::Process;
use tracing::{info, warn};

use super::exit::Exit;
use super::failure::Failure;
use super::kernel_log;
use super::peers::address;
use crate::config::Config;
use crate::datapath::attach::XdpLinks;
use crate::datapath::error::KernelError;
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

/// Between attempts to load the kernel half when the kernel lacked memory for it: a backup takes over meanwhile.
const LOAD_AGAIN: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

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
    /// The addresses that pins listed which had to be removed, of an earlier agent.
    held: Vec<FenceKey>,
}

impl Half {
    /// What reads the maps, if they are there.
    pub(super) fn reader(&self) -> Option<Arc<Reader>> {
        let loaded = self.kernel.as_ref().ok()?;
        Some(loaded.kernel.reader())
    }

    /// What an earlier agent had on which interface, by the pins that were removed.
    pub(super) fn held(&self) -> impl Iterator<Item = (u32, Vec<IpAddr>)> {
        let held = |key: &FenceKey| (key.ifindex, vec![address(key.family, key.address)]);
        self.held.iter().map(held)
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
    let mut held = Vec::new();
    let (claim, links, pin_dir) = match pins::prepare(pin_dir, room) {
        Ok(prepared) => {
            say_found(prepared.found, pin_dir);
            held = prepared.held;
            let links = PinnedLinks::of(pin_dir, prepared.found);
            (Some(prepared.claim), Some(links), Ok(pin_dir.to_owned()))
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
        if claim.is_some()
            && let Ok(dir) = &pin_dir
        {
            held.extend(pins::held_before(dir));
            take_off(dir);
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
        held,
    })
}

/// Takes off what an earlier agent has left: its programs would go on by themselves, with slots that nobody can command.
fn take_off(pin_dir: &Path) {
    match pins::remove_all(pin_dir, XdpLinks::Remove) {
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
    let load = || object::load(options);
    let mut loaded = try_again(load, thread::sleep).map_err(|error| error.in_words())?;
    if options.debug {
        kernel_log::start(&mut loaded.programs);
    }
    Ok(loaded)
}

/// What passes is waited for: it is decided here for as long as the agent runs whether it has the kernel half.
fn try_again<T>(
    load: impl Fn() -> Result<T, KernelError>,
    wait: impl Fn(Duration),
) -> Result<T, KernelError> {
    for pause in LOAD_AGAIN {
        match load() {
            Err(error) if error.is_passing() => {
                warn!("{}; loading is tried again", error.in_words());
                wait(pause);
            }
            done => return done,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

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

    #[test]
    fn what_passes_is_waited_for_within_a_limit_and_nothing_else_is() {
        let refused = |code: i32| KernelError::Command {
            name: "ha_command",
            source: std::io::Error::from_raw_os_error(code),
        };
        let played = |codes: &[i32]| {
            let left = RefCell::new(codes.to_vec());
            let waited = Cell::new(Duration::ZERO);
            let load = || match left.borrow_mut().pop() {
                Some(code) => Err(refused(code)),
                None => Ok(()),
            };
            let done = try_again(load, |pause| waited.set(waited.get() + pause));
            (done.is_ok(), waited.get())
        };
        assert_eq!(played(&[]), (true, Duration::ZERO));
        assert_eq!(played(&[libc::ENOMEM]), (true, Duration::from_millis(100)));
        let all: Duration = LOAD_AGAIN.iter().sum();
        assert_eq!(played(&[libc::ENOMEM; 4]), (true, all));
        assert_eq!(played(&[libc::ENOMEM; 5]), (false, all));
        assert_eq!(played(&[libc::EPERM]), (false, Duration::ZERO));
    }
}
