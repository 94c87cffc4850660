//! The virtual MAC of the usual instances, and what a host says of the device that has it.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::advert::checksum_of;
use super::agent_config::Instance;
use super::capture::Frame;
use super::decode::Kind;
use super::host::Host;
use super::pair::instance;

/// One virtual router with a MAC of its own.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    /// The address that the tests ask for.
    pub vip: IpAddr,
    /// The virtual MAC (RFC 9568 section 7.3).
    pub mac: [u8; 6],
    /// The device's default name.
    pub device: &'static str,
    /// What the configuration lists.
    pub addresses: &'static [&'static str],
}

/// The one of both families.
pub const ROUTERS: [Router; 2] = [
    Router {
        vip: super::VIP,
        mac: [0, 0, 0x5e, 0, 1, 51],
        device: "vrrp4-51",
        addresses: &["10.99.0.100/24"],
    },
    Router {
        vip: IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 0x100)),
        mac: [0, 0, 0x5e, 0, 2, 51],
        device: "vrrp6-51",
        addresses: &["fe80::100/64", "fd00:99::100/64"],
    },
];

impl Router {
    /// The usual instance with a virtual MAC.
    pub fn instance(&self, priority: u8) -> Instance {
        let addresses = self.addresses.iter().map(ToString::to_string).collect();
        Instance {
            addresses,
            ..instance(priority)
        }
        .with("virtual_mac", true)
    }

    /// The address of a host's own from which it sends adverts.
    pub fn source(&self, host: &Host) -> IpAddr {
        match self.vip {
            IpAddr::V4(_) => host.ipv4().into(),
            IpAddr::V6(_) => host.link_local().into(),
        }
    }

    /// Whether a frame says that an address of this router lives somewhere, and where.
    pub fn claimed_by(&self, frame: &Frame) -> Option<[u8; 6]> {
        match &frame.kind {
            Kind::Arp(arp) if IpAddr::V4(arp.sender) == self.vip => Some(arp.sender_mac),
            Kind::NeighbourAdvert(advert) if IpAddr::V6(advert.target) == self.vip => {
                advert.target_mac
            }
            Kind::Arp(_) | Kind::NeighbourAdvert(_) | Kind::Vrrp(_) => None,
        }
    }
}

/// The Ethernet source of a frame.
pub fn ethernet_source(frame: &Frame) -> Option<[u8; 6]> {
    frame.bytes.get(6..12)?.try_into().ok()
}

/// As `ip` writes it.
pub fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

impl Host {
    /// A router advertisement of a prefix from which hosts make themselves addresses (RFC 4861 section 4.2).
    pub fn router_advert(&self, prefix: Ipv6Addr) -> Vec<u8> {
        const ICMPV6: u8 = 58;
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08];
        message.extend([0; 8]);
        // Option 3 of four units: 64 bits, on-link and autonomous, for an hour.
        message.extend([
            3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0,
        ]);
        message.extend(prefix.octets());
        let ends = (self.link_local().into(), ALL_NODES.into());
        let sum = checksum_of(ICMPV6, Some(ends), &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
        frame.extend(self.mac());
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0]);
        frame.push(u8::try_from(message.len()).unwrap_or(0));
        frame.extend([ICMPV6, 255]);
        frame.extend(self.link_local().octets());
        frame.extend(ALL_NODES.octets());
        frame.extend(message);
        frame
    }
}

/// A device as `ip` describes it; `None` if there is none.
pub fn device(host: &Host, name: &str) -> Result<Option<Value>> {
    let text = host.run(&["ip", "-json", "-details", "-statistics", "addr", "show"])?;
    let all: Vec<Value> = serde_json::from_str(&text)?;
    Ok(all.into_iter().find(|link| link["ifname"] == *name))
}

/// Whether a device is there and switched on.
pub fn is_up(host: &Host, name: &str) -> Result<bool> {
    let Some(device) = device(host, name)? else {
        return Ok(false);
    };
    let flags = device["flags"].as_array().context("no flags")?;
    Ok(flags.iter().any(|flag| flag == "UP"))
}

/// A setting of a host's device, under /proc/sys/net.
pub fn setting(host: &Host, path: &str) -> Result<String> {
    let path = format!("/proc/sys/net/{path}");
    let text = host.ns().inside(|| std::fs::read_to_string(&path))?;
    Ok(text.with_context(|| path.clone())?.trim().to_owned())
}

/// Fails unless nothing is left of any virtual MAC, neither devices nor settings of the interface.
pub fn nothing_left(host: &Host) -> Result<()> {
    for router in ROUTERS {
        let left = device(host, router.device)?;
        ensure!(left.is_none(), "{left:?}");
    }
    for key in ["arp_ignore", "arp_announce"] {
        let found = setting(host, &format!("ipv4/conf/{}/{key}", Host::INTERFACE))?;
        ensure!(found == "0", "{key} is {found}");
    }
    Ok(())
}
