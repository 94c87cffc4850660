//! A kind of interface: the guest's commands that make it, and where its frames are on the segment.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;

use crate::lab::VIP;
use crate::lab::advert::Advert;
use crate::vm::segment::To;
use crate::vm::{Segment, Vm};

/// The guest's address on the interface.
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The scripted master.
pub const MASTER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 66);
/// Its MAC.
const MASTER_MAC: [u8; 6] = [0x02, 0x99, 0, 0, 0, 0x66];
/// The master of the same number elsewhere: of the same network, so that only the way of its adverts tells
/// it from the other.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 67);

/// Where frames are on the segment.
#[derive(Clone, Copy, Debug)]
pub struct RoutingEntry {
    /// The ports that they go to.
    pub to: To,
    /// The VLAN of their tag, if they have one.
    pub vlan: Option<u16>,
}

impl RoutingEntry {
    /// Untagged, to the first card.
    pub const PLAIN: Self = Self::tagged_or_not(None);

    /// To the first card, in a VLAN.
    pub const fn tagged(vlan: u16) -> Self {
        Self::tagged_or_not(Some(vlan))
    }

    const fn tagged_or_not(vlan: Option<u16>) -> Self {
        Self {
            to: To::Port(0),
            vlan,
        }
    }

    /// The same to other ports.
    #[must_use]
    pub const fn by(self, to: To) -> Self {
        Self { to, ..self }
    }
}

/// A tunnel's other end: a namespace of the guest that forwards between the tunnel and the second card, behind
/// which the peer is.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel {
    /// The guest's address in the tunnel.
    pub own: Ipv4Addr,
    /// The peer's address, behind a router.
    pub peer: Ipv4Addr,
    /// The address of the second card.
    pub router: Ipv4Addr,
    /// The MAC of the second card.
    pub router_mac: [u8; 6],
}

/// What happens to a bond while its host is a backup.
#[derive(Clone, Copy, Debug)]
pub struct FailOver {
    /// The card whose cable is pulled: the one by which adverts come in.
    pub card: usize,
    /// A command that holds once the bond has noticed.
    pub noticed: &'static str,
    /// A command that holds once it has noticed that the cable is back.
    pub mended: &'static str,
}

/// A kind of interface.
#[derive(Clone, Debug)]
pub struct Shape {
    /// As the command line and tables call it.
    pub name: &'static str,
    /// The interface that the agent runs on.
    pub interface: &'static str,
    /// The namespace that the agent runs in; `None`: the first.
    pub namespace: Option<&'static str>,
    /// Commands that show whether the kernel has such interfaces, and leave nothing behind.
    pub probe: Vec<String>,
    /// Commands that make it.
    pub commands: Vec<String>,
    /// How many cards it takes.
    pub cards: usize,
    /// Where its adverts are.
    pub home: RoutingEntry,
    /// Where adverts with the same number are that belong to others.
    pub elsewhere: Vec<RoutingEntry>,
    /// If it is a tunnel, its other end.
    pub tunnel: Option<Tunnel>,
    /// If it is a bond of two cards.
    pub fail_over: Option<FailOver>,
    /// The interfaces of the first namespace whose carrier is to stay.
    pub carriers: Vec<&'static str>,
}

impl Shape {
    /// One card, untagged, in the first namespace.
    pub fn new(name: &'static str, interface: &'static str) -> Self {
        Self {
            name,
            interface,
            namespace: None,
            probe: Vec::new(),
            commands: Vec::new(),
            cards: 1,
            home: RoutingEntry::PLAIN,
            elsewhere: Vec::new(),
            tunnel: None,
            fail_over: None,
            carriers: vec!["eth0"],
        }
    }

    /// The same with these commands.
    #[must_use]
    pub fn made_by(mut self, commands: &[&str]) -> Self {
        self.commands
            .extend(commands.iter().map(|&it| it.to_owned()));
        self
    }

    /// The same, where a link like this one, which is to be called `probe0`, is tried out first.
    #[must_use]
    pub fn needs(mut self, link: &str) -> Self {
        self.probe = vec![
            format!("ip link add {link}"),
            "ip link del probe0".to_owned(),
        ];
        self
    }

    /// The advert of the master that the agent is to follow; the interval is in hundredths of a second.
    pub fn master(&self, interval: u16) -> Advert {
        let mut advert = Advert {
            ethernet_source: MASTER_MAC,
            source: IpAddr::V4(MASTER),
            priority: 200,
            interval,
            vlans: self.home.vlan.into_iter().collect(),
            addresses: vec![self.vip()],
            ..Advert::default()
        };
        if let Some(tunnel) = self.tunnel {
            advert.source = IpAddr::V4(tunnel.peer);
            advert.destination = Some(IpAddr::V4(tunnel.own));
            advert.ethernet_destination = Some(tunnel.router_mac);
        }
        advert
    }

    /// The adverts with the same number that are none of the agent's business, with where they are.
    pub fn strangers(&self, interval: u16) -> Vec<(RoutingEntry, Advert)> {
        let stranger = |way: &RoutingEntry| {
            let mut advert = Advert {
                ethernet_source: [0x02, 0x99, 0, 0, 0, 0x67],
                source: IpAddr::V4(STRANGER),
                priority: 250,
                vlans: way.vlan.into_iter().collect(),
                ..self.master(interval)
            };
            if let Some(tunnel) = self.tunnel {
                // The peer's own address, by another interface than the tunnel.
                advert.source = IpAddr::V4(tunnel.peer);
                advert.ethernet_destination = Some([0xff; 6]);
            }
            (*way, advert)
        };
        self.elsewhere.iter().map(stranger).collect()
    }

    /// The virtual address.
    pub fn vip(&self) -> IpAddr {
        match self.tunnel {
            Some(tunnel) => {
                let [a, b, c, _] = tunnel.own.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 100))
            }
            None => VIP,
        }
    }

    /// The segment as the agent's neighbours have it.
    pub fn segment(&self, vm: &Vm) -> Segment {
        vm.segment().to(self.home.to)
    }

    /// Waits until what was sent so far has come in, as far as cards and bridges go.
    pub fn settle(&self, vm: &Vm) -> Result<()> {
        match self.tunnel {
            Some(tunnel) => {
                self.segment(vm).settle(tunnel.router)?;
                vm.segment().to(To::Port(0)).settle(OWN)
            }
            None => self.segment(vm).settle_in(self.home.vlan, OWN),
        }
    }
}
