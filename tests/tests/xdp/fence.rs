//! The fence: a master that has not yielded to a better one gets nothing for its addresses any more.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ha_common::fence;
use ha_common::layout::{Command, Slot, flags, op, state};
use ha_tests::vectors::build::{Frame, Tag};
use ha_tests::vectors::other::{arp, arp_request, icmpv6, ipv4, ipv6_to, solicitation};
use ha_tests::vectors::{Receiver, VRID, link_local};

use crate::harness::{Lab, NOTHING, PATIENCE, advert, command_for, now};
use crate::observe::{XDP_DROP, XDP_PASS};

const VIP: [u8; 4] = [10, 99, 0, 100];
const OTHER: [u8; 4] = [10, 99, 0, 101];
const VIP6: Ipv6Addr = link_local(0x100);
const OTHER6: Ipv6Addr = link_local(0x101);
const TCP: u8 = 6;

/// A master with a fenced address; the contender's interval is 100 ms, the grace so 365 ms.
struct Fenced {
    lab: Lab,
    command: Command,
    contender: Vec<u8>,
}

impl Fenced {
    fn new(receiver: Receiver, address: IpAddr, flags: u32) -> Self {
        let mut lab = Lab::new();
        let command = Command {
            flags,
            ..command_for(receiver, 0, VRID)
        };
        lab.configure(&command);
        lab.set_state(&command, state::MASTER, NOTHING);
        lab.fence(address, 0);
        Self {
            lab,
            command,
            contender: advert(receiver, slow),
        }
    }

    fn ipv4() -> Self {
        Self::new(Receiver::V3Ipv4, VIP.into(), flags::FENCE)
    }

    /// Lets the better master be heard for longer than the grace.
    fn contest(&mut self) {
        let contender = self.contender.clone();
        self.outlast(&contender, |slot| slot.contested_since);
    }

    /// Lets a master be heard for longer than the grace. Time itself is what must pass.
    fn outlast(&mut self, advert: &[u8], since: fn(&Slot) -> u64) {
        let patience = Instant::now() + PATIENCE;
        loop {
            self.lab.send(advert);
            self.lab.drain();
            let slot = self.lab.slot();
            if now() - since(&slot) > fence::grace(&slot).0 {
                return;
            }
            assert!(Instant::now() < patience, "the contest never lasted");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The verdict while the contender is certainly alive.
    fn verdict(&mut self, frame: &[u8]) -> u32 {
        self.contest();
        self.lab.send(frame)
    }
}

fn slow(frame: &mut Frame) {
    frame.message.word = [0, 10];
}

fn tcp(to: [u8; 4]) -> Vec<u8> {
    ipv4(TCP, to, &[0; 20])
}

#[test]
fn a_contested_master_gets_nothing_for_its_ipv4_address() {
    let mut fenced = Fenced::ipv4();
    let mut tagged = tcp(VIP);
    tagged.splice(12..12, [0x81, 0x00, 0, 10]);
    let cases = [
        ("ARP request for the address", arp_request(VIP), XDP_DROP),
        ("TCP to the address", tcp(VIP), XDP_DROP),
        ("ICMP to the address", ipv4(1, VIP, &[8; 8]), XDP_DROP),
        ("a later fragment to the address", fragment(), XDP_DROP),
        ("ARP reply", arp(2, VIP), XDP_PASS),
        ("ARP request for another", arp_request(OTHER), XDP_PASS),
        ("TCP to another", tcp(OTHER), XDP_PASS),
        ("a VLAN's frame", tagged, XDP_PASS),
        (
            "an ARP request cut short",
            arp_request(VIP)[..41].to_vec(),
            XDP_PASS,
        ),
        (
            "an IPv4 header cut short",
            tcp(VIP)[..33].to_vec(),
            XDP_PASS,
        ),
        (
            "the better master's advert",
            fenced.contender.clone(),
            XDP_PASS,
        ),
        (
            "a tagged advert",
            advert(Receiver::V3Ipv4, |f| f.tags = vec![Tag::dot1q(3)]),
            XDP_PASS,
        ),
    ];
    let mut dropped = 0;
    for (name, frame, verdict) in cases {
        assert_eq!(fenced.verdict(&frame), verdict, "{name}");
        dropped += u64::from(verdict == XDP_DROP);
        assert_eq!(fenced.lab.slot().fenced, dropped, "{name}");
    }
}

fn fragment() -> Vec<u8> {
    let mut frame = tcp(VIP);
    frame[20..22].copy_from_slice(&[0x00, 0x10]);
    frame
}

#[test]
fn a_contested_master_gets_nothing_for_its_ipv6_address() {
    let mut fenced = Fenced::new(Receiver::V3Ipv6, VIP6.into(), flags::FENCE);
    let unicast_solicitation = {
        let mut payload = vec![135, 0, 0, 0, 0, 0, 0, 0];
        payload.extend(VIP6.octets());
        ipv6_to(VIP6, 58, &payload)
    };
    let cases = [
        ("solicitation for the address", solicitation(VIP6), XDP_DROP),
        (
            "solicitation to the address",
            unicast_solicitation.clone(),
            XDP_DROP,
        ),
        (
            "the same cut short",
            unicast_solicitation[..60].to_vec(),
            XDP_DROP,
        ),
        ("TCP to the address", ipv6_to(VIP6, TCP, &[0; 20]), XDP_DROP),
        (
            "no payload to the address",
            ipv6_to(VIP6, 59, &[]),
            XDP_DROP,
        ),
        (
            "echo to the address",
            ipv6_to(VIP6, 58, &[128; 8]),
            XDP_DROP,
        ),
        ("solicitation for another", solicitation(OTHER6), XDP_PASS),
        ("TCP to another", ipv6_to(OTHER6, TCP, &[0; 20]), XDP_PASS),
        ("advertisement of the address", icmpv6(136, VIP6), XDP_PASS),
        ("ARP request", arp_request(VIP), XDP_PASS),
        (
            "an IPv6 header cut short",
            solicitation(VIP6)[..53].to_vec(),
            XDP_PASS,
        ),
    ];
    let mut dropped = 0;
    for (name, frame, verdict) in cases {
        assert_eq!(fenced.verdict(&frame), verdict, "{name}");
        dropped += u64::from(verdict == XDP_DROP);
        assert_eq!(fenced.lab.slot().fenced, dropped, "{name}");
    }
}

#[test]
fn the_fence_waits_for_the_grace() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS, "uncontested");
    let mut passed = 0;
    let patience = Instant::now() + PATIENCE;
    let slot = loop {
        fenced.lab.send(&fenced.contender);
        fenced.lab.drain();
        let before = now();
        let verdict = fenced.lab.send(&tcp(VIP));
        let after = now();
        let slot = fenced.lab.slot();
        let grace = fence::grace(&slot).0;
        assert_eq!(grace, 36_484_375 * 10);
        if verdict == XDP_DROP {
            assert!(after - slot.contested_since > grace, "too early");
            break slot;
        }
        // A pause of the machine may have made the contender look silent: that ends a contest.
        let heard_lately = after - slot.last_heard < grace;
        assert!(
            before - slot.contested_since <= grace || !heard_lately,
            "too late"
        );
        passed += 1;
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(passed > 0, "the address was served until then");
    assert_eq!(slot.fenced, 1);
}

#[test]
fn the_fence_falls_when_the_contender_is_silent() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_DROP);
    std::thread::sleep(Duration::from_millis(370));
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
    let since = fenced.lab.slot().contested_since;
    // It comes back: a new contest, with a new grace.
    fenced.lab.send(&fenced.contender);
    assert!(fenced.lab.slot().contested_since > since);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_DROP);
}

