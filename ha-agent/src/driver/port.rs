//! An instance's place on a live interface: the path to its peers, and its detector.
//!
//! It comes with the interface and goes with it; the instance outlives it.

use std::net::IpAddr;

use bytemuck::Zeroable as _;
use ha_common::election::Rules;
use ha_common::layout::{Command, SlotKey, state};
use ha_common::units::{Family, Instant};

use super::address_device::{self, VirtualMacDevice};
use super::advert_path::{self, AdvertPath};
use super::counted::Counted;
use super::detector::{Detector, SlotBackend};
use super::hooks::{Hooks, Reception};
use super::receivers::Receivers;
use super::shared_sockets::SharedSockets;
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::model::{Datapath, Instance as Config, Transport};
use crate::datapath::error::KernelError;
use crate::datapath::kernel::{Kernel, Timer};
use crate::datapath::socket_slot::SocketSlot;
use crate::net::address::AddressSpec;
use crate::net::links::Link;
use crate::net::virtual_mac::{MacvlanTable, Wanted};

/// Sockets and detector of an instance.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) ifindex: u32,
    /// Which interface of that index it is.
    pub(crate) life: u64,
    /// Its Ethernet address; zeros on links that have none.
    pub(crate) mac: [u8; 6],
    /// The device of the virtual MAC, which then holds the addresses and sends.
    pub(crate) virtual_mac_device: Option<VirtualMacDevice>,
    /// Where adverts leave and how they come in.
    pub(crate) path: AdvertPath,
    /// Whether the host forwards IPv6 on it: the router flag of neighbour advertisements.
    pub(crate) router: bool,
    /// The virtual addresses where they are to be, the excluded ones after those of the adverts.
    pub(crate) places: Vec<AddressSpec>,
    pub(crate) detector: Detector,
    /// How adverts are received.
    pub(crate) reception: Reception,
}

impl Port {
    /// The index of what holds the addresses and sends.
    pub(crate) fn address_device(&self) -> u32 {
        self.virtual_mac_device
            .as_ref()
            .map_or(self.ifindex, |virtual_mac_device| {
                virtual_mac_device.device.index
            })
    }

    /// The index of the virtual MAC's device.
    pub(crate) fn device(&self) -> Option<u32> {
        self.virtual_mac_device
            .as_ref()
            .map(|virtual_mac_device| virtual_mac_device.device.index)
    }

    /// The address that neighbours are to learn: RFC 9568 section 6.4.2 (announce-mac),
    /// RFC 3768 section 6.4.2 (announce-mac).
    pub(crate) fn announced_mac(&self) -> [u8; 6] {
        self.virtual_mac_device
            .as_ref()
            .map_or(self.mac, |virtual_mac_device| {
                virtual_mac_device.device.address
            })
    }

    /// Where an address goes.
    pub(crate) fn place(&self, address: &VirtualAddress) -> AddressSpec {
        address_device::place(self.ifindex, self.virtual_mac_device.as_ref(), address)
    }
}

/// What opening a port takes.
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a Config,
    /// Its present rules; their own address is the source.
    pub(crate) rules: &'a Rules,
    pub(crate) link: &'a Link,
    /// How adverts are to be received; the program is attached already.
    pub(crate) reception: Reception,
    /// Whether adverts are to end in the program.
    pub(crate) consume: bool,
    pub(crate) now: Instant,
}

/// Makes the device of a virtual MAC if there is to be one, opens sockets, joins the group if there is one,
/// and configures the detector. Errors are for a person.
pub(crate) fn open(
    opening: &Opening<'_>,
    kernel: Option<&mut Kernel>,
    hooks: &mut Hooks,
    (receivers, sockets): (&mut Receivers, &mut SharedSockets),
    devices: &mut MacvlanTable,
) -> Result<Port, String> {
    let virtual_mac_device = open_device(opening, devices)?;
    let made = virtual_mac_device
        .as_ref()
        .filter(|virtual_mac_device| virtual_mac_device.device.is_new)
        .map(|virtual_mac_device| virtual_mac_device.device.index);
    let path = open_path(opening, virtual_mac_device.as_ref(), sockets);
    let port = path
        .and_then(|path| open_above(opening, virtual_mac_device, path, kernel, hooks, receivers));
    if let (Err(_), Some(index)) = (&port, made) {
        // Without a port nobody would remove it; why there is none is what counts.
        let _ = devices.delete(index, opening.link.index);
    }
    port
}

