//! What traffic the contestants are put through.

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use crate::lab::VIP;

/// What the host is to its virtual router meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It hears a master's adverts.
    Backup,
    /// It holds the address, and nobody contests it.
    Master,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Master => "master",
        }
    }
}

/// What flows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Traffic {
    /// One TCP stream into the host.
    TcpIn,
    /// One TCP stream out of it.
    TcpOut,
    /// UDP datagrams of [`SMALL`] bytes into the host, as many as it takes.
    SmallIn,
}

/// The payload of a small datagram in bytes.
pub(super) const SMALL: u32 = 64;

/// Which of the host's addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// Its own.
    Own,
    /// The virtual one.
    Virtual,
}

/// One kind of traffic to or from one of the addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Course {
    pub(super) traffic: Traffic,
    pub(super) target: Target,
}

const fn course(traffic: Traffic, target: Target) -> Course {
    Course { traffic, target }
}

/// What a host without the virtual address can have.
pub(super) const OWN: [Course; 3] = [
    course(Traffic::TcpIn, Target::Own),
    course(Traffic::TcpOut, Target::Own),
    course(Traffic::SmallIn, Target::Own),
];

/// What a host with it can have.
pub(super) const ALL: [Course; 5] = [
    OWN[0],
    OWN[1],
    OWN[2],
    course(Traffic::TcpIn, Target::Virtual),
    course(Traffic::SmallIn, Target::Virtual),
];

/// The same without what differs in the address alone.
pub(super) const FEW: [Course; 3] = [
    course(Traffic::TcpIn, Target::Virtual),
    OWN[1],
    course(Traffic::SmallIn, Target::Virtual),
];

impl Course {
    /// The head of its column.
    pub(super) const fn name(self) -> &'static str {
        match (self.traffic, self.target) {
            (Traffic::TcpIn, Target::Own) => "TCP in",
            (Traffic::TcpOut, Target::Own) => "TCP out",
            (Traffic::SmallIn, Target::Own) => "small UDP in",
            (Traffic::TcpIn, Target::Virtual) => "TCP in, to the VIP",
            (Traffic::TcpOut, Target::Virtual) => "TCP out, from the VIP",
            (Traffic::SmallIn, Target::Virtual) => "small UDP in, to the VIP",
        }
    }

    /// Of what a rate is given, and of what the CPU time.
    pub(super) const fn units(self) -> (&'static str, &'static str) {
        match self.traffic {
            Traffic::TcpIn | Traffic::TcpOut => ("Gbit/s", "s/GB"),
            Traffic::SmallIn => ("kpackets/s", "s/Mpacket"),
        }
    }

    /// The address of the host whose own one is this.
    pub(super) const fn address(self, own: Ipv4Addr) -> IpAddr {
        match self.target {
            Target::Own => IpAddr::V4(own),
            Target::Virtual => VIP,
        }
    }
}
