//! The link messages of a macvlan: what is asked for, and what is read.

use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoMacVlan, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use super::marker::Arp;
use super::wanted::Wanted;
use crate::net::ipv4_settings::Setting;
use crate::net::raw_link::RawLink;

/// A device as the kernel tells of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) address: Option<[u8; 6]>,
    pub(super) parent: Option<u32>,
    /// A macvlan in private mode.
    pub(super) is_macvlan: bool,
    pub(super) is_up: bool,
    pub(super) mtu: u32,
    /// The bridge, bond or VRF that it is in.
    pub(super) master: Option<u32>,
    pub(super) is_vrf: bool,
    pub(super) alias: Option<String>,
    pub(super) arp: Option<Arp>,
}

/// Names a device, and asks nothing yet.
pub(super) fn of(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// In private mode nothing passes between the devices above one interface. With the interface in a `vrf`, its
/// addresses must be there too.
pub(super) fn creating(index: u32, wanted: &Wanted<'_>, vrf: Option<u32>) -> LinkMessage {
    let mut message = of(index);
    message.attributes = vec![
        LinkAttribute::IfName(wanted.device.to_owned()),
        LinkAttribute::Link(wanted.parent.index),
        LinkAttribute::Address(wanted.address.to_vec()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(
                MacVlanMode::Private,
            )])),
        ]),
    ];
    message
        .attributes
        .extend(vrf.map(LinkAttribute::Controller));
    message
}

/// Puts a device into a VRF, or takes it out of the one that it is in.
pub(super) fn joining(index: u32, vrf: Option<u32>) -> LinkMessage {
    let mut message = of(index);
    // Zero is none.
    let attribute = LinkAttribute::Controller(vrf.unwrap_or(0));
    message.attributes.push(attribute);
    message
}

/// Sets the largest IP packet, in bytes.
pub(super) fn sizing(index: u32, mtu: u32) -> LinkMessage {
    let mut message = of(index);
    message.attributes.push(LinkAttribute::Mtu(mtu));
    message
}

pub(super) fn switching(index: u32, up: bool) -> LinkMessage {
    let mut message = of(index);
    message.header.change_mask = LinkFlags::Up;
    if up {
        message.header.flags = LinkFlags::Up;
    }
    message
}

/// RFC 9568 section 7.4 (interface-id): no address is derived from the virtual MAC.
pub(super) fn no_link_local(index: u32) -> LinkMessage {
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let mut message = of(index);
    message
        .attributes
        .push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(
            vec![mode],
        )]));
    message
}

pub(super) fn found(message: &RawLink<'_>) -> Found {
    /// `MACVLAN_MODE_PRIVATE` (`linux/if_link.h`).
    const PRIVATE: u32 = 1;
    let setting = |setting: Setting| message.ipv4_setting(setting as usize);
    let arp = setting(Setting::ArpIgnore).zip(setting(Setting::ArpAnnounce));
    Found {
        index: message.index,
        name: message.name.clone().into_owned(),
        address: message.address,
        parent: message.parent,
        is_macvlan: message.macvlan_mode() == Some(PRIVATE),
        is_up: message.is_up(),
        mtu: message.mtu,
        master: message.master,
        is_vrf: message.vrf_table().is_some(),
        alias: message.alias.as_deref().map(str::to_owned),
        arp: arp.map(|(ignore, announce)| Arp { ignore, announce }),
    }
}
