//! Signed adverts in an older kernel, whose verifier must take the program that digests them.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::lab::hmac::hmac;
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

#[test]
fn signed_adverts_are_told_from_forged_and_recorded_ones_in_the_guests_kernel() -> Result<()> {
    // The guest's clock need not be right.
    let mut keyed = hmac(vec![key()], 1, "enforce");
    keyed.insert("replay".to_owned(), "monotonic".into());
    let instance = Instance {
        priority: 90,
        ..Instance::default()
    };
    let file = config(vec![instance.with("hmac", keyed)])?;
    let vm = Vm::boot(Card::VirtioNet, &[file])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    let secret = std::str::from_utf8(&SECRET)?;
    vm.run(&format!("umask 077; echo '{secret}' > {KEY}"))?;
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
