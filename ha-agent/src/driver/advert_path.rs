//! An instance's path to its peers on a live interface: the socket that its adverts leave by, and what makes
//! theirs come in.

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::units::Family;

use crate::config::model::{Instance as Config, Transport};
use crate::net::advert::AdvertSocket;
use crate::net::group::Membership;
use crate::net::links::Link;
use crate::net::sink::Sink;

/// The socket, and what makes adverts come in for as long as it lives.
#[derive(Debug)]
pub(crate) struct AdvertPath {
    /// As configured when it was opened.
    pub(crate) transport: Transport,
    /// Where adverts leave from.
    pub(crate) source: IpAddr,
    /// The socket that they leave by.
    pub(crate) socket: Arc<AdvertSocket>,
    _inlet: Inlet,
}

/// What makes adverts come in.
#[derive(Debug)]
enum Inlet {
    /// Cards and switches filter the group's until somebody has joined it.
    Group(#[expect(dead_code, reason = "dropping it leaves the group")] Membership),
    /// Unicast comes anyway; this keeps the host from answering it.
    Peers(#[expect(dead_code, reason = "dropping it closes the socket")] Sink),
}

impl AdvertPath {
    /// Opens it from a source address. Errors are for a person.
    pub(crate) fn open(config: &Config, link: &Link, source: IpAddr) -> Result<Self, String> {
        let transport = config.transport.clone();
        let destinations = transport.destinations();
        let hops = transport.ttl();
        let socket = AdvertSocket::open(&link.name, link.index, source, hops, destinations)
            .map_err(|error| error.to_string())?;
        let inlet = match transport {
            Transport::Multicast { group } => Inlet::Group(
                Membership::join(group, link.index).map_err(|error| error.to_string())?,
            ),
            Transport::Unicast(_) => Inlet::Peers(sink(link, config.family)?),
        };
        Ok(Self {
            transport,
            source,
            socket: Arc::new(socket),
            _inlet: inlet,
        })
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

fn sink(link: &Link, family: Family) -> Result<Sink, String> {
    Sink::open(&link.name, family)
        .map_err(|error| format!("cannot take unicast adverts in on {}: {error}", link.name))
}
