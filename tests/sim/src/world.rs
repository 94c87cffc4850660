//! The virtual clock, the queue of events, and what each of them does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use fastrand::Rng;
use ha_agent::driver::sender::LEASE;
use ha_common::election::{Advert, Claim, Params, Transition};
use ha_common::units::{Centiseconds, Instant, Nanos};

use crate::bugs::Hooks;
use crate::detector::Told;
use crate::grid::Grid;
use crate::invariants::Broken;
use crate::network::Network;
use crate::node::{Hint, Life, Node};
use crate::ops::Op;
use crate::sender::SenderThread;

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
pub(crate) enum Event {
    Deliver(usize, Frame),
    Timer(usize),
    Sender(usize),
    Turn(usize),
    Window(usize),
    Wake(usize, u32),
    Restart(usize, u32),
    Checked(usize, u32),
    Op(Op),
}

/// An event's place in the queue: when, after how many others that were put in, and where the event itself is kept.
type Entry = Reverse<(Instant, u64, usize)>;

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
    /// Which node is which host's, on which segment.
    pub grid: Grid,
    /// The virtual routers of a host are a sync group.
    pub grouped: bool,
    /// The sender threads of the hosts.
    pub senders: Vec<SenderThread>,
    /// The segments.
    pub network: Network,
    /// How long a sender goes on without its driver.
    pub lease: Nanos,
    /// The longest interval and the largest multiplier that anybody has had.
    pub slowest: (Centiseconds, u8),
    /// Whom the last event may have moved.
    pub moved: Moved,
    /// What was found broken while an event was handled.
    pub broken: Option<Broken>,
    /// Every transition so far.
    pub reports: Vec<Reported>,
    /// When each node last announced the addresses.
    pub announced: Vec<Option<Instant>>,
    /// How often each node has announced them.
    pub announcements: Vec<u64>,
    /// The agents that ran as master when it last became quiet.
    pub rivals: Vec<usize>,
    /// When the last frame arrives that was on its way when it last became quiet, and whether others may have
    /// overtaken it.
    pub calm_from: (Instant, bool),
    /// Events handled so far.
    pub handled: u64,
    queue: BinaryHeap<Entry>,
    /// What is in the queue; a place that is free is used again.
    events: Vec<Event>,
    free: Vec<usize>,
    sequence: u64,
    /// When each host's sender thread wakes next.
    sender_at: Vec<Option<Instant>>,
    pub(crate) rng: Rng,
    pub(crate) bug: Hooks,
    pub(crate) trace: bool,
}

/// Whose agents an event may have moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moved {
    /// None.
    Nobody,
    /// This host's.
    Host(usize),
    /// Any.
    Anybody,
}

impl Moved {
    /// Whether this host's may have moved.
    pub fn includes(self, host: usize) -> bool {
        match self {
            Self::Nobody => false,
            Self::Host(moved) => moved == host,
            Self::Anybody => true,
        }
    }
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Hosts and segments.
    pub grid: Grid,
    /// The virtual routers of a host are a sync group.
    pub grouped: bool,
    /// Longest delay of a frame.
    pub max_delay: Nanos,
    /// How long a sender goes on without its driver.
    pub lease: Nanos,
}

impl Setup {
    /// One virtual router on each of so many hosts, with the agent's lease.
    pub const fn single(hosts: usize, max_delay: Nanos) -> Self {
        Self {
            grid: Grid { hosts, segments: 1 },
            grouped: false,
            max_delay,
            lease: LEASE,
        }
    }
}

impl World {
    /// Nodes that are off, on calm segments.
    pub fn new(setup: Setup, params: &[Params], rng: Rng, bug: Hooks, trace: bool) -> Self {
        let nodes = params
            .iter()
            .enumerate()
            .map(|(id, params)| Node::new(*params, (bug.detector)(id)))
            .collect();
        let rules = || params.iter().map(|it| it.rules);
        let interval = rules().map(|it| it.interval).max();
        let multiplier = rules().map(|it| it.down_multiplier).max();
        let Setup {
            grid,
            grouped,
            max_delay,
            lease,
        } = setup;
        let mut network = Network::new(params.len(), max_delay);
        network.partition(&grid.sides(|_, _| 0));
        Self {
            // Not zero, so that "long ago" can be told from "never".
            now: Instant(1_000_000_000_000),
            nodes,
            grid,
            grouped,
            senders: (0..grid.hosts).map(|_| SenderThread::default()).collect(),
            network,
            lease,
            slowest: (
                interval.unwrap_or(Centiseconds(0)),
                multiplier.unwrap_or_default(),
            ),
            moved: Moved::Anybody,
            broken: None,
            reports: Vec::new(),
            announced: vec![None; params.len()],
            announcements: vec![0; params.len()],
            rivals: Vec::new(),
            calm_from: (Instant(0), false),
            handled: 0,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            sender_at: vec![None; grid.hosts],
            rng,
            bug,
            trace,
        }
    }

    /// The sender thread of this node's host.
    pub fn sender(&self, node: usize) -> &SenderThread {
        &self.senders[self.grid.host(node)]
    }

    /// The same, with the node's number in it.
    pub(crate) fn sender_of(&mut self, node: usize) -> (&mut SenderThread, usize) {
        let host = self.grid.host(node);
        (&mut self.senders[host], self.grid.router(node))
    }

