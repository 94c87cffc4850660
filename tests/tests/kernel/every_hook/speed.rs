//! What a frame costs. Printed, not judged: machines differ, and so does their load.

use ha_common::layout::{Command, flags, op, state};
use ha_tests::vectors::build::Checksum;
use ha_tests::vectors::other::ipv4;
use ha_tests::vectors::{Receiver, VRID};

use super::harness::{Lab, PATIENCE, advert, command_for};

const RUNS: u32 = 500_000;

#[test]
fn what_a_frame_costs() {
    let mut lab = Lab::new();
    let receiver = Receiver::V3Ipv4;
    let command = command_for(receiver, 0, VRID);
    lab.configure(&command);
    lab.set_state(&command, state::BACKUP, PATIENCE * 100);
    let traffic = ipv4(6, [10, 99, 0, 50], &[0; 60]);
    let usual = advert(receiver, |_| {});
    lab.send(&usual);
    let mut print = |what: &str, frame: &[u8]| {
        let (_, each) = lab.send_many(frame, RUNS);
        println!("{what:32} {:4} ns", each.as_nanos());
    };
    print("other traffic", &traffic);
    print("unchanged advert", &usual);
    print("unchanged advert, 20 addresses", &advert(receiver, many));
    print(
        "bad checksum",
        &advert(receiver, |f| f.message.checksum = Checksum::OffBy(1)),
    );
    print(
        "another virtual router",
        &advert(receiver, |f| f.message.vrid = 9),
    );
    let slot = lab.slot();
    assert_eq!(
        slot.events, 2,
        "the first advert and the first long list, once each"
    );
    assert_eq!(slot.adverts, 1 + 2 * u64::from(RUNS));
    lab.fence([10, 99, 0, 100].into(), 0);
    lab.command(&Command {
        op: op::TUNE,
        flags: flags::FENCE,
        ..command
    });
    let (_, each) = lab.send_many(&traffic, RUNS);
    println!(
        "{:32} {:4} ns",
        "other traffic beside a fence",
        each.as_nanos()
    );
}

fn many(frame: &mut ha_tests::vectors::build::Frame) {
    frame.message.addresses = (0..20).map(|host| [10, 99, 1, host].into()).collect();
}
