//! The gate: what an HMAC trailer must be, in the kernel and in the plain socket alike.

use std::collections::BTreeSet;
use std::time::Duration;

use ha_agent::datapath::socket_slot::SocketSlot;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::{Key, mode};
use ha_common::layout::{Command, PeerKey, SlotKey, op};
use ha_common::reject::Reject;
use ha_tests::vectors::build::{Checksum, Frame, sum_again};
use ha_tests::vectors::signed::{Signer, TRAILER};
use ha_tests::vectors::signed_by_keepalived::{CAPTURED, SECRET as KEEPALIVEDS};
use ha_tests::vectors::{Receiver, VRID};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::gates::{Gates, OTHER, SECOND, WINDOW, addresses, signed, signer, stamp};
use super::harness::{LOOPBACK, now};

/// Those that have no other authentication.
const RECEIVERS: [Receiver; 6] = [
    Receiver::V3Ipv4,
    Receiver::V3Ipv6,
    Receiver::V2Plain,
    Receiver::UnicastIpv4,
    Receiver::UnicastIpv6,
    Receiver::OtherGroup,
];

fn plain(receiver: Receiver) -> Vec<u8> {
    receiver.valid().bytes()
}

#[test]
fn a_right_trailer_opens_the_gate_for_every_dialect_and_length() {
    for receiver in RECEIVERS {
        let mut gates = Gates::of(receiver, mode::ENFORCE);
        // What a frame of 1,500 bytes has room for.
        let most = if receiver.own_address().is_ipv4() {
            255
        } else {
            86
        };
        for count in [1, 2, 3, 9, 10, 11, 40, most] {
            let frame = signed(receiver, signer(stamp()), |it| addresses(it, count), |_| {});
            assert_eq!(
                gates.hear(&frame),
                Ok(()),
                "{receiver:?}, {count} addresses"
            );
        }
        let by_other = Signer {
            secret: &OTHER,
            key_id: 9,
            stamp: stamp(),
        };
        let frame = signed(receiver, by_other, |_| {}, |_| {});
        assert_eq!(gates.hear(&frame), Ok(()), "{receiver:?}");
    }
    let mut gates = Gates::of(Receiver::V3Ipv4, mode::ENFORCE);
    let payload = |it: &mut Frame| it.message.checksum = Checksum::Payload;
    let frame = signed(Receiver::V3Ipv4, signer(stamp()), payload, |_| {});
    assert_eq!(
        gates.hear(&frame),
        Ok(()),
        "a checksum without pseudo-header"
    );
}

#[test]
fn an_advert_without_a_trailer_counts_until_one_is_required() {
    for receiver in RECEIVERS {
        for (mode, verdict) in [
            (mode::OFF, Ok(())),
            (mode::RECEIVE_ONLY, Ok(())),
            (mode::PERMISSIVE, Ok(())),
            (mode::ENFORCE, Err(Reject::HmacMissing)),
        ] {
            let mut gates = Gates::of(receiver, mode);
            assert_eq!(gates.hear(&plain(receiver)), verdict, "{receiver:?} {mode}");
            if mode == mode::OFF {
                continue;
            }
            let frame = signed(receiver, signer(stamp()), |_| {}, |_| {});
            assert_eq!(gates.hear(&frame), Ok(()), "{receiver:?} {mode}");
            // One that is there must be right, whatever the mode.
            let forged = Signer {
                secret: &OTHER,
                ..signer(stamp())
            };
            let frame = signed(receiver, forged, |_| {}, |_| {});
            assert_eq!(
                gates.hear(&frame),
                Err(Reject::HmacDigest),
                "{receiver:?} {mode}"
            );
        }
    }
}

