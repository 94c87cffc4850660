//! Peers, groups and sources: what is accepted, and what is said of the rest.

use ha_common::accept::TtlRange;
use ha_common::units::Family;

use super::super::model::{Instance, Peer, Transport, Unicast};
use super::*;

fn the_instance(lines: &str) -> Instance {
    accepted(&instance(lines)).instances.remove(0)
}

fn peer(address: &str, min: u8, max: u8) -> Peer {
    Peer {
        address: address.parse().unwrap(),
        ttl: TtlRange { min, max },
    }
}

#[test]
fn without_a_key_adverts_go_to_the_standards_group_of_the_family() {
    let v4 = the_instance("");
    assert_eq!(v4.transport, Transport::standard(Family::V4));
    assert_eq!(
        v4.transport.destinations(),
        ["224.0.0.18".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!((v4.source, v4.transport.ttl()), (None, 255));
    let v6 = the_instance("addresses = [\"fe80::1/64\"]");
    assert_eq!(
        v6.transport.destinations(),
        ["ff02::12".parse::<std::net::IpAddr>().unwrap()]
    );
}

#[test]
fn every_key_of_the_transport_reaches_the_model() {
    let found = the_instance(
        "source = \"10.99.0.1\"\nttl = 64\ncheck_source = false\npeer_ttl = { min = 200 }\n\
         peers = [\"10.99.0.2\", { address = \"10.1.0.2\", min_ttl = 250, max_ttl = 254 }, \
         { address = \"10.2.0.2\" }]",
    );
    assert_eq!(found.source, Some("10.99.0.1".parse().unwrap()));
    let expected = Unicast {
        peers: vec![
            peer("10.99.0.2", 200, 255),
            peer("10.1.0.2", 250, 254),
            peer("10.2.0.2", 200, 255),
        ],
        peer_ttl: TtlRange { min: 200, max: 255 },
        ttl: 64,
        check_source: false,
    };
    assert_eq!(found.transport, Transport::Unicast(expected));

    let plain = the_instance("peers = [\"10.99.0.2\"]");
    let expected = Unicast {
        peers: vec![peer("10.99.0.2", 255, 255)],
        peer_ttl: TtlRange::LINK,
        ttl: 255,
        check_source: true,
    };
    assert_eq!(plain.transport, Transport::Unicast(expected));

    let grouped = the_instance("group = \"239.1.2.3\"");
    let group = "239.1.2.3".parse().unwrap();
    assert_eq!(grouped.transport, Transport::Multicast { group });
}

#[test]
fn ipv6_peers_may_be_link_local_or_not() {
    for (source, peers) in [("fe80::1", "fe80::2"), ("fd00::1", "fd00::2")] {
        let found = the_instance(&format!(
            "addresses = [\"fe80::51/64\"]\nsource = \"{source}\"\npeers = [\"{peers}\"]"
        ));
        assert_eq!(found.family, Family::V6);
    }
}

#[test]
fn an_owner_may_send_from_the_address_that_it_owns() {
    let owner = the_instance("priority = 255\nsource = \"10.99.0.100\"");
    assert_eq!(owner.source, Some("10.99.0.100".parse().unwrap()));
}

/// Lines with a bar in front of the place to be blamed, and what must be said.
const WRONG: &[(&str, &[&str])] = &[
    // peers: an empty list is no multicast.
    (
        "peers = |[]",
        &["`peers` must have 1 to 64 entries, and it has 0"],
    ),
    (
        "peers = |\"10.99.0.2\"",
        &["`peers` must be a list such as [\"10.99.0.2\"]"],
    ),
    (
        "peers = [|7]",
        &["an entry of `peers` must be an IP address", "not 7"],
    ),
    ("peers = [|\"10.99.0.2/24\"]", &["without a prefix length"]),
    ("peers = [|\"example.org\"]", &["must be an IP address"]),
    ("peers = [|\"fe80::2%eth0\"]", &["without a zone"]),
    ("peers = [|\"224.0.0.18\"]", &["a multicast address"]),
    ("peers = [|\"127.0.0.1\"]", &["a loopback address"]),
    ("peers = [|\"0.0.0.0\"]", &["the unspecified address"]),
    ("peers = [|\"255.255.255.255\"]", &["the broadcast address"]),
    (
        "peers = [|\"fe80::2\"]",
        &["must be an IPv4 address, as the `addresses` are"],
    ),
    (
        "peers = [\"10.99.0.2\", |\"10.99.0.2\"]",
        &["10.99.0.2 is in this list already"],
    ),
    (
        "peers = [|\"10.99.0.100\"]",
        &[
            "another host's own address",
            "10.99.0.100 is a virtual address",
        ],
    ),
    (
        "excluded = [\"10.99.0.7/24\"]\npeers = [|\"10.99.0.7\"]",
        &["10.99.0.7 is a virtual address"],
    ),
    (
        "excluded = [\"10.99.0.7/24\"]\nsource = |\"10.99.0.7\"",
        &["an address that stays on this host", "10.99.0.7"],
    ),
    (
        "source = \"10.99.0.1\"\npeers = [|\"10.99.0.1\"]",
        &["10.99.0.1 is this host's own `source`"],
    ),
    ("peers = [|{}]", &["an entry of `peers` has no `address`"]),
    (
        "peers = [{ address = \"10.99.0.2\", min_ttl = |0 }]",
        &["`min_ttl` must be a whole number from 1 to 255", "not 0"],
    ),
    (
        "peers = [{ address = \"10.99.0.2\", min_ttl = |250, max_ttl = 249 }]",
        &["`min_ttl` must be at most `max_ttl`, and 250 is more than 249"],
    ),
    (
        "peers = [{ address = \"10.99.0.2\", |ttl = 3 }]",
        &["unknown key `ttl` in an entry of `peers`"],
    ),
    // What goes with peers only.
    ("|peer_ttl = { min = 1 }", &["`peer_ttl` goes with `peers`"]),
    ("|ttl = 255", &["`ttl` goes with `peers`"]),
    (
        "|check_source = true",
        &["`check_source` goes with `peers`"],
    ),
    (
        "peers = [\"10.99.0.2\"]\npeer_ttl = |5",
        &["`peer_ttl` must be a table"],
    ),
    (
        "peers = [\"10.99.0.2\"]\npeer_ttl = { max = |256 }",
        &["`max` must be a whole number from 1 to 255", "not 256"],
    ),
    (
        "peers = [\"10.99.0.2\"]\nttl = |0",
        &["`ttl` must be a whole number from 1 to 255"],
    ),
    (
        "peers = [\"10.99.0.2\"]\ncheck_source = |\"no\"",
        &["true or false without quotes"],
    ),
    // group
    (
        "group = |7",
        &["`group` must be a multicast address", "not 7"],
    ),
    (
        "group = |\"10.0.0.1\"",
        &["must be a multicast address", "write `peers`"],
    ),
    (
        "group = |\"ff02::12\"",
        &["must be an IPv4 address, as the `addresses` are"],
    ),
    (
        "addresses = [\"fe80::51/64\"]\ngroup = |\"ff01::12\"",
        &["ff01::12 never leaves this host"],
    ),
    (
        "peers = [\"10.99.0.2\"]\n|group = \"224.0.0.77\"",
        &["`group` is for multicast", "`peers` (line 6)"],
    ),
    // source
    (
        "source = |true",
        &["`source` must be an IP address", "not true"],
    ),
    ("source = |\"10.99.0.1/24\"", &["without a prefix length"]),
    (
        "source = |\"fe80::1\"",
        &["`source` must be an IPv4 address"],
    ),
    (
        "source = |\"10.99.0.100\"",
        &["must be an address that stays on this host"],
    ),
    (
        "addresses = [\"fe80::51/64\"]\npeers = [\"fe80::2\", |\"fd00::2\"]",
        &["must be all link-local (fe80::...) or none"],
    ),
    (
        "addresses = [\"fe80::51/64\"]\nsource = |\"fd00::1\"\npeers = [\"fe80::2\"]",
        &["`source` must be link-local"],
    ),
    // Words of other daemons.
    ("|unicast_peer = []", &["did you mean `peers`?"]),
    (
        "|unicast_src_ip = \"10.99.0.1\"",
        &["did you mean `source`?"],
    ),
    (
        "|vrrp_mcast_group4 = \"224.0.0.7\"",
        &["did you mean `group`?"],
    ),
];

#[test]
fn every_wrong_value_of_the_transport_is_blamed_at_its_place() {
    for (lines, fragments) in WRONG {
        one_error(&instance(lines), fragments);
    }
}

#[test]
fn more_peers_than_are_possible_are_counted() {
    let list = |count: u8| {
        let peers: Vec<String> = (1..=count)
            .map(|host| format!("\"10.9.0.{host}\""))
            .collect();
        peers.join(", ")
    };
    accepted(&instance(&format!("peers = [{}]", list(64))));
    one_error(
        &instance(&format!("peers = |[{}]", list(65))),
        &["must have 1 to 64 entries, and it has 65"],
    );
}

#[test]
fn a_peer_is_not_a_virtual_address_of_another_instance_either() {
    let two = instance("peers = [|\"10.99.0.200\"]")
        + &instance("name = \"b\"\nvrid = 52\naddresses = [\"10.99.0.200/24\"]");
    one_error(&two, &["10.99.0.200 is a virtual address of this file"]);
    // A link-local one means another address on each link.
    let links = instance("addresses = [\"fe80::51/64\"]\npeers = [\"fe80::52\"]")
        + &instance("name = \"b\"\ninterface = \"eth1\"\naddresses = [\"fe80::52/64\"]");
    assert_eq!(accepted(&links).instances.len(), 2);
}

#[test]
fn a_multicast_source_that_strict_peers_discard_is_warned_of() {
    one_warning(
        &instance("addresses = [\"fe80::51/64\"]\nsource = |\"fd00::1\""),
        &["should be link-local"],
    );
}
