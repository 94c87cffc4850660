//! The kinds of interfaces in the matrix, each with the VLANs beside it that must not move it.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use super::shape::{FailOver, RoutingEntry, Shape, Tunnel};
use crate::vm::segment::To;

/// The VLAN of an interface that has one.
const VLAN: u16 = 10;
/// Another one.
const OTHER: u16 = 20;

/// Makes a veth pair to a namespace that the second card is in, which forwards.
const ROUTER: [&str; 13] = [
    "ip addr add 10.99.0.1/24 dev eth0",
    "ip netns add peer",
    "ip link set eth1 netns peer",
    "ip -n peer addr add 10.78.0.1/24 dev eth1",
    "ip -n peer link set eth1 up",
    "until ip netns exec peer grep -q 1 /sys/class/net/eth1/carrier; do sleep 0.1; done",
    "ip -n peer neigh add 10.78.0.66 lladdr 02:99:00:00:00:66 dev eth1",
    "ip link add under0 type veth peer name under1 netns peer",
    "ip addr add 10.76.0.1/24 dev under0",
    "ip link set under0 up",
    "ip -n peer addr add 10.76.0.2/24 dev under1",
    "ip -n peer link set under1 up",
    "ip netns exec peer sysctl -q -w net.ipv4.ip_forward=1",
];

/// All of them, in the order of the table.
pub fn all() -> Vec<Shape> {
    vec![
        plain(),
        mtu_9000(),
        bond("bond-active-backup"),
        bond_lacp(),
        bridge(),
        bridge_trunk(),
        bridge_vlan(),
        vlan(),
        vlan_on_bond(),
        vlan_elsewhere(),
        trunk_tcpdump(),
        vrf(),
        wireguard(),
        gre(),
        macvlan(),
        veth(),
    ]
}

/// The one of that name.
pub fn named(name: &str) -> Result<Shape> {
    let all = all();
    let known: Vec<&str> = all.iter().map(|shape| shape.name).collect();
    let unknown = format!(
        "no such interface: {name:?}; available: {}",
        known.join(", ")
    );
    all.into_iter()
        .find(|shape| shape.name == name)
        .context(unknown)
}

fn plain() -> Shape {
    Shape {
        elsewhere: vec![RoutingEntry::tagged(VLAN)],
        ..Shape::new("plain", "eth0").made_by(&["ip addr add 10.99.0.1/24 dev eth0"])
    }
}

fn mtu_9000() -> Shape {
    Shape {
        name: "mtu-9000",
        ..plain().made_by(&["ip link set eth0 mtu 9000"])
    }
}

/// A bond whose second card is silent until the first has no carrier.
fn bond(name: &'static str) -> Shape {
    let shape = Shape {
        cards: 2,
        home: RoutingEntry::PLAIN.by(To::All),
        elsewhere: vec![RoutingEntry::tagged(VLAN).by(To::All)],
        fail_over: Some(FailOver {
            card: 0,
            noticed: "[ $(cat /sys/class/net/bond0/bonding/active_slave) = eth1 ]",
            mended: "[ $(cat /sys/class/net/eth0/carrier) = 1 ]",
        }),
        carriers: vec!["eth0", "eth1", "bond0"],
        ..Shape::new(name, "bond0").needs("probe0 type bond")
    };
    shape
        .made_by(&["ip link add bond0 type bond mode active-backup miimon 100"])
        .made_by(&ENSLAVE)
        .made_by(&["ip addr add 10.99.0.1/24 dev bond0"])
}

const ENSLAVE: [&str; 7] = [
    "ip link set eth0 down",
    "ip link set eth1 down",
    "ip link set eth0 master bond0",
    "ip link set eth1 master bond0",
    "ip link set bond0 up",
    "until [ $(cat /sys/class/net/bond0/carrier) = 1 ]; do sleep 0.1; done",
    "until [ $(grep -c '^MII Status: up' /proc/net/bonding/bond0) = 3 ]; do sleep 0.1; done",
];

/// A bond of both cards to a switch to which they are one link.
fn bond_lacp() -> Shape {
    let shape = Shape {
        cards: 2,
        home: RoutingEntry::PLAIN.by(To::Aggregate),
        elsewhere: vec![RoutingEntry::tagged(VLAN).by(To::Aggregate)],
        fail_over: Some(FailOver {
            card: 1,
            noticed: "[ $(cat /sys/class/net/bond0/bonding/ad_num_ports) = 1 ]",
            mended: "[ $(grep -c 'port state: 63' /proc/net/bonding/bond0) = 4 ]",
        }),
        carriers: vec!["eth0", "eth1", "bond0"],
        ..Shape::new("bond-802.3ad", "bond0").needs("probe0 type bond")
    };
    shape
        .made_by(&["ip link add bond0 type bond mode 802.3ad miimon 100 lacp_rate fast"])
        .made_by(&ENSLAVE)
        .made_by(&[
            // Both sides of both links collect and distribute.
            "until [ $(grep -c 'port state: 63' /proc/net/bonding/bond0) = 4 ]; do sleep 0.1; done",
            "ip addr add 10.99.0.1/24 dev bond0",
        ])
}

