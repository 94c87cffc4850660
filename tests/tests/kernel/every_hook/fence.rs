//! The fence: who is not master, or has not yielded to a better one, gets nothing for its addresses any more.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ha_common::fence;
use ha_common::layout::{Command, flags, op, state};
use ha_tests::vectors::build::{Frame, Tag};
use ha_tests::vectors::other::{arp, arp_request, icmpv6, ipv4, ipv6_to, solicitation};
use ha_tests::vectors::{Receiver, VRID, link_local};

use super::harness::{
    DROP, Lab, NOTHING, PASS, PATIENCE, advert, command_for, is_runnable, key_of, now,
};

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

    /// Lets the better master be heard, and the agent leave that unanswered, for longer than the grace.
    fn contest(&mut self) {
        let contender = self.contender.clone();
        self.outlast(&contender);
    }

    /// Lets a master be heard, and the agent leave that unanswered, for longer than the grace. Time itself is what
    /// must pass.
    fn outlast(&mut self, advert: &[u8]) {
        let patience = Instant::now() + PATIENCE;
        loop {
            self.lab.send(advert);
            self.lab.drain();
            let slot = self.lab.slot();
            if now() - slot.unanswered_since > fence::grace(&slot).0 {
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
        ("ARP request for the address", arp_request(VIP), DROP),
        ("TCP to the address", tcp(VIP), DROP),
        ("ICMP to the address", ipv4(1, VIP, &[8; 8]), DROP),
        ("a later fragment to the address", fragment(), DROP),
        ("ARP reply", arp(2, VIP), PASS),
        ("ARP request for another", arp_request(OTHER), PASS),
        ("TCP to another", tcp(OTHER), PASS),
        ("a VLAN's frame", tagged, PASS),
        (
            "an ARP request cut short",
            arp_request(VIP)[..41].to_vec(),
            PASS,
        ),
        ("an IPv4 header cut short", tcp(VIP)[..33].to_vec(), PASS),
        ("the better master's advert", fenced.contender.clone(), PASS),
        (
            "a tagged advert",
            advert(Receiver::V3Ipv4, |f| f.tags = vec![Tag::dot1q(3)]),
            PASS,
        ),
    ];
    let mut dropped = 0;
    for (name, frame, verdict) in cases {
        if !is_runnable(&frame) {
            continue;
        }
        assert_eq!(fenced.verdict(&frame), verdict, "{name}");
        dropped += u64::from(verdict == DROP);
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
        ("solicitation for the address", solicitation(VIP6), DROP),
        (
            "solicitation to the address",
            unicast_solicitation.clone(),
            DROP,
        ),
        (
            "the same cut short",
            unicast_solicitation[..60].to_vec(),
            DROP,
        ),
        ("TCP to the address", ipv6_to(VIP6, TCP, &[0; 20]), DROP),
        ("no payload to the address", ipv6_to(VIP6, 59, &[]), DROP),
        ("echo to the address", ipv6_to(VIP6, 58, &[128; 8]), DROP),
        ("solicitation for another", solicitation(OTHER6), PASS),
        ("TCP to another", ipv6_to(OTHER6, TCP, &[0; 20]), PASS),
        ("advertisement of the address", icmpv6(136, VIP6), PASS),
        ("ARP request", arp_request(VIP), PASS),
        (
            "an IPv6 header cut short",
            solicitation(VIP6)[..53].to_vec(),
            PASS,
        ),
    ];
    let mut dropped = 0;
    for (name, frame, verdict) in cases {
        if !is_runnable(&frame) {
            continue;
        }
        assert_eq!(fenced.verdict(&frame), verdict, "{name}");
        dropped += u64::from(verdict == DROP);
        assert_eq!(fenced.lab.slot().fenced, dropped, "{name}");
    }
}

#[test]
fn the_fence_waits_for_the_grace() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS, "uncontested");
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
        if verdict == DROP {
            assert!(after - slot.unanswered_since > grace, "too early");
            break slot;
        }
        // A pause of the machine may have made the contender look silent: that ends a contest.
        let heard_lately = after - slot.last_heard < grace;
        assert!(
            before - slot.unanswered_since <= grace || !heard_lately,
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
    assert_eq!(fenced.verdict(&tcp(VIP)), DROP);
    std::thread::sleep(Duration::from_millis(370));
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS);
    // It comes back: the agent that has left the first event unanswered is still not there.
    fenced.lab.send(&fenced.contender);
    assert_eq!(fenced.lab.send(&tcp(VIP)), DROP);
}