/// Until signatures are enforced an advert without any counts: one of a wrong time is no worse.
#[test]
fn a_wrong_time_refuses_nobody_until_signatures_are_required() {
    for receiver in RECEIVERS {
        for mode in [mode::RECEIVE_ONLY, mode::PERMISSIVE] {
            let mut gates = Gates::of(receiver, mode);
            let right = stamp();
            let off = (WINDOW + 5) * SECOND;
            let stamps = [right - off, right, right, right - off, right + 9 * off];
            for (number, stamp) in stamps.into_iter().enumerate() {
                let frame = signed(receiver, signer(stamp), |_| {}, |_| {});
                assert_eq!(gates.hear(&frame), Ok(()), "{receiver:?} {mode} {number}");
            }
            let forged = Signer {
                secret: &OTHER,
                ..signer(right - off)
            };
            let frame = signed(receiver, forged, |_| {}, |_| {});
            assert_eq!(gates.hear(&frame), Err(Reject::HmacDigest));
            // All but the first of the right time, and the forgery.
            for slot in gates.slots() {
                assert_eq!(slot.untimely.adverts, 4, "{receiver:?} {mode}");
                assert_eq!(slot.untimely.stamp, right + 9 * off);
                assert_eq!(slot.untimely.source, slot.master_address);
            }
        }
    }
}

/// A host that has heard nobody yet, where signatures are enforced.
#[test]
fn a_router_of_another_time_takes_no_place_and_holds_a_take_over_off() {
    let receiver = Receiver::V3Ipv4;
    let off = (WINDOW + 5) * SECOND;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    gates.wait_for(Duration::from_millis(500));
    let before = gates.slots();
    let forged = Signer {
        secret: &OTHER,
        ..signer(stamp() - off)
    };
    let frame = signed(receiver, forged, |_| {}, |_| {});
    assert_eq!(gates.hear(&frame), Err(Reject::HmacDigest), "moves nothing");
    let living = signed(receiver, signer(stamp() - off), |_| {}, |_| {});
    gates.both_hear(&living);
    for (before, after) in before.into_iter().zip(gates.slots()) {
        assert!(after.deadline > before.deadline, "it is waited for");
        assert_eq!(after.rejects[Reject::HmacStale as usize], 1);
        assert_eq!((after.adverts, after.events), (0, before.events));
        assert_eq!(after.master_address, [0; 16]);
        assert_eq!(after.untimely.adverts, 1);
    }
    // One of the right time is followed, and after it no stranger is waited for.
    let right = signed(receiver, signer(stamp()), |_| {}, |_| {});
    assert_eq!(gates.hear(&right), Ok(()));
    gates.wait_for(Duration::from_millis(500));
    let before = gates.slots();
    gates.both_hear(&signed(
        receiver,
        signer(stamp() - off),
        |it| it.source = [10, 99, 0, 77].into(),
        |_| {},
    ));
    for (before, after) in before.into_iter().zip(gates.slots()) {
        assert_eq!(after.deadline, before.deadline);
    }
}

#[test]
fn everything_that_can_be_wrong_with_a_trailer_has_its_reason() {
    let mut seen = BTreeSet::from([Reject::HmacMissing]);
    for receiver in RECEIVERS {
        let mut gates = Gates::of(receiver, mode::ENFORCE);
        let all = [
            wrong_fields(receiver),
            wrong_digests(receiver),
            wrong_lengths(receiver),
        ];
        for (frame, reason, what) in all.concat() {
            assert_eq!(gates.hear(&frame), Err(reason), "{receiver:?}: {what}");
            seen.insert(reason);
        }
        let right = signed(receiver, signer(stamp()), |_| {}, |_| {});
        assert_eq!(gates.hear(&right), Ok(()));
        for _ in 0..3 {
            assert_eq!(gates.hear(&right), Err(Reject::HmacReplay), "{receiver:?}");
        }
        seen.insert(Reject::HmacReplay);
        // What was refused has left no mark: the next right one counts.
        let next = signed(receiver, signer(stamp()), |_| {}, |_| {});
        assert_eq!(gates.hear(&next), Ok(()), "{receiver:?}");
    }
    // The budget has tests of its own.
    let all = Reject::ALL
        .into_iter()
        .filter(|it| (Reject::HmacMissing..Reject::HmacLimit).contains(it));
    assert_eq!(seen, all.collect());
}