/// A bridge that knows of no VLANs, as a hypervisor's is whose guests do.
fn bridge() -> Shape {
    Shape {
        elsewhere: vec![RoutingEntry::tagged(VLAN)],
        carriers: vec!["eth0", "br0"],
        ..Shape::new("bridge", "br0")
            .needs("probe0 type bridge")
            .made_by(&[
                "ip link add br0 type bridge",
                "ip link set eth0 master br0",
                "ip link set br0 up",
                "ip addr add 10.99.0.1/24 dev br0",
            ])
    }
}

/// A bridge that filters VLANs, with a trunk: frames of VLAN 10 get to the bridge itself, where no VLAN device
/// is.
fn bridge_trunk() -> Shape {
    Shape {
        name: "bridge-trunk",
        ..bridge().made_by(&[
            "ip link set br0 type bridge vlan_filtering 1",
            "bridge vlan add dev eth0 vid 10",
            "bridge vlan add dev br0 vid 10 self",
        ])
    }
}

/// The same bridge, with the agent on a VLAN device above it.
fn bridge_vlan() -> Shape {
    Shape {
        home: RoutingEntry::tagged(VLAN),
        elsewhere: vec![RoutingEntry::tagged(OTHER), RoutingEntry::PLAIN],
        carriers: vec!["eth0", "br0", "br0.10"],
        ..Shape::new("bridge-vlan", "br0.10")
            .needs("probe0 type bridge")
            .made_by(&[
                "ip link add br0 type bridge vlan_filtering 1",
                "ip link set eth0 master br0",
                "bridge vlan add dev eth0 vid 10",
                "bridge vlan add dev eth0 vid 20",
                "bridge vlan add dev br0 vid 10 self",
                "bridge vlan add dev br0 vid 20 self",
                "ip link set br0 up",
                "ip link add link br0 name br0.10 type vlan id 10",
                "ip link add link br0 name br0.20 type vlan id 20",
                "ip link set br0.10 up",
                "ip link set br0.20 up",
                "ip addr add 10.99.0.1/24 dev br0.10",
            ])
    }
}

fn vlan() -> Shape {
    Shape {
        home: RoutingEntry::tagged(VLAN),
        elsewhere: vec![RoutingEntry::tagged(OTHER), RoutingEntry::PLAIN],
        carriers: vec!["eth0", "eth0.10"],
        ..Shape::new("vlan", "eth0.10").made_by(&[
            "ip link add link eth0 name eth0.10 type vlan id 10",
            "ip link add link eth0 name eth0.20 type vlan id 20",
            "ip link set eth0.10 up",
            "ip link set eth0.20 up",
            "ip addr add 10.99.0.1/24 dev eth0.10",
        ])
    }
}

fn vlan_on_bond() -> Shape {
    let mut shape = bond("vlan-on-bond");
    shape.commands.pop();
    Shape {
        interface: "bond0.10",
        home: RoutingEntry::tagged(VLAN).by(To::All),
        elsewhere: vec![
            RoutingEntry::tagged(OTHER).by(To::All),
            RoutingEntry::PLAIN.by(To::All),
        ],
        carriers: vec!["eth0", "eth1", "bond0", "bond0.10"],
        ..shape.made_by(&[
            "ip link add link bond0 name bond0.10 type vlan id 10",
            "ip link set bond0.10 up",
            "ip addr add 10.99.0.1/24 dev bond0.10",
        ])
    }
}

/// A VLAN device that was moved away, as container runtimes do: the first namespace shows none.
fn vlan_elsewhere() -> Shape {
    Shape {
        name: "vlan-elsewhere",
        ..plain().made_by(&[
            "ip link add link eth0 name eth0.10 type vlan id 10",
            "ip netns add pod",
            "ip link set eth0.10 netns pod",
            "ip -n pod link set eth0.10 up",
        ])
    }
}

/// Some drivers let frames of all VLANs in while somebody listens to everything.
fn trunk_tcpdump() -> Shape {
    Shape {
        name: "trunk-tcpdump",
        ..plain().made_by(&[
            "mkdir -p /etc && echo root:x:0:0::/:/bin/sh > /etc/passwd",
            "(tcpdump -Z root -i eth0 -w /dev/null >/run/tcpdump.log 2>&1 & echo $! > /run/tcpdump.pid)",
            "until grep -q 'listening on' /run/tcpdump.log; do sleep 0.1; done",
        ])
    }
}

