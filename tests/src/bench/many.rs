//! Take-overs of many addresses: the time from the protocol's deadline until the last one is on the
//! interface, and until each has been announced; beside it, what `ip -batch` takes for the same addresses.
//!
//! The addresses are seen by a socket that hears of the first and the last one only, so that listening
//! costs the same whatever their number is; the announcements by the capture on the switch's port.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ha_agent::os::realtime;
use ha_common::units::Instant;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use serde::Serialize;
use socket2::{SockFilter, SockRef};

use super::contestant::{Contestant, INTERVAL, Part, Router, VRID};
use super::figure::verdict;
use super::master::Master;
use super::sample::{Summary, millis_past};
use super::takeover::{EARLY, PATIENCE, TIMING, WARM_UP, shuffled, trouble, wait_quiet};
use crate::lab::capture::Capture;
use crate::lab::clock::now;
use crate::lab::{Host, Lab, Process, VIP, wait_until};

/// How many addresses are taken over at once.
const COUNTS: [u32; 3] = [1, 100, 1000];
/// Who takes part beside `ip -batch`.
const CONTESTANTS: [Contestant; 3] = [
    Contestant::Tc,
    Contestant::Keepalived,
    Contestant::KeepalivedRealtime,
];
/// Aim for the time until the last address, as a multiple of what `ip -batch` takes.
const AIM: f64 = 1.2;

/// `RTMGRP_IPV4_IFADDR` and `RTM_NEWADDR` of linux/rtnetlink.h.
const ADDRESS_GROUP: u32 = 0x10;
const NEWADDR: u16 = 20;
/// Where the address is in a message about one: behind `struct nlmsghdr`, `struct ifaddrmsg` and the header
/// of its first attribute.
const ADDRESS_AT: usize = 16 + 8 + 4;

/// Who adds the addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Adder {
    /// A daemon that takes over.
    Daemon(Contestant),
    /// `ip -batch`, from its start on.
    IpBatch,
}

impl Adder {
    const fn name(self) -> &'static str {
        match self {
            Self::Daemon(contestant) => contestant.name(),
            Self::IpBatch => "ip -batch",
        }
    }
}

/// What one of them came to with one number of addresses. All in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    adder: Adder,
    addresses: u32,
    /// From the deadline, or the program's start, to the last address.
    present: Option<Summary>,
    /// From the first address to the last.
    adding: Option<Summary>,
    /// From the deadline until each address had been announced once.
    announced: Option<Summary>,
    /// Rounds in which it did not wait for its deadline, not in the summaries.
    early: usize,
    present_ms: Vec<f64>,
    adding_ms: Vec<f64>,
    announced_ms: Vec<f64>,
}

/// One round.
struct Round {
    present: f64,
    adding: f64,
    announced: Option<f64>,
}

/// Plays `rounds` take-overs of each contestant with each number of addresses, and as many runs of
/// `ip -batch`.
pub(super) fn measure(rounds: usize) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for count in COUNTS {
        eprintln!("take-overs of {count} addresses");
        let posts = Contestant::with_beside(&CONTESTANTS)
            .into_iter()
            .map(|contestant| {
                Post::new(contestant, count)
                    .with_context(|| format!("cannot set up {}", contestant.name()))
            });
        let posts = posts.collect::<Result<Vec<_>>>()?;
        let bare = Bare::new(count)?;
        let mut results: Vec<Outcome> = posts
            .iter()
            .map(|post| Adder::Daemon(post.contestant))
            .chain([Adder::IpBatch])
            .map(|adder| Outcome::new(adder, count))
            .collect();
        for round in 0..rounds + WARM_UP {
            for place in shuffled(results.len()) {
                let played = match posts.get(place) {
                    Some(post) => post
                        .round()
                        .with_context(|| trouble(post.contestant, post.backup(), "round"))?,
                    None => bare.round()?,
                };
                if let Some(result) = results.get_mut(place).filter(|_| round >= WARM_UP) {
                    result.note(&played);
                }
            }
        }
        for result in &mut results {
            result.sum_up();
        }
        outcomes.extend(results);
    }
    Ok(outcomes)
}

/// The addresses in the order in which they are added.
fn addresses(router: Router) -> Vec<Ipv4Addr> {
    let first = match router.address {
        IpAddr::V4(first) => Some(first),
        IpAddr::V6(_) => None,
    };
    first.into_iter().chain(router.excluded()).collect()
}

const fn router(count: u32) -> Router {
    Router {
        interface: Host::INTERFACE,
        vrid: VRID,
        address: VIP,
        excluded: count.saturating_sub(1),
    }
}

/// One contestant on its segment.
struct Post {
    contestant: Contestant,
    addresses: Vec<Ipv4Addr>,
    // Dropped in this order: the daemon, its master, and then what they lived in.
    _daemon: Process,
    master: Master,
    lab: Lab,
}

