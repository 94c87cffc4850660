//! What an agent may have put on an interface, as it is written down for the next one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::net::links::Link;

/// What one interface may have of us.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Placed {
    /// The interface's name.
    pub interface: String,
    pub ifindex: u32,
    pub addresses: BTreeSet<IpAddr>,
}

impl Placed {
    /// Whether it is about this interface: names and indices are used again.
    pub fn is_on(&self, link: &Link) -> bool {
        self.ifindex == link.index && link.names().any(|name| name == self.interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::link;

    #[test]
    fn it_is_about_an_interface_that_has_both_its_index_and_one_of_its_names() {
        let placed = Placed {
            interface: "eth0".to_owned(),
            ifindex: 7,
            addresses: BTreeSet::new(),
        };
        let mut renamed = link(7, "uplink", &[]);
        assert!(placed.is_on(&link(7, "eth0", &[])));
        assert!(!placed.is_on(&link(8, "eth0", &[])) && !placed.is_on(&renamed));
        renamed.alternative_names = vec!["eth0".to_owned()];
        assert!(placed.is_on(&renamed));
    }
}