fn vrf() -> Shape {
    Shape {
        name: "vrf",
        ..plain().needs("probe0 type vrf table 11").made_by(&[
            "ip link add red type vrf table 10",
            "ip link set red up",
            "ip link set eth0 master red",
        ])
    }
}

fn tunnel(name: &'static str, interface: &'static str) -> Shape {
    Shape {
        cards: 2,
        home: RoutingEntry::PLAIN.by(To::Port(1)),
        elsewhere: vec![RoutingEntry::PLAIN],
        tunnel: Some(Tunnel {
            own: Ipv4Addr::new(10, 77, 0, 1),
            peer: Ipv4Addr::new(10, 78, 0, 66),
            router: Ipv4Addr::new(10, 78, 0, 1),
            router_mac: [0x02, 0x99, 0, 0, 1, 0x02],
        }),
        carriers: vec!["eth0", interface],
        ..Shape::new(name, interface).made_by(&ROUTER)
    }
}

fn wireguard() -> Shape {
    tunnel("wireguard", "wg0")
        .needs("probe0 type wireguard")
        .made_by(&[
            "umask 077; wg genkey > /run/wg.near; wg genkey > /run/wg.far",
            "ip link add wg0 type wireguard",
            "ip -n peer link add wg0 type wireguard",
            "wg set wg0 listen-port 51820 private-key /run/wg.near peer $(wg pubkey < /run/wg.far) \
         allowed-ips 0.0.0.0/0 endpoint 10.76.0.2:51820",
            "ip netns exec peer wg set wg0 listen-port 51820 private-key /run/wg.far \
         peer $(wg pubkey < /run/wg.near) allowed-ips 0.0.0.0/0 endpoint 10.76.0.1:51820",
            "ip addr add 10.77.0.1/24 dev wg0",
            "ip link set wg0 up",
            "ip -n peer addr add 10.77.0.2/24 dev wg0",
            "ip -n peer link set wg0 up",
            "ip route add 10.78.0.0/24 dev wg0",
        ])
}

fn gre() -> Shape {
    tunnel("gre", "tunnel0")
        .needs("probe0 type gre local 10.76.0.1 remote 10.76.0.9")
        .made_by(&[
            "ip link add tunnel0 type gre local 10.76.0.1 remote 10.76.0.2 ttl 64",
            "ip -n peer link add tunnel0 type gre local 10.76.0.2 remote 10.76.0.1 ttl 64",
            "ip addr add 10.77.0.1/24 dev tunnel0",
            "ip link set tunnel0 up",
            "ip -n peer addr add 10.77.0.2/24 dev tunnel0",
            "ip -n peer link set tunnel0 up",
            "ip route add 10.78.0.0/24 dev tunnel0",
        ])
}

fn macvlan() -> Shape {
    Shape {
        elsewhere: vec![RoutingEntry::tagged(VLAN)],
        carriers: vec!["eth0", "mv0"],
        ..Shape::new("macvlan", "mv0")
            .needs("link eth0 name probe0 type macvlan")
            .made_by(&[
                "ip link add link eth0 name mv0 type macvlan mode bridge",
                "ip link set mv0 up",
                "ip addr add 10.99.0.1/24 dev mv0",
            ])
    }
}

/// A namespace with one end of a veth pair, whose other end is on a bridge with the card.
fn veth() -> Shape {
    Shape {
        namespace: Some("pod"),
        elsewhere: vec![RoutingEntry::tagged(VLAN)],
        ..Shape::new("veth", "veth0")
            .needs("probe0 type bridge")
            .made_by(&[
                "ip link add br0 type bridge",
                "ip link set eth0 master br0",
                "ip link set br0 up",
                "ip netns add pod",
                "ip link add outer0 type veth peer name veth0 netns pod",
                "ip link set outer0 master br0",
                "ip link set outer0 up",
                "ip -n pod link set lo up",
                "ip -n pod link set veth0 up",
                "ip -n pod addr add 10.99.0.1/24 dev veth0",
            ])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_something_that_must_not_move_it() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|shape| shape.name).collect();
        assert_eq!(names.len(), all.len());
        for shape in &all {
            assert!(!shape.elsewhere.is_empty(), "{}", shape.name);
            assert!(named(shape.name).is_ok());
        }
        let error = named("none").unwrap_err().to_string();
        assert!(error.contains("bond-802.3ad"), "{error}");
    }
}
