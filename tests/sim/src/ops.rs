//! What is done to nodes and network, and how each survives it.

use std::sync::Arc;

use fastrand::Rng;

use ha_agent::router::membership::Membership;
use ha_agent::router::{Effects, Event as Told, Router};
use ha_common::election::{LastAdvert, Rules};
use ha_common::units::{Centiseconds, Nanos, Priority, Version};

use crate::network::Sending;
use crate::node::{Hint, Life, Stall, names};
use crate::world::{CHECKS, Event, LATENCY, World};

/// What is done to the nodes and the network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Op {
    /// Start the agent.
    Start(usize),
    /// Stop it in good order.
    Stop(usize),
    /// Kill it; it is restarted after this time.
    Crash(usize, Nanos),
    /// Let it stand still for this long.
    Stall(usize, Stall, Nanos),
    /// A reload changes its configuration.
    Reload(usize, Reload),
    /// Its check succeeds, or does not.
    Check(usize, bool),
    /// Its link is up, or is not.
    Link(usize, bool),
    /// The kernel refuses its addresses, or does not.
    Refuse(usize, bool),
    /// What its kernel makes of its adverts.
    Sending(usize, Sending),
    /// The segment falls into parts.
    Partition(Vec<u8>),
    /// Frames lost, duplicated and overtaken from now on, in a thousand.
    Weather(u16, u16, u16),
    /// All weather, stalls and crashes end; what is left of the segment's parts is this.
    Quiet(Vec<u8>),
}

/// What a reload changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reload {
    /// The priority.
    Priority(Priority),
    /// Whether it takes the place of a healthy master of lower priority.
    Preempt(bool),
    /// For how many intervals it leaves such a one alone first.
    PreemptDelay(u8),
    /// The interval of its adverts.
    Interval(Centiseconds),
    /// How many of them may be missed.
    DownMultiplier(u8),
}

impl Reload {
    /// Whatever is not the priority, of a router with these rules.
    pub fn any(rng: &mut Rng, rules: &Rules) -> Self {
        let interval = rules.interval.0;
        match rng.u8(0..4) {
            0 => Self::Preempt(rng.bool()),
            1 => Self::PreemptDelay(rng.u8(0..20)),
            // v2 rejects another interval than its own (RFC 3768 section 7.1).
            2 if rules.version == Version::V3 => {
                Self::Interval(Centiseconds(rng.u16((interval / 2).max(1)..=2 * interval)))
            }
            _ => Self::DownMultiplier(rng.u8(2..6)),
        }
    }
}

impl World {
    pub(crate) fn operate(&mut self, op: Op) {
        if self.trace {
            println!("        {op:?}");
        }
        match op {
            Op::Start(node) => self.start(node),
            Op::Stop(node) => self.hint(node, Hint::Shutdown),
            Op::Crash(node, downtime) => self.crash(node, downtime),
            Op::Stall(node, what, span) => self.stall(node, what, span),
            Op::Reload(node, reload) => {
                let params = &mut self.nodes[node].params;
                match reload {
                    Reload::Priority(priority) => params.rules.priority = priority,
                    Reload::Preempt(preempt) => params.rules.preempt = preempt,
                    Reload::PreemptDelay(intervals) => {
                        let interval = params.rules.interval.nanos();
                        params.preempt_delay = Nanos(interval.0 * u64::from(intervals));
                    }
                    Reload::Interval(interval) => params.rules.interval = interval,
                    Reload::DownMultiplier(times) => params.rules.down_multiplier = times,
                }
                let Rules {
                    interval,
                    down_multiplier,
                    ..
                } = params.rules;
                self.slowest.0 = self.slowest.0.max(interval);
                self.slowest.1 = self.slowest.1.max(down_multiplier);
                self.hint(node, Hint::Reload);
            }
            Op::Check(node, ok) => {
                self.nodes[node].check = ok;
                self.hint(node, Hint::Check);
            }
            Op::Link(node, up) => {
                self.nodes[node].link = up;
                self.network.unplug(node, !up);
                self.hint(node, Hint::Link);
            }
            Op::Refuse(node, refuses) => self.nodes[node].refuses = refuses,
            Op::Sending(node, sending) => self.network.set_sending(node, sending),
            Op::Partition(sides) => self.network.partition(&sides),
            Op::Weather(loss, duplication, reordering) => {
                self.network.loss = loss;
                self.network.duplication = duplication;
                self.network.reordering = reordering;
            }
            Op::Quiet(sides) => {
                self.network.partition(&sides);
                self.quiet();
            }
        }
    }