    /// Does this after that much time.
    pub fn after(&mut self, span: Nanos, op: Op) {
        self.schedule(self.now + span, Event::Op(op));
    }

    /// Handles the next event unless it is after `end`; false if it is, and then it is `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        if self.queue.peek().is_none_or(|Reverse(next)| next.0 > end) {
            self.now = end;
            return false;
        }
        if let Some(Reverse((at, _, place))) = self.queue.pop() {
            self.now = at;
            self.handled += 1;
            self.free.push(place);
            let event = self.events[place].clone();
            self.dispatch(event);
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

    pub(crate) fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        let place = if let Some(place) = self.free.pop() {
            self.events[place] = event;
            place
        } else {
            self.events.push(event);
            self.events.len() - 1
        };
        let entry = (at.max(self.now), self.sequence, place);
        self.queue.push(Reverse(entry));
    }

    pub(crate) fn soon(&mut self, longest: Nanos) -> Instant {
        self.now + Nanos(self.rng.u64(1_000..=longest.0))
    }

    pub(crate) fn say(&self, node: usize, words: impl FnOnce() -> String) {
        if self.trace {
            let seconds = (self.now - Nanos(1_000_000_000_000)).0;
            let (whole, part) = (seconds / 1_000_000_000, seconds % 1_000_000_000);
            println!("{whole:6}.{part:09} node {node}: {}", words());
        }
    }

    fn dispatch(&mut self, event: Event) {
        self.moved = match &event {
            // The kernel and the sender alone change nothing that the agent is.
            Event::Deliver(..) | Event::Timer(_) | Event::Sender(_) => Moved::Nobody,
            Event::Turn(node) | Event::Window(node) => Moved::Host(self.grid.host(*node)),
            Event::Wake(..) | Event::Restart(..) | Event::Checked(..) | Event::Op(_) => {
                Moved::Anybody
            }
        };
        match event {
            Event::Deliver(node, frame) => self.deliver(node, frame),
            Event::Timer(node) => {
                if self.nodes[node].timer_at == Some(self.now) {
                    self.nodes[node].timer_at = None;
                    self.timer(node);
                }
            }
            Event::Sender(host) => {
                if self.sender_at[host] == Some(self.now) {
                    self.sender_at[host] = None;
                    self.run_sender(host);
                }
            }
            Event::Turn(node) => {
                if self.nodes[node].turn_at == Some(self.now) {
                    self.nodes[node].turn_at = None;
                    self.turn(node);
                }
            }
            Event::Window(node) => self.look(node),
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

    pub(crate) fn deliver(&mut self, node: usize, frame: Frame) {
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
                let told = host.detector.advert(now, &advert);
                self.watch_timer(node);
                if let Some(Told { is_overheard }) = told {
                    let hint = Hint::Advert {
                        advert,
                        is_overheard,
                    };
                    self.hint(node, hint);
                }
            }
        }
    }

    pub(crate) fn watch_timer(&mut self, node: usize) {
        let Some(deadline) = self.nodes[node].detector.deadline() else {
            return;
        };
        let at = deadline.max(self.now);
        if is_sooner(at, self.nodes[node].timer_at, self.now) {
            self.nodes[node].timer_at = Some(at);
            self.schedule(at, Event::Timer(node));
        }
    }

    /// Goes off if the deadline has come, and waits for one that was put off.
    pub(crate) fn timer(&mut self, node: usize) {
        let host = &self.nodes[node];
        let Some(deadline) = host.detector.deadline().filter(|_| host.kernel_lives()) else {
            return;
        };
        if host.detector.expired(self.now) {
            self.hint(node, Hint::Expired(deadline));
        } else {
            self.watch_timer(node);
        }
    }

    /// The driver's next turn is then, if not before.
    pub(crate) fn wake_driver(&mut self, node: usize, at: Instant) {
        let at = at.max(self.now);
        if is_sooner(at, self.nodes[node].turn_at, self.now) {
            self.nodes[node].turn_at = Some(at);
            self.schedule(at, Event::Turn(node));
        }
    }

    /// The host's sender thread wakes then, if not before.
    pub(crate) fn wake_sender(&mut self, host: usize, at: Instant) {
        let at = at.max(self.now);
        if is_sooner(at, self.sender_at[host], self.now) {
            self.sender_at[host] = Some(at);
            self.schedule(at, Event::Sender(host));
        }
    }

    pub(crate) fn broadcast(&mut self, from: usize, frame: Frame) {
        let now = self.now;
        for to in 0..self.nodes.len() {
            let arrivals = self.network.arrivals(&mut self.rng, now, from, to);
            for at in arrivals.into_iter().flatten() {
                self.schedule(at, Event::Deliver(to, frame));
            }
        }
    }

    pub(crate) fn hint(&mut self, node: usize, hint: Hint) {
        match self.nodes[node].life {
            Life::Running => {
                self.nodes[node].inbox.push_back(hint);
                let at = self.soon(LATENCY);
                self.wake_driver(node, at);
            }
            Life::Stalled(_) => self.nodes[node].inbox.push_back(hint),
            Life::Dead | Life::Off => {}
        }
    }
}

/// Whether that is before what is waited for; what has passed is waited for no more.
fn is_sooner(at: Instant, waited_for: Option<Instant>, now: Instant) -> bool {
    waited_for.is_none_or(|then| then < now || at < then)
}
