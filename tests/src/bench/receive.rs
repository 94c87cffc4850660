//! What listening costs: CPU time for each advert that a backup receives with every virtual router that
//! an interface can have, and resident memory.
//!
//! The machine's busy time counts as well as the daemon's own, each over a run of the same adverts
//! without a daemon: work that moved into the kernel must not look as if it were gone.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::contestant::{self, Contestant, INTERVAL, Part, Router};
use super::flood::Flood;
use super::sample::Summary;
use super::usage::{self, Daemon};
use crate::lab::process::Signal;
use crate::lab::{Host, Lab, Process, wait_until};

/// Between start and the first reading: all are backups by then, and what the start cost is over.
const SETTLE: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);
/// How far the machine's busy time without a daemon may differ, before and after a reading, for the
/// reading to be of use: somebody else's work would be taken for the daemon's. In cores.
const STEADY: f64 = 0.05;
/// How idle the machine must be without a daemon: what has no room to be busy shows no work. In cores.
const ROOM: f64 = 0.5;
/// Frames that a host sends without being asked: it joins multicast groups, and looks for neighbours.
const CHATTER: u64 = 5;

/// What one contestant came to.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    pub(super) contestant: Contestant,
    /// Its own CPU time for one advert in microseconds, user and system.
    pub(super) own: Option<Summary>,
    /// The machine's busy time over that without a daemon, for one advert in microseconds.
    pub(super) machine: Option<Summary>,
    /// Readings of the machine that were of no use, since somebody else used it meanwhile.
    pub(super) unsteady: usize,
    /// Adverts that its socket had no room for.
    pub(super) lost: u64,
    /// Readings in which the backup spoke as a master does.
    pub(super) false_takeovers: usize,
    /// Resident memory in bytes with one virtual router.
    pub(super) resident_one: u64,
    /// The same with all.
    pub(super) resident_all: u64,
    /// Kernel memory of its BPF maps in bytes, with all.
    pub(super) bpf_maps: u64,
    own_us: Vec<f64>,
    machine_us: Vec<f64>,
}

/// Reads every contestant's cost `readings` times, for `listen` each.
pub(super) fn measure(listen: Duration, readings: usize) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for contestant in Contestant::all() {
        eprintln!("memory of {} with one virtual router", contestant.name());
        costs.push(Cost::new(contestant, resident_with_one(contestant)?));
    }
    let all = Router::all();
    for reading in 1..=readings {
        for cost in &mut costs {
            eprintln!(
                "adverts to {}: {reading} of {readings}",
                cost.contestant.name()
            );
            cost.read(&all, listen)
                .with_context(|| format!("cannot measure {}", cost.contestant.name()))?;
        }
    }
    for cost in &mut costs {
        cost.own = Summary::of(&cost.own_us);
        cost.machine = Summary::of(&cost.machine_us);
    }
    Ok(costs)
}

fn resident_with_one(contestant: Contestant) -> Result<u64> {
    let lab = Lab::new(1)?;
    let flood = Flood::start(lab.client_host(), &Router::ONE)?;
    let daemon = contestant.start(lab.host(1), &Router::ONE, Part::STANDBY)?;
    ready(contestant, &daemon, lab.host(1))?;
    let resident = Daemon::of(daemon.pid())?.resident()?;
    drop(flood);
    Ok(resident)
}

/// Waits until the daemon has settled as a backup.
fn ready(contestant: Contestant, daemon: &Process, host: &Host) -> Result<()> {
    if contestant.is_ours() {
        wait_until(PATIENCE, "every virtual router is a backup", || {
            contestant::datapath(contestant, host).is_ok()
        })?;
    }
    // Start-up work goes on in the background for a while, and tells nobody when it is over.
    std::thread::sleep(SETTLE);
    ensure!(
        daemon.exited().is_none(),
        "it has ended; see {}",
        host.log_dir().join("bench.log").display()
    );
    Ok(())
}

impl Cost {
    fn new(contestant: Contestant, resident_one: u64) -> Self {
        Self {
            contestant,
            own: None,
            machine: None,
            unsteady: 0,
            lost: 0,
            false_takeovers: 0,
            resident_one,
            resident_all: 0,
            bpf_maps: 0,
            own_us: Vec::new(),
            machine_us: Vec::new(),
        }
    }

