//! Floods of forged signatures, and adverts of one sender on two CPUs.

use std::thread;
use std::time::Duration;

use ha_common::hmac::{budget, mode};
use ha_common::reject::Reject;
use ha_tests::vectors::Receiver;
use ha_tests::vectors::signed::Signer;

use super::gates::{Gates, OTHER, SECOND, addresses, signed, signer, stamp};
use super::harness::now;
use super::{HOOK, Hook};

const MASTER: u64 = 0x5254_00aa_0001;
const FORGER: u64 = 0x5254_00aa_0002;

/// Another station, which spends what the master's lane has.
fn neighbour_of_the_master() -> u64 {
    (FORGER..FORGER + 1000)
        .find(|mac| budget::lane(*mac) == budget::lane(MASTER))
        .expect("one of eight")
}

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

/// What is made of the master's next advert after a forger has spent what its lane has, in the same window.
fn heard_amid(forger: u64, is_proven: bool) -> Result<(), Reject> {
    let receiver = Receiver::V3Ipv4;
    for _ in 0..20 {
        let mut gates = Gates::of(receiver, mode::ENFORCE);
        let right = |stamp| by_station(signed(receiver, signer(stamp), |_| {}, |_| {}), MASTER);
        if is_proven {
            assert_eq!(gates.kernel_hears(&right(stamp())), Ok(()));
        }
        let wrong = by_station(forged(receiver, stamp() + SECOND), forger);
        let start = now();
        // More than the budget has room for.
        gates.lab.send_many(&wrong, 2000);
        let heard = gates.kernel_hears(&right(stamp()));
        if now() - start < budget::WINDOW {
            thread::sleep(Duration::from_nanos(budget::WINDOW));
            assert_eq!(
                gates.kernel_hears(&wrong),
                Err(Reject::HmacDigest),
                "it renews"
            );
            return heard;
        }
    }
    panic!("2000 forgeries take longer than a window each time");
}

#[test]
fn a_flood_of_forgeries_keeps_no_proven_sender_out_and_a_new_one_of_its_lane_alone() {
    let same = neighbour_of_the_master();
    let limit = Err(Reject::HmacLimit);
    // A layer-3 device shows no station: there all are one.
    let elsewhere = if HOOK == Hook::TcLayer3 {
        limit
    } else {
        Ok(())
    };
    for (forger, is_proven, verdict) in [
        (FORGER, false, elsewhere),
        (same, false, limit),
        (FORGER, true, Ok(())),
        (same, true, Ok(())),
    ] {
        assert_eq!(
            heard_amid(forger, is_proven),
            verdict,
            "{forger:x} {is_proven}"
        );
    }
}

#[test]
fn what_is_over_budget_is_not_digested() {
    let receiver = Receiver::V3Ipv4;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    let wrong = by_station(forged(receiver, stamp() + SECOND), FORGER);
    let length = u16::try_from(wrong.len() - 34).expect("a short frame");
    gates.lab.send_many(&wrong, 2000);
    let slot = gates.lab.slot();
    let judged = slot.rejects[Reject::HmacDigest as usize];
    let refused = slot.rejects[Reject::HmacLimit as usize];
    assert_eq!(judged + refused, 2000);
    let room = budget::LIMIT.div_ceil(budget::cost(length));
    // A window may have ended meanwhile.
    assert!(
        judged == room || judged > room && judged <= 3 * room,
        "{judged} of {room}"
    );
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
