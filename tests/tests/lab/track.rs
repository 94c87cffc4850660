//! Other interfaces that an instance tracks decide about the address of a real agent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, invoke};
use ha_tests::lab::agent_config::{AgentConfig, Instance, Track};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Lab, Pair, wait_until};
use toml::toml;

/// The upstream interface of host 1, and the switch's port that it is plugged into.
const UPLINK: &str = "eth1";
const PORT: &str = "h1-eth1";

fn tracking(priority: u8, track: Track) -> Instance {
    Instance {
        track: vec![track],
        ..instance(priority)
    }
}

/// A pair whose master has an uplink and tracks it in this way.
fn watched(track: Track) -> Result<Pair> {
    let lab = Lab::new(2)?;
    lab.plug(lab.host(1), UPLINK, "10.98.0.1/24")?;
    Pair::in_lab(lab, tracking(100, track), instance(90))
}

/// The uplink loses its carrier, because the other end goes down, or gets it back.
fn carrier(pair: &Pair, state: &str) -> Result<()> {
    pair.lab
        .switch()
        .batch(&format!("link set {PORT} {state}\n"))
}

/// The uplink is switched off or on by its host.
fn switch(pair: &Pair, state: &str) -> Result<()> {
    pair.h1()
        .ns()
        .batch(&format!("link set {UPLINK} {state}\n"))
}

fn wait_found(pair: &Pair, found: &str) -> Result<()> {
    let what = format!("the uplink looks like this: {found}");
    pair.master.wait(&what, |it| {
        it.tracked
            .iter()
            .any(|one| one.found.as_deref() == Some(found))
    })?;
    Ok(())
}

