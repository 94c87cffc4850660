//! What traffic that is not VRRP pays: a budget, since all of a host's traffic comes through here.

use std::net::Ipv6Addr;
use std::time::Duration;

use ha_common::layout::{Command, flags, names, state};
use ha_tests::lab::bpf::PassOnly;
use ha_tests::vectors::other::{ipv4, ipv6_to};
use ha_tests::vectors::{Receiver, VRID, link_local};
use object::{Object as _, ObjectSymbol as _};

use super::harness::{Lab, NOTHING, PASS, command_for};
use super::{HOOK, Hook};

const VIP: [u8; 4] = [10, 99, 0, 100];
const OTHER: [u8; 4] = [10, 99, 0, 50];
const VIP6: Ipv6Addr = link_local(0x100);
const TCP: u8 = 6;

/// Instructions of a program's own function, which is the first look and the decision to look further, with every branch
/// of it: what is VRRP, or is about neighbours, is dealt with in functions that it calls. A packet of another protocol
/// passes some 30 of them.
const MOST_INSTRUCTIONS: u64 = 180;
/// Past what a program that only passes takes; the least of several runs, since other work only adds to it.
const MOST_TIME: Duration = Duration::from_nanos(25);
/// The same without a link-layer header, whose length a program cannot know: the kernel is asked for the byte.
const MOST_TIME_LAYER3: Duration = Duration::from_nanos(60);
const RUNS: u32 = 200_000;
const ROUNDS: u32 = 7;

fn entry() -> &'static str {
    match HOOK {
        Hook::Xdp => names::PROG_RECEIVE,
        Hook::Tc => names::PROG_INGRESS,
        Hook::TcLayer3 => names::PROG_INGRESS_L3,
    }
}

#[test]
fn the_first_look_is_short() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/ebpf/ha-ebpf.o");
    let bytes = std::fs::read(path).expect("cargo xtask build-ebpf has made it");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let mut programs = vec![entry()];
    if HOOK == Hook::Tc {
        programs.push(names::PROG_EGRESS);
    }
    for name in programs {
        let symbol = file
            .symbols()
            .find(|symbol| symbol.name() == Ok(name))
            .unwrap_or_else(|| panic!("no {name}"));
        let instructions = symbol.size() / 8;
        println!("{name}: {instructions} instructions");
        // The fence at egress is whole, since no function of its own was needed.
        let most = if name == names::PROG_EGRESS {
            10 * MOST_INSTRUCTIONS
        } else {
            MOST_INSTRUCTIONS
        };
        assert!(instructions <= most, "{name}: {instructions}");
    }
}

/// The least time of several rounds.
fn least(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

#[test]
fn other_traffic_pays_next_to_nothing_whether_this_host_is_master_or_not() {
    let pass_only = match HOOK {
        Hook::Xdp => PassOnly::xdp(),
        Hook::Tc | Hook::TcLayer3 => PassOnly::tc(),
    }
    .expect("two instructions");
    let mut lab = Lab::new();
    let judge = |lab: &mut Lab, what: &str| {
        for (name, frame) in [
            ("IPv4, to another address", ipv4(TCP, OTHER, &[0; 60])),
            ("IPv4, to the address", ipv4(TCP, VIP, &[0; 60])),
            (
                "IPv6, to another address",
                ipv6_to(link_local(0x77), TCP, &[0; 60]),
            ),
            ("IPv6, to the address", ipv6_to(VIP6, TCP, &[0; 60])),
        ] {
            assert_eq!(lab.send(&frame), PASS);
            let floor = least(|| pass_only.time(&frame, RUNS).expect("a test run"));
            let ours = least(|| lab.send_many(&frame, RUNS).1);
            println!("{what}, {name}: {ours:?}, where passing takes {floor:?}");
            let most = if HOOK == Hook::TcLayer3 {
                MOST_TIME_LAYER3
            } else {
                MOST_TIME
            };
            assert!(ours <= floor + most, "{what}, {name}: {ours:?}, {floor:?}");
        }
    };
    judge(&mut lab, "no master");
    for (slot, receiver, address) in [
        (0, Receiver::V3Ipv4, VIP.into()),
        (1, Receiver::V3Ipv6, VIP6.into()),
    ] {
        let command = Command {
            flags: flags::FENCE,
            ..command_for(receiver, slot, VRID)
        };
        lab.configure(&command);
        lab.set_state(&command, state::MASTER, NOTHING);
        lab.fence(address, slot);
    }
    judge(&mut lab, "quiet master");
}
