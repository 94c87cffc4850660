//! Many virtual routers in one agent: each keeps its own deadline, and an address belongs to one of them.

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{EARLINESS, LATENESS, PATIENCE, TIMING, instance};
use ha_tests::lab::{Agent, Host, Lab, wait_until};

/// Enough that the last take-over comes long after the first deadline, in one turn of the driver.
const MANY: u8 = 40;
fn address(number: u8) -> String {
    format!("10.99.1.{number}/24")
}

fn many(host: &Host, priority: u8) -> AgentConfig {
    let routers = (1..=MANY).map(|number| Instance {
        name: format!("router-{number}"),
        vrid: number,
        addresses: vec![address(number)],
        ..instance(priority)
    });
    let mut config = AgentConfig::new(host, instance(priority));
    config.instance = routers.collect();
    config
}

fn all_are(agent: &Agent, state: State) -> bool {
    // Some adverts after the start, a backup's timer is the adverts' and no longer the start's.
    let ready = |it: &ha_tests::lab::agent_status::Instance| {
        it.state == state && (state == State::Master || it.counters.adverts_received > 5)
    };
    // Right after its start it shows none.
    agent
        .status()
        .is_ok_and(|status| !status.instances.is_empty() && status.instances.iter().all(ready))
}

#[test]
fn every_router_of_a_dead_host_is_taken_over_at_its_own_deadline() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let master = Agent::start(h1, &many(h1, 100))?;
    wait_until(PATIENCE, "master of all", || {
        all_are(&master, State::Master)
    })?;
    let backup = Agent::start(h2, &many(h2, 90))?;
    wait_until(PATIENCE, "backup of all", || {
        all_are(&backup, State::Backup)
    })?;
    let cut = now();
    lab.block(h1)?;
    wait_until(PATIENCE, "all taken over", || {
        all_are(&backup, State::Master)
    })?;
    for vrid in 1..=MANY {
        let is_advert =
            |it: &ha_tests::lab::capture::Frame| it.vrrp().is_some_and(|it| it.vrid == vrid);
        let what = format!("the backup's advert of router {vrid}");
        let first = capture.wait_for(&what, cut, PATIENCE, |it| it.is_from(h2) && is_advert(it))?;
        let frames = capture.frames();
        let last = frames
            .iter()
            .rfind(|it| it.is_to(h2) && is_advert(it))
            .context("no advert reached the backup")?;
        let waited = first.at.since(last.at).to_duration();
        ensure!(
            waited + EARLINESS >= TIMING.master_down() && waited <= TIMING.master_down() + LATENESS,
            "virtual router {vrid} was taken over after {waited:?}"
        );
    }
    Ok(())
}

#[test]
fn an_address_moves_from_one_instance_to_another_in_one_reload() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let two = |first: &[u8], second: &[u8]| {
        let router = |name: &str, vrid, numbers: &[u8]| Instance {
            name: name.to_owned(),
            vrid,
            addresses: numbers.iter().map(|it| address(*it)).collect(),
            ..instance(100)
        };
        let mut config = AgentConfig::new(host, instance(100));
        config.instance = vec![router("one", 1, first), router("two", 2, second)];
        config
    };
    let moving = host.vip_watch("10.99.1.9".parse()?)?;
    let agent = Agent::start(host, &two(&[1], &[2, 9]))?;
    wait_until(PATIENCE, "master of both", || {
        all_are(&agent, State::Master)
    })?;
    moving.wait_present(PATIENCE)?;
    // To the earlier one and back to the later one: in neither order may the removal come last.
    for config in [two(&[1, 9], &[2]), two(&[1], &[2, 9])] {
        let before = now();
        agent.reload_with(&config)?;
        let is_there = |it: &ha_tests::lab::agent_status::Instance| {
            it.addresses.iter().all(|address| address.present)
        };
        wait_until(PATIENCE, "away and back", || {
            moving.changes_since(before).len() == 2
                && agent
                    .status()
                    .is_ok_and(|status| status.instances.iter().all(is_there))
        })?;
        let restored: u64 = agent
            .status()?
            .instances
            .iter()
            .map(|it| it.counters.vip_restored)
            .sum();
        ensure!(restored == 0, "taken for somebody else's doing");
    }
    Ok(())
}
