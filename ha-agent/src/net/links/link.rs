//! An interface.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{AddressFlags, AddressScope};

use crate::net::observed::ObservedAddress;

/// One interface.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the kernel's flags, each by itself"
)]
pub struct Link {
    /// The index; it never changes, and an interface that is made anew has another one.
    pub index: u32,
    /// Which interface of that index this is: an index can be used again, even for an interface of the same
    /// name, such as one that was in another network namespace meanwhile. What was attached to the one
    /// before is gone.
    pub life: u64,
    /// The name, which can change.
    pub name: String,
    /// What else it is called (ip-link(8), `altname`).
    pub alternative_names: Vec<String>,
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
    /// Whether the host forwards IPv6 from it, and so is a router to its neighbours (sysctl
    /// `net.ipv6.conf.NAME.forwarding`).
    pub forwards_ipv6: bool,
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
    /// Everything that it is called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.alternative_names.iter().map(String::as_str);
        std::iter::once(self.name.as_str()).chain(others)
    }

    /// Whether all that has changed since is that addresses of the agent's own have come.
    pub fn has_only_gained_ours(&self, before: &Self) -> bool {
        let bare = |link: &Self| Self {
            addresses: Vec::new(),
            ..link.clone()
        };
        let is_known = |found: &&ObservedAddress| before.addresses.contains(found);
        let stayed = self.addresses.iter().filter(is_known).count();
        let came = self.addresses.iter().filter(|found| !is_known(found));
        stayed == before.addresses.len()
            && came.clone().all(|found| found.ours)
            && bare(self) == bare(before)
    }

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

    /// The address that adverts to these peers are sent from, where the interface has a network with some of them: of the
    /// one that has most, as routing would choose it, the address that is meant to stay.
    pub fn source_towards(
        &self,
        peers: &[IpAddr],
        is_virtual: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let reached =
            |present: &ObservedAddress| peers.iter().filter(|peer| present.reaches(**peer)).count();
        self.addresses
            .iter()
            .filter(|present| !present.ours && present.usable() && !is_virtual(present.net.addr()))
            .map(|present| (present, reached(present)))
            .filter(|(_, reached)| *reached > 0)
            // The first of the least: the kernel's order decides among equals.
            .min_by_key(|(present, reached)| {
                let deprecated = present.flags.contains(AddressFlags::Deprecated);
                // Of IPv6 the same flag says that it is a temporary one (ip-address(8)).
                let secondary = present.flags.contains(AddressFlags::Secondary);
                (Reverse(*reached), deprecated, secondary)
            })
            .map(|(present, _)| present.net.addr())
    }

    /// True if this address is on the interface, can be used already, and is none that the agent added.
    pub fn owns(&self, address: IpAddr) -> bool {
        let mut own = self.addresses.iter().filter(|present| !present.ours);
        own.any(|present| present.net.addr() == address && present.usable())
    }

    /// True if this address is on the interface and can be used already.
    pub fn can_send_from(&self, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .any(|present| present.net.addr() == address && present.usable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::{link, present};

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

    /// As hosts are: the management network first, virtual and temporary addresses between.
    #[test]
    fn peers_are_sent_to_from_the_network_that_they_are_in() {
        let with = |net: &str, flags| ObservedAddress {
            flags,
            ..present(net)
        };
        let ours = ObservedAddress {
            ours: true,
            ..present("10.99.0.100/24")
        };
        let other_end = ObservedAddress {
            peer: Some("10.77.0.2".parse().unwrap()),
            ..present("10.77.0.1/32")
        };
        let link = link(
            2,
            "eth0",
            &[
                present("192.168.1.1/24"),
                ours,
                with("10.99.0.3/24", AddressFlags::Secondary),
                present("10.99.0.101/24"),
                present("10.99.0.1/24"),
                other_end,
                present("fd00:1::1/64"),
                with("fd00::a/64", AddressFlags::Deprecated),
                with("fd00::b/64", AddressFlags::Secondary),
                with("fd00::c/64", AddressFlags::Tentative),
                present("fd00::1/64"),
            ],
        );
        let listed: IpAddr = "10.99.0.101".parse().unwrap();
        for (peers, source) in [
            (&["10.99.0.2"][..], Some("10.99.0.1")),
            (
                &["192.168.1.2", "10.99.0.2", "10.99.0.4"],
                Some("10.99.0.1"),
            ),
            (&["192.168.1.2", "10.99.0.2"], Some("192.168.1.1")),
            (&["10.77.0.2"], Some("10.77.0.1")),
            (&["172.16.0.1"], None),
            (&["fd00::2"], Some("fd00::1")),
            (&["fd00:2::2"], None),
        ] {
            let peers: Vec<IpAddr> = peers.iter().map(|peer| peer.parse().unwrap()).collect();
            let source = source.map(|source| source.parse().unwrap());
            assert_eq!(
                link.source_towards(&peers, |it| it == listed),
                source,
                "{peers:?}"
            );
        }
        assert!(link.owns("10.99.0.1".parse().unwrap()));
        assert!(!link.owns("10.99.0.100".parse().unwrap()));
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
}