#[test]
fn the_fence_falls_when_the_contender_leaves() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_DROP);
    let release = advert(Receiver::V3Ipv4, |f| f.message.priority = 0);
    fenced.lab.send(&release);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
}

#[test]
fn the_fence_falls_when_the_agent_yields() {
    for next in [state::BACKUP, state::IDLE] {
        let mut fenced = Fenced::ipv4();
        assert_eq!(fenced.verdict(&tcp(VIP)), XDP_DROP);
        fenced.lab.set_state(&fenced.command, next, PATIENCE);
        assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
    }
}

#[test]
fn there_is_no_fence_without_the_flag_or_without_an_entry() {
    let mut fenced = Fenced::new(Receiver::V3Ipv4, VIP.into(), 0);
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_PASS);
    fenced.lab.command(&Command {
        op: op::TUNE,
        flags: flags::FENCE,
        ..fenced.command
    });
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_DROP);
    fenced.lab.set_fences(0);
    assert_eq!(fenced.verdict(&tcp(VIP)), XDP_PASS);
}

#[test]
fn a_worse_master_raises_no_fence() {
    let mut fenced = Fenced::ipv4();
    let worse = advert(Receiver::V3Ipv4, |f| {
        slow(f);
        f.message.priority = 89;
    });
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        fenced.lab.send(&worse);
        assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
        fenced.lab.drain();
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Each advert of the other one wakes an agent that lives. One that has not turned for longer than the
/// grace is dead or stands still, and whoever else is master has the address, better or not.
#[test]
fn a_master_whose_agent_has_not_moved_is_fenced_by_any_other_master() {
    let mut fenced = Fenced::ipv4();
    let worse = advert(Receiver::V3Ipv4, |f| {
        slow(f);
        f.message.priority = 89;
    });
    let second = 1_000_000_000;
    fenced.lab.set_turned_at(now() - second);
    assert_eq!(
        fenced.lab.send(&tcp(VIP)),
        XDP_PASS,
        "nobody else is master"
    );
    fenced.lab.send(&worse);
    assert_eq!(
        fenced.lab.send(&tcp(VIP)),
        XDP_PASS,
        "it may have slept for want of work, and has its grace"
    );
    fenced.outlast(&worse, |slot| slot.claimed_since);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_DROP);
    assert_eq!(fenced.lab.send(&tcp(OTHER)), XDP_PASS);
    // An agent that moves decides by itself.
    fenced.lab.set_turned_at(now());
    fenced.lab.send(&worse);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
    // Nor has one stopped moving that never moved.
    fenced.lab.set_turned_at(0);
    fenced.lab.send(&worse);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_PASS);
    fenced.lab.set_turned_at(now() - second);
    fenced.lab.send(&worse);
    assert_eq!(fenced.lab.send(&tcp(VIP)), XDP_DROP);
    std::thread::sleep(Duration::from_millis(370));
    assert_eq!(
        fenced.lab.send(&tcp(VIP)),
        XDP_PASS,
        "the other one fell silent"
    );
}