#[test]
fn an_agent_that_turns_takes_the_fence_down_and_has_its_grace_anew() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.verdict(&tcp(VIP)), DROP);
    fenced.lab.set_turned_at(now());
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS);
    fenced.lab.send(&fenced.contender);
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS);
    assert_eq!(fenced.verdict(&tcp(VIP)), DROP);
    let slot = fenced.lab.slot();
    assert_eq!(slot.fenced, 2);
    assert!(
        slot.fenced_since > slot.unanswered_since,
        "of the second time"
    );
    assert_eq!(slot.fenced_at, slot.fenced_since);
}

#[test]
fn the_fence_falls_when_the_contender_leaves() {
    let mut fenced = Fenced::ipv4();
    assert_eq!(fenced.verdict(&tcp(VIP)), DROP);
    let release = advert(Receiver::V3Ipv4, |f| f.message.priority = 0);
    fenced.lab.send(&release);
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS);
}

#[test]
fn an_address_passes_only_while_its_slot_is_master() {
    for next in [state::BACKUP, state::IDLE] {
        let mut fenced = Fenced::ipv4();
        for frame in [arp_request(VIP), tcp(VIP)] {
            assert_eq!(fenced.lab.send(&frame), PASS, "master");
        }
        fenced.lab.set_state(&fenced.command, next, PATIENCE);
        for (dropped, frame) in (1..).zip([arp_request(VIP), tcp(VIP)]) {
            assert_eq!(fenced.lab.send(&frame), DROP, "{next}");
            let slot = fenced.lab.slot();
            assert_eq!((slot.closed, slot.fenced), (dropped, 0), "told apart");
            assert!(slot.closed_at != 0);
        }
        for frame in [arp_request(OTHER), tcp(OTHER)] {
            assert_eq!(fenced.lab.send(&frame), PASS, "another address");
        }
        fenced
            .lab
            .set_state(&fenced.command, state::MASTER, NOTHING);
        assert_eq!(fenced.lab.send(&tcp(VIP)), PASS, "master again");
        assert_eq!(fenced.verdict(&tcp(VIP)), DROP, "and fenced");
        fenced.lab.set_state(&fenced.command, next, PATIENCE);
        fenced.lab.unfence();
        assert_eq!(fenced.lab.send(&tcp(VIP)), PASS, "removed");
    }
}

/// The word that traffic pays for is told by the agent, and by a slot that stops being master.
#[test]
fn traffic_is_looked_at_while_an_address_is_closed_and_no_longer() {
    let mut fenced = Fenced::ipv4();
    let key = key_of(&fenced.command);
    let list = |fenced: &mut Fenced, is_master, addresses: &[IpAddr]| {
        let addresses = addresses.iter().copied();
        let listed = fenced.lab.kernel.fence(key, 0, is_master, addresses);
        listed.expect("listed");
    };
    let vip = IpAddr::from(VIP);
    list(&mut fenced, true, &[vip]);
    fenced.lab.set_state(&fenced.command, state::IDLE, NOTHING);
    list(&mut fenced, false, &[vip]);
    assert_eq!(fenced.lab.send(&tcp(VIP)), DROP);
    list(&mut fenced, false, &[]);
    // Entries that the agent does not know of tell whether anybody looks.
    fenced.lab.fence(vip, 0);
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS, "nobody looks");
    list(&mut fenced, false, &[vip, OTHER.into()]);
    assert_eq!(fenced.lab.send(&tcp(OTHER)), DROP, "before it is added");
}

