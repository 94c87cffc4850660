//! Sync groups in the simulation: the nodes of a group are the members of one host, each on its own
//! segment. What the driver does between its turns is done here, with the same functions.

use ha_common::election::{Election, Input, MemberId};
use ha_common::group::{self, Fitness, Own, Pool, Standing};

use super::node::{Life, Node};
use super::world::World;

impl World {
    /// The nodes of one host, if this one is in a group.
    pub fn group_of(&self, node: usize) -> Option<Vec<usize>> {
        let mut groups = self.groups.iter();
        groups.find(|members| members.contains(&node)).cloned()
    }

    /// Brings the group of this node in step, if its host runs.
    pub(super) fn sync(&mut self, node: usize) {
        let Some(members) = self.group_of(node) else {
            return;
        };
        let runs = |id: &usize| {
            let node = &self.nodes[*id];
            node.life == Life::Running && node.election.is_some()
        };
        if !members.iter().all(runs) {
            return;
        }
        self.share(&members);
        for &id in &members {
            self.believe_the_slot(id);
        }
        let standings: Vec<Standing> = members
            .iter()
            .filter_map(|id| self.nodes[*id].election.as_ref())
            .map(Election::standing)
            .collect();
        let verdict = group::settle(standings.iter().copied());
        for (me, (&id, standing)) in (0..).map(MemberId).zip(members.iter().zip(standings)) {
            if let Some(input) = verdict.input(me, standing) {
                self.feed(id, input);
            }
            self.watch_deadline(id);
        }
    }

    fn share(&mut self, members: &[usize]) {
        let brought: Vec<Own> = members.iter().map(|id| own(&self.nodes[*id])).collect();
        let pool = Pool::of(brought.iter().copied());
        for (&id, own) in members.iter().zip(brought) {
            let lent = pool.lend(own);
            self.feed(id, Input::Priority(lent.priority));
            let node = &mut self.nodes[id];
            let changed = std::mem::replace(&mut node.fed, lent.fitness) != lent.fitness;
            match lent.fitness {
                Fitness::Ready if changed => self.feed(id, Input::Ready),
                Fitness::Unfit(cause) if changed => self.feed(id, Input::Fault(cause)),
                Fitness::Waiting | Fitness::Ready | Fitness::Unfit(_) => {}
            }
        }
    }

    /// The driver's look at the slot of a member whose timer ran out a while ago.
    fn believe_the_slot(&mut self, id: usize) {
        let node = &self.nodes[id];
        let since = node.election.as_ref().and_then(Election::expired_since);
        let heard = node.detector.last_heard();
        if let (Some(since), Some(heard), Some(advert)) = (since, heard, node.detector.following())
            && heard > since
        {
            self.feed(id, Input::Advert(advert));
        }
    }
}

fn own(node: &Node) -> Own {
    let fitness = match node.health() {
        Input::Fault(cause) => Fitness::Unfit(cause),
        _ if node.checked => Fitness::Ready,
        _ => Fitness::Waiting,
    };
    Own {
        fitness,
        priority: node.params.rules.priority,
    }
}
