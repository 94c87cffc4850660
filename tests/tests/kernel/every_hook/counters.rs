//! Every exported counter can move.

use ha_common::layout::{Command, Counter, flags, op, state};
use ha_tests::vectors::build::Tag;
use ha_tests::vectors::other::ipv4;
use ha_tests::vectors::{Receiver, VRID};

use super::harness::{Lab, NOTHING, advert, command_for};

const RECEIVER: Receiver = Receiver::V3Ipv4;

/// Does what moves a counter. Exhaustive, so that a new counter must say how.
fn provoke(lab: &mut Lab, counter: Counter) {
    match counter {
        Counter::Vrrp => {
            lab.send(&advert(RECEIVER, |_| {}));
        }
        Counter::NotOurs => {
            lab.send(&advert(RECEIVER, |f| f.message.vrid = 9));
        }
        Counter::Tagged => {
            lab.send(&advert(RECEIVER, |f| f.tags = vec![Tag::dot1q(5)]));
        }
        Counter::Unreadable => {
            lab.send(&advert(RECEIVER, |f| f.fragment = 1));
        }
        Counter::Consumed => {
            lab.command(&Command {
                op: op::TUNE,
                flags: flags::CONSUME,
                ..command_for(RECEIVER, 0, VRID)
            });
            lab.send(&advert(RECEIVER, |_| {}));
        }
        Counter::Authenticated => {
            lab.send(&ipv4(51, [224, 0, 0, 18], &[112; 40]));
        }
        Counter::EventsDropped => fill_the_ring(lab),
        Counter::PeersRefused => {
            // A new peer for each, at most one in 100 ms of which is made.
            for host in 3..=255 {
                lab.send(&advert(RECEIVER, |f| {
                    f.source = [10, 99, 7, host].into();
                    f.ttl = 1;
                }));
            }
        }
    }
}

fn fill_the_ring(lab: &mut Lab) {
    for vrid in 60..190 {
        let command = command_for(RECEIVER, u32::from(vrid), vrid);
        lab.configure(&command);
        lab.set_state(&command, state::MASTER, NOTHING);
        let frame = advert(RECEIVER, |f| f.message.vrid = vrid);
        lab.send_many(&frame, 16);
    }
}

#[test]
fn every_counter_of_the_host_can_move() {
    let all = [
        Counter::Vrrp,
        Counter::NotOurs,
        Counter::Tagged,
        Counter::Unreadable,
        Counter::Consumed,
        Counter::EventsDropped,
        Counter::PeersRefused,
        Counter::Authenticated,
    ];
    assert_eq!(all.len(), Counter::NAMES.len());
    let mut lab = Lab::new();
    lab.receive_as(RECEIVER);
    for counter in all {
        let before = lab.counter(counter);
        provoke(&mut lab, counter);
        let name = Counter::NAMES[counter as usize];
        assert!(lab.counter(counter) > before, "{name} did not move");
    }
}
