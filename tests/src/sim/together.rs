//! Sync groups in the simulation: the nodes of a group are the members of one host, each on its own segment.

use ha_agent::router::{Effects, Router, group};

use super::node::{Life, Node};
use super::world::World;

impl World {
    /// The nodes of one host, if this one is in a group.
    pub fn group_of(&self, node: usize) -> Option<Vec<usize>> {
        let mut groups = self.groups.iter();
        groups.find(|members| members.contains(&node)).cloned()
    }

    /// Brings the group of this node in step, if its host runs, as the driver does at the end of a turn.
    pub(super) fn sync(&mut self, node: usize) {
        let Some(members) = self.group_of(node) else {
            return;
        };
        let runs = |id: &usize| {
            let node = &self.nodes[*id];
            node.life == Life::Running && node.router.is_some()
        };
        if !members.iter().all(runs) {
            return;
        }
        let now = self.now;
        let shared = group::share(&mut routers_of(&mut self.nodes, &members), now);
        self.carry_out_all(&members, shared);
        for &id in &members {
            let slot = self.nodes[id].detector.slot();
            if let Some(router) = &mut self.nodes[id].router
                && router.has_run_out()
            {
                let mut fx = Effects::default();
                router.resync(&slot, now, &mut fx);
                self.carry_out(id, fx);
            }
        }
        let settled = group::settle(&mut routers_of(&mut self.nodes, &members), now);
        self.carry_out_all(&members, settled);
        for &id in &members {
            self.watch_deadline(id);
        }
    }

    fn carry_out_all(&mut self, members: &[usize], effects: Vec<Effects>) {
        for (&id, fx) in members.iter().zip(effects) {
            self.carry_out(id, fx);
        }
    }
}

/// The members' routers, in their order, which is that of the nodes.
fn routers_of<'n>(nodes: &'n mut [Node], members: &[usize]) -> Vec<&'n mut Router> {
    let nodes = nodes.iter_mut().enumerate();
    nodes
        .filter(|(id, _)| members.contains(id))
        .filter_map(|(_, node)| node.router.as_mut())
        .collect()
}
