//! The corpus again, as the plain-socket datapath is given it: it must say what the kernel half says.

use std::net::Ipv6Addr;

use ha_agent::datapath::socket_slot::SocketSlot;
use ha_agent::net::receive::Received;
use ha_common::layout::{Slot, SlotKey, op};
use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_tests::vectors::{Expected, Receiver, VRID, Vector, corpus};

use super::every_hook::harness::{LOOPBACK, command_for};

/// The Ethernet and IPv6 headers of an untagged frame.
const ETHERNET: usize = 14;
const IPV6: usize = 40;

/// What the kernel makes of a frame before a raw socket is given it; `None` if it is given nothing.
fn as_received(vector: &Vector) -> Option<Received<'_>> {
    let kind = vector.frame.get(12..ETHERNET)?;
    let packet = vector.frame.get(ETHERNET..)?;
    if kind == [0x08, 0x00] && vector.receiver.family() == Family::V4 {
        let told = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        let header = usize::from(packet.first()? & 0x0f) * 4;
        // A packet that is shorter than it says never gets as far, and padding is taken off. Of less than
        // eight bytes it cannot be told whose they are.
        return (told >= header + 8).then_some(Received::V4 {
            packet: packet.get(..told)?,
        });
    }
    // Of another IP version it gets no further than its first byte.
    let is_ipv6 = packet.first()? >> 4 == 6 && packet.get(6) == Some(&112);
    if kind != [0x86, 0xdd] || vector.receiver.family() != Family::V6 || !is_ipv6 {
        return None;
    }
    let told = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    if told < 8 {
        return None;
    }
    let address = |at: usize| {
        let bytes = packet.get(at..at + 16)?;
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
    };
    Some(Received::V6 {
        source: address(8)?,
        destination: address(24)?,
        hop_limit: *packet.get(7)?,
        payload: packet.get(IPV6..IPV6 + told)?,
    })
}

fn slot_for(receiver: Receiver) -> SocketSlot {
    let mut soft = SocketSlot::new(SlotKey::new(LOOPBACK, receiver.family(), VRID));
    soft.list_peers(&receiver.peers());
    let mut command = command_for(receiver, 0, VRID);
    command.op = op::CONFIGURE;
    soft.command(&command, 0);
    soft
}

fn counted(slot: &Slot) -> (u64, Option<Reject>) {
    let moved = slot.rejects.iter().position(|count| *count > 0);
    (slot.adverts, moved.and_then(Reject::from_index))
}

#[test]
fn every_vector_that_a_raw_socket_is_given_gets_the_same_verdict_there() {
    let mut given = [0_u32; 2];
    for vector in corpus() {
        let Some(received) = as_received(&vector) else {
            continue;
        };
        let mut soft = slot_for(vector.receiver);
        soft.receive(&received, 1);
        let counted = counted(soft.slot());
        let expected = match vector.expected {
            Expected::Accepted(_) => (1, None),
            Expected::Rejected(reason) => (0, Some(reason)),
            Expected::Other | Expected::Tagged | Expected::Unreadable | Expected::NotOurs => {
                (0, None)
            }
        };
        // What runs into the padding is rejected there and here, but here there is no padding.
        let cut_short = (0, Some(Reject::Truncated));
        if !(counted == cut_short && expected == (0, Some(Reject::AddressCount))) {
            assert_eq!(counted, expected, "{}", vector.name);
        }
        given[usize::from(expected.1.is_some())] += 1;
    }
    println!(
        "accepted or passed over {}, rejected {}",
        given[0], given[1]
    );
    assert!(given.iter().all(|count| *count > 100), "{given:?}");
}

#[test]
fn a_peer_that_is_taken_off_the_list_is_a_stranger_from_then_on() {
    let receiver = Receiver::UnicastIpv4;
    let mut soft = slot_for(receiver);
    let frame = receiver.valid().bytes();
    let packet = &frame[ETHERNET..];
    soft.receive(&Received::V4 { packet }, 1);
    assert_eq!(counted(soft.slot()), (1, None));
    soft.list_peers(&[]);
    soft.receive(&Received::V4 { packet }, 2);
    assert_eq!(counted(soft.slot()), (1, Some(Reject::UnknownPeer)));
}
