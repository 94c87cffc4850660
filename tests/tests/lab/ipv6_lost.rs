//! An interface that loses its IPv6 half for a moment: the kernel forgets memberships of groups with it, and
//! what is not joined again hears no master.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Host, Lab};

/// Below the least that IPv6 works with, 1280 bytes, and back.
const MTU_TOO_SMALL: [&str; 2] = ["link set eth0 mtu 1200", "link set eth0 mtu 1500"];

/// Two virtual routers of one group, so that two sockets share a membership.
fn config(host: &Host, priority: u8, datapath: &str) -> AgentConfig {
    let router = |name: &str, vrid: u8| {
        Instance {
            name: name.to_owned(),
            vrid,
            addresses: vec![format!("fe80::99:{vrid}/64")],
            ..instance(priority)
        }
        .by(datapath)
    };
    let mut config = AgentConfig::new(host, router("web", 51));
    config.instance.push(router("dns", 52));
    config
}

fn address_back(host: &Host) -> Result<()> {
    let (name, address) = (Host::INTERFACE, host.link_local());
    host.ns()
        .batch(&format!("addr add {address}/64 dev {name} nodad\n"))
}

fn is_member(host: &Host) -> Result<bool> {
    let table = host.run(&["ip", "maddress", "show", "dev", Host::INTERFACE])?;
    Ok(table.contains("ff02::12"))
}

/// Both hear the master and believe in it, ten adverts long.
fn both_follow(agent: &Agent) -> Result<()> {
    for name in ["web", "dns"] {
        let before = agent.instance(name)?.counters.adverts_received;
        agent.wait_instance(name, "hears the master again", PATIENCE, |it| {
            it.state == State::Backup && it.counters.adverts_received >= before + 10
        })?;
    }
    Ok(())
}

fn loses_ipv6(datapath: &str, lose: impl Fn(&Host) -> Result<()>) -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    // Its new IPv6 half would make an address of its own, and the agent carries on with that at once.
    h2.ns().sysctl("net/ipv6/conf/default/addr_gen_mode", "1")?;
    let master = Agent::start(h1, &config(h1, 100, datapath))?;
    for name in ["web", "dns"] {
        master.wait_instance(name, "is master", PATIENCE, |it| it.state == State::Master)?;
    }
    let backup = Agent::start(h2, &config(h2, 90, datapath))?;
    backup.wait("follows", |it| it.master.is_some())?;
    both_follow(&backup)?;
    for _ in 0..2 {
        let before = backup.instance("web")?.transitions;
        lose(h2)?;
        backup.wait("without an address", |it| {
            it.state == State::Fault || it.transitions > before
        })?;
        address_back(h2)?;
        both_follow(&backup)?;
        ensure!(is_member(h2)?, "not in the group");
        let last = backup.instance("web")?.last_transition;
        let last = last.context("no transition")?;
        ensure!(last.from == State::Fault, "it was master: {last:?}");
    }
    // The membership is the agent's own: it ends with the agent.
    drop(backup);
    ensure!(!is_member(h2)?, "somebody else was in the group");
    Ok(())
}

fn batch(host: &Host, lines: &[&str]) -> Result<()> {
    host.ns().batch(&(lines.join("\n") + "\n"))
}

#[test]
fn a_backup_whose_mtu_was_too_small_for_ipv6_hears_the_master_again() -> Result<()> {
    for datapath in ["socket", "auto"] {
        loses_ipv6(datapath, |host| batch(host, &MTU_TOO_SMALL)).context(datapath)?;
    }
    Ok(())
}

#[test]
fn a_backup_whose_ipv6_was_switched_off_hears_the_master_again() -> Result<()> {
    let switch = |host: &Host, value| {
        let key = format!("net/ipv6/conf/{}/disable_ipv6", Host::INTERFACE);
        host.ns().sysctl(&key, value)
    };
    loses_ipv6("socket", |host| {
        switch(host, "1")?;
        switch(host, "0")
    })
}
