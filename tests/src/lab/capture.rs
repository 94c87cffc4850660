//! A capture on the switch: who sent what, and when, by the kernel's time stamps.

use std::collections::HashMap;
use std::io::{IoSliceMut, PipeReader, PipeWriter, pipe};
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ha_common::units::{Instant, NANOS_PER_SECOND, Nanos};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;
use rustix::event::{PollFd, PollFlags, poll};

use super::clock::RealtimeOffset;
use super::decode::{Arp, Kind, NeighbourAdvert, Vrrp, decode};
use super::host::Host;
use super::netns::Namespace;
use super::packet;

/// Which way a frame crossed a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The host behind the port sent it. A blocked port shows these, but the switch forwards none.
    FromHost,
    /// The switch delivered it to the host.
    ToHost,
}

/// A captured frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The kernel's time stamp, on the lab's clock.
    pub at: Instant,
    /// The host whose port it crossed.
    pub port: Arc<str>,
    /// Which way.
    pub direction: Direction,
    /// What it says.
    pub kind: Kind,
    /// The whole frame.
    pub bytes: Box<[u8]>,
}

impl Frame {
    /// The advert, if it is one.
    pub fn vrrp(&self) -> Option<&Vrrp> {
        match &self.kind {
            Kind::Vrrp(vrrp) => Some(vrrp),
            Kind::Arp(_) | Kind::NeighbourAdvert(_) => None,
        }
    }

    /// The ARP message, if it is one.
    pub fn arp(&self) -> Option<&Arp> {
        match &self.kind {
            Kind::Arp(arp) => Some(arp),
            Kind::Vrrp(_) | Kind::NeighbourAdvert(_) => None,
        }
    }

    /// The neighbour advertisement, if it is one.
    pub fn neighbour_advert(&self) -> Option<&NeighbourAdvert> {
        match &self.kind {
            Kind::NeighbourAdvert(advert) => Some(advert),
            Kind::Vrrp(_) | Kind::Arp(_) => None,
        }
    }

    /// True if `host` sent it.
    pub fn is_from(&self, host: &Host) -> bool {
        self.direction == Direction::FromHost && *self.port == *host.name()
    }

    /// True if it was delivered to `host`.
    pub fn is_to(&self, host: &Host) -> bool {
        self.direction == Direction::ToHost && *self.port == *host.name()
    }

    /// True for an unasked announcement of an address, by ARP or neighbour advertisement.
    pub fn announces(&self, address: IpAddr) -> bool {
        match (&self.kind, address) {
            // A holder that is about to yield still answers the winner's announcement, to the winner
            // alone: that tells nobody else anything.
            (Kind::Arp(arp), IpAddr::V4(it)) => {
                arp.is_gratuitous() && arp.sender == it && arp.ethernet_destination == [0xff; 6]
            }
            (Kind::NeighbourAdvert(advert), IpAddr::V6(it)) => {
                advert.is_unsolicited() && advert.target == it
            }
            _ => false,
        }
    }
}

/// What a backup's wait is made of.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The master's interval.
    pub interval: Duration,
    /// The backup's priority.
    pub priority: u8,
}

impl Timing {
    /// Version 3: `3 * interval + (256 - priority) * interval / 256` (RFC 9568 section 6.1).
    pub fn master_down(self) -> Duration {
        self.interval * 3 + self.skew()
    }

    /// Version 3: `(256 - priority) * interval / 256`.
    pub fn skew(self) -> Duration {
        self.interval * (256 - u32::from(self.priority)) / 256
    }
}

/// A take-over as the wire saw it.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// The last advert delivered to the backup before it took over.
    pub last_advert: Instant,
    /// When the protocol lets the backup take over.
    pub deadline: Instant,
    /// The backup's first advert.
    pub first_advert: Instant,
    /// Its first announcement of the address.
    pub first_announcement: Instant,
}

#[derive(Debug, Default)]
struct State {
    frames: Vec<Frame>,
    dropped: u64,
    failure: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A running capture; ends when dropped.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    _stop: PipeWriter,
}

