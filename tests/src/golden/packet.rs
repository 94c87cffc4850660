//! An advert as a real packet, so that the detector's own parser and checks read it.

use std::net::{IpAddr, Ipv6Addr};

use ha_agent::config::model::{Auth, ChecksumFlavour, Instance as Config};
use ha_agent::net::receive::Received;
use ha_common::address::RawAddress;
use ha_common::address::raw;
use ha_common::units::Family;
use ha_common::wire::build;
use ha_common::wire::numbers::{GROUP_V4, GROUP_V6, PROTOCOL, TTL};
use ha_common::wire::vrrp::ChecksumScope;

use super::events::Heard;
use crate::lab::advert::internet_checksum;

/// A packet in memory.
#[derive(Debug)]
pub(super) struct Packet {
    source: IpAddr,
    bytes: Vec<u8>,
}

impl Packet {
    /// What a host with the same configuration sends, but for what was heard. `None` if it cannot be said on
    /// the wire: an address of the other family, or more of them than a message holds.
    pub(super) fn of(config: &Config, heard: &Heard) -> Option<Self> {
        let addresses: Vec<RawAddress> = match &heard.addresses {
            Some(list) => list.iter().copied().map(raw).collect(),
            None => config.virtual_addresses().map(raw).collect(),
        };
        let others = heard.addresses.iter().flatten();
        if others
            .chain([&heard.source])
            .any(|address| family(*address) != config.family)
        {
            return None;
        }
        let mut message = vec![0; build::MAX_MESSAGE];
        let length = build::write(
            &build::Message {
                version: config.version,
                family: config.family,
                vrid: config.vrid,
                priority: heard.priority,
                interval: heard.interval.unwrap_or(config.advert_interval),
                addresses: &addresses,
                password: match config.auth {
                    Auth::None => None,
                    Auth::Pass(password) => Some(password),
                },
                source: raw(heard.source),
                destination: match config.family {
                    Family::V4 => raw(IpAddr::from(GROUP_V4)),
                    Family::V6 => GROUP_V6,
                },
                flavour: match config.checksum {
                    ChecksumFlavour::PseudoHeader => ChecksumScope::PseudoHeader,
                    ChecksumFlavour::Payload => ChecksumScope::Payload,
                },
            },
            &mut message,
        )?;
        message.truncate(length);
        let bytes = match heard.source {
            IpAddr::V4(source) => {
                let [high, low] = u16::try_from(20 + length).ok()?.to_be_bytes();
                let mut packet = vec![0x45, 0xc0, high, low, 0, 0, 0, 0, TTL, PROTOCOL, 0, 0];
                packet.extend(source.octets());
                packet.extend(GROUP_V4);
                let [high, low] = internet_checksum(None, &packet).to_be_bytes();
                packet.splice(10..12, [high, low]);
                packet.extend(message);
                packet
            }
            IpAddr::V6(_) => message,
        };
        let source = heard.source;
        Some(Self { source, bytes })
    }

    /// As the detector takes it.
    pub(super) fn received(&self) -> Received<'_> {
        match self.source {
            IpAddr::V4(_) => Received::V4 {
                packet: &self.bytes,
            },
            IpAddr::V6(source) => Received::V6 {
                source,
                destination: Ipv6Addr::from(GROUP_V6),
                hop_limit: TTL,
                payload: &self.bytes,
            },
        }
    }
}

fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}
