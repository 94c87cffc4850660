//! The virtual clock, the queue of events, and what each of them does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use fastrand::Rng;
use ha_agent::router::Effect;
use ha_common::election::{Advert, Claim, Params, Transition};
use ha_common::units::{Instant, Nanos};

use super::detector::{Detector, Model};
use super::network::Network;
use super::node::{Hint, Life, Node, Stall};
use super::ops::Op;
use super::sender::Due;

/// How long the sender goes on without the driver.
pub const LEASE: Nanos = Nanos::from_millis(2000);
/// Longest time until the first results of a started agent's checks are in.
pub const CHECKS: Nanos = Nanos::from_millis(50);
/// Longest time from an event in the kernel to the driver's turn, while it runs.
pub const LATENCY: Nanos = Nanos(300_000);

/// What is on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame {
    /// A VRRP advertisement.
    Advert(Advert),
    /// A gratuitous ARP from this node.
    Announce(usize),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Event {
    Deliver(usize, Frame),
    Timer(usize),
    Sender(usize),
    Turn(usize),
    Window(usize),
    LeaseEnds(usize, u32),
    Wake(usize, u32),
    Restart(usize, u32),
    Checked(usize, u32),
    Op(Op),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// Where a test plants a bug, to see that the invariants find it.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// Makes the detector of each node.
    pub detector: fn(usize) -> Box<dyn Detector>,
    /// What a node's driver makes of an effect.
    pub effect: fn(usize, Effect) -> Option<Effect>,
}

impl Plant {
    /// No bug.
    pub const NONE: Self = Self {
        detector: |_| Model::boxed(),
        effect: |_, effect| Some(effect),
    };
}

/// An event with its time and node, as the trace shows it.
pub type Reported = (usize, Transition);

/// What this node's announcement says.
fn claim(from: usize) -> Claim {
    Claim {
        address: IpAddr::from([10, 99, 0, 100]),
        mac: [2, 0, 0, 0, 0, u8::try_from(from).unwrap_or(u8::MAX)],
    }
}

/// All nodes, their segment and the clock.
#[derive(Debug)]
pub struct World {
    /// The virtual time.
    pub now: Instant,
    /// The hosts.
    pub nodes: Vec<Node>,
    /// Their segment.
    pub network: Network,
    /// The nodes that are members of one sync group each.
    pub groups: Vec<Vec<usize>>,
    /// Every transition so far.
    pub reports: Vec<Reported>,
    /// When each node last announced the addresses.
    pub announced: Vec<Option<Instant>>,
    /// How often each node has announced them.
    pub announcements: Vec<u64>,
    /// The agents that ran as master when it last became quiet.
    pub rivals: Vec<usize>,
    /// Events handled so far.
    pub handled: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    /// When the last frame of each link arrives: a link keeps the order.
    arrived: Vec<Instant>,
    pub(super) rng: Rng,
    pub(super) plant: Plant,
    pub(super) trace: bool,
}

impl World {
    /// Nodes that are off, on a calm segment.
    pub fn new(params: &[Params], max_delay: Nanos, rng: Rng, plant: Plant, trace: bool) -> Self {
        let nodes = params
            .iter()
            .enumerate()
            .map(|(id, params)| Node::new(*params, (plant.detector)(id)))
            .collect();
        Self {
            // Not zero, so that "long ago" can be told from "never".
            now: Instant(1_000_000_000_000),
            nodes,
            network: Network::new(params.len(), max_delay),
            groups: Vec::new(),
            reports: Vec::new(),
            announced: vec![None; params.len()],
            announcements: vec![0; params.len()],
            rivals: Vec::new(),
            handled: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            arrived: vec![Instant(0); params.len() * params.len()],
            rng,
            plant,
            trace,
        }
    }

    /// Does this after that much time.
    pub fn after(&mut self, span: Nanos, op: Op) {
        self.schedule(self.now + span, Event::Op(op));
    }

