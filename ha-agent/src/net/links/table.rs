//! Interfaces and the table of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use netlink_packet_route::address::{AddressFlags, AddressScope};

use crate::net::observed::ObservedAddress;

/// One interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The index; it never changes, and an interface that is made anew has another one.
    pub index: u32,
    /// Which interface of that index this is: an index can be used again, even for an interface of the same
    /// name, such as one that was in another network namespace meanwhile. What was attached to the one
    /// before is gone.
    pub life: u64,
    /// The name, which can change.
    pub name: String,
    /// The Ethernet address; `None` on links that have none.
    pub mac: Option<[u8; 6]>,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
    /// Switched on (`IFF_UP`).
    pub admin_up: bool,
    /// The kernel would send on it: carrier is there and the operational state allows it.
    pub oper_up: bool,
    /// How often the carrier has come or gone: it tells a flap that was too quick to be seen.
    pub carrier_changes: u32,
    /// How often addresses were taken from it, as far as that was heard: memberships of groups may have gone
    /// along, also if the addresses were back before anybody looked.
    pub address_losses: u64,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<u32>,
    /// The interface beneath: a VLAN's or macvlan's parent, the other end of a veth pair.
    pub parent: Option<u32>,
    /// What it is.
    pub kind: LinkKind,
    /// What its frames begin with.
    pub link_layer: LinkLayer,
    /// Whether it receives every frame of its segment (`IFF_PROMISC`): then cards do not filter by VLAN either.
    pub promiscuous: bool,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<ObservedAddress>,
}

/// What the frames of an interface begin with (`ARPHRD_*` of `linux/if_arp.h`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header: tun, `WireGuard`, GRE, PPP.
    Network,
    /// A header of another kind, such as `InfiniBand`'s.
    Other,
}

/// What an interface is, as far as the agent treats it differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// A device of a driver that says nothing about its kind: physical NICs, virtio, loopback.
    Device,
    /// IEEE 802.1Q.
    Vlan {
        /// 1 to 4094.
        id: u16,
    },
    Bridge,
    Bond,
    /// A macvlan or macvtap.
    Macvlan,
    /// One end of a veth pair.
    Veth,
    /// A VRF (virtual routing and forwarding domain).
    Vrf {
        /// Its routing table.
        table: u32,
    },
    /// Anything else, by the kernel's name for it.
    Other(String),
}

impl Link {
    /// True if frames can be sent and received.
    pub fn is_up(&self) -> bool {
        self.admin_up && self.oper_up
    }

    /// The address that IPv4 adverts are sent from: the first primary one of global scope, else
    /// any other; never one that the agent added, nor one that `is_virtual` knows (where the
    /// kernel keeps no marks, or the administrator configured the same one).
    ///
    /// RFC 9568 section 7.2 (source), RFC 3768 section 7.2 (source).
    pub fn primary_ipv4(&self, is_virtual: impl Fn(IpAddr) -> bool) -> Option<Ipv4Addr> {
        self.addresses
            .iter()
            .filter(|present| !present.ours && !is_virtual(present.net.addr()))
            .filter_map(|present| match present.net.addr() {
                IpAddr::V4(address) => Some((present, address)),
                IpAddr::V6(_) => None,
            })
            // The first of the least: the kernel's order decides among equals.
            .min_by_key(|(present, _)| {
                let secondary = present.flags.contains(AddressFlags::Secondary);
                (present.scope != AddressScope::Universe, secondary)
            })
            .map(|(_, address)| address)
    }

    /// The address that IPv6 adverts are sent from: a link-local one that can be used already, and
    /// is not a virtual one.
    pub fn link_local(&self, is_virtual: impl Fn(IpAddr) -> bool) -> Option<Ipv6Addr> {
        self.addresses
            .iter()
            .filter(|present| !present.ours && present.usable() && !is_virtual(present.net.addr()))
            .find_map(|present| match present.net.addr() {
                IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
                _ => None,
            })
    }

