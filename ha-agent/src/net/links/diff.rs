//! What happened between two states of the table.

use super::{Link, LinkTable};
use crate::net::present::Present;

/// A change of one interface. Changes that cancelled out before anybody looked are not told, but
/// for a carrier that went and came ([`LinkEvent::Flapped`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkEvent {
    /// An interface is there, with the addresses that it has.
    Added(Box<Link>),
    /// An interface is gone, and its addresses with it.
    Removed {
        /// Its index.
        index: u32,
        /// The name that it had last.
        name: String,
    },
    /// It has another name.
    Renamed {
        /// Its index.
        index: u32,
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// Frames can be sent and received from now on.
    Up {
        /// Its index.
        index: u32,
    },
    /// Switched off, or no carrier.
    Down {
        /// Its index.
        index: u32,
    },
    /// The carrier went and came back: the segment may be another one, and switches have forgotten
    /// our addresses.
    Flapped {
        /// Its index.
        index: u32,
    },
    /// It has another Ethernet address.
    MacChanged {
        /// Its index.
        index: u32,
        /// The new one.
        mac: Option<[u8; 6]>,
    },
    /// MTU, master, parent or kind are others; the table has them.
    Reconfigured {
        /// Its index.
        index: u32,
    },
    /// An address is there, or its flags or owner have changed: one that is no longer tentative
    /// comes again.
    AddressAdded {
        /// The interface's index.
        index: u32,
        /// The address.
        address: Present,
    },
    /// An address is gone.
    AddressRemoved {
        /// The interface's index.
        index: u32,
        /// The address.
        address: Present,
    },
}

/// The events that lead from one state to the other: removals first, then by index.
pub fn events(from: &LinkTable, to: &LinkTable) -> Vec<LinkEvent> {
    let removed = from
        .iter()
        .filter(|link| to.get(link.index).is_none())
        .map(|link| LinkEvent::Removed {
            index: link.index,
            name: link.name.clone(),
        });
    let mut events: Vec<_> = removed.collect();
    for link in to.iter() {
        match from.get(link.index) {
            None => events.push(LinkEvent::Added(Box::new(link.clone()))),
            Some(before) => changes(before, link, &mut events),
        }
    }
    events
}

fn changes(before: &Link, after: &Link, events: &mut Vec<LinkEvent>) {
    let index = after.index;
    if before.name != after.name {
        events.push(LinkEvent::Renamed {
            index,
            from: before.name.clone(),
            to: after.name.clone(),
        });
    }
    if before.mac != after.mac {
        events.push(LinkEvent::MacChanged {
            index,
            mac: after.mac,
        });
    }
    let shape = |link: &Link| (link.mtu, link.master, link.parent, link.kind.clone());
    if shape(before) != shape(after) {
        events.push(LinkEvent::Reconfigured { index });
    }
    // Addresses that are gone before the link's state, new ones after it: whoever hears "up" and
    // looks for a source address finds it in the table anyway.
    for address in &before.addresses {
        if !after.addresses.iter().any(|now| now.net == address.net) {
            events.push(LinkEvent::AddressRemoved {
                index,
                address: *address,
            });
        }
    }
    match (before.is_up(), after.is_up()) {
        (false, true) => events.push(LinkEvent::Up { index }),
        (true, false) => events.push(LinkEvent::Down { index }),
        (true, true) if before.carrier_changes != after.carrier_changes => {
            events.push(LinkEvent::Flapped { index });
        }
        (true, true) | (false, false) => {}
    }
    for address in &after.addresses {
        if !before.addresses.contains(address) {
            events.push(LinkEvent::AddressAdded {
                index,
                address: *address,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressFlags;

    use super::super::tests::{link, present, table};
    use super::*;

    #[test]
    fn nothing_changed_is_no_event() {
        let table = table(&[link(2, "eth0", &[present("10.99.0.1/24")])]);
        assert_eq!(events(&table, &table), []);
    }

    #[test]
    fn an_interface_made_anew_is_removed_and_added_although_its_name_is_the_same() {
        let old = link(2, "eth0", &[]);
        let new = link(3, "eth0", &[]);
        let removed = LinkEvent::Removed {
            index: 2,
            name: "eth0".to_owned(),
        };
        let added = LinkEvent::Added(Box::new(new.clone()));
        assert_eq!(events(&table(&[old]), &table(&[new])), [removed, added]);
    }

    #[test]
    fn a_carrier_that_went_and_came_unseen_is_a_flap() {
        let before = link(2, "eth0", &[]);
        let mut after = before.clone();
        after.carrier_changes += 2;
        assert_eq!(
            events(&table(&[before]), &table(&[after])),
            [LinkEvent::Flapped { index: 2 }]
        );
    }

    #[test]
    fn every_field_that_changes_is_told() {
        let before = link(2, "eth0", &[present("10.99.0.1/24")]);
        let mut after = link(2, "lan0", &[present("10.99.0.2/24")]);
        after.mac = None;
        after.mtu = 9000;
        after.oper_up = false;
        let expected = [
            LinkEvent::Renamed {
                index: 2,
                from: "eth0".to_owned(),
                to: "lan0".to_owned(),
            },
            LinkEvent::MacChanged {
                index: 2,
                mac: None,
            },
            LinkEvent::Reconfigured { index: 2 },
            LinkEvent::AddressRemoved {
                index: 2,
                address: present("10.99.0.1/24"),
            },
            LinkEvent::Down { index: 2 },
            LinkEvent::AddressAdded {
                index: 2,
                address: present("10.99.0.2/24"),
            },
        ];
        assert_eq!(events(&table(&[before]), &table(&[after])), expected);
    }

    #[test]
    fn an_address_that_becomes_usable_is_told_again() {
        let mut tentative = present("fe80::1/64");
        tentative.flags = AddressFlags::Tentative;
        let address = present("fe80::1/64");
        let before = table(&[link(2, "eth0", &[tentative])]);
        let after = table(&[link(2, "eth0", &[address])]);
        assert_eq!(
            events(&before, &after),
            [LinkEvent::AddressAdded { index: 2, address }]
        );
    }
}