    /// Handles the next event unless it is after `end`; false if it is, and then it is `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        if self.queue.peek().is_none_or(|Reverse(e)| e.at > end) {
            self.now = end;
            return false;
        }
        if let Some(Reverse(entry)) = self.queue.pop() {
            self.now = entry.at;
            self.handled += 1;
            self.dispatch(entry.event);
        }
        true
    }

    /// Handles all events of this span.
    pub fn run_for(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.step(end) {}
    }

    /// Nodes that say they are master.
    pub fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&id| self.nodes[id].is_master())
            .collect()
    }

    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Entry {
            at: at.max(self.now),
            sequence: self.sequence,
            event,
        }));
    }

    pub(super) fn soon(&mut self, longest: Nanos) -> Instant {
        self.now + Nanos(self.rng.u64(1_000..=longest.0))
    }

    pub(super) fn say(&self, node: usize, words: impl FnOnce() -> String) {
        if self.trace {
            let seconds = (self.now - Nanos(1_000_000_000_000)).0;
            let (whole, part) = (seconds / 1_000_000_000, seconds % 1_000_000_000);
            println!("{whole:6}.{part:09} node {node}: {}", words());
        }
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Deliver(node, frame) => self.deliver(node, frame),
            Event::Timer(node) => self.timer(node),
            Event::Sender(node) => self.sender(node),
            Event::Turn(node) => self.turn(node),
            Event::Window(node) => self.look(node),
            Event::LeaseEnds(node, stalls) => {
                let stalled = self.nodes[node].life == Life::Stalled(Stall::Driver);
                if stalled && self.nodes[node].stalls == stalls {
                    self.say(node, || "lease lapsed".into());
                    let now = self.now;
                    let last = self.nodes[node].sender.lease_lapsed(now);
                    self.transmit(node, last);
                }
            }
            Event::Wake(node, stalls) if self.nodes[node].stalls == stalls => self.wake(node),
            Event::Restart(node, epoch) if self.nodes[node].epoch == epoch => self.restart(node),
            Event::Checked(node, epoch) if self.nodes[node].epoch == epoch => {
                self.nodes[node].checked = true;
                self.hint(node, Hint::Check);
            }
            // A call for somebody who has since been woken, stopped or killed.
            Event::Wake(..) | Event::Restart(..) | Event::Checked(..) => {}
            Event::Op(op) => self.operate(op),
        }
    }

    pub(super) fn deliver(&mut self, node: usize, frame: Frame) {
        let now = self.now;
        let host = &mut self.nodes[node];
        if !host.kernel_lives() {
            return host.keep(frame);
        }
        match frame {
            Frame::Announce(from) => {
                host.cache = Some(from);
                if host.detector.is_master() {
                    self.hint(node, Hint::Claimed(claim(from)));
                }
            }
            Frame::Advert(advert) => {
                let notify = host.detector.advert(now, &advert);
                self.watch_timer(node);
                if notify {
                    self.hint(node, Hint::Advert(advert));
                }
            }
        }
    }

    pub(super) fn watch_timer(&mut self, node: usize) {
        if let Some(deadline) = self.nodes[node].detector.deadline() {
            self.schedule(deadline, Event::Timer(node));
        }
    }

    pub(super) fn timer(&mut self, node: usize) {
        let host = &self.nodes[node];
        if host.kernel_lives()
            && host.detector.expired(self.now)
            && let Some(deadline) = host.detector.deadline()
        {
            self.hint(node, Hint::Expired(deadline));
        }
    }

    fn watch_sender(&mut self, node: usize) {
        if let Some(due) = self.nodes[node].sender.next_due() {
            self.schedule(due, Event::Sender(node));
        }
    }

    fn sender(&mut self, node: usize) {
        if !self.nodes[node].sender_lives() {
            return;
        }
        match self.nodes[node].sender.wake(self.now) {
            Due::Not => {}
            Due::Send(advert) => {
                self.transmit(node, Some(advert));
                self.watch_sender(node);
            }
            Due::Overslept => {
                self.say(node, || "sender overslept".into());
                let at = self.soon(LATENCY);
                self.schedule(at, Event::Turn(node));
            }
        }
    }

    pub(super) fn transmit(&mut self, node: usize, advert: Option<Advert>) {
        let Some(advert) = advert else { return };
        let leaves = self.network.may_advertise(node);
        if let Some(news) = self.nodes[node].sender.count(leaves, self.now, &advert) {
            self.hint(node, Hint::Sending(news));
        }
        if leaves {
            self.broadcast(node, Frame::Advert(advert));
        }
    }

    pub(super) fn broadcast(&mut self, from: usize, frame: Frame) {
        for to in 0..self.nodes.len() {
            for delay in self.network.copies(&mut self.rng, from, to) {
                let link = from * self.nodes.len() + to;
                let at = (self.now + delay).max(self.arrived[link]);
                self.arrived[link] = at;
                self.schedule(at, Event::Deliver(to, frame));
            }
        }
    }

    pub(super) fn hint(&mut self, node: usize, hint: Hint) {
        match self.nodes[node].life {
            Life::Running => {
                self.nodes[node].inbox.push_back(hint);
                let at = self.soon(LATENCY);
                self.schedule(at, Event::Turn(node));
            }
            Life::Stalled(_) => self.nodes[node].inbox.push_back(hint),
            Life::Dead | Life::Off => {}
        }
    }

    pub(super) fn sender_if_due(&mut self, node: usize) {
        if self.nodes[node]
            .sender
            .next_due()
            .is_some_and(|due| due <= self.now)
        {
            self.sender(node);
        }
    }
}
