//! Multicast where unicast is configured and the reverse, strangers, and senders that are too near or too far.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ha_common::reject::Reject;
use ha_common::units::Family;

use super::address::link_local;
use super::build::{Checksum, Frame};
use super::receiver::{FAR, FAR_PEER, Receiver};
use super::vector::{Vector, accepted, rejected};

/// All of them.
pub fn all() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in Receiver::ALL {
        out.extend(wrong_destinations(receiver));
        out.extend(in_the_order_of_the_checks(receiver));
        if receiver.is_unicast() {
            out.extend(sources(receiver));
        }
    }
    out.extend(distances());
    out
}

/// The standard's group, another, another host, everybody: whatever is not the receiver's own.
fn wrong_destinations(receiver: Receiver) -> Vec<Vector> {
    let all: Vec<IpAddr> = match receiver.family() {
        Family::V4 => [
            [224, 0, 0, 18],
            [224, 0, 0, 77],
            [224, 0, 0, 1],
            [10, 99, 0, 1],
            [10, 99, 0, 3],
            [10, 99, 0, 255],
            [255, 255, 255, 255],
            [0, 0, 0, 0],
        ]
        .map(IpAddr::from)
        .to_vec(),
        Family::V6 => [
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x12),
            link_local(1),
            link_local(3),
            Ipv6Addr::UNSPECIFIED,
        ]
        .map(IpAddr::from)
        .to_vec(),
    };
    all.into_iter()
        .filter(|to| *to != receiver.destination())
        .map(|to| {
            rejected(receiver, Reject::Destination, &format!("to {to}"), |f| {
                f.destination = to;
            })
        })
        .collect()
}

fn stranger(receiver: Receiver) -> IpAddr {
    match receiver.family() {
        Family::V4 => Ipv4Addr::new(10, 99, 0, 66).into(),
        Family::V6 => link_local(0x66).into(),
    }
}

/// Who may send by unicast.
fn sources(receiver: Receiver) -> Vec<Vector> {
    let from = |f: &mut Frame| f.source = stranger(receiver);
    if !receiver.checks_source() {
        return vec![accepted(receiver, "from a stranger", from)];
    }
    vec![
        rejected(receiver, Reject::UnknownPeer, "from a stranger", from),
        rejected(
            receiver,
            Reject::UnknownPeer,
            "from a virtual address",
            |f| f.source = f.message.addresses.first().copied().unwrap_or(f.source),
        ),
    ]
}

/// A frame that is wrong twice is rejected for what is checked first.
fn in_the_order_of_the_checks(receiver: Receiver) -> Vec<Vector> {
    let astray = |f: &mut Frame| f.destination = elsewhere(receiver);
    let mut out = vec![
        rejected(
            receiver,
            Reject::Destination,
            "too far away, and astray",
            |f| {
                astray(f);
                f.ttl = 7;
            },
        ),
        rejected(
            receiver,
            Reject::Destination,
            "a wrong checksum, astray",
            |f| {
                astray(f);
                f.message.checksum = Checksum::OffBy(1);
            },
        ),
        rejected(
            receiver,
            Reject::Destination,
            "astray, an empty list",
            |f| {
                astray(f);
                f.message.addresses.clear();
            },
        ),
    ];
    if receiver.checks_source() {
        let from_a_stranger = |f: &mut Frame| f.source = stranger(receiver);
        out.extend([
            rejected(receiver, Reject::UnknownPeer, "a far stranger", |f| {
                from_a_stranger(f);
                f.ttl = 254;
            }),
            rejected(receiver, Reject::Destination, "a stranger, astray", |f| {
                from_a_stranger(f);
                astray(f);
            }),
            rejected(
                receiver,
                Reject::UnknownPeer,
                "a stranger, an empty list",
                |f| {
                    from_a_stranger(f);
                    f.message.addresses.clear();
                },
            ),
        ]);
    }
    out
}

fn elsewhere(receiver: Receiver) -> IpAddr {
    match receiver.family() {
        Family::V4 => Ipv4Addr::new(10, 99, 0, 3).into(),
        Family::V6 => link_local(3).into(),
    }
}

/// Each peer has a range of its own, and what is not listed has the receiver's.
fn distances() -> Vec<Vector> {
    let near = Receiver::UnicastIpv4;
    let mut out = Vec::new();
    for ttl in [0, 1, FAR.min - 1, 255] {
        out.push(rejected(
            near,
            Reject::Ttl,
            &format!("ttl {ttl} of the far peer"),
            |f| {
                f.source = FAR_PEER.into();
                f.ttl = ttl;
            },
        ));
    }
    for ttl in FAR.min..=FAR.max {
        out.push(accepted(near, &format!("ttl {ttl} of the far peer"), |f| {
            f.source = FAR_PEER.into();
            f.ttl = ttl;
        }));
        out.push(accepted(
            Receiver::UnicastAnybody,
            &format!("ttl {ttl} of anybody"),
            |f| f.ttl = ttl,
        ));
    }
    out
}
