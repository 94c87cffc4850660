//! Many virtual routers at once: what steady state costs both daemons of a pair, whether it is steady,
//! and how long it takes until all are taken over when the master's host is cut off.
//!
//! Two hosts run the same daemon, one as the master of everything and one as the backup, on as many
//! segments as there are interfaces.

use std::collections::HashMap;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context as _, Result, ensure};
use ha_common::units::{Instant, Nanos};
use serde::Serialize;

use super::contestant::{Contestant, PRIORITY, Part, Router};
use super::sample::{Summary, millis_past};
use super::usage::{self, Daemon};
use crate::lab::capture::{Capture, Direction, Frame, Timing};
use crate::lab::clock::now;
use crate::lab::{Host, Lab, Process};

const MASTER: u8 = 200;
/// Until everything that must happen has.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between the last start and the first reading: what the start costs is over.
const SETTLE: Duration = Duration::from_secs(6);
/// Frames that a host sends unasked on an interface in a minute: it looks for neighbours and routers.
const CHATTER: u64 = 10;
/// An interface has at most 255 virtual routers; this many share 1,000 evenly.
const INTERFACES: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

/// How many, and how often they speak.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Size {
    pub(super) interfaces: usize,
    /// On each interface.
    pub(super) routers: u8,
    pub(super) interval: Duration,
}

impl Size {
    pub(super) const ALL: [Self; 4] = [
        Self::of(1, 255, 1000),
        Self::of(1, 255, 100),
        Self::of(4, 250, 1000),
        Self::of(4, 250, 100),
    ];

    const fn of(interfaces: usize, routers: u8, milliseconds: u64) -> Self {
        Self {
            interfaces,
            routers,
            interval: Duration::from_millis(milliseconds),
        }
    }

    fn interfaces(self) -> &'static [&'static str] {
        INTERFACES.get(..self.interfaces).unwrap_or(&INTERFACES)
    }

    fn routers(self) -> Vec<Router> {
        let on = |(number, interface): (usize, &&'static str)| {
            let interface = *interface;
            (1..=self.routers).map(move |vrid| Router {
                interface,
                vrid,
                address: [10, network(number), 1, vrid].into(),
                excluded: 0,
            })
        };
        self.interfaces().iter().enumerate().flat_map(on).collect()
    }

    fn timing(self) -> Timing {
        Timing {
            interval: self.interval,
            priority: PRIORITY,
        }
    }
}

/// The second octet of an interface's addresses.
fn network(interface: usize) -> u8 {
    let interface = u8::try_from(interface).unwrap_or(u8::MAX);
    99_u8.saturating_add(interface)
}

/// What one contestant came to at one size.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) contestant: Contestant,
    pub(super) size: Size,
    pub(super) steady_s: f64,
    /// CPU time of the daemons in steady state, in cores.
    pub(super) backup_cpu: f64,
    pub(super) master_cpu: f64,
    /// Busy cores of the whole machine meanwhile: both hosts and the switch between them.
    pub(super) machine: f64,
    /// Resident memory in bytes.
    pub(super) backup_resident: u64,
    pub(super) master_resident: u64,
    /// Frames that the backup sent in steady state beyond what any host sends: it spoke as a master.
    pub(super) spoke: u64,
    /// From each router's own deadline to the backup's advert, in milliseconds.
    pub(super) adverts: Option<Summary>,
    /// The same to its gratuitous ARP.
    pub(super) announcements: Option<Summary>,
    /// Routers that were not taken over, or not announced.
    pub(super) missing: usize,
    /// Frames that the capture had no room for: it may have missed some.
    pub(super) uncaptured: u64,
}

