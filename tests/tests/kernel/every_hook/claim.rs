//! Claims of our addresses by a foreign MAC, in ARP and neighbour discovery.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ha_common::address::{family_of, raw};
use ha_common::layout::{Command, Event, event, state};
use ha_tests::vectors::other::{arp, icmpv6, ipv6_from};
use ha_tests::vectors::{Receiver, VRID, link_local};

use super::harness::{Lab, PASS, command_for};
use super::{HOOK, Hook};

const VIP: [u8; 4] = [10, 99, 0, 100];
const VIP6: Ipv6Addr = link_local(0x100);
/// Of ARP's sender, and of the frame.
const ARP_SENDER: u64 = 0x0200_0000_0009;
const FRAME_SENDER: u64 = 0x0200_0000_0002;

/// A lab whose slot 0 is in this state and holds the address, with this MAC of its own.
fn lab_holding(receiver: Receiver, address: IpAddr, state: u8, own_mac: [u8; 6]) -> Lab {
    let mut lab = Lab::new();
    let command = Command {
        own_mac,
        ..command_for(receiver, 0, VRID)
    };
    lab.configure(&command);
    lab.set_state(&command, state, Duration::from_mins(1));
    lab.fence(address, 0);
    lab
}

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// An ARP message whose sender says to have an address.
fn claim(operation: u8, sender: [u8; 4]) -> Vec<u8> {
    let mut frame = arp(operation, [10, 99, 0, 1]);
    frame[28..32].copy_from_slice(&sender);
    frame
}

fn claims(events: &[Event]) -> Vec<(IpAddr, u64)> {
    events
        .iter()
        .map(|it| {
            assert_eq!((it.kind, it.slot), (event::CLAIM, 0));
            let address = ha_common::address::to_ip(it.count, it.source);
            assert_eq!(raw(address), it.source);
            assert_eq!(family_of(address) as u8, it.count);
            (address, it.hash)
        })
        .collect()
}

#[test]
fn a_foreign_mac_that_claims_the_address_by_arp_is_told_with_its_mac() {
    for operation in [1, 2] {
        let mut lab = lab_holding(Receiver::V3Ipv4, VIP.into(), state::MASTER, OWN);
        assert_eq!(lab.send(&claim(operation, VIP)), PASS);
        assert_eq!(claims(&lab.drain()), [(VIP.into(), ARP_SENDER)]);
        assert_eq!(lab.slot().claims, 1);
    }
}

#[test]
fn what_claims_nothing_of_ours_is_not_told() {
    let mut lab = lab_holding(Receiver::V3Ipv4, VIP.into(), state::MASTER, OWN);
    let mut cut = claim(1, VIP);
    cut.truncate(41);
    let mut token_ring = claim(1, VIP);
    token_ring[15] = 6;
    let mut tagged = claim(1, VIP);
    tagged.splice(12..12, [0x81, 0, 0, 10]);
    for (name, frame) in [
        ("another address", claim(1, [10, 99, 0, 101])),
        ("a probe, which claims nothing yet", claim(1, [0; 4])),
        ("who asks for it", arp(1, VIP)),
        ("cut short", cut),
        ("not over Ethernet", token_ring),
        ("in a VLAN", tagged),
    ] {
        assert_eq!(lab.send(&frame), PASS, "{name}");
        assert_eq!((lab.drain().len(), lab.slot().claims), (0, 0), "{name}");
    }
}

#[test]
fn ourselves_and_a_master_that_we_are_not_are_not_told() {
    let own_announcement = [2, 0, 0, 0, 0, 9];
    for (state, own_mac) in [
        (state::MASTER, own_announcement),
        (state::BACKUP, OWN),
        (state::IDLE, OWN),
    ] {
        let mut lab = lab_holding(Receiver::V3Ipv4, VIP.into(), state, own_mac);
        assert_eq!(lab.send(&claim(1, VIP)), PASS);
        assert_eq!((lab.drain().len(), lab.slot().claims), (0, 0));
    }
}

#[test]
fn a_flood_of_claims_is_counted_and_eight_are_told_in_100_ms() {
    let mut lab = lab_holding(Receiver::V3Ipv4, VIP.into(), state::MASTER, OWN);
    let frame = claim(2, VIP);
    let start = super::harness::now();
    for _ in 0..500 {
        lab.send(&frame);
    }
    let took = super::harness::now() - start;
    let told = u64::try_from(lab.drain().len()).expect("few");
    let windows = took / 100_000_000 + 1;
    assert!(told >= 8 && told <= 8 * windows, "{told} in {took} ns");
    assert_eq!(lab.slot().claims, 500);
    std::thread::sleep(Duration::from_millis(101));
    lab.send(&frame);
    assert_eq!(claims(&lab.drain()).len(), 1, "it goes on");
}

#[test]
fn neighbour_discovery_claims_by_advertisement_and_by_the_source_of_a_solicitation() {
    // There is no neighbour discovery without link-layer addresses.
    let mac = if HOOK == Hook::TcLayer3 {
        return;
    } else {
        FRAME_SENDER
    };
    let other = link_local(0x77);
    let solicitation = |source| {
        let mut payload = vec![135, 0, 0, 0, 0, 0, 0, 0];
        payload.extend(other.octets());
        ipv6_from(source, other, 58, &payload)
    };
    for (name, frame, claimed) in [
        ("advertisement", icmpv6(136, VIP6), true),
        ("solicitation from it", solicitation(VIP6), true),
        ("solicitation of it", icmpv6(135, VIP6), false),
        (
            "a probe for duplicates, which claims nothing yet",
            solicitation(Ipv6Addr::UNSPECIFIED),
            false,
        ),
        (
            "echo from it",
            ipv6_from(VIP6, other, 58, &[128; 40]),
            false,
        ),
    ] {
        let mut lab = lab_holding(Receiver::V3Ipv6, VIP6.into(), state::MASTER, OWN);
        assert_eq!(lab.send(&frame), PASS, "{name}");
        let expected = if claimed {
            vec![(VIP6.into(), mac)]
        } else {
            Vec::new()
        };
        assert_eq!(claims(&lab.drain()), expected, "{name}");
    }
}