#[test]
fn an_uplink_that_is_switched_off_faults_the_master_until_it_is_on_again() -> Result<()> {
    let pair = watched(Track::interface(UPLINK, toml::Table::new()))?;
    let off = now();
    switch(&pair, "down")?;
    pair.capture.wait_advert(pair.h1(), 0, off, PATIENCE)?;
    pair.moved_away()?;
    let found = pair
        .master
        .wait("in FAULT", |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(reason == "tracked interface eth1 is down", "{reason}");
    let cause = found.last_transition.context("no transition")?.cause;
    ensure!(cause == reason, "{cause}");
    wait_found(&pair, "switched off")?;

    switch(&pair, "up")?;
    pair.moved_back()?;
    pair.master.wait_state(State::Master, PATIENCE)
}

#[test]
fn an_uplink_that_is_deleted_faults_the_master_until_there_is_one_of_its_name() -> Result<()> {
    let pair = watched(Track::interface(UPLINK, toml::Table::new()))?;
    pair.lab.switch().batch(&format!("link del {PORT}\n"))?;
    pair.moved_away()?;
    wait_found(&pair, "no such interface")?;
    pair.lab.plug(pair.h1(), UPLINK, "10.98.0.1/24")?;
    pair.moved_back().map(drop)
}

#[test]
fn a_lost_carrier_lowers_the_priority_and_its_return_counts_after_the_delay() -> Result<()> {
    let delay = Duration::from_secs(2);
    let mut track = Track::interface(UPLINK, toml! { delay = { up = "2s" } });
    track.weight = Some(-20);
    let pair = watched(track)?;
    let lost = now();
    carrier(&pair, "down")?;
    pair.capture.wait_advert(pair.h1(), 80, lost, PATIENCE)?;
    pair.moved_away()?;
    pair.master.wait_state(State::Backup, PATIENCE)?;
    let said = invoke(pair.h1(), &["status"])?;
    let sum = "priority    100 -20 (interface eth1) = 80";
    ensure!(said.out.contains(sum), "no {sum:?} in\n{}", said.out);

    let found = now();
    carrier(&pair, "up")?;
    let back = pair.on_master.wait_present(PATIENCE)?;
    let took = back.since(found).to_duration();
    ensure!(took >= delay, "the address was back after {took:?}");
    pair.on_backup.wait_absent(PATIENCE)?;
    let sum = pair.master.only()?.priority;
    ensure!(sum.effective == 100, "{sum:?}");
    Ok(())
}

#[test]
fn an_uplink_that_flaps_within_the_delay_moves_nothing() -> Result<()> {
    // So long that no flap of the test lasts that long.
    let pair = watched(Track::interface(UPLINK, toml! { delay = { down = "1m" } }))?;
    let before = pair.master.only()?.transitions;
    let begin = now();
    for _ in 0..5 {
        carrier(&pair, "down")?;
        wait_found(&pair, "no carrier")?;
        let waiting = pair.master.only()?.tracked.remove(0);
        ensure!(
            waiting.state == "up" && waiting.counts_in_us.is_some(),
            "{waiting:?}"
        );
        carrier(&pair, "up")?;
        wait_found(&pair, "up")?;
    }
    let settled = pair.master.only()?.tracked.remove(0);
    ensure!(settled.counts_in_us.is_none(), "{settled:?}");
    pair.undisturbed_since(begin)?;
    ensure!(pair.master.only()?.transitions == before);
    pair.is_settled()
}

#[test]
fn a_carrier_that_does_not_count_is_looked_past_and_a_switch_is_not() -> Result<()> {
    let pair = watched(Track::interface(UPLINK, toml! { carrier = false }))?;
    let lost = now();
    carrier(&pair, "down")?;
    wait_found(&pair, "no carrier")?;
    // The agent has seen it, and still advertises.
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    pair.on_backup.undisturbed_since(lost)?;
    switch(&pair, "down")?;
    pair.moved_away().map(drop)
}

#[test]
fn a_reload_changes_what_is_tracked_and_keeps_the_state() -> Result<()> {
    let pair = watched(Track::interface(UPLINK, toml! { carrier = false }))?;
    carrier(&pair, "down")?;
    wait_found(&pair, "no carrier")?;
    let begin = now();
    let mut weighed = Track::interface(UPLINK, toml::Table::new());
    weighed.weight = Some(-5);
    let config = AgentConfig::new(pair.h1(), tracking(100, weighed));
    let said = pair.master.reload_with(&config)?;
    ensure!(said.out.contains("weight -5"), "{said:?}");
    pair.capture.wait_advert(pair.h1(), 95, begin, PATIENCE)?;
    pair.on_master.undisturbed_since(begin)?;

    let none = AgentConfig::new(pair.h1(), instance(100));
    Agent::write_config(pair.h1(), &none)?;
    let reloaded = now();
    pair.master.reload_ok()?;
    pair.capture
        .wait_advert(pair.h1(), 100, reloaded, PATIENCE)?;
    pair.on_master.undisturbed_since(begin)?;
    pair.is_settled()
}

#[test]
fn an_interface_tracked_in_reverse_faults_the_instance_while_it_works() -> Result<()> {
    let pair = watched(Track::interface("eth7", toml! { reverse = true }))?;
    pair.lab.plug(pair.h1(), "eth7", "10.97.0.1/24")?;
    pair.moved_away()?;
    let reason = pair.master.only()?.reason.unwrap_or_default();
    ensure!(
        reason.contains("eth7 is up") && reason.contains("reverse"),
        "{reason}"
    );
    pair.h1().ns().batch("link set eth7 down\n")?;
    pair.moved_back().map(drop)
}

#[test]
fn an_instance_that_ignores_its_carrier_runs_on_without_it_but_not_when_switched_off() -> Result<()>
{
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let watch = host.vip_watch(ha_tests::lab::VIP)?;
    let config = AgentConfig::new(host, instance(100).with("carrier", "ignore"));
    let agent = Agent::start(host, &config)?;
    watch.wait_present(PATIENCE)?;
    let begin = now();
    lab.link_down(host)?;
    let carrier = || host.run(&["ip", "-br", "link", "show", "eth0"]);
    wait_until(PATIENCE, "the carrier is lost", || {
        carrier().is_ok_and(|said| said.contains("NO-CARRIER"))
    })?;
    // The driver has been told of it when it has woken for it.
    agent.wait_state(State::Master, PATIENCE)?;
    let counted = agent.only()?.counters.adverts_sent;
    agent.wait("goes on", |it| {
        it.state == State::Master && it.counters.adverts_sent > counted + 5
    })?;
    watch.undisturbed_since(begin)?;

    host.ns().batch("link set eth0 down\n")?;
    agent.wait_state(State::Fault, PATIENCE)?;
    watch.wait_absent(PATIENCE)?;
    host.ns().batch("link set eth0 up\n")?;
    agent.wait_state(State::Master, PATIENCE)?;
    watch.wait_present(PATIENCE)?;
    Ok(())
}