/// At which end of the cable a capture listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Switch,
    Host,
}

impl Host {
    /// Starts capturing on an interface of this host, as a tcpdump there would: behind XDP, and
    /// before the host's firewall.
    pub fn sniff(&self, interface: &str) -> Result<Capture> {
        let port = Arc::from(self.name());
        Capture::listen(self.ns(), End::Host, &[(interface, port)])
    }
}

impl Capture {
    pub(super) fn start(switch: &Namespace, ports: &[&str]) -> Result<Self> {
        let ports: Vec<_> = ports.iter().map(|port| (*port, Arc::from(*port))).collect();
        Self::listen(switch, End::Switch, &ports)
    }

    fn listen(ns: &Namespace, end: End, ports: &[(&str, Arc<str>)]) -> Result<Self> {
        let (socket, ports) = ns.inside(|| -> Result<_> {
            let mut indices = HashMap::new();
            for (interface, port) in ports {
                let index = if_nametoindex(*interface)
                    .with_context(|| format!("there is no interface {interface}"))?;
                indices.insert(index as usize, Arc::clone(port));
            }
            let socket = packet::open_receiver().context("cannot capture")?;
            Ok((socket, indices))
        })??;
        let (stopped, stop) = pipe()?;
        let shared = Arc::new(Shared::default());
        let sink = Arc::clone(&shared);
        std::thread::spawn(move || {
            if let Err(error) = collect(&socket, &stopped, end, &ports, &sink) {
                sink.lock().failure = Some(format!("{error:#}"));
                sink.changed.notify_all();
            }
        });
        Ok(Self {
            shared,
            _stop: stop,
        })
    }

    /// All frames so far, in the order of capture.
    pub fn frames(&self) -> Vec<Frame> {
        self.shared.lock().frames.clone()
    }

    /// The frames stamped at or after `since`.
    pub fn frames_since(&self, since: Instant) -> Vec<Frame> {
        let state = self.shared.lock();
        let late = state.frames.iter().filter(|frame| frame.at >= since);
        late.cloned().collect()
    }