/// A virtual address that an administrator has put on the interface, which would answer for it with its own
/// MAC: RFC 9568 sections 8.1.2 (boot), 8.2.2 (boot); RFC 3768 section 8.2 (boot).
pub(crate) fn in_the_way(config: &Config, link: &Link) -> Option<IpAddr> {
    config.virtual_mac.as_ref()?;
    let theirs = |address: &IpAddr| {
        let mut present = link.addresses.iter().filter(|present| !present.ours);
        present.any(|present| present.net.addr() == *address)
    };
    config.held().map(VirtualAddress::addr).find(theirs)
}

fn open_device(
    opening: &Opening<'_>,
    devices: &mut MacvlanTable,
) -> Result<Option<VirtualMacDevice>, String> {
    let Opening { config, link, .. } = *opening;
    let Some(mac) = &config.virtual_mac else {
        return Ok(None);
    };
    if let Some(address) = in_the_way(config, link) {
        return Err(format!(
            "{address} is on {0}, which answers for it with its own MAC: with `virtual_mac` only the agent may \
             add a virtual address; remove it from the host's network configuration",
            link.name
        ));
    }
    let wanted = Wanted {
        instance: &config.name,
        device: &mac.device,
        address: mac.address,
        parent: link,
        ipv6: config.holds_ipv6(),
    };
    let device = devices.ensure(&wanted).map_err(|error| error.to_string())?;
    Ok(Some(VirtualMacDevice::new(device, link)))
}

fn open_path(
    opening: &Opening<'_>,
    virtual_mac_device: Option<&VirtualMacDevice>,
    sockets: &mut SharedSockets,
) -> Result<AdvertPath, String> {
    let Opening {
        config,
        rules,
        link,
        ..
    } = *opening;
    let device = virtual_mac_device.map(|virtual_mac_device| &virtual_mac_device.device);
    AdvertPath::open(config, link, device, rules.own_address, sockets)
}

fn open_above(
    opening: &Opening<'_>,
    virtual_mac_device: Option<VirtualMacDevice>,
    path: AdvertPath,
    kernel: Option<&mut Kernel>,
    hooks: &mut Hooks,
    receivers: &mut Receivers,
) -> Result<Port, String> {
    let Opening { config, link, .. } = *opening;
    let key = SlotKey::new(link.index, config.family, config.vrid.get());
    let mac = link.mac.unwrap_or_default();
    // Who answers for the addresses: what else claims them is foreign.
    let own_mac = virtual_mac_device
        .as_ref()
        .map_or(mac, |virtual_mac_device| virtual_mac_device.device.address);
    let detector = match (opening.reception.datapath, kernel) {
        (Datapath::Socket, kernel) => listen_by_socket(opening, key, kernel, receivers)?,
        (_, Some(kernel)) => {
            let detector = listen_in_kernel(opening, key, own_mac, kernel)
                .map_err(|error| error.to_string())?;
            if let Some(group) = advert_path::group(&config.transport)
                && hooks.pinned
            {
                hooks.filter_entries.open((link.index, group));
            }
            detector
        }
        (_, None) => return Err("the BPF programs are not loaded".to_owned()),
    };
    Ok(Port {
        ifindex: link.index,
        life: link.life,
        mac,
        path,
        router: link.forwards_ipv6,
        places: config
            .held()
            .map(|address| address_device::place(link.index, virtual_mac_device.as_ref(), address))
            .collect(),
        detector,
        reception: opening.reception.clone(),
        virtual_mac_device,
    })
}

/// A slot in the kernel, which the program that is attached finds.
fn listen_in_kernel(
    opening: &Opening<'_>,
    key: SlotKey,
    own_mac: [u8; 6],
    kernel: &mut Kernel,
) -> Result<Detector, KernelError> {
    let Opening {
        config,
        rules,
        consume,
        now,
        ..
    } = *opening;
    let slot = match kernel.find(key)? {
        Some(slot) => slot,
        None => kernel.free_slot()?,
    };
    let left = kernel.slot(slot)?;
    let mut detector = Detector {
        backend: SlotBackend::KernelMap(slot),
        key,
        timer: Timer::Watchdog,
        generation: left.generation,
        sequence: 0,
        configured: Command::zeroed(),
        told: left.state,
        since: now,
        counted_since: (now, Counted::of(&left)),
        earlier_priority: left.own_priority,
        taken_over: false,
        own_mac,
        consume,
    };
    detector.configure(Some(&mut *kernel), config, rules, now)?;
    kernel.publish(key, slot)?;
    Ok(detector)
}

