//! The sender threads' turns, and what becomes of each advert that leaves.

use ha_agent::driver::sender::refusals::Refused;
use ha_common::election::Advert;
use ha_common::units::Nanos;

use crate::invariants::Invariant;
use crate::node::{Hint, Node};
use crate::sender::Due;
use crate::world::{Frame, World};

impl World {
    /// The sender thread's turn: all that is due.
    pub(crate) fn run_sender(&mut self, host: usize) {
        if !self.nodes[host].sender_lives() {
            return;
        }
        let now = self.now;
        let lease = (self.bug.lease)(self.senders[host].lease_until);
        loop {
            match self.senders[host].next_due(now, lease) {
                Due::Advert(id, advert) => {
                    let node = self.grid.node(host, id);
                    self.check_sender(node);
                    self.advertise(node, advert);
                }
                Due::Release(id, last) => {
                    let node = self.grid.node(host, id);
                    self.say(node, || "lease ended".into());
                    self.transmit(node, last);
                }
                Due::Overslept(id) => {
                    self.say(self.grid.node(host, id), || "sender overslept".into());
                }
                Due::Wait(until) => {
                    if let Some(until) = until {
                        self.wake_sender(host, until);
                    }
                    break;
                }
            }
        }
        if self.senders[host].schedule.take_call() {
            for node in self.grid.members(host) {
                self.hint(node, Hint::Sender);
            }
        }
    }

    /// What must hold of an advert that the sender thread sends by itself.
    fn check_sender(&mut self, node: usize) {
        let (now, sender) = (self.now, self.sender(node));
        let Some(rules) = sender.rules(self.grid.router(node)) else {
            return;
        };
        let Node {
            advertised_at,
            turned_at,
            ..
        } = self.nodes[node];
        let slept = advertised_at.map_or(Nanos(0), |at| now.since(at));
        let asked = advertised_at.is_none_or(|at| turned_at > at);
        let longest = u64::from(rules.down_multiplier.max(2)) * rules.interval.nanos().0;
        let found = if now >= sender.lease_until {
            Invariant::LeaseEndsAdverts.broken(format!("node {node} advertises without a driver"))
        } else if slept.0 > longest && !asked {
            let slept = slept.to_duration();
            Invariant::SleeperAsksFirst.broken(format!("node {node} advertises after {slept:?}"))
        } else {
            return;
        };
        self.broken.get_or_insert(found);
    }

    /// One of the usual adverts leaves, or the kernel refuses it.
    fn advertise(&mut self, node: usize, advert: Advert) {
        let now = self.now;
        self.nodes[node].advertised_at = Some(now);
        let refused = self.transmit(node, advert);
        let (sender, id) = self.sender_of(node);
        sender.count(id, refused, now);
    }

    /// The driver has changed what its sender does: an advert may leave at once, and the thread looks when the next is
    /// due.
    pub(crate) fn sender_changed(&mut self, node: usize, at_once: Option<Advert>) {
        if let Some(advert) = at_once {
            self.advertise(node, advert);
            self.wake_sender(self.grid.host(node), self.now);
        }
    }

    /// An advert leaves, unless the kernel refuses it.
    pub(crate) fn transmit(&mut self, node: usize, advert: Advert) -> Option<Refused> {
        if let Some(error) = self.network.refuses(&mut self.rng, node) {
            let to = advert.source;
            return Some(Refused { to, error });
        }
        self.broadcast(node, Frame::Advert(advert));
        None
    }
}
