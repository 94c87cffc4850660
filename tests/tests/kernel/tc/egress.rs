//! The fence at egress: a stalled host must not take its neighbours' entries back.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ha_common::fence;
use ha_common::layout::{Command, flags, state};
use ha_tests::vectors::other::{arp, icmpv6, ipv4_from, ipv6_from};
use ha_tests::vectors::{Receiver, VRID, link_local};

use super::every_hook::harness::{DROP, Lab, NOTHING, PASS, PATIENCE, advert, command_for, now};

const VIP: [u8; 4] = [10, 99, 0, 100];
const OTHER: [u8; 4] = [10, 99, 0, 101];
const VIP6: Ipv6Addr = link_local(0x100);
const OTHER6: Ipv6Addr = link_local(0x101);
const TCP: u8 = 6;

/// A master that has left a better one's advert unanswered for longer than the grace.
fn fenced(receiver: Receiver, address: IpAddr) -> Lab {
    let mut lab = Lab::new();
    let command = Command {
        flags: flags::FENCE,
        ..command_for(receiver, 0, VRID)
    };
    lab.configure(&command);
    lab.set_state(&command, state::MASTER, NOTHING);
    lab.fence(address, 0);
    let contender = advert(receiver, |frame| frame.message.word = [0, 10]);
    let patience = Instant::now() + PATIENCE;
    loop {
        lab.send(&contender);
        lab.drain();
        let slot = lab.slot();
        if now() - slot.unanswered_since > fence::grace(&slot).0 {
            return lab;
        }
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn says(operation: u8, sender: [u8; 4]) -> Vec<u8> {
    let mut frame = arp(operation, [10, 99, 0, 77]);
    frame[28..32].copy_from_slice(&sender);
    frame
}

#[test]
fn nothing_leaves_in_the_name_of_a_fenced_ipv4_address() {
    let mut lab = fenced(Receiver::V3Ipv4, VIP.into());
    let mut tagged = says(1, VIP);
    tagged.splice(12..12, [0x81, 0x00, 0, 10]);
    let cases = [
        ("ARP request from the address", says(1, VIP), DROP),
        ("ARP reply from the address", says(2, VIP), DROP),
        ("TCP from the address", ipv4_from(VIP, TCP, &[0; 20]), DROP),
        ("ARP request from another", says(1, OTHER), PASS),
        ("ARP request for the address", arp(1, VIP), PASS),
        ("TCP from another", ipv4_from(OTHER, TCP, &[0; 20]), PASS),
        ("a VLAN's", tagged, PASS),
        (
            "an ARP request cut short",
            says(1, VIP)[..41].to_vec(),
            PASS,
        ),
    ];
    let mut dropped = 0;
    for (name, frame, verdict) in cases {
        assert_eq!(lab.send_out(&frame), verdict, "{name}");
        dropped += u64::from(verdict == DROP);
        assert_eq!(lab.slot().fenced_out, dropped, "{name}");
    }
    assert_eq!(lab.slot().fenced, 0, "what came in is counted apart");
    lab.set_turned_at(now());
    assert_eq!(lab.send_out(&says(1, VIP)), PASS, "the agent lives");
}

#[test]
fn nothing_leaves_in_the_name_of_a_fenced_ipv6_address() {
    let mut lab = fenced(Receiver::V3Ipv6, VIP6.into());
    let solicitation = |source| {
        let mut payload = vec![135, 0, 0, 0, 0, 0, 0, 0];
        payload.extend(OTHER6.octets());
        ipv6_from(source, OTHER6, 58, &payload)
    };
    for (name, frame, verdict) in [
        ("advertisement of the address", icmpv6(136, VIP6), DROP),
        ("solicitation from the address", solicitation(VIP6), DROP),
        (
            "TCP from the address",
            ipv6_from(VIP6, OTHER6, TCP, &[0; 20]),
            DROP,
        ),
        ("advertisement of another", icmpv6(136, OTHER6), PASS),
        ("solicitation from another", solicitation(OTHER6), PASS),
        (
            "TCP from another",
            ipv6_from(OTHER6, VIP6, TCP, &[0; 20]),
            PASS,
        ),
    ] {
        assert_eq!(lab.send_out(&frame), verdict, "{name}");
    }
}

/// A master whose address is listed for the fence, and what configured its slot.
fn fenced_master() -> (Lab, Command) {
    let mut lab = Lab::new();
    let command = Command {
        flags: flags::FENCE,
        ..command_for(Receiver::V3Ipv4, 0, VRID)
    };
    lab.configure(&command);
    lab.set_state(&command, state::MASTER, NOTHING);
    lab.fence(VIP.into(), 0);
    (lab, command)
}

#[test]
fn nothing_leaves_in_the_name_of_an_address_whose_slot_is_not_master() {
    let (mut lab, command) = fenced_master();
    let frames = [says(1, VIP), says(2, VIP), ipv4_from(VIP, TCP, &[0; 20])];
    for frame in &frames {
        assert_eq!(lab.send_out(frame), PASS);
    }
    lab.set_state(&command, state::BACKUP, PATIENCE);
    for (dropped, frame) in (1..).zip(&frames) {
        assert_eq!(lab.send_out(frame), DROP);
        let slot = lab.slot();
        assert_eq!(
            (slot.closed_out, slot.closed, slot.fenced_out),
            (dropped, 0, 0)
        );
    }
    assert_eq!(lab.send_out(&says(1, OTHER)), PASS);
}

#[test]
fn everything_leaves_while_nobody_contests_the_master() {
    let (mut lab, _) = fenced_master();
    assert_eq!(lab.send_out(&says(1, VIP)), PASS);
    assert_eq!(lab.send_out(&ipv4_from(VIP, TCP, &[0; 20])), PASS);
}