    fn start(&mut self, node: usize) {
        let host = &mut self.nodes[node];
        if host.life != Life::Off {
            return;
        }
        host.life = Life::Running;
        host.epoch += 1;
        host.turn_at = None;
        host.checked = false;
        let mut router = Router::new(node, host.config(), names(), self.now);
        if self.grouped {
            let members = self.grid.members(self.grid.host(node));
            let names: Vec<String> = members.map(|id| format!("node{id}")).collect();
            let membership = Membership::new(Arc::from("group"), Arc::from(names));
            let event = Told::Membership(Some(membership));
            // Nothing comes of it before the interface is there.
            router.on_event(self.now, event, &mut Effects::default());
        }
        let host = &mut self.nodes[node];
        host.router = Some(router);
        let epoch = host.epoch;
        let at = self.soon(CHECKS);
        self.schedule(at, Event::Checked(node, epoch));
        self.bind(node);
    }

    /// The agent finds its interface, and what an earlier life has left.
    fn bind(&mut self, node: usize) {
        let host = &self.nodes[node];
        let (binding, slot, state) = (host.binding(), *host.detector.slot(), host.interface());
        self.tell(node, Told::Bound(binding, Some(&slot)));
        self.tell(node, Told::Interface(state, None));
    }

    fn crash(&mut self, node: usize, downtime: Nanos) {
        let host = &mut self.nodes[node];
        if matches!(
            host.life,
            Life::Off | Life::Dead | Life::Stalled(Stall::Host)
        ) {
            return;
        }
        host.life = Life::Dead;
        host.epoch += 1;
        host.router = None;
        host.inbox.clear();
        let epoch = host.epoch;
        // The whole thread dies, with each of its virtual routers in turn.
        let (sender, id) = self.sender_of(node);
        sender.stop(id, LastAdvert::None);
        self.schedule(self.now + downtime, Event::Restart(node, epoch));
    }

    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].life = Life::Off;
        self.start(node);
        self.sync(node);
        self.watch_deadline(node);
    }

    fn stall(&mut self, node: usize, what: Stall, span: Nanos) {
        let host = &mut self.nodes[node];
        if host.life != Life::Running {
            return;
        }
        host.life = Life::Stalled(what);
        host.stalls += 1;
        let stalls = host.stalls;
        self.schedule(self.now + span, Event::Wake(node, stalls));
    }

    /// What the host did not do meanwhile is all due now, in any order.
    pub(crate) fn wake(&mut self, node: usize) {
        let Life::Stalled(_) = self.nodes[node].life else {
            return;
        };
        self.say(node, || "wakes".into());
        let host = &mut self.nodes[node];
        host.life = Life::Running;
        let kept = std::mem::take(&mut host.nic);
        if self.rng.bool() {
            self.timer(node);
        }
        for frame in kept {
            self.deliver(node, frame);
        }
        self.timer(node);
        self.watch_timer(node);
        let (sender, driver) = (self.soon(LATENCY), self.soon(LATENCY));
        self.wake_sender(self.grid.host(node), sender);
        self.wake_driver(node, driver);
    }

    fn quiet(&mut self) {
        // Whoever slept yields without a word, and has told nobody anything.
        let runs = |id: &usize| {
            let speaks = self.sender(*id).speaks(self.grid.router(*id), self.now);
            self.nodes[*id].life == Life::Running && speaks
        };
        self.rivals = self.masters().into_iter().filter(runs).collect();
        self.network.calm();
        let last = self.network.last_arrival().max(self.now);
        self.calm_from = (last, last > self.now + self.network.max_delay);
        for node in &mut self.nodes {
            node.refuses = false;
        }
        for node in 0..self.nodes.len() {
            match self.nodes[node].life {
                Life::Stalled(_) => self.wake(node),
                Life::Dead => self.restart(node),
                Life::Running | Life::Off => {}
            }
        }
    }
}