impl Post {
    fn new(contestant: Contestant, count: u32) -> Result<Self> {
        let routers = [router(count)];
        let lab = Lab::new(1)?;
        let master = Master::start(lab.client_host(), &routers)?;
        let daemon = contestant.start(lab.host(1), &routers, Part::STANDBY)?;
        Ok(Self {
            contestant,
            addresses: addresses(router(count)),
            _daemon: daemon,
            master,
            lab,
        })
    }

    fn backup(&self) -> &Host {
        self.lab.host(1)
    }

    /// One take-over and the way back.
    fn round(&self) -> Result<Round> {
        let backup = self.backup();
        let capture = self.lab.capture_port(backup)?;
        wait_quiet(backup, &capture, now())?;
        wait_bare(backup)?;
        let ends = Ends::watch(backup, &self.addresses)?;
        // Anywhere between two adverts.
        std::thread::sleep(INTERVAL.mul_f64(fastrand::f64()));
        let silence = self.master.silence()?;
        let (first, last) = ends.wait()?;
        let takeover = capture.takeover(backup, VIP, TIMING, silence, PATIENCE)?;
        let announced = self.all_announced(&capture, silence)?;
        let back = self.master.speak();
        wait_quiet(backup, &capture, back)?;
        ensure!(capture.dropped() == 0, "the capture is not complete");
        Ok(Round {
            present: millis_past(takeover.deadline, last),
            adding: millis_past(first, last),
            announced: Some(millis_past(takeover.deadline, announced)),
        })
    }

