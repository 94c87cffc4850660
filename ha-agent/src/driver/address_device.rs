//! Where an instance's addresses are and by what its adverts leave: its interface, or the device of its virtual
//! MAC above that. What detects other masters stays on the interface in either case.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::model::virtual_address::VirtualAddress;
use crate::net::address::AddressSpec;
use crate::net::links::Link;
use crate::net::virtual_mac::Device;

/// The device of a virtual MAC, and what must be known of the interface to place addresses on it.
#[derive(Debug)]
pub(crate) struct VirtualMacDevice {
    pub(crate) device: Device,
    /// The networks of the interface.
    networks: Vec<IpNet>,
}

impl VirtualMacDevice {
    /// A device above an interface.
    pub(crate) fn new(device: Device, interface: &Link) -> Self {
        let networks = interface.addresses.iter().filter(|it| !it.ours);
        Self {
            device,
            networks: networks.map(|present| present.net).collect(),
        }
    }

    /// The interface's own route to the network stays the only one. A network that it is not on needs one, and
    /// so does a link-local address: its answers leave by the device that was asked.
    fn place(&self, address: &VirtualAddress) -> AddressSpec {
        let ip = address.addr();
        let mut place = AddressSpec::of(self.device.index, address);
        if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
            // A whole address would have no route to its neighbours here.
            place.net = IpNet::new(ip, LINK_LOCAL_PREFIX).unwrap_or(place.net);
        } else {
            place.prefix_route = !self.networks.iter().any(|network| network.contains(&ip));
        }
        place
    }
}

/// RFC 4291 section 2.5.6: what the link itself is to a link-local address.
const LINK_LOCAL_PREFIX: u8 = 64;

/// Where an address goes: on the interface, or the device above it.
pub(crate) fn place(
    ifindex: u32,
    virtual_mac_device: Option<&VirtualMacDevice>,
    address: &VirtualAddress,
) -> AddressSpec {
    match virtual_mac_device {
        Some(virtual_mac_device) => virtual_mac_device.place(address),
        None => AddressSpec::of(ifindex, address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::{link, present};

    #[test]
    fn an_address_brings_a_route_only_where_the_interface_has_none() {
        let device = Device {
            index: 7,
            name: "vrrp4-51".to_owned(),
            address: [0, 0, 0x5e, 0, 1, 51],
            is_up: false,
            is_new: true,
        };
        let own = [
            present("10.99.0.1/24"),
            present("fe80::1/64"),
            present("fd00::1/64"),
        ];
        let virtual_mac_device = VirtualMacDevice::new(device, &link(2, "eth0", &own));
        for (address, net, prefix_route) in [
            ("10.99.0.100/24", "10.99.0.100/24", false),
            ("10.99.0.100/32", "10.99.0.100/32", false),
            ("10.98.0.100/24", "10.98.0.100/24", true),
            ("fd00::64/64", "fd00::64/64", false),
            ("fe80::64/64", "fe80::64/64", true),
            ("fe80::64/128", "fe80::64/64", true),
        ] {
            let address = VirtualAddress::from(address.parse::<IpNet>().unwrap());
            let place = place(2, Some(&virtual_mac_device), &address);
            assert_eq!(
                (
                    place.ifindex,
                    place.net.to_string().as_str(),
                    place.prefix_route
                ),
                (7, net, prefix_route)
            );
        }
    }
}