/// A frame, why it is refused, and what is wrong with it.
type Refused = (Vec<u8>, Reject, &'static str);

/// Where the trailer begins in what stands behind the list.
fn start(frame: &Frame) -> usize {
    frame.message.trailer.len() - TRAILER
}

fn wrong_fields(receiver: Receiver) -> Vec<Refused> {
    let mut out = Vec::new();
    for (place, value) in [(0, 0), (0, 2), (2, 1), (3, 1)] {
        let wrong = |it: &mut Frame| {
            let at = start(it) + place;
            it.message.trailer[at] = value;
        };
        let frame = signed(receiver, signer(stamp()), |_| {}, wrong);
        out.push((frame, Reject::HmacTrailer, "scheme or reserved"));
    }
    let unknown = Signer {
        key_id: 2,
        ..signer(stamp())
    };
    let frame = signed(receiver, unknown, |_| {}, |_| {});
    out.push((frame, Reject::HmacKey, "an unknown key"));
    for off in [
        stamp() - (WINDOW + 5) * SECOND,
        stamp() + (WINDOW + 5) * SECOND,
    ] {
        let frame = signed(receiver, signer(off), |_| {}, |_| {});
        out.push((frame, Reject::HmacStale, "another time"));
    }
    out
}

fn wrong_digests(receiver: Receiver) -> Vec<Refused> {
    let mut out = Vec::new();
    for at in 12..TRAILER {
        let wrong = |it: &mut Frame| {
            let at = start(it) + at;
            it.message.trailer[at] ^= 1;
        };
        let frame = signed(receiver, signer(stamp()), |_| {}, wrong);
        out.push((frame, Reject::HmacDigest, "a changed digest"));
    }
    // What another virtual router's advert proves, it does not prove here.
    let mut elsewhere = receiver.valid();
    elsewhere.message.vrid = VRID + 1;
    elsewhere.sign(signer(stamp()));
    elsewhere.message.vrid = VRID;
    out.push((elsewhere.bytes(), Reject::HmacDigest, "another vrid's"));
    let lie = |it: &mut Frame| it.message.priority = 0;
    let frame = signed(receiver, signer(stamp()), |_| {}, lie);
    out.push((frame, Reject::HmacDigest, "another priority"));
    out
}

/// What has not a trailer's length is none.
fn wrong_lengths(receiver: Receiver) -> Vec<Refused> {
    let of = |odd: usize| {
        let wrong = |it: &mut Frame| {
            let at = start(it);
            it.message.trailer.resize(at + odd, 0);
            it.message.checksum = match it.message.checksum {
                Checksum::PseudoHeaderOf(_) | Checksum::PseudoHeader => Checksum::PseudoHeader,
                _ => Checksum::Payload,
            };
        };
        let frame = signed(receiver, signer(stamp()), |_| {}, wrong);
        (frame, Reject::HmacMissing, "another length")
    };
    [1, 27, 29, 56].map(of).to_vec()
}

/// Always the same changes: a failure here is one tomorrow, too.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn no_bit_of_a_signed_advert_can_be_turned() {
    for receiver in RECEIVERS {
        let gates = std::cell::RefCell::new(Gates::of(receiver, mode::ENFORCE));
        runner(400)
            .run(&any::<prop::sample::Index>(), |index| {
                let mut frame = signed(receiver, signer(stamp()), |_| {}, |_| {});
                let start = if receiver.own_address().is_ipv4() {
                    34
                } else {
                    54
                };
                // The checksum is not signed, and made again.
                let bits = (frame.len() - start) * 8;
                let bit = index.index(bits);
                if (6..8).contains(&(bit / 8)) {
                    return Ok(());
                }
                frame[start + bit / 8] ^= 1 << (bit % 8);
                let trailer = frame.split_off(frame.len() - TRAILER);
                if receiver.own_address().is_ipv4() {
                    sum_again(&mut frame);
                    frame.extend(trailer);
                } else {
                    frame.extend(trailer);
                    sum_again(&mut frame);
                }
                let verdict = if frame[start + 1] == VRID {
                    gates.borrow_mut().hear(&frame)
                } else {
                    Err(Reject::Destination)
                };
                prop_assert!(verdict.is_err(), "bit {bit}");
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{receiver:?}: {error}"));
    }
}

#[test]
fn keys_are_taken_away_and_go_with_their_slot() {
    let receiver = Receiver::V3Ipv4;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    let key = SlotKey::new(LOOPBACK, receiver.family(), VRID);
    let only = [(9, Key::new(&OTHER).expect("its length"))];
    gates.lab.kernel.set_keys(key, &only).expect("keys");
    gates.soft.set_keys(&only);
    let frame = signed(receiver, signer(stamp()), |_| {}, |_| {});
    assert_eq!(gates.hear(&frame), Err(Reject::HmacKey));
    let by_other = Signer {
        secret: &OTHER,
        key_id: 9,
        stamp: stamp(),
    };
    let frame = signed(receiver, by_other, |_| {}, |_| {});
    assert_eq!(gates.hear(&frame), Ok(()));
    // The next life of the slot knows neither key nor sender.
    gates.lab.kernel.release(key, 0).expect("release");
    gates.soft.command(
        &Command {
            op: op::RELEASE,
            ..gates.command
        },
        now(),
    );
    gates.lab.configure(&gates.command);
    gates.soft.command(&gates.command, now());
    gates.backup();
    assert_eq!(gates.hear(&frame), Err(Reject::HmacKey));
    gates.lab.kernel.set_keys(key, &only).expect("keys");
    gates.soft.set_keys(&only);
    assert_eq!(gates.hear(&frame), Ok(()), "its mark is gone, too");
}

#[test]
fn what_this_host_has_signed_is_remembered_until_its_slot_goes() {
    let receiver = Receiver::V3Ipv4;
    let mut gates = Gates::of(receiver, mode::ENFORCE);
    let key = SlotKey::new(LOOPBACK, receiver.family(), VRID);
    let own = PeerKey {
        slot: key,
        address: gates.command.own_address,
    };
    let kernel = &mut gates.lab.kernel;
    assert_eq!(kernel.said(own), None);
    for stamp in [7, 8] {
        let said = ReplayState {
            stamp,
            at: now(),
            mac: 0,
        };
        kernel.remember_said(own, said).expect("written");
        assert_eq!(kernel.said(own), Some(said));
    }
    kernel.release(key, 0).expect("release");
    assert_eq!(kernel.said(own), None);
}

/// What keepalived has sent opens the gate, by a clock that is set to its time, and not with any bit changed.
#[test]
fn what_keepalived_signed_is_believed_as_it_was_sent_and_not_otherwise() {
    for captured in CAPTURED {
        let frame = captured.bytes();
        let receiver = match (captured.version, frame[12]) {
            (2, _) => Receiver::V2Plain,
            (_, 0x08) => Receiver::V3Ipv4,
            _ => Receiver::V3Ipv6,
        };
        let trailer = frame.len() - TRAILER;
        let stamp = u64::from_be_bytes(frame[trailer + 4..trailer + 12].try_into().expect("eight"));
        let elapsed = now() / 1_000_000_000 * SECOND;
        let mut gates = Gates::of(receiver, mode::ENFORCE);
        gates.command.vrid = captured.vrid;
        gates.command.gate.freshness.utc_at_zero = stamp - elapsed;
        let key = SlotKey::new(LOOPBACK, receiver.family(), captured.vrid);
        let keys = [(captured.key_id, Key::new(&KEEPALIVEDS).expect("its length"))];
        gates.lab.kernel.set_keys(key, &keys).expect("keys");
        gates.lab.configure(&gates.command);
        gates.soft = SocketSlot::new(key);
        gates.soft.set_keys(&keys);
        gates.soft.command(&gates.command, now());
        gates.backup();
        let start = if receiver.own_address().is_ipv4() {
            34
        } else {
            54
        };
        for at in (start + 2..frame.len()).filter(|at| *at != start + 6 && *at != start + 7) {
            let mut wrong = frame.clone();
            wrong[at] ^= 1;
            assert!(gates.hear(&wrong).is_err(), "{captured:?}, byte {at}");
        }
        assert_eq!(gates.hear(&frame), Ok(()), "{captured:?}");
        assert_eq!(gates.hear(&frame), Err(Reject::HmacReplay), "{captured:?}");
    }
}
