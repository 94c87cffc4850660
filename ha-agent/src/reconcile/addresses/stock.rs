//! Whose the addresses are that are where ours belong.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Addresses, Look, key};

impl Addresses {
    /// Takes in whose the addresses are that are in their places: one that somebody else has put in the place of ours
    /// is theirs. Without marks that cannot be seen, and what is known counts. True if anything is another one's than
    /// before.
    pub fn take_stock(&mut self, look: &Look<'_>) -> bool {
        let before = self.foreign.clone();
        let present = look.present.iter();
        let present: HashSet<IpAddr> = present.map(|(_, found)| found.net.addr()).collect();
        self.foreign.retain(|address| present.contains(address));
        let places = look.places.iter();
        let places: HashMap<_, _> = places.map(|it| ((it.ifindex, it.net), it)).collect();
        for (index, found) in look.present.iter() {
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
