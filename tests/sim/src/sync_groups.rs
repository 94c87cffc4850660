//! Sync groups in the simulation: the nodes of a group are the members of one host, each on its own segment.

use ha_agent::router::{Effects, Router, group};

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
        let shared = group::share(&mut self.routers_of(host), now);
        self.carry_out_all(host, shared);
        for id in self.grid.members(host) {
            let slot = *self.nodes[id].detector.slot();
            if let Some(router) = &mut self.nodes[id].router
                && router.has_run_out()
            {
                let mut fx = Effects::default();
                router.resync(&slot, now, &mut fx);
                self.carry_out(id, fx);
            }
        }
        let settled = group::settle(&mut self.routers_of(host), now);
        self.carry_out_all(host, settled);
        for id in self.grid.members(host) {
            self.watch_deadline(id);
        }
    }

    fn carry_out_all(&mut self, host: usize, effects: Vec<Effects>) {
        for (id, fx) in self.grid.members(host).zip(effects) {
            self.carry_out(id, fx);
        }
    }

    /// The routers of the host, in their order, which is that of the nodes.
    fn routers_of(&mut self, host: usize) -> Vec<&mut Router> {
        let nodes = self.nodes.iter_mut().skip(host).step_by(self.grid.hosts);
        nodes
            .filter_map(|node: &mut Node| node.router.as_mut())
            .collect()
    }
}