/// Many addresses are listed by one call. What the map has no room for is not listed, and is told.
#[test]
fn as_many_addresses_are_listed_as_there_is_room_for() {
    let mut fenced = Fenced::ipv4();
    fenced.lab.unfence();
    let key = key_of(&fenced.command);
    let addresses = |count: u32| (0..count).map(|n| IpAddr::from((0x0a63_0000 + n).to_be_bytes()));
    let kernel = &mut fenced.lab.kernel;
    for count in [7, 8, 1000, 3, 4096] {
        let listed = kernel.fence(key, 0, false, addresses(count));
        listed.expect("there is room");
        assert!(kernel.fenced(0).into_iter().eq(addresses(count)), "{count}");
        let turns = usize::try_from(count.div_ceil(512)).expect("few");
        for turn in 0..turns {
            let differ = kernel.audit(key, 0, turn).expect("compared");
            assert!(!differ.contains(&"its addresses"), "{count}");
        }
    }
    let refused = kernel.fence(key, 0, false, addresses(4097));
    refused.expect_err("one too many");
    assert!(kernel.fenced(0).into_iter().eq(addresses(4096)));
    let listed = kernel.fence(key, 0, false, addresses(0));
    listed.expect("none");
    let refused = kernel.fence(key, 0, false, addresses(4200));
    refused.expect_err("some are too many");
    assert!(kernel.fenced(0).into_iter().eq(addresses(4096)));
}

/// A reload may give an address to another virtual router before the one that had it has let it go.
#[test]
fn an_address_that_another_slot_has_taken_is_not_taken_off_the_list_by_the_earlier_one() {
    let mut fenced = Fenced::ipv4();
    let other = Command {
        slot: 1,
        vrid: VRID + 1,
        ..fenced.command
    };
    fenced.lab.configure(&other);
    let vip = || std::iter::once(IpAddr::from(VIP));
    let kernel = &mut fenced.lab.kernel;
    let mut list = |command: &Command, addresses: Vec<IpAddr>| {
        let (key, slot) = (key_of(command), command.slot);
        let listed = kernel.fence(key, slot, false, addresses.into_iter());
        listed.expect("listed");
    };
    list(&fenced.command, vip().collect());
    list(&other, vip().collect());
    list(&fenced.command, Vec::new());
    assert_eq!(fenced.lab.send(&tcp(VIP)), DROP, "slot 1 is idle");
    assert_eq!(fenced.lab.slot_at(1).closed, 1);
    assert_eq!(fenced.lab.kernel.fenced(1), [IpAddr::from(VIP)]);
}

#[test]
fn there_is_no_fence_without_the_flag_or_without_an_entry() {
    let mut fenced = Fenced::new(Receiver::V3Ipv4, VIP.into(), 0);
    assert_eq!(fenced.verdict(&tcp(VIP)), PASS);
    fenced.lab.command(&Command {
        op: op::TUNE,
        flags: flags::FENCE,
        ..fenced.command
    });
    assert_eq!(fenced.verdict(&tcp(VIP)), DROP);
    fenced.lab.unfence();
    assert_eq!(fenced.verdict(&tcp(VIP)), PASS);
}

/// Each event wakes an agent that lives, and the limit of events makes silence that is none of its doing.
#[test]
fn no_burst_of_a_worse_master_fences_an_agent_that_answers() {
    let mut fenced = Fenced::ipv4();
    let worse = advert(Receiver::V3Ipv4, |f| {
        slow(f);
        f.message.priority = 89;
    });
    let until = Instant::now() + Duration::from_secs(1);
    let mut suppressed = 0;
    while Instant::now() < until {
        for _ in 0..20 {
            fenced.lab.send(&worse);
        }
        if !fenced.lab.drain().is_empty() {
            fenced.lab.set_turned_at(now());
        }
        suppressed = fenced.lab.slot().suppressed;
        assert_eq!(fenced.lab.send(&tcp(VIP)), PASS);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(suppressed > 100, "the limit was reached: {suppressed}");
}

#[test]
fn a_master_whose_agent_does_not_answer_is_fenced_by_any_other_master() {
    let mut fenced = Fenced::ipv4();
    let worse = advert(Receiver::V3Ipv4, |f| {
        slow(f);
        f.message.priority = 89;
    });
    let second = 1_000_000_000;
    fenced.lab.set_turned_at(now() - second);
    assert_eq!(
        fenced.lab.send(&tcp(VIP)),
        PASS,
        "nobody else is master, and it may have slept for want of work"
    );
    fenced.lab.send(&worse);
    assert_eq!(fenced.lab.send(&tcp(VIP)), PASS, "it has its grace");
    fenced.outlast(&worse);
    assert_eq!(fenced.lab.send(&tcp(VIP)), DROP);
    assert_eq!(fenced.lab.send(&tcp(OTHER)), PASS);
    std::thread::sleep(Duration::from_millis(370));
    assert_eq!(
        fenced.lab.send(&tcp(VIP)),
        PASS,
        "the other one fell silent"
    );
}