    /// When the last of the addresses was announced for the first time.
    fn all_announced(&self, capture: &Capture, since: Instant) -> Result<Instant> {
        for address in self.addresses.iter().rev() {
            // Those that came meanwhile are there at once.
            capture.wait_announcement(self.backup(), (*address).into(), since, PATIENCE)?;
            if self.addresses.len() > 1 {
                break;
            }
        }
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let mut firsts: HashMap<Ipv4Addr, Instant> = HashMap::new();
            for frame in capture.frames_since(since) {
                if let Some(arp) = frame.arp().filter(|arp| arp.is_gratuitous())
                    && frame.is_from(self.backup())
                {
                    firsts.entry(arp.sender).or_insert(frame.at);
                }
            }
            let all: Option<Vec<Instant>> = self
                .addresses
                .iter()
                .map(|address| firsts.get(address).copied())
                .collect();
            if let Some(last) = all.and_then(|all| all.into_iter().max()) {
                return Ok(last);
            }
            if std::time::Instant::now() >= deadline {
                bail!("only {} addresses were announced", firsts.len());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A host without a daemon, for `ip -batch`.
struct Bare {
    addresses: Vec<Ipv4Addr>,
    lab: Lab,
}

impl Bare {
    fn new(count: u32) -> Result<Self> {
        let bare = Self {
            addresses: addresses(router(count)),
            lab: Lab::new(1)?,
        };
        for verb in ["add", "del"] {
            fs::write(bare.file(verb), bare.lines(verb))?;
        }
        Ok(bare)
    }

    fn file(&self, verb: &str) -> std::path::PathBuf {
        self.lab.host(1).run_dir().join(format!("{verb}.batch"))
    }

    fn lines(&self, verb: &str) -> String {
        let mut text = String::new();
        for address in &self.addresses {
            let length = if IpAddr::from(*address) == VIP {
                24
            } else {
                32
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "addr {verb} {address}/{length} dev {}",
                Host::INTERFACE
            );
        }
        text
    }

    fn round(&self) -> Result<Round> {
        let host = self.lab.host(1);
        wait_bare(host)?;
        let ends = Ends::watch(host, &self.addresses)?;
        let start = now();
        self.ip("add")?;
        let (first, last) = ends.wait()?;
        self.ip("del")?;
        Ok(Round {
            present: millis_past(start, last),
            adding: millis_past(first, last),
            announced: None,
        })
    }

    fn ip(&self, verb: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.arg("-batch").arg(self.file(verb));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.lab.host(1).ns().confine(&mut command);
        let status = command.status().context("cannot run ip")?;
        ensure!(status.success(), "ip -batch: {status}");
        Ok(())
    }
}

/// Waits until the host has none of the addresses.
fn wait_bare(host: &Host) -> Result<()> {
    let own = format!("inet {}/", host.ipv4());
    wait_until(PATIENCE, "the addresses are gone", || {
        let shown = host.run(&["ip", "-4", "-o", "addr", "show", "dev", Host::INTERFACE]);
        shown.is_ok_and(|text| text.lines().all(|line| line.contains(&own)))
    })
}

/// A thread that waits for the first and the last address.
struct Ends(JoinHandle<Result<(Instant, Instant)>>);

impl Ends {
    fn watch(host: &Host, addresses: &[Ipv4Addr]) -> Result<Self> {
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else {
            bail!("no addresses");
        };
        let (first, last) = (*first, *last);
        let mut socket = host
            .ns()
            .inside(|| Socket::new(NETLINK_ROUTE))?
            .context("cannot open a netlink socket")?;
        SockRef::from(&socket)
            .attach_filter(&filter(first, last))
            .context("cannot filter the addresses")?;
        SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
        socket.bind(&SocketAddr::new(0, ADDRESS_GROUP))?;
        Ok(Self(std::thread::spawn(move || {
            realtime::schedule(realtime::DRIVER);
            let mut begin = None;
            loop {
                let (datagram, _) = socket.recv_from_full().context("no address came")?;
                let at = now();
                let found = datagram.get(ADDRESS_AT..ADDRESS_AT + 4);
                if found == Some(&first.octets()) {
                    begin.get_or_insert(at);
                }
                if found == Some(&last.octets()) {
                    return Ok((begin.context("the last address came first")?, at));
                }
            }
        })))
    }

    fn wait(self) -> Result<(Instant, Instant)> {
        match self.0.join() {
            Ok(ends) => ends,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// A classic BPF program (bpf(4)) that lets news of these two through.
fn filter(first: Ipv4Addr, last: Ipv4Addr) -> [SockFilter; 7] {
    // BPF_LD | BPF_H | BPF_ABS and so on, of linux/bpf_common.h.
    const LOAD_16: u16 = 0x28;
    const LOAD_32: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // It loads in network order what the kernel wrote in its own.
    let kind = u32::from(u16::from_be_bytes(NEWADDR.to_ne_bytes()));
    let at = u32::try_from(ADDRESS_AT).unwrap_or(u32::MAX);
    [
        SockFilter::new(LOAD_16, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 0, 4, kind),
        SockFilter::new(LOAD_32, 0, 0, at),
        SockFilter::new(IF_EQUAL, 1, 0, u32::from(first)),
        SockFilter::new(IF_EQUAL, 0, 1, u32::from(last)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

impl Outcome {
    const fn new(adder: Adder, addresses: u32) -> Self {
        Self {
            adder,
            addresses,
            present: None,
            adding: None,
            announced: None,
            early: 0,
            present_ms: Vec::new(),
            adding_ms: Vec::new(),
            announced_ms: Vec::new(),
        }
    }

    fn note(&mut self, round: &Round) {
        if round.present < EARLY {
            self.early += 1;
            return;
        }
        self.present_ms.push(round.present);
        self.adding_ms.push(round.adding);
        self.announced_ms.extend(round.announced);
    }

    fn sum_up(&mut self) {
        self.present = Summary::of(&self.present_ms);
        self.adding = Summary::of(&self.adding_ms);
        self.announced = Summary::of(&self.announced_ms);
    }
}

/// For people.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text =
        "\nMany addresses: ms past the deadline (ip -batch: past its start); median and p90\n\n"
            .to_owned();
    let _ = writeln!(
        text,
        "{:>9} {:22} {:>19} {:>19} {:>19}",
        "addresses", "", "last address", "first to last", "all announced"
    );
    for it in outcomes {
        let _ = write!(
            text,
            "{:>9} {:22} {} {} {}",
            it.addresses,
            it.adder.name(),
            pair(it.present.as_ref()),
            pair(it.adding.as_ref()),
            pair(it.announced.as_ref()),
        );
        if it.early > 0 {
            let _ = write!(text, "  {} before the deadline", it.early);
        }
        text.push('\n');
    }
    text
}

fn pair(summary: Option<&Summary>) -> String {
    summary.map_or_else(
        || format!("{:>19}", "-"),
        |it| format!("{:>9.3} {:>9.3}", it.median, it.p90),
    )
}

/// The aim for the largest number, and how far from it we are.
pub(super) fn misses(outcomes: &[Outcome]) -> Vec<String> {
    let Some(most) = outcomes.iter().map(|it| it.addresses).max() else {
        return Vec::new();
    };
    let of = |adder| {
        let mut found = outcomes.iter();
        let found = found.find(|it| it.addresses == most && it.adder == adder);
        found.and_then(|it| it.present)
    };
    let ours = of(Adder::Daemon(Contestant::Tc));
    let (Some(ours), Some(batch)) = (ours, of(Adder::IpBatch)) else {
        return vec![format!("NOT MEASURED  {most} addresses")];
    };
    let ratio = ours.median / batch.median.max(f64::MIN_POSITIVE);
    vec![format!(
        "{:8}  {most} addresses on the interface: {:.3} ms, {ratio:.2} times ip -batch's {:.3} ms, aim {AIM}",
        verdict(ratio <= AIM),
        ours.median,
        batch.median
    )]
}
