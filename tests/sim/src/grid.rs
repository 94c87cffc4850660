//! Hosts by segments: which node is which host's virtual router on which segment.

use fastrand::Rng;
use ha_common::units::Nanos;

use crate::ops::Op;

/// Hosts by segments: node `host + segment * hosts` is that host's virtual router on that segment.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// How many hosts.
    pub hosts: usize,
    /// How many segments, and so virtual routers of each host.
    pub segments: usize,
}

impl Grid {
    /// The node of this host on this segment.
    pub const fn node(self, host: usize, segment: usize) -> usize {
        host + segment * self.hosts
    }

    /// The host of this node.
    pub const fn host(self, node: usize) -> usize {
        node % self.hosts
    }

    /// The number of this node among its host's.
    pub const fn router(self, node: usize) -> usize {
        node / self.hosts
    }

    /// The nodes of this host.
    pub fn members(self, host: usize) -> impl Iterator<Item = usize> {
        (0..self.segments).map(move |it| self.node(host, it))
    }

    /// What falls into parts where, as the network wants it.
    pub fn sides(self, mut side: impl FnMut(usize, usize) -> u8) -> Vec<u8> {
        let mut sides = Vec::new();
        for (segment, base) in (0..self.segments).zip((0u8..).step_by(16)) {
            sides.extend((0..self.hosts).map(|host| base + side(host, segment) % 16));
        }
        sides
    }

    /// Each segment by itself in up to two parts, all of them in the same two, or all of them whole.
    pub fn random_sides(self, rng: &mut Rng, wholes_to_each_split: u8) -> Vec<u8> {
        match rng.u8(0..=wholes_to_each_split + 1) {
            0 => {
                let parts: Vec<u8> = (0..self.hosts).map(|_| rng.u8(0..2)).collect();
                self.sides(|host, _| parts[host])
            }
            1 => self.sides(|_, _| rng.u8(0..2)),
            _ => self.sides(|_, _| 0),
        }
    }

    /// What happens to a host happens to all of its virtual routers.
    pub fn on_host(
        self,
        ops: &mut Vec<(Nanos, Op)>,
        host: usize,
        at: Nanos,
        op: impl Fn(usize) -> Op,
    ) {
        ops.extend(self.members(host).map(|node| (at, op(node))));
    }
}
