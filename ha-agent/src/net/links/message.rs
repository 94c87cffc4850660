//! What a link message makes of an interface.

use crate::net::raw_link::RawLink;

use super::link::{Link, LinkKind, LinkLayer};

/// Of `linux/if_arp.h`, what libc lacks.
const ARPHRD_RAWIP: u16 = 519;
const ARPHRD_IP6GRE: u16 = 823;

/// `IF_OPER_*` (linux/if.h).
const OPER_UNKNOWN: u8 = 0;
const OPER_UP: u8 = 6;

/// The interface of a link message, without addresses. `None` for messages about something else: with a
/// family set they tell of a bridge port or of IPv6 settings, and their `DelLink` does not mean
/// that the interface is gone.
pub(crate) fn link_from_message(message: &RawLink<'_>) -> Option<Link> {
    if i32::from(message.family) != libc::AF_UNSPEC || message.name.is_empty() {
        return None;
    }
    // Devices without operational states (loopback, tun) stay at "unknown" (RFC 2863's ifOperStatus,
    // Documentation/networking/operstates.rst) and work.
    let works = matches!(message.operstate, OPER_UP | OPER_UNKNOWN);
    Some(Link {
        index: message.index,
        // The table knows.
        life: 0,
        name: message.name.clone().into_owned(),
        alternative_names: message
            .alternative_names
            .iter()
            .map(|name| name.clone().into_owned())
            .collect(),
        mac: message.address,
        mtu: message.mtu,
        admin_up: message.is_up(),
        oper_up: message.carrier != Some(false) && works,
        carrier_changes: message.carrier_changes,
        // The table counts.
        address_losses: 0,
        master: message.master,
        parent: message.parent,
        kind: kind(message),
        link_layer: link_layer(message.layer),
        forwards_ipv6: message.forwards_ipv6(),
        promiscuous: message.is_promiscuous(),
        addresses: Vec::new(),
    })
}

fn link_layer(layer: u16) -> LinkLayer {
    match layer {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => LinkLayer::Ethernet,
        libc::ARPHRD_NONE
        | libc::ARPHRD_PPP
        | ARPHRD_RAWIP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE
        | ARPHRD_IP6GRE => LinkLayer::Network,
        _ => LinkLayer::Other,
    }
}

fn kind(message: &RawLink<'_>) -> LinkKind {
    if let Some(table) = message.vrf_table() {
        return LinkKind::Vrf { table };
    }
    if let Some(id) = message.vlan_id() {
        return LinkKind::Vlan { id };
    }
    match message.kind.as_deref() {
        None => LinkKind::Device,
        Some("bridge") => LinkKind::Bridge,
        Some("bond") => LinkKind::Bond,
        Some("macvlan" | "macvtap") => LinkKind::Macvlan,
        Some("veth") => LinkKind::Veth,
        Some(other) => LinkKind::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::link::{
        InfoData, InfoKind, InfoVlan, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
        State,
    };

    use super::*;

    fn message(attributes: Vec<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up;
        message.attributes = vec![LinkAttribute::IfName("eth0.10".to_owned())];
        message.attributes.extend(attributes);
        message
    }

    /// The interface of a message with these attributes behind those that are in it.
    fn read_with(message: &LinkMessage, more: &[u8]) -> Option<Link> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes.extend(more);
        link_from_message(&RawLink::read(&bytes).unwrap())
    }

    fn read(message: &LinkMessage) -> Option<Link> {
        read_with(message, &[])
    }

    #[test]
    fn a_vlan_is_known_by_its_id_and_parent() {
        // VLAN devices cannot be made everywhere, so the message is made here.
        let info = vec![
            LinkInfo::Kind(InfoKind::Vlan),
            LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(10)])),
        ];
        let link = read(&message(vec![
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
        let vrf = read(&message(vec![LinkAttribute::LinkInfo(info)])).unwrap();
        assert_eq!(vrf.kind, LinkKind::Vrf { table: 10 });
        let mut inside = message(vec![LinkAttribute::Controller(7)]);
        inside.header.index = 8;
        let inside = read(&inside).unwrap();
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
        assert_eq!(read(&bridge), None);
    }

    #[test]
    fn an_interface_without_carrier_or_operation_is_not_up() {
        let is_up = |attributes| read(&message(attributes)).unwrap().is_up();
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

    /// `ip link set veth7 alias $'\xff'`, and what a kernel of some later year may say of a device.
    #[test]
    fn an_interface_is_known_whatever_else_its_message_says() {
        let whole = message(vec![LinkAttribute::Mtu(1400), LinkAttribute::Controller(3)]);
        // `IFLA_IFALIAS` that is not UTF-8, a VLAN whose id is a byte long, and a number that nobody knows.
        let odd: [&[u8]; 3] = [
            &[5, 0, 20, 0, 0xff, 0, 0, 0],
            &[
                25, 0, 18, 0, 9, 0, 1, 0, b'v', b'l', b'a', b'n', 0, 0, 0, 0, 9, 0, 2, 0, 5, 0, 1,
                0, 7, 0, 0, 0,
            ],
            &[8, 0, 0xfe, 0x3f, 1, 2, 3, 4],
        ];
        let plain = read(&whole).unwrap();
        for more in odd {
            let link = read_with(&whole, more).unwrap();
            assert_eq!((link.index, &link.name, link.mtu), (7, &plain.name, 1400));
            assert!(link.is_up() && link.master == Some(3));
        }
        let mut bytes = vec![0; whole.buffer_len()];
        whole.emit(&mut bytes);
        for length in 0..bytes.len() {
            let _ = RawLink::read(&bytes[..length])
                .as_ref()
                .and_then(link_from_message);
        }
    }
}
