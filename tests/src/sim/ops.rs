//! What is done to nodes and network, and how each survives it.

use ha_common::election::{Detector as Part, Election, Input};
use ha_common::group::Fitness;
use ha_common::units::{Nanos, Priority};

use super::node::{Hint, Life, Stall};
use super::sender::Sender;
use super::world::{CHECKS, Event, LATENCY, LEASE, World};

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
    /// Its effective priority changes.
    Priority(usize, Priority),
    /// Its check succeeds, or does not.
    Check(usize, bool),
    /// Its link is up, or is not.
    Link(usize, bool),
    /// Its adverts are dropped by its own firewall, or no longer.
    Mute(usize, bool),
    /// The segment falls into parts.
    Partition(Vec<u8>),
    /// Frames lost and duplicated from now on, in a thousand.
    Weather(u16, u16),
    /// All weather, stalls and crashes end; what is left of the segment's parts is this.
    Quiet(Vec<u8>),
}

impl World {
    pub(super) fn operate(&mut self, op: Op) {
        if self.trace {
            println!("        {op:?}");
        }
        match op {
            Op::Start(node) => self.start(node),
            Op::Stop(node) => self.hint(node, Hint::Input(Input::Shutdown)),
            Op::Crash(node, downtime) => self.crash(node, downtime),
            Op::Stall(node, what, span) => self.stall(node, what, span),
            Op::Priority(node, priority) => {
                self.nodes[node].params.rules.priority = priority;
                let hint = match self.group_of(node) {
                    Some(_) => Hint::Health,
                    None => Hint::Input(Input::Priority(priority)),
                };
                self.hint(node, hint);
            }
            Op::Check(node, ok) => {
                self.nodes[node].check = ok;
                self.hint(node, Hint::Health);
            }
            Op::Link(node, up) => {
                self.nodes[node].link = up;
                self.network.unplug(node, !up);
                self.hint(node, Hint::Health);
            }
            Op::Mute(node, muted) => self.network.mute(node, muted),
            Op::Partition(sides) => self.network.partition(&sides),
            Op::Weather(loss, duplication) => {
                self.network.loss = loss;
                self.network.duplication = duplication;
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
        host.checked = false;
        host.election = Some(Election::new(host.params));
        host.fed = Fitness::Waiting;
        let epoch = host.epoch;
        let at = self.soon(CHECKS);
        self.schedule(at, Event::Checked(node, epoch));
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
        host.election = None;
        host.sender = Sender::default();
        host.inbox.clear();
        let epoch = host.epoch;
        self.schedule(self.now + downtime, Event::Restart(node, epoch));
    }

    pub(super) fn restart(&mut self, node: usize) {
        let now = self.now;
        let resumes = self.nodes[node].may_resume(now);
        self.nodes[node].life = Life::Off;
        self.start(node);
        if resumes {
            self.feed(node, Input::Resume);
        } else {
            // What an earlier life left behind.
            let host = &mut self.nodes[node];
            host.addresses = false;
            host.detector.assign(now, Part::Idle, host.params.rules);
        }
        self.sync(node);
    }

    fn stall(&mut self, node: usize, what: Stall, span: Nanos) {
        let host = &mut self.nodes[node];
        if host.life != Life::Running {
            return;
        }
        host.life = Life::Stalled(what);
        host.stalls += 1;
        let stalls = host.stalls;
        self.schedule(self.now + LEASE, Event::LeaseEnds(node, stalls));
        self.schedule(self.now + span, Event::Wake(node, stalls));
    }

    /// What the host did not do meanwhile is all due now, in any order.
    pub(super) fn wake(&mut self, node: usize) {
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
        let (sender, driver) = (self.soon(LATENCY), self.soon(LATENCY));
        self.schedule(sender, Event::Sender(node));
        self.schedule(driver, Event::Turn(node));
    }

    fn quiet(&mut self) {
        let runs = |id: &usize| self.nodes[*id].life == Life::Running;
        self.rivals = self.masters().into_iter().filter(runs).collect();
        self.network.calm();
        for node in 0..self.nodes.len() {
            match self.nodes[node].life {
                Life::Stalled(_) => self.wake(node),
                Life::Dead => self.restart(node),
                Life::Running | Life::Off => {}
            }
        }
    }
}
