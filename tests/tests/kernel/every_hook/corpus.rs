//! One corpus, both targets: what userspace fuzzes is what the kernel runs.

use std::collections::BTreeSet;

use ha_common::reject::Reject;
use ha_common::wire::message_sum::AddressHash;
use ha_tests::vectors::build::sum_again;
use ha_tests::vectors::{Expected, Receiver, corpus, raw};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::harness::{Lab, is_runnable};
use super::observe::{Observed, in_kernel, in_userspace};

/// `BPF_PROG_TEST_RUN` takes no shorter frame.
const SHORTEST: usize = 14;

/// RFC 9568 sections 5.1.1.3 (ttl-heard), 5.1.2.3 (hops-heard), 5.2.2 (type), 5.2.5 (no-addresses),
/// 5.2.6 (reserve-heard), 7.1 (ttl, version, type, complete, checksum, interval, discard);
/// RFC 3768 sections 5.2.3 (ttl-heard), 5.3.2 (type), 5.3.6 (auth-type), 5.3.10 (unused),
/// 7.1 (ttl, version, complete, checksum, auth, interval, discard).
#[test]
fn every_vector_gets_its_verdict_in_userspace() {
    for vector in corpus() {
        let observed = in_userspace(vector.receiver, &vector.frame);
        assert_eq!(observed.expected(), vector.expected, "{}", vector.name);
    }
}

#[test]
fn every_vector_gets_the_same_verdict_in_the_kernel() {
    let mut lab = Lab::new();
    let mut runs = 0;
    for vector in corpus() {
        if !is_runnable(&vector.frame) {
            continue;
        }
        let kernel = in_kernel(&mut lab, vector.receiver, &vector.frame);
        assert_eq!(kernel.expected(), vector.expected, "{}", vector.name);
        let userspace = in_userspace(vector.receiver, &vector.frame);
        assert_eq!(kernel, userspace, "{}", vector.name);
        runs += 1;
    }
    println!("{runs} vectors");
    assert!(lab.drain().is_empty(), "an idle slot wakes nobody");
}

#[test]
fn the_corpus_moves_every_reject_counter() {
    let seen: BTreeSet<Reject> = corpus()
        .iter()
        .filter_map(|vector| match vector.expected {
            Expected::Rejected(reason) => Some(reason),
            _ => None,
        })
        .collect();
    // Those of the gate need keys and a clock: `hmac`.
    let of_the_gate = |reject: &Reject| *reject >= Reject::HmacMissing;
    let others = Reject::ALL.into_iter().filter(|it| !of_the_gate(it));
    assert_eq!(seen, others.collect());
}

#[test]
fn the_address_list_is_hashed_alike_in_any_order() {
    let mut lab = Lab::new();
    for receiver in Receiver::ALL {
        let mut frame = receiver.valid();
        frame.message.addresses.push(frame.source);
        frame.message.addresses.push(receiver.own_address());
        let list = frame.message.addresses.clone();
        let hash = AddressHash::of(receiver.family(), list.iter().copied().map(raw)).0;
        frame.message.addresses.reverse();
        let Observed::Accepted(_, heard) = in_kernel(&mut lab, receiver, &frame.bytes()) else {
            panic!("{receiver:?}: a valid advert was refused");
        };
        assert_eq!(heard, hash, "{receiver:?}");
    }
}

/// One random change of a frame.
#[derive(Clone, Debug)]
enum Mutation {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize),
    Extend(Vec<u8>),
    Tag([u8; 4]),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    // Most fall on the headers, where the decisions are made.
    let at = prop_oneof![4 => 12_usize..70, 1 => 0_usize..1600];
    let one = prop_oneof![
        4 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        4 => (at, 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        1 => (SHORTEST..1600_usize).prop_map(Mutation::Cut),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Mutation::Extend),
        1 => any::<[u8; 4]>().prop_map(Mutation::Tag),
    ];
    prop::collection::vec(one, 0..4)
}

fn mutate(frame: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Set(at, byte) => {
            if let Some(to) = frame.get_mut(*at) {
                *to = *byte;
            }
        }
        Mutation::Flip(at, bit) => {
            if let Some(to) = frame.get_mut(*at) {
                *to ^= 1 << bit;
            }
        }
        Mutation::Cut(length) => frame.truncate(*length),
        Mutation::Extend(bytes) => frame.extend(bytes),
        Mutation::Tag([kind, a, b, c]) => {
            let protocol = if kind % 2 == 0 {
                [0x81, 0x00]
            } else {
                [0x88, 0xa8]
            };
            // Half of them with a priority only.
            let tag = if c % 2 == 0 { [a & 0xe0, 0] } else { [*a, *b] };
            let tag = [protocol[0], protocol[1], tag[0], tag[1]];
            if frame.len() >= 12 {
                frame.splice(12..12, tag);
            }
        }
    }
}

/// Always the same frames: a failure here is one tomorrow, too.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn mutated_frames_get_the_same_verdict_in_both() {
    let corpus: Vec<_> = corpus()
        .into_iter()
        .filter(|vector| is_runnable(&vector.frame))
        .collect();
    let mut tally = [0_u32; 3];
    let lab = std::cell::RefCell::new(Lab::new());
    let tally_cell = std::cell::RefCell::new(&mut tally);
    runner(20_000)
        .run(
            &(any::<prop::sample::Index>(), mutations(), any::<bool>()),
            |(index, mutations, sum)| {
                let vector = index.get(&corpus);
                let mut frame = vector.frame.clone();
                for mutation in &mutations {
                    mutate(&mut frame, mutation);
                }
                if sum {
                    sum_again(&mut frame);
                }
                if !is_runnable(&frame) {
                    return Ok(());
                }
                let userspace = in_userspace(vector.receiver, &frame);
                let kernel = in_kernel(&mut lab.borrow_mut(), vector.receiver, &frame);
                prop_assert_eq!(kernel, userspace);
                let kind = match userspace {
                    Observed::Accepted(..) => 0,
                    Observed::Rejected(_) => 1,
                    _ => 2,
                };
                tally_cell.borrow_mut()[kind] += 1;
                Ok(())
            },
        )
        .unwrap_or_else(|error| panic!("{error}"));
    println!(
        "accepted {}, rejected {}, not ours {}",
        tally[0], tally[1], tally[2]
    );
    assert!(
        tally.iter().all(|count| *count > 500),
        "lopsided: {tally:?}"
    );
}

#[test]
fn changed_bytes_without_a_new_checksum_are_never_accepted() {
    let lab = std::cell::RefCell::new(Lab::new());
    runner(2_000)
        .run(
            &(
                0..Receiver::ALL.len(),
                any::<prop::sample::Index>(),
                1_u8..=255,
            ),
            |(receiver, at, change)| {
                let receiver = Receiver::ALL[receiver];
                let frame = receiver.valid();
                let mut bytes = frame.bytes();
                let start = bytes.len() - frame.message_length();
                let at = start + at.index(frame.message_length());
                bytes[at] ^= change;
                let observed = in_kernel(&mut lab.borrow_mut(), receiver, &bytes);
                prop_assert!(
                    !matches!(observed, Observed::Accepted(..)),
                    "{:?}",
                    observed
                );
                Ok(())
            },
        )
        .unwrap_or_else(|error| panic!("{error}"));
}