/// Plays every size for both daemons, with `steady` of steady state each.
pub(super) fn measure(steady: Duration) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for size in Size::ALL {
        for contestant in Contestant::with_beside(&[Contestant::Tc, Contestant::Keepalived]) {
            eprintln!(
                "{} routers on {} interfaces every {:?}: {}",
                size.routers().len(),
                size.interfaces,
                size.interval,
                contestant.name()
            );
            let outcome = play(contestant, size, steady)
                .with_context(|| format!("{} at {size:?}", contestant.name()))?;
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

fn play(contestant: Contestant, size: Size, steady: Duration) -> Result<Outcome> {
    let pair = Pair::start(contestant, size)?;
    let (master, backup) = (
        Daemon::of(pair.master.pid())?,
        Daemon::of(pair.backup.pid())?,
    );
    let sent = pair.backup_sent(&backup)?;
    let (before, began) = ((master.cpu()?, backup.cpu()?), Clock::now());
    let idle = usage::idle()?;
    std::thread::sleep(steady);
    let length = began.elapsed().as_secs_f64();
    let cores = |now: Duration, then| now.saturating_sub(then).as_secs_f64() / length;
    let (master_cpu, backup_cpu) = (
        cores(master.cpu()?, before.0),
        cores(backup.cpu()?, before.1),
    );
    let all = std::thread::available_parallelism()?.get();
    let machine = f64::from(u32::try_from(all)?) - cores(usage::idle()?, idle);
    let spoke = pair.backup_sent(&backup)?.saturating_sub(sent);
    let takeover = pair.take_over()?;
    Ok(Outcome {
        contestant,
        size,
        steady_s: length,
        backup_cpu,
        master_cpu,
        machine,
        backup_resident: backup.resident()?,
        master_resident: master.resident()?,
        spoke: spoke.saturating_sub(CHATTER * u64::try_from(size.interfaces)?),
        adverts: Summary::of(&takeover.adverts),
        announcements: Summary::of(&takeover.announcements),
        missing: takeover.missing,
        uncaptured: takeover.uncaptured,
    })
}

/// A master and its backup.
struct Pair {
    size: Size,
    // Dropped in this order: the daemons, and then what they lived in.
    backup: Process,
    master: Process,
    lab: Lab,
}

#[derive(Default)]
struct Takeover {
    adverts: Vec<f64>,
    announcements: Vec<f64>,
    missing: usize,
    uncaptured: u64,
}

impl Pair {
    fn start(contestant: Contestant, size: Size) -> Result<Self> {
        let lab = Lab::new(2)?;
        for (number, interface) in size.interfaces().iter().enumerate().skip(1) {
            let bridge = format!("br{number}");
            lab.add_segment(&bridge)?;
            for (last, host) in (1..).zip(lab.hosts()) {
                let address = format!("10.{}.0.{last}/24", network(number));
                lab.plug_into(&bridge, host, interface, &address)?;
            }
        }
        let routers = size.routers();
        let part = |priority| Part {
            priority,
            interval: size.interval,
        };
        let (h1, h2) = (lab.host(1), lab.host(2));
        let begin = now();
        let capture = lab.capture_ports(&strs(&ports(h1, size)))?;
        let master = contestant.start(h1, &routers, part(MASTER))?;
        for router in &routers {
            let what = format!("an advert of virtual router {}", router.vrid);
            let at = port(h1, router.interface);
            capture.wait_for(&what, begin, PATIENCE, |frame| {
                frame.direction == Direction::FromHost && is_advert(frame, &at, router)
            })?;
        }
        drop(capture);
        let backup = contestant.start(h2, &routers, part(PRIORITY))?;
        // Start-up work goes on in the background for a while, and tells nobody when it is over.
        std::thread::sleep(SETTLE);
        ensure!(master.exited().is_none(), "the master's daemon has ended");
        ensure!(backup.exited().is_none(), "the backup's daemon has ended");
        Ok(Self {
            size,
            backup,
            master,
            lab,
        })
    }

    fn backup_sent(&self, backup: &Daemon) -> Result<u64> {
        let sent = |interface: &&str| Ok(backup.lost_and_sent(interface)?.1);
        self.size.interfaces().iter().map(sent).sum()
    }

    /// Cuts the master's host off and follows what its backup does.
    fn take_over(&self) -> Result<Takeover> {
        let (h1, h2) = (self.lab.host(1), self.lab.host(2));
        let routers = self.size.routers();
        let capture = self.lab.capture_ports(&strs(&ports(h2, self.size)))?;
        // Each router's last advert must be in the capture.
        std::thread::sleep(self.size.interval * 2);
        let cut = now();
        self.lab.block_ports(&strs(&ports(h1, self.size)))?;
        let patience = Clock::now() + PATIENCE;
        for router in &routers {
            let port = port(h2, router.interface);
            let left = patience.saturating_duration_since(Clock::now());
            // One that never comes is counted below.
            let _ = capture.wait_for("its announcement", cut, left, |frame| {
                *frame.port == *port && frame.announces(router.address)
            });
        }
        Ok(self.judge(&capture, cut, &routers))
    }

    fn judge(&self, capture: &Capture, cut: Instant, routers: &[Router]) -> Takeover {
        let mut takeover = Takeover {
            uncaptured: capture.dropped(),
            ..Takeover::default()
        };
        let frames = capture.frames();
        let mut by_port: HashMap<&str, Vec<&Frame>> = HashMap::new();
        for frame in &frames {
            by_port.entry(&*frame.port).or_default().push(frame);
        }
        let wait = self.size.timing().master_down();
        let wait = Nanos(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        for router in routers {
            let port = port(self.lab.host(2), router.interface);
            let frames = by_port.get(port.as_str()).map_or(&[][..], Vec::as_slice);
            let from_host = |it: &&&Frame| it.direction == Direction::FromHost && it.at >= cut;
            let advert = frames
                .iter()
                .filter(from_host)
                .find(|it| is_advert(it, &port, router));
            let last = advert.and_then(|first| {
                frames.iter().rfind(|it| {
                    it.direction == Direction::ToHost
                        && it.at < first.at
                        && is_advert(it, &port, router)
                })
            });
            let announcement = frames
                .iter()
                .filter(from_host)
                .find(|it| it.announces(router.address));
            match (advert, last, announcement) {
                (Some(advert), Some(last), Some(announcement)) => {
                    let deadline = last.at + wait;
                    takeover.adverts.push(millis_past(deadline, advert.at));
                    takeover
                        .announcements
                        .push(millis_past(deadline, announcement.at));
                }
                _ => takeover.missing += 1,
            }
        }
        takeover
    }
}

fn is_advert(frame: &Frame, port: &str, router: &Router) -> bool {
    *frame.port == *port && frame.vrrp().is_some_and(|it| it.vrid == router.vrid)
}

/// A host's port on the switch.
fn port(host: &Host, interface: &str) -> String {
    if interface == Host::INTERFACE {
        host.name().to_owned()
    } else {
        format!("{}-{interface}", host.name())
    }
}

fn ports(host: &Host, size: Size) -> Vec<String> {
    let all = size.interfaces().iter();
    all.map(|interface| port(host, interface)).collect()
}

fn strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}
