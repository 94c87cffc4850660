//! The keys of an instance that say how its adverts travel.

use super::key::{Default, Format, Key, Section};

pub(super) const SOURCE: Key = Key::new(
    "source",
    Format::Words("an IP address"),
    Default::Words("the interface's primary address, for IPv6 its link-local one; with peers the one that routing picks"),
    "The address on the interface that adverts leave from; while it is missing there, the instance is in FAULT.",
)
.foreign(&[("unicast_src_ip", "source"), ("mcast_src_ip", "source")]);

pub(super) const GROUP: Key = Key::new(
    "group",
    Format::Words("a multicast address"),
    Default::Words("224.0.0.18, for IPv6 ff02::12"),
    "The multicast group that adverts go to, the same on all hosts.",
)
.foreign(&[
    ("vrrp_mcast_group4", "group"),
    ("vrrp_mcast_group6", "group"),
]);

// An advert is sent to each of them in turn; more than a segment's routers are a mistake.
pub(super) const PEERS: Key = Key::new(
    "peers",
    Format::List(1, 64, "addresses or tables"),
    Default::Words("none: adverts are multicast"),
    "Unicast instead of multicast, where a network or cloud does not pass multicast: the addresses of the other \
     hosts, all of the family of the addresses.",
)
.foreign(&[("unicast_peer", "peers"), ("unicast_peers", "peers")]);

pub(super) const PEER_TTLS: Key = Key::new(
    "peer_ttl",
    Format::Words("a table"),
    Default::Words("255 only"),
    "With peers: the TTLs accepted from a peer that has none of its own. The default is that of a peer on the same \
     link.",
);

pub(super) const TTL: Key = Key::new(
    "ttl",
    Format::Integer(1, 255),
    Default::Words("255"),
    "With peers: the TTL of our own adverts.",
)
.foreign(&[("unicast_ttl", "ttl")]);

pub(super) const CHECK_SOURCE: Key = Key::new(
    "check_source",
    Format::Boolean,
    Default::Words("true"),
    "With peers: whether adverts from others are rejected.",
)
.foreign(&[("check_unicast_src", "check_source")]);

/// An entry of `peers` as a table.
pub static PEER: Section = Section {
    title: "an entry of `peers`",
    keys: &[
        Key::new(
            "address",
            Format::Words("an IP address"),
            Default::Needed("\"10.99.0.2\""),
            "The peer's own address.",
        ),
        Key::new(
            "min_ttl",
            Format::Integer(1, 255),
            Default::Words("that of `peer_ttl`"),
            "A peer behind routers needs the TTLs that its adverts arrive with: the least of them.",
        ),
        Key::new(
            "max_ttl",
            Format::Integer(1, 255),
            Default::Words("that of `peer_ttl`"),
            "And the greatest.",
        ),
    ],
};

/// `peer_ttl`.
pub static PEER_TTL: Section = Section {
    title: "`peer_ttl`",
    keys: &[
        Key::new(
            "min",
            Format::Integer(1, 255),
            Default::Value("255"),
            "The least TTL that is accepted.",
        ),
        Key::new(
            "max",
            Format::Integer(1, 255),
            Default::Value("255"),
            "The greatest TTL that is accepted.",
        ),
    ],
};