    /// How many frames the kernel had no room for; above 0 the capture proves no absence.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits for a frame stamped at or after `since` for which `wanted` holds.
    pub fn wait_for(
        &self,
        what: &str,
        since: Instant,
        timeout: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Result<Frame> {
        let deadline = std::time::Instant::now() + timeout;
        let mut seen = 0;
        let mut state = self.shared.lock();
        loop {
            let fresh = state.frames.get(seen..).unwrap_or_default();
            if let Some(frame) = fresh.iter().find(|it| it.at >= since && wanted(it)) {
                return Ok(frame.clone());
            }
            seen = state.frames.len();
            if let Some(failure) = &state.failure {
                bail!("the capture has failed: {failure}");
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                bail!("the capture has not seen {what} within {timeout:?}");
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for an advert of this host with this priority.
    pub fn wait_advert(
        &self,
        host: &Host,
        priority: u8,
        since: Instant,
        timeout: Duration,
    ) -> Result<Frame> {
        let what = format!("an advert of {} with priority {priority}", host.name());
        self.wait_for(&what, since, timeout, |frame| {
            frame.is_from(host) && frame.vrrp().is_some_and(|it| it.priority == priority)
        })
    }

    /// Waits until this host announces this address.
    pub fn wait_announcement(
        &self,
        host: &Host,
        address: IpAddr,
        since: Instant,
        timeout: Duration,
    ) -> Result<Frame> {
        let what = format!("{} announcing {address}", host.name());
        self.wait_for(&what, since, timeout, |frame| {
            frame.is_from(host) && frame.announces(address)
        })
    }

    /// Waits for the backup's take-over after `since` and says how it went. Right only where the
    /// master fell silent without saying priority 0.
    pub fn takeover(
        &self,
        backup: &Host,
        address: IpAddr,
        timing: Timing,
        since: Instant,
        timeout: Duration,
    ) -> Result<Takeover> {
        let first_announcement = self.wait_announcement(backup, address, since, timeout)?.at;
        let frames = self.frames();
        let first_advert = frames
            .iter()
            .find(|it| it.at >= since && it.is_from(backup) && it.vrrp().is_some())
            .context("the backup announced the address without an advert")?
            .at;
        let last_advert = frames
            .iter()
            .rev()
            .find(|it| it.at < first_advert && it.is_to(backup) && it.vrrp().is_some())
            .context("the backup had not heard a master")?
            .at;
        let wait = u64::try_from(timing.master_down().as_nanos())?;
        Ok(Takeover {
            last_advert,
            deadline: last_advert + Nanos(wait),
            first_advert,
            first_announcement,
        })
    }

    /// How often this host announced the address since then.
    pub fn announcements(&self, host: &Host, address: IpAddr, since: Instant) -> usize {
        self.frames_since(since)
            .iter()
            .filter(|frame| frame.is_from(host) && frame.announces(address))
            .count()
    }

    /// Who announced the address since then, by port, in order; repetitions count once.
    pub fn announcers(&self, address: IpAddr, since: Instant) -> Vec<Arc<str>> {
        let mut announcers: Vec<Arc<str>> = self
            .frames_since(since)
            .into_iter()
            .filter(|frame| frame.direction == Direction::FromHost && frame.announces(address))
            .map(|frame| frame.port)
            .collect();
        announcers.dedup();
        announcers
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads frames until `stopped` hangs up.
fn collect(
    socket: &OwnedFd,
    stopped: &PipeReader,
    end: End,
    ports: &HashMap<usize, Arc<str>>,
    shared: &Shared,
) -> Result<()> {
    let mut bytes = vec![0; 65_536];
    loop {
        let mut ready = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        poll(&mut ready, None).context("cannot wait for frames")?;
        if !ready[1].revents().is_empty() {
            return Ok(());
        }
        let offset = RealtimeOffset::sample();
        let mut frames = Vec::new();
        // Many at once: under a storm, waiting for each would cost the machine more than the storm.
        while frames.len() < 256
            && let Some(received) = receive(socket, &mut bytes)?
        {
            let (Some(port), Some(content)) =
                (ports.get(&received.interface), bytes.get(..received.length))
            else {
                continue;
            };
            if let Some(kind) = decode(content) {
                frames.push(Frame {
                    at: offset.instant(received.realtime),
                    port: Arc::clone(port),
                    direction: match (end, received.outgoing) {
                        (End::Switch, true) | (End::Host, false) => Direction::ToHost,
                        (End::Switch, false) | (End::Host, true) => Direction::FromHost,
                    },
                    kind,
                    bytes: content.into(),
                });
            }
        }
        let lost = packet::dropped(socket).context("cannot read the capture's statistics")?;
        let mut state = shared.lock();
        state.dropped += u64::from(lost);
        if !frames.is_empty() {
            state.frames.append(&mut frames);
            shared.changed.notify_all();
        }
    }
}

struct Received {
    length: usize,
    interface: usize,
    outgoing: bool,
    realtime: u64,
}

/// One frame, or `None` if there is none now.
fn receive(socket: &OwnedFd, bytes: &mut [u8]) -> Result<Option<Received>> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(bytes)];
    let message = match recvmsg::<LinkAddr>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    ) {
        Ok(message) => message,
        Err(nix::Error::EAGAIN) => return Ok(None),
        Err(error) => return Err(error).context("cannot receive frames"),
    };
    let stamp = message.cmsgs()?.find_map(|it| match it {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
        _ => None,
    });
    let stamp = stamp.context("a frame came without a time stamp")?;
    let address = message
        .address
        .context("a frame came without an interface")?;
    Ok(Some(Received {
        length: message.bytes,
        interface: address.ifindex(),
        outgoing: address.pkttype() == libc::PACKET_OUTGOING,
        realtime: u64::try_from(stamp.tv_sec())? * NANOS_PER_SECOND
            + u64::try_from(stamp.tv_nsec())?,
    }))
}
