//! A preempt delay and another down multiplier: a healthy master is left alone for so long and no longer, a
//! dead one not for a moment longer than the multiplier says.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::{Instant, Nanos};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::capture::Timing;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{EARLINESS, INTERVAL, LATENESS, PATIENCE, TIMING, at_deadline, instance};
use ha_tests::lab::{Pair, VIP};

/// Of the host that returns.
const RETURNING: Timing = Timing {
    interval: INTERVAL,
    priority: 110,
};

fn returning(delay: &str) -> Instance {
    instance(RETURNING.priority).with("preempt_delay", delay)
}

#[test]
fn a_returning_host_leaves_a_healthy_master_alone_until_its_delay_is_over() -> Result<()> {
    let pair = Pair::of(instance(100), returning("3s"))?;
    let asked = now();
    let found = pair.backup.only()?;
    let wait = found.preempt_wait.context("status shows no wait")?;
    ensure!(wait.in_us <= 3_000_000, "{wait:?}");
    let over = asked + Nanos(wait.in_us * 1000);
    // The kernel goes on arming its own timer meanwhile.
    ensure!(found.timer.kind == "kernel", "{:?}", found.timer);
    ensure!(found.counters.timer_fired == 0, "{:?}", found.counters);

    let first = pair.capture.wait_advert(pair.h2(), 110, asked, PATIENCE)?;
    // The last advert of the other one that still counted came up to an interval before the delay was over.
    let waited = first.at.since(over).to_duration();
    let rule = RETURNING.master_down();
    ensure!(
        waited + INTERVAL + EARLINESS >= rule && waited <= rule + LATENESS,
        "it took the master's place {waited:?} after its delay, where {rule:?} is the rule"
    );
    pair.moved_away()?;
    let found = pair.backup.only()?;
    ensure!(found.state == State::Master && found.preempt_wait.is_none());
    ensure!(found.counters.timer_fired == 1, "{:?}", found.counters);
    let cause = found.last_transition.context("none")?.cause;
    ensure!(cause.contains("lower priority 100"), "{cause}");
    Ok(())
}

#[test]
fn a_preempt_delay_does_not_keep_a_host_from_the_place_of_a_dead_master_or_of_one_that_leaves()
-> Result<()> {
    let pair = Pair::of(instance(100), returning("10m"))?;
    let cut = now();
    pair.lab.block(pair.h1())?;
    let taken = pair
        .capture
        .takeover(pair.h2(), VIP, RETURNING, cut, PATIENCE)?;
    at_deadline(&taken, LATENESS)?;
    drop(pair);

    let mut pair = Pair::of(instance(100), returning("10m"))?;
    let stopped = now();
    pair.master
        .process()
        .signal(ha_tests::lab::process::Signal::TERM)?;
    let release = pair.capture.wait_advert(pair.h1(), 0, stopped, PATIENCE)?;
    let first = pair
        .capture
        .wait_advert(pair.h2(), 110, stopped, PATIENCE)?;
    let waited = first.at.since(release.at).to_duration();
    ensure!(
        waited <= RETURNING.skew() + LATENESS,
        "it waited for {waited:?} after priority 0"
    );
    pair.on_backup.wait_present(PATIENCE)?;
    pair.master.process().wait(PATIENCE)?;
    // The returning one is a better master; it is the other one's turn to wait.
    pair.master = Agent::start_again(pair.h1())?;
    pair.master.wait_state(State::Backup, PATIENCE)
}

#[test]
fn a_delay_that_a_reload_shortens_is_over_at_once_and_one_that_it_sets_holds() -> Result<()> {
    let pair = Pair::of(instance(100), returning("10m"))?;
    let mut config = AgentConfig::new(pair.h2(), returning("11m"));
    let said = pair.backup.reload_with(&config)?;
    ensure!(said.out.contains("preempt_delay 10m -> 11m"), "{said:?}");
    let wait = pair.backup.only()?.preempt_wait.context("no wait")?;
    ensure!(wait.in_us > 600_000_000, "{wait:?}");
    pair.is_settled()?;

    config.instance[0] = instance(RETURNING.priority);
    pair.backup.reload_with(&config)?;
    pair.moved_away().map(drop)
}

/// From the last advert that the backup heard to its first one.
fn wait_of_the_backup(pair: &Pair, cut: Instant) -> Result<Duration> {
    let taken = pair.takeover_since(cut)?;
    Ok(taken.first_advert.since(taken.last_advert).to_duration())
}

#[test]
fn as_many_intervals_as_configured_make_a_master_dead_on_either_datapath() -> Result<()> {
    for datapath in ["auto", "socket"] {
        let of = |priority| instance(priority).with("down_multiplier", 5).by(datapath);
        let pair = Pair::of(of(100), of(90))?;
        let cut = now();
        pair.lab.block(pair.h1())?;
        let waited = wait_of_the_backup(&pair, cut)?;
        // 5 intervals and the skew in place of 3 and the skew.
        let rule = TIMING.master_down() + 2 * INTERVAL;
        ensure!(
            waited + EARLINESS >= rule && waited <= rule + LATENESS,
            "by {datapath} the backup waited {waited:?}, where {rule:?} is configured"
        );
    }
    Ok(())
}

#[test]
fn a_reload_gives_a_running_backup_another_multiplier() -> Result<()> {
    let pair = Pair::start()?;
    let before = pair.backup.only()?.transitions;
    let config = AgentConfig::new(pair.h2(), instance(90).with("down_multiplier", 2));
    let said = pair.backup.reload_with(&config)?;
    ensure!(said.out.contains("down_multiplier 3 -> 2"), "{said:?}");
    let found = pair.backup.only()?;
    ensure!(found.transitions == before && found.interval.down_multiplier == 2);
    // The next advert arms the timer by the new rule.
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    let cut = now();
    pair.lab.block(pair.h1())?;
    let waited = wait_of_the_backup(&pair, cut)?;
    let rule = TIMING.skew() + 2 * INTERVAL;
    ensure!(
        waited + EARLINESS >= rule && waited <= rule + LATENESS,
        "the backup waited {waited:?}, where {rule:?} is configured"
    );
    Ok(())
}

/// A reload that opens the sockets anew configures the slot anew as well.
#[test]
fn a_reload_of_the_transport_does_not_end_a_delay_that_runs() -> Result<()> {
    let to = |instance: Instance, peer: u8| instance.with("peers", vec![format!("10.99.0.{peer}")]);
    let pair = Pair::of(to(instance(100), 2), to(returning("10m"), 1))?;
    let config = AgentConfig::new(pair.h2(), to(returning("10m"), 1).with("ttl", 254));
    pair.backup.reload_with(&config)?;
    let heard = pair.backup.only()?.counters.adverts_received;
    // Longer than a slot that preempts would wait.
    let wanted = heard + 10;
    pair.backup.wait("ten more adverts", |it| {
        it.counters.adverts_received >= wanted
    })?;
    let found = pair.backup.only()?;
    ensure!(
        found.state == State::Backup && found.transitions == 1,
        "{found:#?}"
    );
    pair.is_settled()
}
