//! Lists of unicast peers while frames come in, and what is sent to others than this host.

use std::net::{IpAddr, Ipv4Addr};

use ha_common::accept::TtlRange;
use ha_common::layout::{Command, SlotKey, flags, op};
use ha_common::reject::Reject;
use ha_tests::vectors::{Receiver, VRID, raw};

use super::harness::{DROP, LOOPBACK, Lab, PASS, advert, command_for};

const RECEIVER: Receiver = Receiver::UnicastIpv4;

fn counted(lab: &Lab, reject: Reject) -> u64 {
    lab.slot().rejects[reject as usize]
}

#[test]
fn a_list_of_peers_counts_from_the_next_frame_on_and_goes_with_its_slot() {
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    let frame = advert(RECEIVER, |_| {});
    lab.send(&frame);
    assert_eq!(lab.slot().adverts, 1);

    let other: IpAddr = Ipv4Addr::new(10, 99, 0, 7).into();
    lab.list_peers(RECEIVER, &[(raw(other), TtlRange::LINK)]);
    lab.send(&frame);
    lab.send(&advert(RECEIVER, |f| f.source = other));
    assert_eq!(lab.slot().adverts, 2);
    assert_eq!(counted(&lab, Reject::UnknownPeer), 1);

    // The next virtual router in the slot must not inherit them.
    lab.forget(RECEIVER);
    lab.configure(&command_for(RECEIVER, 0, VRID));
    lab.send(&advert(RECEIVER, |f| f.source = other));
    assert_eq!(lab.slot().adverts, 0);
    assert_eq!(counted(&lab, Reject::UnknownPeer), 1);
}

#[test]
fn a_peers_ttl_may_change_without_the_peer() {
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    let far = advert(RECEIVER, |f| f.ttl = 64);
    lab.send(&far);
    assert_eq!(counted(&lab, Reject::Ttl), 1);
    let peer = raw(RECEIVER.valid().source);
    lab.list_peers(RECEIVER, &[(peer, TtlRange { min: 64, max: 64 })]);
    lab.send(&far);
    lab.send(&advert(RECEIVER, |_| {}));
    assert_eq!((lab.slot().adverts, counted(&lab, Reject::Ttl)), (1, 2));
}

#[test]
fn lists_of_two_virtual_routers_are_apart() {
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    lab.configure(&command_for(RECEIVER, 1, VRID + 1));
    let second = SlotKey::new(LOOPBACK, RECEIVER.family(), VRID + 1);
    let frame = advert(RECEIVER, |f| f.message.vrid = VRID + 1);
    lab.send(&frame);
    assert_eq!(lab.slot_at(1).rejects[Reject::UnknownPeer as usize], 1);
    let peers = RECEIVER.peers();
    lab.kernel.list_peers(second, &peers).expect("list peers");
    lab.kernel.list_peers(second, &peers).expect("once more");
    lab.send(&frame);
    assert_eq!(lab.slot_at(1).adverts, 1);
    lab.kernel.list_peers(second, &[]).expect("list nobody");
    lab.send(&advert(RECEIVER, |_| {}));
    assert_eq!(lab.slot().adverts, 1);
}

/// Another cluster may use the VRID with a group of its own, and a host may forward or bridge what two
/// others send each other: it is theirs.
#[test]
fn adverts_that_were_sent_to_others_go_on_even_where_ours_end() {
    for receiver in [RECEIVER, Receiver::OtherGroup, Receiver::V3Ipv6] {
        let mut lab = Lab::new();
        lab.receive_as(receiver);
        lab.command(&Command {
            op: op::TUNE,
            flags: flags::CONSUME,
            ..command_for(receiver, 0, VRID)
        });
        assert_eq!(lab.send(&advert(receiver, |_| {})), DROP, "{receiver:?}");
        let elsewhere = advert(receiver, |f| {
            f.destination = match receiver.own_address() {
                IpAddr::V4(_) => Ipv4Addr::new(10, 99, 0, 3).into(),
                IpAddr::V6(_) => ha_tests::vectors::link_local(3).into(),
            };
        });
        assert_eq!(lab.send(&elsewhere), PASS, "{receiver:?}");
        assert_eq!(counted(&lab, Reject::Destination), 1);
        // What is wrong in another way was still meant for us.
        let wrong = advert(receiver, |f| f.ttl = 3);
        assert_eq!(lab.send(&wrong), DROP, "{receiver:?}");
    }
}
