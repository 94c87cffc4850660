//! The segments: who hears whom, how late, how often, and in which order.

use fastrand::Rng;
use ha_agent::net::advert::AdvertError;
use ha_common::units::{Instant, Nanos};

/// What a host's kernel makes of the adverts that it is to send.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sending {
    /// It sends them.
    #[default]
    Works,
    /// `iptables -I OUTPUT -p vrrp -j DROP`.
    Filtered,
    /// The queue is full half of the time.
    Congested,
}

/// How many times the longest delay a frame takes that others overtake.
const OVERTAKEN: u64 = 4;

/// The segments' state.
#[derive(Clone, Debug)]
pub struct Network {
    /// Nodes with the same number are on the same side.
    sides: Vec<u8>,
    /// Nodes whose link is down.
    unplugged: Vec<bool>,
    sending: Vec<Sending>,
    /// Adverts of somebody have been refused in this schedule.
    refused: bool,
    /// Lost frames in a thousand.
    pub loss: u16,
    /// Frames that arrive twice, in a thousand.
    pub duplication: u16,
    /// Frames that later ones overtake, in a thousand.
    pub reordering: u16,
    /// Longest delay; the shortest is half of it, so that an answer never overtakes its question.
    pub max_delay: Nanos,
    /// When the last frame on each link arrives: a link keeps the order of what is not reordered.
    arrived: Vec<Instant>,
    /// When the last frame of all arrives.
    last_arrival: Instant,
}

impl Network {
    /// Everybody hears everybody.
    pub fn new(nodes: usize, max_delay: Nanos) -> Self {
        Self {
            sides: vec![0; nodes],
            unplugged: vec![false; nodes],
            sending: vec![Sending::Works; nodes],
            refused: false,
            loss: 0,
            duplication: 0,
            reordering: 0,
            max_delay,
            arrived: vec![Instant(0); nodes * nodes],
            last_arrival: Instant(0),
        }
    }

    /// Splits the segment; nodes with equal numbers stay together.
    pub fn partition(&mut self, sides: &[u8]) {
        self.sides.copy_from_slice(sides);
    }

    /// Pulls or plugs a node's cable.
    pub fn unplug(&mut self, node: usize, unplugged: bool) {
        self.unplugged[node] = unplugged;
    }

    /// What the node's kernel makes of adverts from now on.
    pub fn set_sending(&mut self, node: usize, sending: Sending) {
        self.sending[node] = sending;
        self.refused |= !matches!(sending, Sending::Works);
    }

    /// Frames arrive once and in order, and everybody may send.
    pub fn calm(&mut self) {
        self.loss = 0;
        self.duplication = 0;
        self.reordering = 0;
        self.sending.fill(Sending::Works);
    }

    /// Whether adverts of anybody have been refused: whoever has not seen yet that they leave again may act on it.
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// When the last frame arrives that is on its way.
    pub fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// Whether frames get from one to the other at all.
    pub fn connected(&self, from: usize, to: usize) -> bool {
        from == to
            || (self.sides[from] == self.sides[to] && !self.unplugged[from] && !self.unplugged[to])
    }

    /// Why the node's kernel refuses an advert, if it does.
    pub fn refuses(&self, rng: &mut Rng, node: usize) -> Option<AdvertError> {
        match self.sending[node] {
            Sending::Works => None,
            Sending::Filtered => Some(AdvertError::Filtered),
            Sending::Congested => rng.bool().then_some(AdvertError::QueueFull),
        }
    }

    /// When the copies of one frame arrive: none, one or two.
    pub fn arrivals(
        &mut self,
        rng: &mut Rng,
        now: Instant,
        from: usize,
        to: usize,
    ) -> [Option<Instant>; 2] {
        if from == to || !self.connected(from, to) || happens(rng, self.loss) {
            return [None; 2];
        }
        let first = self.arrival(rng, now, from, to);
        let second = happens(rng, self.duplication).then(|| self.arrival(rng, now, from, to));
        [Some(first), second]
    }

    fn arrival(&mut self, rng: &mut Rng, now: Instant, from: usize, to: usize) -> Instant {
        let longest = self.max_delay.0;
        let at = if happens(rng, self.reordering) {
            now + Nanos(rng.u64(longest / 2..=OVERTAKEN * longest))
        } else {
            let link = &mut self.arrived[from * self.sides.len() + to];
            let at = now + Nanos(rng.u64(longest / 2..=longest));
            *link = at.max(*link);
            *link
        };
        self.last_arrival = self.last_arrival.max(at);
        at
    }
}

/// So many times in a thousand. Nothing is drawn for what never happens.
fn happens(rng: &mut Rng, per_mille: u16) -> bool {
    per_mille > 0 && rng.u16(0..1000) < per_mille
}
