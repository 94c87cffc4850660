//! An instance's path to its peers on a live interface: the socket that its adverts leave by, and what makes
//! theirs come in.

use std::net::IpAddr;
use std::sync::Arc;

use super::shared_sockets::SharedSockets;
use crate::config::model::{Instance as Config, Transport};
use crate::net::advert::AdvertSocket;
use crate::net::icmp_guard::IcmpGuard;
use crate::net::links::Link;
use crate::net::multicast::Membership;
use crate::net::virtual_mac::Device;

/// The socket, and what makes adverts come in for as long as it lives.
#[derive(Debug)]
pub(crate) struct AdvertPath {
    /// As configured when it was opened.
    pub(crate) transport: Transport,
    /// Where adverts leave from.
    pub(crate) source: IpAddr,
    /// The socket that they leave by.
    pub(crate) socket: Arc<AdvertSocket>,
    /// The interface's lost addresses when its membership was last known to be true.
    pub(crate) verified_at: u64,
    inbound: Inbound,
}

/// What makes adverts come in.
#[derive(Debug)]
enum Inbound {
    /// Cards and switches filter the group's until somebody has joined it.
    Group(Arc<Membership>),
    /// Unicast comes anyway; this keeps the host from answering it.
    Peers(#[expect(dead_code, reason = "the socket is open while somebody has it")] Arc<IcmpGuard>),
}

impl AdvertPath {
    /// Opens it from a source address of the interface; adverts leave by the device of a virtual MAC if there is
    /// one (RFC 9568 section 7.2 (mac), RFC 3768 section 7.2 (mac)), and come in by the interface. Errors are
    /// for a person.
    pub(crate) fn open(
        config: &Config,
        link: &Link,
        device: Option<&Device>,
        source: IpAddr,
        sockets: &mut SharedSockets,
    ) -> Result<Self, String> {
        let transport = config.transport.clone();
        let destinations = transport.destinations();
        let hops = transport.ttl();
        let (name, index) = device.map_or((&link.name, link.index), |it| (&it.name, it.index));
        let sender = sockets
            .sender(link, (name.as_str(), index), source)
            .map_err(|error| error.to_string())?;
        let socket = AdvertSocket::by(sender, index, source, hops, destinations);
        let inbound = match transport {
            Transport::Multicast { group } => {
                let membership = sockets.membership(link, group);
                Inbound::Group(membership.map_err(|error| error.to_string())?)
            }
            Transport::Unicast(_) => {
                let guard = sockets.icmp_guard(link, config.family);
                Inbound::Peers(guard.map_err(|error| {
                    format!("cannot receive unicast adverts on {}: {error}", link.name)
                })?)
            }
        };
        Ok(Self {
            transport,
            source,
            socket: Arc::new(socket),
            verified_at: link.address_losses,
            inbound,
        })
    }

    /// The membership of the group, if adverts go to one.
    pub(crate) fn membership(&self) -> Option<&Arc<Membership>> {
        match &self.inbound {
            Inbound::Group(membership) => Some(membership),
            Inbound::Peers(_) => None,
        }
    }

    /// The group, if adverts go to one.
    pub(crate) fn group(&self) -> Option<IpAddr> {
        group(&self.transport)
    }
}

/// The group that a transport takes, if it is multicast.
pub(crate) fn group(transport: &Transport) -> Option<IpAddr> {
    match transport {
        Transport::Multicast { group } => Some(*group),
        Transport::Unicast(_) => None,
    }
}

/// Whether an IPv6 advert must leave from an address that means something beyond the link: the peers know
/// each other by addresses that do.
pub(crate) fn needs_global_source(transport: &Transport) -> bool {
    match transport {
        Transport::Multicast { .. } => false,
        Transport::Unicast(unicast) => unicast.peers.iter().any(|peer| match peer.address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }),
    }
}
