//! The table of interfaces.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::link::{Link, LinkKind};
use crate::net::observed::ObservedAddress;

/// Every interface of the network namespace, by index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkTable {
    /// Shared between tables, so that showing a new one copies only what has changed.
    links: BTreeMap<u32, Arc<Link>>,
    /// The index of each name, the alternative ones included: the kernel takes none twice.
    names: Arc<HashMap<String, u32>>,
    /// Lives that were given out.
    lives: u64,
}

impl LinkTable {
    /// All interfaces, by ascending index.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(Arc::as_ref)
    }

    /// The interface with this index.
    pub fn get(&self, index: u32) -> Option<&Link> {
        self.links.get(&index).map(Arc::as_ref)
    }

    /// The interface with this name, or this alternative one.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.get(*self.names.get(name)?)
    }

    /// What is not in both tables as it is: each interface that came, went or changed, as it was and as it is.
    pub fn changes_to<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a Link> {
        let is_in = |link: &Arc<Link>, table: &Self| {
            let other = table.links.get(&link.index);
            // One that both share is the same without a look at it.
            other.is_some_and(|other| Arc::ptr_eq(link, other) || link == other)
        };
        let before = self.links.values().filter(move |link| !is_in(link, newer));
        let after = newer.links.values().filter(move |link| !is_in(link, self));
        before.chain(after).map(Arc::as_ref)
    }

    /// The VLAN interfaces above this one, whose traffic a program on it can mistake for its own.
    pub fn vlans_above(&self, index: u32) -> impl Iterator<Item = &Link> {
        self.iter().filter(move |link| {
            link.parent == Some(index) && matches!(link.kind, LinkKind::Vlan { .. })
        })
    }

    /// The device that takes what comes in by an interface, in words: a bridge, a bond, a team; not a VRF.
    pub fn port_of(&self, link: &Link) -> Option<String> {
        let master = self.get(link.master?)?;
        let kind = match &master.kind {
            LinkKind::Bridge => "bridge",
            LinkKind::Bond => "bond",
            LinkKind::Other(kind) => kind,
            _ => return None,
        };
        Some(format!("{kind} {}", master.name))
    }

    /// The routing table of the VRF that an interface is in, if it is in one.
    pub fn vrf_table(&self, link: &Link) -> Option<u32> {
        match self.get(link.master?)?.kind {
            LinkKind::Vrf { table } => Some(table),
            _ => None,
        }
    }

    /// A link message: the addresses of an interface that is known already stay.
    pub(super) fn put_link(&mut self, mut link: Link) {
        if let Some(known) = self.links.get(&link.index) {
            link.addresses.clone_from(&known.addresses);
            link.address_losses = known.address_losses;
            link.life = known.life;
        } else {
            self.lives += 1;
            link.life = self.lives;
        }
        self.insert(link);
    }

    /// The whole of it was read anew. Who has the index of one that was known is taken for the same one. `lost`: what
    /// was not heard may have been a loss of addresses, also if they are all there.
    pub(super) fn replace(&mut self, links: Vec<Link>, lost: bool) {
        let mut gone: HashSet<u32> = self.links.keys().copied().collect();
        for mut link in links {
            gone.remove(&link.index);
            if let Some(known) = self.links.get(&link.index) {
                link.life = known.life;
                let all_there = keep_order(&mut link.addresses, &known.addresses);
                let is_loss = lost || !all_there;
                link.address_losses = known.address_losses + u64::from(is_loss);
            } else {
                self.lives += 1;
                link.life = self.lives;
            }
            self.insert(link);
        }
        for index in gone {
            self.remove_link(index);
        }
    }

    pub(super) fn remove_link(&mut self, index: u32) {
        if let Some(link) = self.links.remove(&index) {
            self.forget_names(&link);
        }
    }

    fn insert(&mut self, link: Link) {
        let known = self.links.get(&link.index).cloned();
        if known.as_deref() == Some(&link) {
            return;
        }
        if let Some(known) = known.filter(|known| !known.names().eq(link.names())) {
            self.forget_names(&known);
        }
        for name in link.names() {
            if self.names.get(name) != Some(&link.index) {
                Arc::make_mut(&mut self.names).insert(name.to_owned(), link.index);
            }
        }
        self.links.insert(link.index, Arc::new(link));
    }

    /// Two interfaces may swap their names: the name is then another's already.
    fn forget_names(&mut self, link: &Link) {
        for name in link.names() {
            if self.names.get(name) == Some(&link.index) {
                Arc::make_mut(&mut self.names).remove(name);
            }
        }
    }

    /// Adds an address or brings its flags up to date. Of an unknown interface it is dropped: the
    /// interface's removal was heard already.
    pub(super) fn put_address(&mut self, index: u32, present: ObservedAddress) {
        let Some(link) = self.links.get_mut(&index) else {
            return;
        };
        let link = Arc::make_mut(link);
        match link.addresses.iter_mut().find(|p| p.net == present.net) {
            Some(known) => *known = present,
            None => link.addresses.push(present),
        }
    }

    /// Tells whether the host forwards IPv6 from an interface.
    pub(super) fn put_forwarding(&mut self, index: u32, forwards: bool) {
        if let Some(link) = self.links.get_mut(&index)
            && link.forwards_ipv6 != forwards
        {
            Arc::make_mut(link).forwards_ipv6 = forwards;
        }
    }

    pub(super) fn remove_address(&mut self, index: u32, present: &ObservedAddress) {
        if let Some(link) = self.links.get_mut(&index) {
            let link = Arc::make_mut(link);
            link.addresses.retain(|p| p.net != present.net);
            link.address_losses += 1;
        }
    }
}

