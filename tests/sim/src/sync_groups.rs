//! Sync groups in the simulation: the nodes of a group are the members of one host, each on its own segment.

use ha_agent::router::{Effects, Router, group};
use ha_common::layout::Slot;

use crate::node::{Life, Node};
use crate::world::World;

impl World {
    /// Brings the group of this node in step, if its host runs, as the driver does at the end of a turn.
    pub(crate) fn sync(&mut self, node: usize) {
        if !self.grouped {
            return;
        }
        let host = self.grid.host(node);
        let runs = |id: usize| {
            let node = &self.nodes[id];
            node.life == Life::Running && node.router.is_some()
        };
        if !self.grid.members(host).all(runs) {
            return;
        }
        let role = self.nodes[node].router.as_ref().map(Router::role);
        if role.is_some_and(|role| !(self.bug.syncs)(role)) {
            return;
        }
        let now = self.now;
        group::sync(&mut HostMembers { world: self, host }, now);
        for id in self.grid.members(host) {
            self.watch_deadline(id);
        }
    }
}

/// The routers of a host, in the order of the nodes.
struct HostMembers<'w> {
    world: &'w mut World,
    host: usize,
}

impl HostMembers<'_> {
    fn node(&self, member: usize) -> usize {
        self.world.grid.node(self.host, member)
    }
}

impl group::Members for HostMembers<'_> {
    fn routers(&mut self) -> Vec<&mut Router> {
        let nodes = self.world.nodes.iter_mut();
        let own = nodes.skip(self.host).step_by(self.world.grid.hosts);
        own.filter_map(|node: &mut Node| node.router.as_mut())
            .collect()
    }

    fn slot(&mut self, member: usize) -> Option<Slot> {
        let node = self.node(member);
        Some(*self.world.nodes.get(node)?.detector.slot())
    }

    fn carry_out(&mut self, member: usize, fx: Effects) {
        let node = self.node(member);
        self.world.carry_out(node, fx);
    }
}
