//! Floods of forged signatures, and adverts of one sender on two CPUs.

use std::thread;
use std::time::Duration;

use ha_common::hmac::{budget, mode};
use ha_common::reject::Reject;
use ha_tests::vectors::Receiver;
use ha_tests::vectors::signed::Signer;

use crate::HOOK;
use crate::gates::{Gates, OTHER, SECOND, addresses, signed, signer, stamp};
use crate::harness::{Hook, now};

const MASTER: u64 = 0x5254_00aa_0001;
const FORGER: u64 = 0x5254_00aa_0002;

/// The frame, sent by this station.
fn by_station(mut frame: Vec<u8>, mac: u64) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac.to_be_bytes()[2..]);
    frame
}

/// One that only a digest can tell from a right one.
fn forged(receiver: Receiver, stamp: u64) -> Vec<u8> {
    let forger = Signer {
        secret: &OTHER,
        ..signer(stamp)
    };
    signed(receiver, forger, |_| {}, |_| {})
}

#[test]
fn wrong_digests_have_a_budget_that_a_proven_station_does_not_need() {
    assert_ne!(budget::lane(MASTER), budget::lane(FORGER));
    let receiver = Receiver::V3Ipv4;
    for proven in [false, true] {
        let mut gates = Gates::of(receiver, mode::ENFORCE);
        let right = |stamp| signed(receiver, signer(stamp), |_| {}, |_| {});
        // A layer-3 device shows no station: there all are one.
        let layer3 = HOOK == Hook::TcLayer3;
        if proven {
            let first = by_station(right(stamp()), MASTER);
            assert_eq!(gates.kernel_hears(&first), Ok(()));
        }
        let wrong = by_station(forged(receiver, stamp() + SECOND), FORGER);
        let start = now();
        let (mut judged, mut refused) = (0, 0);
        while now() - start < budget::WINDOW * 3 / 4 {
            match gates.kernel_hears(&wrong) {
                Err(Reject::HmacDigest) => judged += 1,
                Err(Reject::HmacLimit) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        if layer3 && proven {
            assert_eq!(
                refused, 0,
                "whoever claims a known sender's address is judged"
            );
        } else {
            assert_eq!(judged, budget::LIMIT);
            assert!(refused > 0);
        }
        let next = by_station(right(stamp()), MASTER);
        let heard = gates.kernel_hears(&next);
        let in_window = now() - start < budget::WINDOW;
        if layer3 && !proven && in_window {
            assert_eq!(heard, Err(Reject::HmacLimit), "a stranger waits");
        } else if in_window {
            assert_eq!(heard, Ok(()), "the sender itself is heard");
        }
        thread::sleep(Duration::from_nanos(budget::WINDOW));
        assert_eq!(
            gates.kernel_hears(&wrong),
            Err(Reject::HmacDigest),
            "it renews"
        );
    }
}

#[test]
fn an_advert_that_two_cpus_judge_at_once_counts_once() {
    const ROUNDS: u64 = 2000;
    let receiver = Receiver::V3Ipv4;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    let start = stamp();
    let frames: Vec<_> = (0..ROUNDS)
        .map(|round| signed(receiver, signer(start + round), |_| {}, |_| {}))
        .collect();
    gates.lab.send_twice_at_once(&frames);
    let slot = gates.lab.slot();
    assert_eq!(slot.adverts, ROUNDS);
    assert_eq!(slot.rejects[Reject::HmacReplay as usize], ROUNDS);
}

#[test]
fn what_an_authenticated_advert_costs() {
    const RUNS: u32 = 20_000;
    let receiver = Receiver::V3Ipv4;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    let frame = by_station(signed(receiver, signer(stamp()), |_| {}, |_| {}), MASTER);
    assert_eq!(gates.kernel_hears(&frame), Ok(()));
    let (_, replay) = gates.lab.send_many(&frame, RUNS);
    // By the station that has proved itself: it is judged whatever the budget says.
    let forger = Signer {
        secret: &OTHER,
        ..signer(stamp() + 30 * SECOND)
    };
    let wrong = by_station(signed(receiver, forger, |_| {}, |_| {}), MASTER);
    let (_, digest) = gates.lab.send_many(&wrong, RUNS);
    let long = by_station(
        signed(receiver, forger, |it| addresses(it, 20), |_| {}),
        MASTER,
    );
    let (_, twenty) = gates.lab.send_many(&long, RUNS);
    let from_elsewhere = by_station(wrong, FORGER);
    let (_, refused) = gates.lab.send_many(&from_elsewhere, RUNS);
    println!(
        "replayed advert                  {:4} ns",
        replay.as_nanos()
    );
    println!(
        "advert with a digest to be made  {:4} ns",
        digest.as_nanos()
    );
    println!(
        "the same with 20 addresses       {:4} ns",
        twenty.as_nanos()
    );
    println!(
        "the same when it is over budget  {:4} ns",
        refused.as_nanos()
    );
    assert!(replay < digest, "a replay costs no digest");
    if HOOK != Hook::TcLayer3 {
        assert!(refused < digest, "nor does what is over budget");
    }
}