    /// The same adverts to the same host three times: without, with and without the daemon.
    fn read(&mut self, routers: &[Router], listen: Duration) -> Result<()> {
        let lab = Lab::new(1)?;
        let host = lab.host(1);
        let _flood = Flood::start(lab.client_host(), routers)?;
        std::thread::sleep(SETTLE / 4);
        let before = span(listen, || Ok(Duration::ZERO))?;

        let process = self.contestant.start(host, routers, Part::STANDBY)?;
        ready(self.contestant, &process, host)?;
        let daemon = Daemon::of(process.pid())?;
        let (lost, sent) = daemon.lost_and_sent(Host::INTERFACE)?;
        let heard = self.heard(host)?;
        let with = span(listen, || daemon.cpu())?;
        check_heard(
            heard,
            self.heard(host)?,
            adverts_in(with.length, routers.len()),
        )?;
        let (lost_then, sent_then) = daemon.lost_and_sent(Host::INTERFACE)?;
        self.lost += lost_then.saturating_sub(lost);
        self.false_takeovers += usize::from(sent_then.saturating_sub(sent) > CHATTER);
        self.resident_all = self.resident_all.max(daemon.resident()?);
        self.bpf_maps = self.bpf_maps.max(daemon.bpf_maps()?);

        // Killed, it would leave its program on the interface.
        process.signal(Signal::TERM)?;
        process.wait(PATIENCE)?;
        std::thread::sleep(SETTLE / 4);
        let after = span(listen, || Ok(Duration::ZERO))?;

        let adverts = adverts_in(with.length, routers.len());
        self.own_us.push(with.own.as_secs_f64() * 1e6 / adverts);
        let (before, after) = (before.idle_share(), after.idle_share());
        if (before - after).abs() <= STEADY && before.min(after) >= ROOM {
            let cores = f64::midpoint(before, after) - with.idle_share();
            self.machine_us
                .push(cores * with.length.as_secs_f64() * 1e6 / adverts);
        } else {
            self.unsteady += 1;
        }
        Ok(())
    }

    /// The adverts that ours has counted; keepalived is only asked whether it lost any.
    fn heard(&self, host: &Host) -> Result<Option<u64>> {
        if !self.contestant.is_ours() {
            return Ok(None);
        }
        let status = contestant::status(host)?;
        let counts = status
            .instances
            .iter()
            .map(|it| it.counters.adverts_received);
        Ok(Some(counts.sum()))
    }
}

/// Fails unless ours has counted about as many adverts as were sent.
fn check_heard(before: Option<u64>, after: Option<u64>, sent: f64) -> Result<()> {
    let Some((before, after)) = before.zip(after) else {
        return Ok(());
    };
    let heard = after.saturating_sub(before);
    // Asking takes a moment in which adverts go on, before and after.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 adverts")]
    let share = heard as f64 / sent;
    ensure!(
        (0.97..1.2).contains(&share),
        "{heard} adverts were counted where {sent:.0} were sent"
    );
    Ok(())
}

/// Adverts that arrive in a span.
#[expect(clippy::cast_precision_loss, reason = "at most 255 routers")]
fn adverts_in(span: Duration, routers: usize) -> f64 {
    routers as f64 * span.as_secs_f64() / INTERVAL.as_secs_f64()
}

struct Span {
    length: Duration,
    own: Duration,
    idle: Duration,
}

impl Span {
    /// Idle cores on average.
    fn idle_share(&self) -> f64 {
        self.idle.as_secs_f64() / self.length.as_secs_f64()
    }
}

fn span(length: Duration, own: impl Fn() -> Result<Duration>) -> Result<Span> {
    let begin = Instant::now();
    let (own_before, idle_before) = (own()?, usage::idle()?);
    std::thread::sleep(length);
    let (own_after, idle_after) = (own()?, usage::idle()?);
    Ok(Span {
        length: begin.elapsed(),
        own: own_after.saturating_sub(own_before),
        idle: idle_after.saturating_sub(idle_before),
    })
}
