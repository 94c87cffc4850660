//! The receiving side of a vector: how it is configured, and the advert that it must accept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ha_common::accept::{AcceptFrom, TtlRange};
use ha_common::address::RawAddress;
use ha_common::layout::Slot;
use ha_common::units::Family;
use ha_common::wire::vrrp::{self, Expect};

use super::address::{link_local, raw};
use super::build::{Checksum, Frame, Message};

/// The virtual router of every receiver.
pub const VRID: u8 = 51;
/// The v2 password of [`Receiver::V2Password`].
pub const PASSWORD: [u8; 8] = *b"secret\0\0";
/// Interval of every receiver, centiseconds.
pub const INTERVAL: u16 = 100;

/// The group of [`Receiver::OtherGroup`].
const OTHER_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 77);
/// The peer of [`Receiver::UnicastIpv4`] that is one to five routers away.
pub const FAR_PEER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
/// The TTLs from there.
pub const FAR: TtlRange = TtlRange { min: 250, max: 254 };

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
    /// `VRRPv3` over IPv4 by unicast, with a peer beyond a router or two.
    UnicastIpv4,
    /// `VRRPv3` over IPv6 by unicast.
    UnicastIpv6,
    /// `VRRPv2` by unicast, from whomever.
    UnicastAnybody,
    /// `VRRPv3` over IPv4 to a group of its own.
    OtherGroup,
}

impl Receiver {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::V3Ipv4,
        Self::V3Ipv6,
        Self::V2Plain,
        Self::V2Password,
        Self::UnicastIpv4,
        Self::UnicastIpv6,
        Self::UnicastAnybody,
        Self::OtherGroup,
    ];

    /// The address family.
    pub const fn family(self) -> Family {
        match self {
            Self::V3Ipv6 | Self::UnicastIpv6 => Family::V6,
            Self::V3Ipv4
            | Self::V2Plain
            | Self::V2Password
            | Self::UnicastIpv4
            | Self::UnicastAnybody
            | Self::OtherGroup => Family::V4,
        }
    }

    /// Its slot, as far as that says what it accepts.
    pub fn slot(self) -> Slot {
        let (auth_type, auth_data) = match self {
            Self::V2Password => (1, PASSWORD),
            _ => (0, [0; 8]),
        };
        Slot {
            version: self.version(),
            auth_type,
            auth_data,
            own_interval: INTERVAL,
            own_address: raw(self.own_address()),
            channel: self.channel(),
            ..Slot::default()
        }
    }

    /// What it accepts from a source.
    pub fn expect(self, source: RawAddress) -> Expect {
        let peers = self.peers();
        let listed = peers.iter().find(|(address, _)| *address == source);
        Expect::of(&self.slot(), listed.map(|(_, ttl)| *ttl))
    }

    /// 2 or 3.
    pub const fn version(self) -> u8 {
        match self {
            Self::V3Ipv4
            | Self::V3Ipv6
            | Self::UnicastIpv4
            | Self::UnicastIpv6
            | Self::OtherGroup => 3,
            Self::V2Plain | Self::V2Password | Self::UnicastAnybody => 2,
        }
    }

    fn channel(self) -> AcceptFrom {
        match self {
            Self::V3Ipv4 | Self::V3Ipv6 | Self::V2Plain | Self::V2Password => {
                AcceptFrom::multicast(vrrp::group(self.family()))
            }
            Self::OtherGroup => AcceptFrom::multicast(raw(OTHER_GROUP.into())),
            Self::UnicastIpv4 | Self::UnicastIpv6 => AcceptFrom::unicast(TtlRange::LINK, true),
            Self::UnicastAnybody => AcceptFrom::unicast(FAR, false),
        }
    }

    /// Its unicast peers, and the TTLs that each may have.
    pub fn peers(self) -> Vec<(RawAddress, TtlRange)> {
        match self {
            Self::UnicastIpv4 => vec![
                (raw(Ipv4Addr::new(10, 99, 0, 2).into()), TtlRange::LINK),
                (raw(FAR_PEER.into()), FAR),
            ],
            Self::UnicastIpv6 => vec![(raw(link_local(2).into()), TtlRange::LINK)],
            Self::UnicastAnybody
            | Self::V3Ipv4
            | Self::V3Ipv6
            | Self::V2Plain
            | Self::V2Password
            | Self::OtherGroup => Vec::new(),
        }
    }

    /// Where adverts for it go.
    pub fn destination(self) -> IpAddr {
        match self {
            Self::V3Ipv4 | Self::V2Plain | Self::V2Password => Ipv4Addr::new(224, 0, 0, 18).into(),
            Self::V3Ipv6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
            Self::OtherGroup => OTHER_GROUP.into(),
            Self::UnicastIpv4 | Self::UnicastIpv6 | Self::UnicastAnybody => self.own_address(),
        }
    }

    /// Whether it is of those that take adverts by unicast.
    pub const fn is_unicast(self) -> bool {
        match self {
            Self::UnicastIpv4 | Self::UnicastIpv6 | Self::UnicastAnybody => true,
            Self::V3Ipv4 | Self::V3Ipv6 | Self::V2Plain | Self::V2Password | Self::OtherGroup => {
                false
            }
        }
    }

    /// Whether it rejects adverts of others than its peers.
    pub const fn checks_source(self) -> bool {
        matches!(self, Self::UnicastIpv4 | Self::UnicastIpv6)
    }

    /// The TTL of an advert that it must accept.
    pub const fn ttl(self) -> u8 {
        match self {
            Self::UnicastAnybody => FAR.max,
            Self::V3Ipv4
            | Self::V3Ipv6
            | Self::V2Plain
            | Self::V2Password
            | Self::UnicastIpv4
            | Self::UnicastIpv6
            | Self::OtherGroup => 255,
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
        let version = self.version();
        let (word, trailer) = match self {
            Self::V2Password => ([1, 1], PASSWORD.to_vec()),
            _ if version == 2 => ([0, 1], vec![0; 8]),
            _ => (INTERVAL.to_be_bytes(), vec![]),
        };
        let (source, address): (IpAddr, IpAddr) = match self.family() {
            Family::V4 => (
                Ipv4Addr::new(10, 99, 0, 2).into(),
                Ipv4Addr::new(10, 99, 0, 100).into(),
            ),
            Family::V6 => (link_local(2).into(), link_local(0x100).into()),
        };
        Frame {
            tags: vec![],
            source,
            destination: self.destination(),
            ttl: self.ttl(),
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
