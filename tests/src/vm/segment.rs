//! The network segment behind the guest's cards: this process is the switch and whoever is on it.
//!
//! Each datagram of a port's socket is one Ethernet frame. Nothing is lost: a full socket makes the sender
//! wait. What the guest's card does not let in, it drops without a word.

use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant as Deadline};

use anyhow::{Context as _, Result, anyhow, bail};
use ha_common::units::Instant;
use nix::sys::socket::{MsgFlags, UnixAddr, sendto};

use super::lacp;
use crate::lab::clock;
use crate::lab::decode::{Kind, Vrrp, decode};

/// Longer than any frame on a card with the usual MTU.
const LONGEST_FRAME: usize = 2048;
/// How long the machine may leave a frame waiting in the socket.
const SEND: Duration = Duration::from_secs(5);

/// How long an answer of the guest may take.
const SETTLE: Duration = Duration::from_secs(20);
/// Who asks by ARP: neither a virtual router nor a scripted master.
const OWN_MAC: [u8; 6] = [0x02, 0x99, 0, 0, 0, 0x77];
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 77);

/// A frame that the guest sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it was read here.
    pub at: Instant,
    /// The port that it came in by; the first is 0.
    pub port: usize,
    /// The VLAN in its tag, if it has one.
    pub vlan: Option<u16>,
    /// What it says.
    pub kind: Kind,
    /// All of it, without the tag.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The advert, if it is one.
    pub fn vrrp(&self) -> Option<&Vrrp> {
        match &self.kind {
            Kind::Vrrp(vrrp) => Some(vrrp),
            Kind::Arp(_) | Kind::NeighbourAdvert(_) => None,
        }
    }

    /// True for an answer to whoever asked for the address.
    pub fn answers(&self, address: Ipv4Addr) -> bool {
        matches!(&self.kind, Kind::Arp(arp) if arp.operation == 2 && arp.sender == address)
    }
}

#[derive(Debug, Default)]
struct Heard {
    frames: Mutex<Vec<Frame>>,
    changed: Condvar,
}

/// Where frames to the guest go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum To {
    /// To this port alone.
    Port(usize),
    /// To all ports, as a switch does that knows of no aggregation.
    All,
    /// To the last port by which the guest takes frames as LACP has it, as a switch does to whom they are one
    /// aggregated link.
    Aggregate,
}

/// A port of the switch, with the cable to one of the guest's cards.
#[derive(Debug)]
struct Port {
    socket: UnixDatagram,
    guest: PathBuf,
    plugged: AtomicBool,
    aggregated: AtomicBool,
}

impl Port {
    fn is_plugged(&self) -> bool {
        self.plugged.load(Ordering::Relaxed)
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket
            .send_to(frame, &self.guest)
            .map(drop)
            .context("the machine takes no frame")
    }

    /// The same without waiting: what a machine that is paused has no room for is lost, as on a wire.
    fn forward(&self, frame: &[u8]) -> Result<()> {
        let guest = UnixAddr::new(&self.guest)?;
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        sendto(socket, frame, &guest, flags).map(drop)?;
        Ok(())
    }
}

/// The switch.
#[derive(Clone, Debug)]
pub struct Segment {
    ports: Arc<[Port]>,
    to: To,
    heard: Arc<Heard>,
    /// The segment of another machine that hears what this one's sends.
    beyond: Arc<OnceLock<Arc<[Port]>>>,
}

impl Segment {
    /// The segment of a machine whose cards will bind the second of each pair of paths; the first is this
    /// end's. Only the first port is plugged in.
    pub(super) fn open(paths: Vec<(PathBuf, PathBuf)>) -> Result<Self> {
        let ports = paths.into_iter().enumerate().map(|(number, (own, guest))| {
            let socket = UnixDatagram::bind(&own)
                .with_context(|| format!("cannot bind {}", own.display()))?;
            socket.set_write_timeout(Some(SEND))?;
            let plugged = AtomicBool::new(number == 0);
            Ok(Port {
                socket,
                guest,
                plugged,
                aggregated: AtomicBool::new(false),
            })
        });
        let segment = Self {
            ports: ports.collect::<Result<_>>()?,
            to: To::All,
            heard: Arc::default(),
            beyond: Arc::default(),
        };
        for number in 0..segment.ports.len() {
            let segment = segment.clone();
            std::thread::spawn(move || listen(&segment, number));
        }
        Ok(segment)
    }

    /// The same segment, whose frames go there.
    #[must_use]
    pub fn to(&self, to: To) -> Self {
        Self { to, ..self.clone() }
    }

    /// Makes one segment of two: each machine hears what the other one sends.
    pub fn join(&self, other: &Self) -> Result<()> {
        let joined = self.beyond.set(Arc::clone(&other.ports));
        let joined = joined.and(other.beyond.set(Arc::clone(&self.ports)));
        joined.map_err(|_| anyhow!("a segment is joined to one other only"))
    }

    /// Plugs a port in, or out: nothing goes through it any more.
    pub fn plug(&self, port: usize, plugged: bool) {
        if let Some(port) = self.ports.get(port) {
            port.plugged.store(plugged, Ordering::Relaxed);
            port.aggregated.store(false, Ordering::Relaxed);
        }
    }

