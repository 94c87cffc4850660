//! Virtual addresses: put back, cleared away, announced, several, and of both families.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::capture::Frame;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, Pair, instance};
use ha_tests::lab::{Agent, VIP, wait_until};

#[test]
fn an_address_that_somebody_removes_is_put_back_announced_and_counted() -> Result<()> {
    let pair = Pair::start()?;
    let removed = now();
    pair.h1()
        .run(&["ip", "addr", "del", "10.99.0.100/24", "dev", "eth0"])?;
    pair.capture
        .wait_announcement(pair.h1(), VIP, removed, PATIENCE)?;
    pair.on_master.wait_present(PATIENCE)?;
    pair.master
        .wait_instance("web", "has counted it", PATIENCE, |it| {
            it.counters.vip_restored == 1
        })?;
    ensure!(pair.master.state()? == State::Master);
    Ok(())
}

#[test]
fn an_address_left_by_a_killed_agent_is_cleared_and_an_administrators_is_not() -> Result<()> {
    let pair = Pair::start()?;
    pair.h1()
        .run(&["ip", "addr", "add", "10.99.0.77/24", "dev", "eth0"])?;
    pair.master.process().kill()?;
    pair.on_backup.wait_present(PATIENCE)?;
    ensure!(pair.on_master.present(), "a killed agent removes nothing");
    let again = Agent::start_again(pair.h1())?;
    again.wait_state(State::Master, PATIENCE)?;
    let changes = pair.on_master.changes_since(ha_common::units::Instant(0));
    ensure!(
        changes.len() == 4,
        "not there, there, cleared, there again: {changes:?}"
    );
    let present = pair
        .h1()
        .run(&["ip", "-o", "addr", "show", "dev", "eth0"])?;
    ensure!(present.contains("10.99.0.77/24"), "{present}");
    Ok(())
}

#[test]
fn announcements_come_in_two_bursts_of_the_configured_size() -> Result<()> {
    let mut first = instance(100);
    let mut second = instance(90);
    for it in [&mut first, &mut second] {
        let garp: toml::Table =
            toml::from_str("count = 4\nrepeat_after = \"500ms\"\nrepeat_count = 3")?;
        it.extra.insert("garp".to_owned(), garp.into());
    }
    let pair = Pair::of(first, second)?;
    let cut = now();
    let takeover = pair.cut_and_take_over(LATENESS)?;
    wait_until(PATIENCE, "seven announcements", || {
        pair.capture.announcements(pair.h2(), VIP, cut) == 7
    })?;
    let frames = pair.capture.frames_since(cut);
    let announcing = |frame: &&Frame| frame.is_from(pair.h2()) && frame.announces(VIP);
    let last = frames.iter().rfind(announcing).context("no announcement")?;
    let apart = last.at.since(takeover.first_announcement).to_duration();
    ensure!(
        apart >= Duration::from_millis(490) && apart < Duration::from_millis(500) + LATENESS,
        "the second burst came after {apart:?}"
    );
    Ok(())
}

#[test]
fn all_addresses_of_an_instance_move_together() -> Result<()> {
    let addresses: Vec<String> = (100..120)
        .map(|host| format!("10.99.0.{host}/24"))
        .collect();
    let of = |priority| Instance {
        addresses: addresses.clone(),
        ..instance(priority)
    };
    let pair = Pair::of(of(100), of(90))?;
    let last: IpAddr = "10.99.0.119".parse()?;
    let on_backup = pair.h2().vip_watch(last)?;
    let cut = now();
    pair.cut_and_take_over(LATENESS)?;
    on_backup.wait_present(PATIENCE)?;
    pair.capture
        .wait_announcement(pair.h2(), last, cut, PATIENCE)?;
    pair.heal()?;
    ensure!(!on_backup.present());
    Ok(())
}

#[test]
fn an_ipv6_instance_takes_over_without_waiting_for_duplicate_detection() -> Result<()> {
    let of = |priority| Instance {
        addresses: vec!["fe80::100/64".to_owned(), "fd00:99::100/64".to_owned()],
        ..instance(priority)
    };
    let lab = ha_tests::lab::Lab::new(2)?;
    ha_tests::lab::require_root_and_tools(&[])?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let vip: IpAddr = "fd00:99::100".parse()?;
    let (on_master, on_backup) = (h1.vip_watch(vip)?, h2.vip_watch(vip)?);
    let master = Agent::start(h1, &ha_tests::lab::AgentConfig::new(h1, of(100)))?;
    master.wait_state(State::Master, PATIENCE)?;
    on_master.wait_present(PATIENCE)?;
    let backup = Agent::start(h2, &ha_tests::lab::AgentConfig::new(h2, of(90)))?;
    backup.wait_state(State::Backup, PATIENCE)?;
    let cut = now();
    lab.block(h1)?;
    capture.wait_announcement(h2, vip, cut, PATIENCE)?;
    on_backup.wait_present(PATIENCE)?;
    let shown = h2.run(&["ip", "-6", "-o", "addr", "show", "dev", "eth0"])?;
    ensure!(!shown.contains("tentative"), "{shown}");
    Ok(())
}