/// Puts addresses that were known before into the order in which they were: the kernel lists IPv4 first, and moves one
/// that becomes primary, whereas notifications add behind. Nothing may change by being read again. True if
/// all that were known are there.
fn keep_order(read: &mut [ObservedAddress], known: &[ObservedAddress]) -> bool {
    let places = known.iter().enumerate().map(|(at, it)| (it.net, at));
    let places: HashMap<IpNet, usize> = places.collect();
    read.sort_by_key(|it| places.get(&it.net).copied().unwrap_or(usize::MAX));
    let nets: HashSet<IpNet> = read.iter().map(|it| it.net).collect();
    known.iter().all(|it| nets.contains(&it.net))
}

#[cfg(test)]
pub(crate) mod tests {
    use netlink_packet_route::address::{AddressFlags, AddressScope};

    use super::*;
    use crate::net::links::LinkLayer;

    pub(crate) fn present(net: &str) -> ObservedAddress {
        ObservedAddress {
            net: net.parse().unwrap(),
            peer: None,
            ours: false,
            flags: AddressFlags::Permanent,
            scope: AddressScope::Universe,
        }
    }

    pub(crate) fn link(index: u32, name: &str, addresses: &[ObservedAddress]) -> Link {
        Link {
            index,
            life: 0,
            name: name.to_owned(),
            alternative_names: Vec::new(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            admin_up: true,
            oper_up: true,
            carrier_changes: 2,
            address_losses: 0,
            master: None,
            parent: None,
            link_layer: LinkLayer::Ethernet,
            forwards_ipv6: false,
            promiscuous: false,
            kind: LinkKind::Device,
            addresses: addresses.to_vec(),
        }
    }

    pub(crate) fn table(links: &[Link]) -> LinkTable {
        let mut table = LinkTable::default();
        for link in links {
            table.put_link(link.clone());
        }
        table
    }

    #[test]
    fn an_index_that_is_used_again_is_another_life_and_a_change_is_not() {
        let mut table = table(&[link(2, "eth0", &[]), link(3, "eth1", &[])]);
        let life = |table: &LinkTable, index| table.get(index).unwrap().life;
        let first = life(&table, 2);
        assert_ne!(first, life(&table, 3));
        table.put_link(link(2, "lan0", &[]));
        assert_eq!(life(&table, 2), first, "a new name is the same interface");
        table.replace(vec![link(2, "lan0", &[]), link(4, "eth2", &[])], true);
        assert_eq!(
            life(&table, 2),
            first,
            "read again it is the same interface"
        );
        assert!(table.get(3).is_none());
        let fourth = life(&table, 4);
        table.remove_link(2);
        table.put_link(link(2, "lan0", &[]));
        assert!(life(&table, 2) > fourth && fourth > first);
    }

    #[test]
    fn a_name_leads_to_who_has_it_now() {
        let mut table = table(&[link(2, "eth0", &[]), link(3, "eth1", &[])]);
        let index = |table: &LinkTable, name| table.by_name(name).map(|link| link.index);
        for (told, name) in [(2, "tmp"), (3, "eth0"), (2, "eth1")] {
            table.put_link(link(told, name, &[]));
        }
        assert_eq!(
            ["eth0", "eth1", "tmp"].map(|it| index(&table, it)),
            [Some(3), Some(2), None]
        );
        // Swapped again, and nobody was told.
        table.replace(vec![link(2, "eth0", &[]), link(3, "eth1", &[])], true);
        assert_eq!(
            ["eth0", "eth1"].map(|it| index(&table, it)),
            [Some(2), Some(3)]
        );
        table.replace(vec![link(4, "eth0", &[])], true);
        assert_eq!(
            ["eth0", "eth1"].map(|it| index(&table, it)),
            [Some(4), None]
        );
        table.remove_link(4);
        assert_eq!(index(&table, "eth0"), None);
    }

    #[test]
    fn an_alternative_name_leads_to_its_interface_for_as_long_as_it_has_it() {
        let named = |index, name: &str, other: &str| Link {
            alternative_names: vec![other.to_owned()],
            ..link(index, name, &[])
        };
        let mut table = table(&[
            named(2, "eth0", "enp3s0f0np0-a-long-one"),
            link(3, "eth1", &[]),
        ]);
        let index = |table: &LinkTable, name| table.by_name(name).map(|link| link.index);
        assert_eq!(index(&table, "enp3s0f0np0-a-long-one"), Some(2));
        table.put_link(named(2, "lan0", "enp3s0f0np0-a-long-one"));
        assert_eq!(index(&table, "enp3s0f0np0-a-long-one"), Some(2));
        table.put_link(link(2, "lan0", &[]));
        assert_eq!(index(&table, "enp3s0f0np0-a-long-one"), None);
        assert_eq!(index(&table, "lan0"), Some(2));
    }

    #[test]
    fn a_new_table_shares_what_has_not_changed() {
        let mut table = table(&[link(2, "eth0", &[]), link(3, "eth1", &[])]);
        let shown = table.clone();
        table.put_address(3, present("10.99.0.1/24"));
        table.replace(table.iter().cloned().collect(), false);
        assert!(std::ptr::eq(shown.get(2).unwrap(), table.get(2).unwrap()));
        assert!(shown.get(3).unwrap().addresses.is_empty());
    }

    #[test]
    fn a_table_that_is_read_again_is_the_same() {
        let [six, four, other] = ["fe80::1/64", "10.99.0.1/24", "10.99.0.2/24"].map(present);
        let mut table = table(&[link(2, "eth0", &[six, four])]);
        let before = table.clone();
        table.replace(vec![link(2, "eth0", &[four, six])], false);
        assert_eq!(table, before);
        table.replace(vec![link(2, "eth0", &[other, four, six])], false);
        let link = table.get(2).unwrap();
        assert_eq!(link.addresses, [six, four, other]);
        assert_eq!(link.address_losses, 0);
    }

    #[test]
    fn a_link_message_keeps_the_addresses_and_an_address_of_no_link_is_dropped() {
        let mut table = table(&[link(2, "eth0", &[present("10.99.0.1/24")])]);
        table.put_link(link(2, "lan0", &[]));
        assert_eq!(table.by_name("lan0").unwrap().addresses.len(), 1);
        table.put_address(9, present("10.0.0.1/8"));
        assert!(table.get(9).is_none());
        table.remove_address(2, &present("10.99.0.1/24"));
        assert!(table.get(2).unwrap().addresses.is_empty());
        // Back at once, it is a loss all the same; so may be what was read anew.
        table.put_address(2, present("10.99.0.1/24"));
        table.put_link(link(2, "lan0", &[]));
        assert_eq!(table.get(2).unwrap().address_losses, 1);
        table.replace(vec![link(2, "lan0", &[])], true);
        assert_eq!(table.get(2).unwrap().address_losses, 2);
        // Where everything was heard, only what is missing is a loss.
        let held = link(2, "lan0", &[present("10.99.0.1/24")]);
        table.replace(vec![held.clone()], false);
        table.replace(vec![held], false);
        assert_eq!(table.get(2).unwrap().address_losses, 2);
        table.replace(vec![link(2, "lan0", &[])], false);
        assert_eq!(table.get(2).unwrap().address_losses, 3);
    }
}
