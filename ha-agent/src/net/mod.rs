//! The edges to the kernel: netlink, raw sockets, interfaces.
//!
//! Two users. The driver thread is synchronous and in a hurry: it adds and removes addresses ([`address`]), routes and
//! rules ([`routing`]), announces addresses ([`announce`]), sends adverts ([`advert`]), keeps the devices of virtual
//! MACs ([`virtual_mac`]) and, without a BPF program, receives adverts ([`receive`]). The async side watches the
//! interfaces ([`links`]) and who removes routes ([`route_monitor`]), hears adverts whole ([`packet`]), and looks for others
//! that run VRRP on this host ([`router_name`], [`raw_sockets`]). [`interface`] answers questions at start-up,
//! [`multicast`] keeps memberships of groups, [`mac_filter`] what must outlive them, [`icmp_guard`] takes unicast adverts
//! off the host's hands, [`netlink`] is the synchronous route socket beneath.

pub mod address;
pub mod advert;
pub mod announce;
mod attributes;
pub mod icmp_guard;
pub mod interface;
mod ipv4_settings;
pub mod joined;
pub mod links;
pub mod mac_filter;
pub mod multicast;
mod netconf;
pub mod netlink;
mod notifications;
pub mod observed;
pub mod offload;
pub mod packet;
pub(crate) mod raw_link;
pub mod raw_sockets;
pub mod receive;
pub mod retry;
pub mod route_monitor;
pub mod router_name;
pub mod routing;
mod secondaries;
pub mod tc_filter;
pub mod virtual_mac;

#[cfg(test)]
pub(crate) mod lab;