    /// The address that IPv6 adverts to peers beyond the link are sent from: the first that means something
    /// there, can be used already, and is not a virtual one.
    pub fn global_ipv6(&self, is_virtual: impl Fn(IpAddr) -> bool) -> Option<Ipv6Addr> {
        self.addresses
            .iter()
            .filter(|present| !present.ours && present.usable() && !is_virtual(present.net.addr()))
            .find_map(|present| match present.net.addr() {
                IpAddr::V6(address) if !address.is_unicast_link_local() => Some(address),
                _ => None,
            })
    }

    /// True if this address is on the interface and can be used already.
    pub fn can_send_from(&self, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .any(|present| present.net.addr() == address && present.usable())
    }
}

/// Every interface of the network namespace, by index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkTable {
    /// Shared between tables, so that showing a new one copies only what has changed.
    links: BTreeMap<u32, Arc<Link>>,
    /// The index of each name.
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

    /// The interface with this name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.get(*self.names.get(name)?)
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
            self.forget_name(&link);
        }
    }

    fn insert(&mut self, link: Link) {
        let known = self.links.get(&link.index).cloned();
        if known.as_deref() == Some(&link) {
            return;
        }
        if let Some(known) = known.filter(|known| known.name != link.name) {
            self.forget_name(&known);
        }
        if self.names.get(&link.name) != Some(&link.index) {
            Arc::make_mut(&mut self.names).insert(link.name.clone(), link.index);
        }
        self.links.insert(link.index, Arc::new(link));
    }

    /// Two interfaces may swap their names: the name is then another's already.
    fn forget_name(&mut self, link: &Link) {
        if self.names.get(&link.name) == Some(&link.index) {
            Arc::make_mut(&mut self.names).remove(&link.name);
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
    use super::*;

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
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            admin_up: true,
            oper_up: true,
            carrier_changes: 2,
            address_losses: 0,
            master: None,
            parent: None,
            link_layer: LinkLayer::Ethernet,
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

    /// RFC 9568 section 7.2 (source), RFC 3768 section 7.2 (source).
    #[test]
    fn the_primary_address_is_never_a_virtual_one() {
        let ours = ObservedAddress {
            ours: true,
            ..present("10.99.0.100/24")
        };
        let secondary = ObservedAddress {
            flags: AddressFlags::Secondary,
            ..present("10.99.0.3/24")
        };
        let near = ObservedAddress {
            scope: AddressScope::Link,
            ..present("169.254.1.1/16")
        };
        let addresses = [
            present("fd00::1/64"),
            ours,
            near,
            secondary,
            present("10.99.0.101/24"),
            present("10.99.0.1/24"),
        ];
        let link = link(2, "eth0", &addresses);
        let listed: IpAddr = "10.99.0.101".parse().unwrap();
        assert_eq!(
            link.primary_ipv4(|a| a == listed),
            Some(Ipv4Addr::new(10, 99, 0, 1))
        );
        assert_eq!(
            link.primary_ipv4(|_| false),
            Some(Ipv4Addr::new(10, 99, 0, 101))
        );
        assert_eq!(link.primary_ipv4(|_| true), None);
    }

    #[test]
    fn a_link_local_address_counts_once_it_can_be_used() {
        let tentative = ObservedAddress {
            flags: AddressFlags::Tentative,
            ..present("fe80::1/64")
        };
        let virtual_one = ObservedAddress {
            ours: true,
            ..present("fe80::64/64")
        };
        assert_eq!(
            link(2, "eth0", &[tentative, virtual_one]).link_local(|_| false),
            None
        );
        let ready = link(
            2,
            "eth0",
            &[virtual_one, present("fd00::1/64"), present("fe80::1/64")],
        );
        assert_eq!(
            ready.link_local(|_| false),
            Some("fe80::1".parse().unwrap())
        );
        assert_eq!(
            ready.global_ipv6(|_| false),
            Some("fd00::1".parse().unwrap())
        );
        assert!(ready.can_send_from("fe80::1".parse().unwrap()));
        let waiting = link(2, "eth0", &[tentative]);
        assert!(!waiting.can_send_from("fe80::1".parse().unwrap()));
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
