//! The corpus of frames that every parser of adverts is held against, with what must come of each.
//!
//! One table, two targets: the parser in userspace and the XDP program in the kernel.
#![expect(
    clippy::expect_used,
    reason = "a frame that cannot be built is a mistake in the table"
)]

pub mod adverts;
pub mod build;
pub mod headers;
pub mod lists;
pub mod other;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ha_common::layout::RawAddress;
use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_common::wire::vrrp::Expect;

use build::{Checksum, Frame, Message};

/// The virtual router of every receiver.
pub const VRID: u8 = 51;
/// The v2 password of [`Receiver::V2Password`].
pub const PASSWORD: [u8; 8] = *b"secret\0\0";
/// Interval of every receiver, centiseconds.
pub const INTERVAL: u16 = 100;

/// How the receiving side is configured.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Receiver {
    /// `VRRPv3` over IPv4.
    V3Ipv4,
    /// `VRRPv3` over IPv6.
    V3Ipv6,
    /// `VRRPv2` without authentication.
    V2Plain,
    /// `VRRPv2` with a password.
    V2Password,
}

impl Receiver {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::V3Ipv4, Self::V3Ipv6, Self::V2Plain, Self::V2Password];

    /// The address family.
    pub const fn family(self) -> Family {
        match self {
            Self::V3Ipv6 => Family::V6,
            Self::V3Ipv4 | Self::V2Plain | Self::V2Password => Family::V4,
        }
    }

    /// What it accepts.
    pub fn expect(self) -> Expect {
        let (version, auth_type, auth_data) = match self {
            Self::V3Ipv4 | Self::V3Ipv6 => (3, 0, [0; 8]),
            Self::V2Plain => (2, 0, [0; 8]),
            Self::V2Password => (2, 1, PASSWORD),
        };
        Expect {
            version,
            auth_type,
            auth_data,
            own_interval: INTERVAL,
            own_address: raw(self.own_address()),
        }
    }

    /// Its own address.
    pub fn own_address(self) -> IpAddr {
        match self.family() {
            Family::V4 => Ipv4Addr::new(10, 99, 0, 1).into(),
            Family::V6 => link_local(1).into(),
        }
    }

    /// An advert that it must accept, of priority 100.
    pub fn valid(self) -> Frame {
        let (version, word, trailer) = match self {
            Self::V3Ipv4 | Self::V3Ipv6 => (3, INTERVAL.to_be_bytes(), vec![]),
            Self::V2Plain => (2, [0, 1], vec![0; 8]),
            Self::V2Password => (2, [1, 1], PASSWORD.to_vec()),
        };
        let (source, destination, address): (IpAddr, IpAddr, IpAddr) = match self.family() {
            Family::V4 => (
                Ipv4Addr::new(10, 99, 0, 2).into(),
                Ipv4Addr::new(224, 0, 0, 18).into(),
                Ipv4Addr::new(10, 99, 0, 100).into(),
            ),
            Family::V6 => (
                link_local(2).into(),
                Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
                link_local(0x100).into(),
            ),
        };
        Frame {
            tags: vec![],
            source,
            destination,
            ttl: 255,
            protocol: 112,
            options: vec![],
            fragment: 0,
            extension: None,
            length: None,
            message: Message {
                version,
                kind: 1,
                vrid: VRID,
                priority: 100,
                count: None,
                word,
                addresses: vec![address],
                trailer,
                checksum: if version == 3 {
                    Checksum::PseudoHeader
                } else {
                    Checksum::Payload
                },
            },
            padding: 0,
        }
    }
}

/// An advert that must be accepted, as it must be understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The sender.
    pub source: RawAddress,
    /// Its priority.
    pub priority: u8,
    /// Its interval, centiseconds.
    pub interval: u16,
    /// Addresses in its list.
    pub count: u8,
    /// Whether its checksum covers the pseudo-header.
    pub pseudo_header: bool,
    /// Length of the message in bytes.
    pub length: u16,
}

/// What must come of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Not VRRP: passes, no counter moves.
    Other,
    /// VRRP with a VLAN tag: passes, counted as such.
    Tagged,
    /// VRRP whose virtual router cannot be read: passes, counted as such.
    Unreadable,
    /// VRRP for another virtual router: passes, counted as such.
    NotOurs,
    /// Refused, counted by reason and peer.
    Rejected(Reject),
    /// Accepted.
    Accepted(Accepted),
}

/// One line of the corpus.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What is special about it.
    pub name: String,
    /// Who receives it.
    pub receiver: Receiver,
    /// The frame.
    pub frame: Vec<u8>,
    /// What must come of it.
    pub expected: Expected,
}

/// The whole corpus.
pub fn corpus() -> Vec<Vector> {
    let mut vectors = adverts::valid();
    vectors.extend(adverts::cut());
    vectors.extend(adverts::wrong());
    vectors.extend(adverts::wrapped());
    vectors.extend(adverts::large());
    vectors.extend(headers::fields());
    vectors.extend(lists::odd());
    vectors.extend(other::traffic());
    vectors
}

/// `fe80::HOST`.
pub const fn link_local(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)
}

/// An address as the layouts hold it.
pub fn raw(address: IpAddr) -> RawAddress {
    match address {
        IpAddr::V4(address) => {
            let mut out = [0; 16];
            out[..4].copy_from_slice(&address.octets());
            out
        }
        IpAddr::V6(address) => address.octets(),
    }
}