fn listen_by_socket(
    opening: &Opening<'_>,
    key: SlotKey,
    kernel: Option<&mut Kernel>,
    receivers: &mut Receivers,
) -> Result<Detector, String> {
    let Opening {
        config,
        rules,
        link,
        now,
        ..
    } = *opening;
    // A slot that is in use is let go only once the socket is there.
    receivers
        .listen(link, config.family, advert_path::group(&config.transport))
        .map_err(|error| error.to_string())?;
    if let Some(kernel) = kernel {
        free_left_slot(kernel, key).map_err(|error| error.to_string())?;
    }
    let mut detector = Detector {
        backend: SlotBackend::Socket(Box::new(SocketSlot::new(key))),
        key,
        timer: Timer::Watchdog,
        generation: 0,
        sequence: 0,
        configured: Command::zeroed(),
        told: state::FREE,
        since: now,
        counted_since: (now, Counted::default()),
        earlier_priority: 0,
        taken_over: false,
        own_mac: [0; 6],
        consume: false,
    };
    detector
        .configure(None, config, rules, now)
        .map_err(|error| error.to_string())?;
    Ok(detector)
}

/// A slot in the kernel that this virtual router had before it came to the plain socket: a program that
/// still runs must neither end its adverts nor fence its addresses.
fn free_left_slot(kernel: &mut Kernel, key: SlotKey) -> Result<(), KernelError> {
    if let Some(slot) = kernel.find(key)? {
        kernel.unfence(key, slot)?;
        kernel.release(key, slot)?;
    }
    Ok(())
}

/// With unicast, the address that routing picks, which the peers know this host by: of a network with them in it, else what
/// the kernel would send to the first of them from (`routed`).
fn source_to_peers(
    link: &Link,
    config: &Config,
    is_virtual: impl Fn(IpAddr) -> bool,
    routed: impl FnOnce(IpAddr) -> Option<IpAddr>,
) -> Option<IpAddr> {
    let Transport::Unicast(unicast) = &config.transport else {
        return None;
    };
    let beyond = advert_path::needs_global_source(&config.transport);
    let peers = unicast.peers.iter().map(|peer| peer.address);
    // Those beyond the link cannot be sent to from an address that means nothing there.
    let peers = peers.filter(|peer| !beyond || !is_link_local(*peer));
    let peers: Vec<IpAddr> = peers.collect();
    link.source_towards(&peers, &is_virtual).or_else(|| {
        let source = routed(*peers.first()?)?;
        (link.owns(source) && !is_virtual(source)).then_some(source)
    })
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The address that an instance's adverts leave from, if the interface has one: the configured one; else
/// not a virtual one, unless an owner has nothing else. What this agent added itself is never it. `routed`: what the
/// kernel would send to an address from.
pub(crate) fn source_of(
    link: &Link,
    config: &Config,
    is_virtual: impl Fn(IpAddr) -> bool,
    routed: impl FnOnce(IpAddr) -> Option<IpAddr>,
) -> Option<IpAddr> {
    if let Some(source) = config.source {
        return link.can_send_from(source).then_some(source);
    }
    if let Some(source) = source_to_peers(link, config, &is_virtual, routed) {
        return Some(source);
    }
    let beyond = advert_path::needs_global_source(&config.transport);
    let source = |is_virtual: &dyn Fn(IpAddr) -> bool| match config.family {
        Family::V4 => link.primary_ipv4(is_virtual).map(IpAddr::V4),
        Family::V6 if beyond => link.global_ipv6(is_virtual).map(IpAddr::V6),
        Family::V6 => link.link_local(is_virtual).map(IpAddr::V6),
    };
    source(&is_virtual).or_else(|| {
        let owner = config.priority.is_owner();
        owner.then(|| source(&|_| false)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::{link, present};

    fn source(peers: &str, routed: Option<&str>) -> Option<IpAddr> {
        let text = format!(
            "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.100/24\"]\n\
             {peers}\n"
        );
        let config = crate::config::parse("test.toml", &text).unwrap();
        let nets = ["192.168.1.1/24", "10.99.0.1/24", "10.98.0.1/24"].map(present);
        let routed = routed.map(|it| it.parse().unwrap());
        source_of(
            &link(2, "eth0", &nets),
            &config.instances[0],
            |_| false,
            |_| routed,
        )
    }

    #[test]
    fn unicast_leaves_from_where_routing_has_it_and_multicast_from_the_first_address() {
        let [first, direct, routed] = ["192.168.1.1", "10.99.0.1", "10.98.0.1"];
        let gone = "10.97.0.1";
        for (peers, answer, expected) in [
            ("", Some(routed), first),
            ("peers = [\"10.99.0.2\"]", Some(routed), direct),
            ("peers = [\"172.16.0.1\"]", Some(routed), routed),
            ("peers = [\"172.16.0.1\"]", Some(gone), first),
            ("peers = [\"172.16.0.1\"]", None, first),
            (
                "peers = [\"10.99.0.2\"]\nsource = \"192.168.1.1\"",
                Some(routed),
                first,
            ),
        ] {
            assert_eq!(
                source(peers, answer),
                Some(expected.parse().unwrap()),
                "{peers}"
            );
        }
    }
}
