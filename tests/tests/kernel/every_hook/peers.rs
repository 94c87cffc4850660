//! Statistics by peer: what they say, and that forged sources do not wash them out.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ha_common::layout::Counter;
use ha_common::reject::Reject;
use ha_tests::vectors::build::{Checksum, sum_header_again};
use ha_tests::vectors::{Receiver, VRID};

use super::harness::{Lab, advert, command_for, key_of};

const RECEIVER: Receiver = Receiver::V3Ipv4;
/// Where the source address stands in an untagged IPv4 frame.
const SOURCE: std::ops::Range<usize> = 26..30;

/// RFC 9568 section 7.1 (report), RFC 3768 section 7.1 (report).
#[test]
fn a_peer_is_counted_by_what_it_sends() {
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    let key = key_of(&command_for(RECEIVER, 0, VRID));
    let source = RECEIVER.valid().source;
    for priority in [100, 100, 0] {
        lab.send(&advert(RECEIVER, |f| f.message.priority = priority));
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..4 {
        lab.send(&advert(RECEIVER, |f| f.ttl = 3));
    }
    let peer = lab.peer(key, source).expect("the peer");
    assert_eq!((peer.adverts, peer.bytes, peer.releases), (3, 3 * 12, 1));
    assert_eq!(peer.rejects[Reject::Ttl as usize], 4);
    assert_eq!(peer.rejects.iter().sum::<u64>(), 4);
    assert_eq!((peer.priority, peer.interval, peer.version), (0, 100, 3));
    assert!(peer.first_seen < peer.last_advert && peer.last_advert < peer.last_seen);
    assert!(peer.gap_min >= 2_000_000 && peer.gap_min <= peer.gap_max);
    assert_eq!(peer.gaps.iter().sum::<u64>(), 2);
    assert_eq!(peer.gaps[0] + peer.gaps[1], 0, "no gap was below 2 ms");
}

#[test]
fn a_flood_of_forged_sources_does_not_wash_the_real_peer_out() {
    const FRAMES: u32 = 100_000;
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    let key = key_of(&command_for(RECEIVER, 0, VRID));
    let source = RECEIVER.valid().source;
    let real = advert(RECEIVER, |_| {});
    lab.send(&real);
    // Without the pseudo-header the source can be changed under a message's right checksum.
    let mut valid = advert(RECEIVER, |f| f.message.checksum = Checksum::Payload);
    let mut invalid = advert(RECEIVER, |f| f.ttl = 254);
    let first_seen = lab.peer(key, source).expect("the peer").first_seen;
    let start = Instant::now();
    for host in 0..FRAMES {
        let frame = if host % 2 == 0 {
            &mut valid
        } else {
            &mut invalid
        };
        let forged = Ipv4Addr::from(0x0b00_0000 + host);
        frame[SOURCE].copy_from_slice(&forged.octets());
        sum_header_again(frame);
        lab.send(frame);
        if host % 10_000 == 0 {
            lab.send(&real);
        }
    }
    let took = start.elapsed();
    let peer = lab.peer(key, source).expect("the real peer is still there");
    assert_eq!((peer.adverts, peer.first_seen), (11, first_seen));
    let slot = lab.slot();
    assert_eq!(slot.adverts, u64::from(FRAMES / 2) + 11);
    assert_eq!(slot.rejects.iter().sum::<u64>(), u64::from(FRAMES / 2));
    let made = u64::try_from(lab.peers().len() - 1).expect("few");
    assert_eq!(lab.counter(Counter::PeersRefused), u64::from(FRAMES) - made);
    // One in 5 ms at most.
    let most = took.as_millis() / 5 + 1;
    println!("{made} forged peers in {} ms", took.as_millis());
    assert!(u128::from(made) <= most, "{made} of at most {most}");
}

#[test]
fn rejected_frames_make_peers_more_slowly_than_adverts() {
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    let from = |host: u8, ttl: u8| {
        advert(RECEIVER, |f| {
            f.source = [10, 99, 1, host].into();
            f.ttl = ttl;
        })
    };
    let start = Instant::now();
    lab.send(&from(1, 1));
    lab.send(&from(2, 1));
    let quick = start.elapsed() < Duration::from_millis(100);
    if quick {
        assert_eq!(lab.peers().len(), 1, "the second comes too soon");
        assert_eq!(lab.counter(Counter::PeersRefused), 1);
    }
    std::thread::sleep(Duration::from_millis(6));
    lab.send(&from(3, 255));
    let key = key_of(&command_for(RECEIVER, 0, VRID));
    assert!(
        lab.peer(key, [10, 99, 1, 3].into()).is_some(),
        "5 ms are enough for an advert"
    );
}