    /// Puts a frame on the segment.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let mut plugged = self.ports.iter().filter(|port| port.is_plugged());
        match self.to {
            To::Port(number) => {
                let port = self.ports.get(number).context("no such port")?;
                port.send(frame)
            }
            To::All => plugged.try_for_each(|port| port.send(frame)),
            // Before the guest takes any, a frame is lost, as it is on a wire.
            To::Aggregate => plugged
                .rfind(|port| port.aggregated.load(Ordering::Relaxed))
                .map_or(Ok(()), |port| port.send(frame)),
        }
    }

    /// What the guest sent since that moment.
    pub fn frames_since(&self, since: Instant) -> Vec<Frame> {
        let frames = self.lock();
        frames
            .iter()
            .filter(|frame| frame.at >= since)
            .cloned()
            .collect()
    }

    /// The guest's first frame since that moment for which `matches` holds; `what` is for the error.
    pub fn wait_for(
        &self,
        what: &str,
        since: Instant,
        timeout: Duration,
        matches: impl Fn(&Frame) -> bool,
    ) -> Result<Frame> {
        let deadline = Deadline::now() + timeout;
        let mut frames = self.lock();
        loop {
            let mut fresh = frames.iter().filter(|frame| frame.at >= since);
            if let Some(found) = fresh.find(|frame| matches(frame)) {
                return Ok(found.clone());
            }
            let left = deadline.saturating_duration_since(Deadline::now());
            if left.is_zero() {
                let seen: Vec<&Frame> = frames.iter().rev().take(10).collect();
                bail!("the guest sent no {what} within {timeout:?}; its latest: {seen:#?}");
            }
            frames = self
                .heard
                .changed
                .wait_timeout(frames, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Asks by ARP who has an address.
    pub fn ask(&self, address: Ipv4Addr) -> Result<()> {
        self.ask_in(None, address)
    }

    /// The same in a VLAN, or in none.
    pub fn ask_in(&self, vlan: Option<u16>, address: Ipv4Addr) -> Result<()> {
        let mut frame = vec![0xff; 6];
        frame.extend(OWN_MAC);
        if let Some(vlan) = vlan {
            frame.extend([0x81, 0x00]);
            frame.extend(vlan.to_be_bytes());
        }
        // ARP: Ethernet and IPv4, a request.
        frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(OWN_MAC);
        frame.extend(OWN_ADDRESS.octets());
        frame.extend([0; 6]);
        frame.extend(address.octets());
        self.send(&frame)
    }

    /// Waits until everything that was sent so far has got as far as it will: the guest answers a
    /// question about an address of its own that was asked last.
    pub fn settle(&self, own: Ipv4Addr) -> Result<()> {
        self.settle_in(None, own)
    }

    /// The same in a VLAN, or in none.
    pub fn settle_in(&self, vlan: Option<u16>, own: Ipv4Addr) -> Result<()> {
        let asked = clock::now();
        self.ask_in(vlan, own)?;
        self.wait_for("answer by ARP", asked, SETTLE, |frame| frame.answers(own))
            .map(drop)
    }

    /// Ends the listening.
    pub(super) fn close(&self) {
        // An error means that it is closed already.
        for port in self.ports.iter() {
            let _ = port.socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.heard
            .frames
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(segment: &Segment, number: usize) {
    let Some(port) = segment.ports.get(number) else {
        return;
    };
    let heard = &segment.heard;
    let mut buffer = [0; LONGEST_FRAME];
    while let Ok(length @ 1..) = port.socket.recv(&mut buffer) {
        let frame = buffer.get(..length).unwrap_or_default();
        if !port.is_plugged() {
            continue;
        }
        let port_number = u8::try_from(number).unwrap_or(u8::MAX);
        if let Some(answer) = lacp::answer(frame, port_number) {
            port.aggregated.store(answer.collects, Ordering::Relaxed);
            // A guest that takes none has no bond any more.
            let _ = port.send(&answer.frame);
            continue;
        }
        let beyond = segment.beyond.get().into_iter().flat_map(|it| it.iter());
        for other in beyond.filter(|it| it.is_plugged()) {
            let _ = other.forward(frame);
        }
        let (vlan, untagged) = strip_tag(frame);
        let Some(kind) = decode(&untagged) else {
            continue;
        };
        let at = clock::now();
        let mut frames = heard.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.push(Frame {
            at,
            port: number,
            vlan,
            kind,
            bytes: untagged,
        });
        heard.changed.notify_all();
    }
}

/// The VLAN of a frame's outermost tag, and the frame without it.
fn strip_tag(frame: &[u8]) -> (Option<u16>, Vec<u8>) {
    let mut untagged = frame.to_vec();
    let Some([0x81, 0x00, high, low]) = frame.get(12..16) else {
        return (None, untagged);
    };
    untagged.drain(12..16);
    (Some(u16::from_be_bytes([high & 0x0f, *low])), untagged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::advert::Advert;

    #[test]
    fn a_tag_is_read_and_taken_off_and_what_has_none_stays_as_it_is() {
        let plain = Advert::default();
        let tagged = Advert {
            vlans: vec![10],
            ..Advert::default()
        };
        assert_eq!(strip_tag(&tagged.frame()), (Some(10), plain.frame()));
        assert_eq!(strip_tag(&plain.frame()), (None, plain.frame()));
        assert_eq!(strip_tag(&[1, 2]), (None, vec![1, 2]));
    }
}
