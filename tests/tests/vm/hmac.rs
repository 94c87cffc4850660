//! Signed adverts in an older kernel, whose verifier must take the program that digests them.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::hmac::{Stamp, TRAILER};
use ha_common::units::Instant;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::lab::clock;
use ha_tests::lab::hmac::hmac;
use ha_tests::lab::wait_until;
use ha_tests::vectors::Receiver;
use ha_tests::vectors::signed::Signer;
use ha_tests::vm::agent::config;
use ha_tests::vm::{Card, GuestAgent, Vm};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// Where the key is in the guest.
const KEY: &str = "/etc/ha-agent/key";
const SECRET: [u8; 32] = *b"an open secret of thirty-two byt";
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many adverts of each kind are sent.
const BURST: u64 = 10;

fn key() -> toml::Value {
    let mut key = toml::Table::new();
    key.insert("id".to_owned(), 1.into());
    key.insert("file".to_owned(), KEY.into());
    key.into()
}

fn adverts(secret: &[u8], from: u64) -> impl Iterator<Item = Vec<u8>> {
    (from..from + BURST).map(|stamp| {
        let mut frame = Receiver::V3Ipv4.valid();
        frame.message.priority = 200;
        frame.sign(Signer {
            secret,
            key_id: 1,
            stamp,
        });
        frame.bytes()
    })
}

fn count(instance: &agent_status::Instance, reason: &str) -> u64 {
    let rejects = &instance.counters.rejects;
    rejects.get(reason).copied().unwrap_or_default()
}

/// The times of a guest's signed adverts, each with when it came.
fn times(vm: &Vm, since: Instant) -> Vec<(Instant, Stamp)> {
    let frames = vm.segment().frames_since(since);
    let signed = frames.iter().filter(|it| it.vrrp().is_some());
    signed
        .filter_map(|frame| {
            let trailer = frame.bytes.last_chunk::<TRAILER>()?;
            let time = trailer.get(4..12)?.try_into().ok()?;
            Some((frame.at, Stamp(u64::from_be_bytes(time))))
        })
        .collect()
}

/// A guest with the instance's configuration and its key.
fn guest(instance: Instance) -> Result<Vm> {
    let vm = Vm::boot(Card::VirtioNet, &[config(vec![instance])?])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    let secret = std::str::from_utf8(&SECRET)?;
    vm.run(&format!("umask 077; echo '{secret}' > {KEY}"))?;
    Ok(vm)
}

/// Nobody refuses a master whose clock is set: each advert is where the last one lets it be expected.
#[test]
fn a_masters_adverts_go_on_while_its_clock_is_set() -> Result<()> {
    let instance = Instance {
        advert_interval: Duration::from_millis(200),
        ..Instance::default()
    };
    let keyed = hmac(vec![key()], 1, "enforce");
    let vm = guest(instance.with("hmac", keyed))?;
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "leads", PATIENCE, |it| it.state == State::Master)?;
    let begin = clock::now();
    for seconds in [3600, -7200, 60] {
        let set = clock::now();
        vm.run(&format!("date -s @$(($(date +%s) + {seconds}))"))?;
        let enough = || times(&vm, set).len() >= 15;
        wait_until(PATIENCE, "adverts after the clock was set", enough)?;
    }
    let said = times(&vm, begin);
    for pair in said.windows(2) {
        let [(before, last), (now, next)] = [pair[0], pair[1]];
        let elapsed = Stamp::span(now.since(before).0);
        let off = next.ahead_of(last.after(elapsed));
        ensure!(next.is_after(last), "it went back");
        ensure!(off.unsigned_abs() < 1 << 32, "{off} off after {elapsed}");
    }
    Ok(())
}

#[test]
fn signed_adverts_are_told_from_forged_and_recorded_ones_in_the_guests_kernel() -> Result<()> {
    // The guest's clock need not be right.
    let mut keyed = hmac(vec![key()], 1, "enforce");
    keyed.insert("replay".to_owned(), "monotonic".into());
    let instance = Instance {
        priority: 90,
        ..Instance::default()
    };
    let vm = guest(instance.with("hmac", keyed))?;
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "takes part in the kernel", PATIENCE, |it| {
        matches!(it.state, State::Backup | State::Master) && it.timer.kind == "kernel"
    })?;
    vm.segment().settle(OWN)?;
    let before = agent.instance("web")?;
    for frame in adverts(&SECRET, 1 << 40) {
        vm.segment().send(&frame)?;
    }
    let sender = Ipv4Addr::new(10, 99, 0, 2);
    let heard = agent.wait_instance("web", "believes the signed ones", PATIENCE, |it| {
        it.counters.adverts_received == before.counters.adverts_received + BURST
    })?;
    let master = heard.master.context("it follows nobody")?;
    ensure!(
        master.address == sender && master.priority == 200,
        "{master:?}"
    );

    let recorded = adverts(&SECRET, 1 << 40);
    let forged = adverts(&[7; 32], 1 << 41);
    for frame in recorded.chain(forged) {
        vm.segment().send(&frame)?;
    }
    let after = agent.wait_instance("web", "refuses the others", PATIENCE, |it| {
        count(it, "hmac_replay") == BURST && count(it, "hmac_digest") == BURST
    })?;
    ensure!(after.counters.adverts_received == heard.counters.adverts_received);
    Ok(())
}
