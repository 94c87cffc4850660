//! As many virtual routers as an interface can have: steady, and taken over as a whole.
//!
//! A minute of it, a thousand routers, and keepalived beside it are measured by `cargo xtask bench --scale`.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::capture::{Frame, Timing};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::instance;
use ha_tests::lab::{Agent, Capture, Host, Lab, wait_until};

/// A VRID is a byte and not 0.
const ROUTERS: u8 = 255;
/// How long everything may take that only has to come at some time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nobody may move.
const STEADY: Duration = Duration::from_secs(5);
/// Past the last deadline, for a host that takes all of them over at once on a busy machine.
const LATENESS: Duration = Duration::from_millis(500);
/// What an agent with so many may keep in memory: it had 20 MiB when this was written, locked.
const MEMORY_KIB: u64 = 64 << 10;

fn all(host: &Host, priority: u8, interval: Duration) -> AgentConfig {
    let routers = (1..=ROUTERS).map(|number| Instance {
        name: format!("router-{number}"),
        vrid: number,
        addresses: vec![format!("10.98.0.{number}/32")],
        advert_interval: interval,
        ..instance(priority)
    });
    let mut config = AgentConfig::new(host, instance(priority));
    config.instance = routers.collect();
    config
}

fn all_are(agent: &Agent, state: State) -> bool {
    let settled = |it: &ha_tests::lab::agent_status::Instance| {
        it.state == state && (state == State::Master || it.counters.adverts_received > 0)
    };
    agent.status().is_ok_and(|status| {
        status.instances.len() == usize::from(ROUTERS) && status.instances.iter().all(settled)
    })
}

/// The virtual routers that a host has advertised since then.
fn advertised(capture: &Capture, host: &Host, since: Instant) -> HashSet<u8> {
    let frames = capture.frames_since(since);
    let own = frames.iter().filter(|it| it.is_from(host));
    own.filter_map(Frame::vrrp).map(|it| it.vrid).collect()
}

fn transitions(agent: &Agent) -> Result<u64> {
    Ok(agent
        .status()?
        .instances
        .iter()
        .map(|it| it.transitions)
        .sum())
}

fn memory_kib(agent: &Agent) -> Result<u64> {
    let path = format!("/proc/{}/status", agent.process().pid());
    let status = std::fs::read_to_string(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.context("no VmRSS")?.trim();
    Ok(value.trim_end_matches(" kB").parse()?)
}

fn stays_and_moves_as_a_whole(interval: Duration) -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let master = Agent::start(h1, &all(h1, 100, interval))?;
    wait_until(PATIENCE, "master of all", || {
        all_are(&master, State::Master)
    })?;
    let backup = Agent::start(h2, &all(h2, 90, interval))?;
    wait_until(PATIENCE, "backup of all", || {
        all_are(&backup, State::Backup)
    })?;
    let capture = lab.capture()?;
    let (begin, before) = (now(), transitions(&master)? + transitions(&backup)?);
    let is_over = || now().since(begin).to_duration() >= STEADY;
    wait_until(STEADY * 2, "a steady stretch", is_over)?;
    ensure!(
        transitions(&master)? + transitions(&backup)? == before,
        "somebody moved"
    );
    ensure!(advertised(&capture, h2, begin).is_empty(), "both advertise");
    ensure!(advertised(&capture, h1, begin).len() == usize::from(ROUTERS));
    for agent in [&master, &backup] {
        let memory = memory_kib(agent)?;
        ensure!(memory < MEMORY_KIB, "{memory} KiB");
    }

    let cut = now();
    lab.block(h1)?;
    let everyone = || advertised(&capture, h2, cut).len() == usize::from(ROUTERS);
    wait_until(PATIENCE, "all are taken over", everyone)?;
    let timing = Timing {
        interval,
        priority: 90,
    };
    for number in 1..=ROUTERS {
        let address = [10, 98, 0, number].into();
        let announced = capture.wait_announcement(h2, address, cut, PATIENCE)?.at;
        let took = announced.since(cut).to_duration();
        ensure!(
            took <= timing.master_down() + LATENESS,
            "{address} after {took:?}"
        );
    }
    wait_until(PATIENCE, "master of all", || {
        all_are(&backup, State::Master)
    })
}

#[test]
fn all_routers_of_an_interface_stay_and_move_as_a_whole_at_a_second() -> Result<()> {
    stays_and_moves_as_a_whole(Duration::from_secs(1))
}

#[test]
fn all_routers_of_an_interface_stay_and_move_as_a_whole_at_a_tenth_of_it() -> Result<()> {
    stays_and_moves_as_a_whole(Duration::from_millis(100))
}
