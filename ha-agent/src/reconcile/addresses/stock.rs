//! Whose the addresses are that are where ours belong.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{Addresses, Look, key};
use crate::reconcile::lookup::Lookup;

impl Addresses {
    /// Takes in whose the addresses are that are in their places: one that somebody else has put in the place of ours
    /// is theirs. Without marks that cannot be seen, and what is known counts. True if anything is another one's than
    /// before.
    pub fn take_stock(&mut self, look: &Look<'_>) -> bool {
        let before = self.foreign.clone();
        let present = look.present.iter().map(|(_, found)| found.net.addr());
        let present: Lookup<IpAddr> = present.filter(|it| before.contains(it)).collect();
        self.foreign.retain(|address| present.contains(address));
        let places: HashMap<_, _> = look.places.iter().map(|it| (key(it), it)).collect();
        let wanted: Lookup<_> = places.keys().copied().collect();
        let present = look.present.iter();
        for (index, found) in present.filter(|(index, found)| wanted.contains(&(*index, found.net)))
        {
            let Some(place) = places.get(&(index, found.net)) else {
                continue;
            };
            let address = place.net.addr();
            let is_ours = if look.marks {
                found.ours
            } else {
                self.recorded.contains(&address) || self.placed.contains_key(&key(place))
            };
            if is_ours {
                self.put(**place);
            } else {
                self.placed.remove(&key(place));
                self.foreign.insert(address);
            }
        }
        self.foreign != before
    }
}
