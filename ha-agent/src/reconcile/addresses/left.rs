//! What of ours may be there that the configuration does not say: an earlier life's, or what a reload could not remove.

use std::collections::HashSet;
use std::net::IpAddr;

use super::{Addresses, Look};
use crate::reconcile::lookup::Lookup;

impl Addresses {
    /// What of ours may be there beside these, as far as this life knows, in order.
    pub fn left_beside(&self, these: &[IpAddr]) -> Vec<IpAddr> {
        let these: Lookup<IpAddr> = these.iter().copied().collect();
        let placed = self.placed.keys().map(|(_, net)| net.addr());
        let ours = placed.chain(self.recorded.iter().copied());
        let mut beside: Vec<IpAddr> = ours.filter(|it| !these.contains(it)).collect();
        beside.sort_unstable();
        beside.dedup();
        beside
    }

    /// Whether this life has put this address on an interface, or taken it for its own, and has not removed it.
    pub fn has_placed(&self, ifindex: u32, address: IpAddr) -> bool {
        let mut placed = self.placed.keys();
        placed.any(|(index, net)| (*index, net.addr()) == (ifindex, address))
    }

    /// A look at the interfaces of a master: of what is not configured, what is gone is nobody's to remove any more, and
    /// somebody else's if it comes again. True if anything of ours is.
    pub fn forget_gone_beside(&mut self, look: &Look<'_>) -> bool {
        let before = self.placed.len() + self.recorded.len();
        let known = self.known(look);
        let present = look.present.iter();
        let there: HashSet<IpAddr> = present
            .filter(|(index, found)| self.is_ours(&known, *index, found))
            .map(|(_, found)| found.net.addr())
            .collect();
        let stays =
            |address: &IpAddr| known.configured.contains(address) || there.contains(address);
        self.placed.retain(|(_, net), _| stays(&net.addr()));
        self.recorded.retain(stays);
        self.placed.len() + self.recorded.len() != before
    }
}
