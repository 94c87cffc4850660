//! One segment: who hears whom, how late, and how often.

use fastrand::Rng;
use ha_common::units::Nanos;

/// The segment's state.
#[derive(Clone, Debug)]
pub struct Network {
    /// Nodes with the same number are on the same side.
    sides: Vec<u8>,
    /// Nodes whose link is down.
    unplugged: Vec<bool>,
    /// Nodes whose own firewall drops the adverts that they send, and nothing else.
    muted: Vec<bool>,
    /// Lost frames in a thousand.
    pub loss: u16,
    /// Frames that arrive twice, in a thousand.
    pub duplication: u16,
    /// Longest delay; the shortest is half of it, so that an answer never overtakes its question.
    pub max_delay: Nanos,
}

impl Network {
    /// Everybody hears everybody.
    pub fn new(nodes: usize, max_delay: Nanos) -> Self {
        Self {
            sides: vec![0; nodes],
            unplugged: vec![false; nodes],
            muted: vec![false; nodes],
            loss: 0,
            duplication: 0,
            max_delay,
        }
    }

    /// Splits the segment; nodes with equal numbers stay together.
    pub fn partition(&mut self, sides: &[u8]) {
        self.sides = sides.to_vec();
    }

    /// Pulls or plugs a node's cable.
    pub fn unplug(&mut self, node: usize, unplugged: bool) {
        self.unplugged[node] = unplugged;
    }

    /// `iptables -I OUTPUT -p vrrp -j DROP`, or the rule removed.
    pub fn mute(&mut self, node: usize, muted: bool) {
        self.muted[node] = muted;
    }

    /// Frames arrive once, and everybody may send.
    pub fn calm(&mut self) {
        self.loss = 0;
        self.duplication = 0;
        self.muted.fill(false);
    }

    /// Whether frames get from one to the other at all.
    pub fn connected(&self, from: usize, to: usize) -> bool {
        from == to
            || (self.sides[from] == self.sides[to] && !self.unplugged[from] && !self.unplugged[to])
    }

    /// Whether the node's adverts leave it.
    pub fn may_advertise(&self, node: usize) -> bool {
        !self.muted[node]
    }

    /// Delays of the copies of one frame that arrive: none, one or two.
    pub fn copies(&self, rng: &mut Rng, from: usize, to: usize) -> Vec<Nanos> {
        if from == to || !self.connected(from, to) || rng.u16(0..1000) < self.loss {
            return Vec::new();
        }
        let copies = 1 + usize::from(rng.u16(0..1000) < self.duplication);
        (0..copies)
            .map(|_| Nanos(rng.u64(self.max_delay.0 / 2..=self.max_delay.0)))
            .collect()
    }
}
