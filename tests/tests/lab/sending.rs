//! Adverts that cannot leave: too many addresses for the interface's MTU, and a kernel that refuses them.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, config_file, invoke};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::agent_status;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Host, Lab, Pair};

/// 40 bytes of IPv6 header, 8 of VRRP and 80 addresses: more than IPv6's least MTU, less than Ethernet's.
const PACKET: &str = "1328 bytes";

/// Many IPv6 addresses.
fn many(priority: u8, addresses: u16) -> Instance {
    Instance {
        addresses: (1..=addresses)
            .map(|number| format!("fe80::99:{number:x}/64"))
            .collect(),
        ..instance(priority)
    }
}

fn set_mtu(host: &Host, mtu: u32) -> Result<()> {
    let name = Host::INTERFACE;
    host.ns().batch(&format!("link set {name} mtu {mtu}\n"))
}

/// Two hosts with 80 addresses, with a virtual MAC or without; the first is master.
fn pair(lab: &Lab, virtual_mac: bool) -> Result<(Agent, Agent)> {
    let config = |host: &Host, priority| {
        let instance = many(priority, 80).with("virtual_mac", virtual_mac);
        AgentConfig::new(host, instance)
    };
    let master = Agent::master(lab.host(1), &config(lab.host(1), 100))?;
    let backup = Agent::start(lab.host(2), &config(lab.host(2), 90))?;
    follows(&backup)?;
    Ok((master, backup))
}

fn follows(agent: &Agent) -> Result<()> {
    agent.wait_follows().map(drop)
}

fn in_fault(agent: &Agent) -> Result<agent_status::Instance> {
    agent.wait("in FAULT", |it| it.state == State::Fault)
}

fn names_the_mtu(found: &agent_status::Instance, device: &str, mtu: u32) -> Result<()> {
    let reason = found.reason.as_deref().context("no reason")?;
    let mtu = format!("MTU of {device} is {mtu}");
    for part in [PACKET, &mtu, "fits 77 addresses", "excluded"] {
        ensure!(reason.contains(part), "no {part:?} in: {reason}");
    }
    Ok(())
}

#[test]
fn a_masters_mtu_that_becomes_too_small_is_a_fault_until_it_is_large_enough_again() -> Result<()> {
    for (virtual_mac, device) in [(false, Host::INTERFACE), (true, "vrrp6-51")] {
        let lab = Lab::new(2)?;
        let (master, backup) = pair(&lab, virtual_mac)?;
        let mark = master.process().mark();
        set_mtu(lab.host(1), 1280)?;
        names_the_mtu(&in_fault(&master)?, device, 1280)?;
        master
            .process()
            .wait_for_line_after(mark, PACKET, PATIENCE)?;
        backup.wait_state(State::Master, PATIENCE)?;
        // One of these is enough for 80 addresses, the other is not.
        set_mtu(lab.host(1), 1327)?;
        master.wait("still in FAULT", |it| {
            names_the_mtu(it, device, 1327).is_ok() || reason_has(it, "1327")
        })?;
        set_mtu(lab.host(1), 1500)?;
        master.wait_state(State::Master, PATIENCE)?;
        follows(&backup)?;
    }
    Ok(())
}

fn reason_has(found: &agent_status::Instance, part: &str) -> bool {
    let reason = found.reason.as_deref();
    found.state == State::Fault && reason.is_some_and(|reason| reason.contains(part))
}

#[test]
fn an_mtu_that_is_too_small_from_the_start_is_a_fault_and_fewer_addresses_mend_it() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    set_mtu(host, 1280)?;
    let agent = Agent::start(host, many(100, 80))?;
    names_the_mtu(&in_fault(&agent)?, Host::INTERFACE, 1280)?;
    Agent::write_config(host, many(100, 77))?;
    let reloaded = agent.reload()?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    agent.wait_state(State::Master, PATIENCE)?;
    let capture = lab.capture()?;
    capture.wait_advert(host, 100, now(), PATIENCE)?;
    Ok(())
}

#[test]
fn more_addresses_than_any_receiver_takes_are_refused_by_check_config() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    set_mtu(host, 9000)?;
    for (addresses, code) in [(92, 0), (93, 3)] {
        Agent::write_config(host, many(100, addresses))?;
        let path = config_file(host);
        let path = path.to_str().context("not UTF-8")?;
        let said = invoke(host, &["check-config", path])?;
        ensure!(said.code == Some(code), "{addresses} addresses: {said:?}");
        ensure!(code == 0 || said.err.contains("at most 92"), "{said:?}");
    }
    Ok(())
}

/// At 9000 bytes of MTU the longest advert leaves, and is what the other side takes.
#[test]
fn the_longest_advert_is_taken_on_a_jumbo_link() -> Result<()> {
    for datapath in ["auto", "socket"] {
        let lab = Lab::new(2)?;
        lab.switch().batch(
            "link set dev h1 mtu 9000\nlink set dev h2 mtu 9000\nlink set dev br0 mtu 9000\n",
        )?;
        for host in lab.hosts() {
            set_mtu(host, 9000)?;
        }
        let config =
            |host: &Host, priority| AgentConfig::new(host, many(priority, 92).by(datapath));
        let _master = Agent::master(lab.host(1), &config(lab.host(1), 100))?;
        let backup = Agent::start(lab.host(2), &config(lab.host(2), 90))?;
        follows(&backup)?;
    }
    Ok(())
}

#[test]
fn a_master_whose_adverts_the_firewall_drops_says_so_and_yields_to_who_takes_over() -> Result<()> {
    let pair = Pair::start()?;
    let mark = pair.master.process().mark();
    pair.h1().drop_own_adverts()?;
    let process = pair.master.process();
    process.wait_for_line_after(mark, "no advert to 224.0.0.18 was sent for", PATIENCE)?;
    // Which it hears, and which does not hear it.
    let found = pair
        .master
        .wait("has yielded", |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(
        reason.contains("firewall") && reason.contains("10.99.0.2"),
        "{reason}"
    );
    ensure!(found.counters.adverts_unsent > 0);
    pair.moved_away()?;
    pair.h1().pass_own_adverts()?;
    pair.moved_back()?;
    let said = process.lines_after(mark);
    let lines = said.iter().filter(|it| it.text.contains("was sent for"));
    ensure!(lines.count() == 1, "not said once: {said:?}");
    pair.is_settled()
}
