//! Reading the kernel's link messages.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVlan, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType,
    LinkMessage, State,
};

use super::table::{Link, LinkKind, LinkLayer};

/// Reads a link message, without addresses. `None` for messages about something else: with a
/// family set they tell of a bridge port or of IPv6 settings, and their `DelLink` does not mean
/// that the interface is gone.
pub(crate) fn link_from_message(message: &LinkMessage) -> Option<Link> {
    let header = &message.header;
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        index: header.index,
        // The table knows.
        life: 0,
        name: String::new(),
        mac: None,
        mtu: 0,
        admin_up: header.flags.contains(LinkFlags::Up),
        oper_up: false,
        carrier_changes: 0,
        // The table counts.
        address_losses: 0,
        master: None,
        parent: None,
        kind: LinkKind::Device,
        link_layer: link_layer(header.link_layer_type),
        promiscuous: header.flags.contains(LinkFlags::Promisc),
        addresses: Vec::new(),
    };
    let (mut carrier, mut state) = (true, State::Unknown);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(address) => link.mac = address.as_slice().try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Carrier(value) => carrier = *value != 0,
            LinkAttribute::OperState(value) => state = *value,
            LinkAttribute::CarrierChanges(changes) => link.carrier_changes = *changes,
            LinkAttribute::Controller(index) => link.master = Some(*index),
            // Zero means that it has none or that it is in another namespace.
            LinkAttribute::Link(index) => link.parent = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkInfo(info) => link.kind = kind(info),
            _ => {}
        }
    }
    // Devices without operational states (loopback, tun) stay at "unknown" (RFC 2863's ifOperStatus,
    // Documentation/networking/operstates.rst) and work.
    link.oper_up = carrier && matches!(state, State::Up | State::Unknown);
    (!link.name.is_empty()).then_some(link)
}

fn link_layer(kind: LinkLayerType) -> LinkLayer {
    match kind {
        LinkLayerType::Ether | LinkLayerType::Loopback => LinkLayer::Ethernet,
        LinkLayerType::None
        | LinkLayerType::Ppp
        | LinkLayerType::Rawip
        | LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre => LinkLayer::Network,
        _ => LinkLayer::Other,
    }
}

fn kind(info: &[LinkInfo]) -> LinkKind {
    let named = info.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    let vlan_id = info.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vlan(vlan)) => vlan.iter().find_map(|vlan| match vlan {
            InfoVlan::Id(id) => Some(*id),
            _ => None,
        }),
        _ => None,
    });
    if let Some(table) = vrf_table(info) {
        return LinkKind::Vrf { table };
    }
    match (named, vlan_id) {
        (None, _) => LinkKind::Device,
        (Some(InfoKind::Vlan), Some(id)) => LinkKind::Vlan { id },
        (Some(InfoKind::Bridge), _) => LinkKind::Bridge,
        (Some(InfoKind::Bond), _) => LinkKind::Bond,
        (Some(InfoKind::MacVlan | InfoKind::MacVtap), _) => LinkKind::Macvlan,
        (Some(InfoKind::Veth), _) => LinkKind::Veth,
        (Some(other), _) => LinkKind::Other(other.to_string()),
    }
}

/// The routing table of a VRF, if it is one.
pub(in crate::net) fn vrf_table(info: &[LinkInfo]) -> Option<u32> {
    info.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vrf(vrf)) => vrf.iter().find_map(|vrf| match vrf {
            InfoVrf::TableId(table) => Some(*table),
            _ => None,
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up;
        message.attributes = vec![LinkAttribute::IfName("eth0.10".to_owned())];
        message.attributes.extend(attributes);
        message
    }

    #[test]
    fn a_vlan_is_known_by_its_id_and_parent() {
        // VLAN devices cannot be made everywhere, so the message is made here.
        let info = vec![
            LinkInfo::Kind(InfoKind::Vlan),
            LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(10)])),
        ];
        let link = link_from_message(&message(vec![
            LinkAttribute::Link(2),
            LinkAttribute::LinkInfo(info),
        ]))
        .unwrap();
        assert_eq!(
            (link.kind, link.parent),
            (LinkKind::Vlan { id: 10 }, Some(2))
        );
    }

    /// A VRF cannot be made everywhere either.
    #[test]
    fn a_vrf_is_known_by_its_table_and_what_is_in_it_by_its_master() {
        let info = vec![
            LinkInfo::Kind(InfoKind::Vrf),
            LinkInfo::Data(InfoData::Vrf(vec![InfoVrf::TableId(10)])),
        ];
        let vrf = link_from_message(&message(vec![LinkAttribute::LinkInfo(info)])).unwrap();
        assert_eq!(vrf.kind, LinkKind::Vrf { table: 10 });
        let mut inside = message(vec![LinkAttribute::Controller(7)]);
        inside.header.index = 8;
        let inside = link_from_message(&inside).unwrap();
        let mut outside = inside.clone();
        outside.master = None;
        let table = crate::net::links::tests::table(&[vrf, inside.clone()]);
        assert_eq!(table.vrf_table(&inside), Some(10));
        assert_eq!(table.vrf_table(&outside), None);
        outside.master = Some(8);
        assert_eq!(table.vrf_table(&outside), None, "a bridge or bond");
    }

    #[test]
    fn a_bridge_ports_message_is_not_about_the_interface() {
        let mut bridge = message(vec![]);
        bridge.header.interface_family = AddressFamily::Bridge;
        assert_eq!(link_from_message(&bridge), None);
    }

    #[test]
    fn an_interface_without_carrier_or_operation_is_not_up() {
        let is_up = |attributes| link_from_message(&message(attributes)).unwrap().is_up();
        assert!(is_up(vec![]), "unknown is how loopback is");
        assert!(is_up(vec![
            LinkAttribute::OperState(State::Up),
            LinkAttribute::Carrier(1)
        ]));
        assert!(!is_up(vec![
            LinkAttribute::OperState(State::Up),
            LinkAttribute::Carrier(0)
        ]));
        assert!(!is_up(vec![LinkAttribute::OperState(
            State::LowerLayerDown
        )]));
        assert!(!is_up(vec![LinkAttribute::OperState(State::Dormant)]));
    }
}
