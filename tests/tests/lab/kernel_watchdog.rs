//! What stands behind the kernel's timers and wake-ups, and that nobody wakes without need.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::Launch;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::capture::Timing;
use ha_tests::lab::clock::now;
use ha_tests::lab::hog::SoftirqHog;
use ha_tests::lab::pair::{EARLINESS, LATENESS, PATIENCE, TIMING, at_deadline, by_auto, instance};
use ha_tests::lab::{Agent, Pair, VIP};

fn with_fault(inject: &'static str) -> Result<Pair> {
    let launch = Launch {
        inject: Some(inject),
        ..Launch::default()
    };
    let pair = Pair::launched(by_auto(100), by_auto(90), &launch)?;
    pair.backup
        .process()
        .wait_for_line("HA_AGENT_INJECT is set", PATIENCE)?;
    Ok(pair)
}

#[test]
fn without_a_kernel_timer_the_agent_keeps_the_deadline_and_status_says_so() -> Result<()> {
    let pair = with_fault("no-timer")?;
    let found = pair.backup.only()?;
    ensure!(found.receives_by("tc"));
    ensure!(
        found.timer.kind == "watchdog" && found.timer.why.is_some(),
        "{found:?}"
    );
    pair.cut_and_take_over(LATENESS)?;
    ensure!(pair.backup.only()?.counters.timer_fired == 0);
    pair.heal()?;
    // And once more: the deadline is kept after every advert, not just the first time.
    pair.cut_and_take_over(LATENESS).map(drop)
}

#[test]
fn when_every_wakeup_is_lost_the_watchdog_takes_over_within_its_bound() -> Result<()> {
    let pair = with_fault("deaf-ring")?;
    ensure!(pair.backup.only()?.timer.kind == "kernel");
    let cut = now();
    pair.lab.block(pair.h1())?;
    let takeover = pair.takeover_since(cut)?;
    let waited = takeover.first_advert.since(takeover.last_advert);
    let (rule, waited) = (TIMING.master_down(), waited.to_duration());
    // It looks every master-down interval, but at least each second and at most ten times in one.
    let bound = rule.clamp(Duration::from_millis(100), Duration::from_secs(1));
    ensure!(
        waited + EARLINESS >= rule && waited <= rule + bound + LATENESS,
        "waited {waited:?}"
    );
    pair.on_backup.wait_present(PATIENCE).map(drop)
}

/// Without the agent's timer behind it, it would be the watchdog, which looks each 365 ms, that takes over.
#[test]
fn behind_a_kernel_timer_that_was_late_the_agents_own_takes_over() -> Result<()> {
    let pair = with_fault("deaf-ring")?;
    let hog = SoftirqHog::start(pair.lab.client_host(), pair.h2())?;
    pair.backup.wait("a late kernel timer", |it| {
        it.timer.guarded && it.timer.late > 0
    })?;
    // A master that is alive is heard, whatever the flood: adverts come late, and so does the agent's timer.
    let before = pair.backup.only()?;
    let after = pair.backup.wait_adverts(&before, 30, PATIENCE)?;
    ensure!(after.transitions == before.transitions, "{after:?}");
    for _ in 0..3 {
        // Twice its lateness, which is a packet's or two, and as much again for the agent itself.
        pair.cut_and_take_over(LATENESS + hog.hold() * 6)?;
        pair.heal()?;
    }
    hog.stop()?;
    ensure!(pair.backup.only()?.timer.kind == "kernel");
    Ok(())
}

/// At one second a watchdog whose pace followed the interval would be seen to be late.
#[test]
fn at_one_second_the_agents_own_timer_is_as_exact_and_the_watchdog_as_quick() -> Result<()> {
    for (inject, timer, most) in [
        ("no-timer", "watchdog", Duration::from_millis(20)),
        ("deaf-ring", "kernel", Duration::from_millis(1200)),
    ] {
        let slow = |priority| Instance {
            advert_interval: Duration::from_secs(1),
            ..instance(priority)
        };
        let launch = Launch {
            inject: Some(inject),
            ..Launch::default()
        };
        let pair = Pair::launched(slow(100), slow(90), &launch)?;
        let found = pair.backup.only()?;
        ensure!(found.timer.kind == timer, "{inject}: {found:?}");
        // Nobody asks the agent anything from here on: a question would wake it.
        let cut = now();
        pair.lab.block(pair.h1())?;
        let timing = Timing {
            interval: Duration::from_secs(1),
            ..TIMING
        };
        let takeover = pair
            .capture
            .takeover(pair.h2(), VIP, timing, cut, PATIENCE)
            .with_context(|| format!("with {inject}"))?;
        at_deadline(&takeover, most).with_context(|| format!("with {inject}"))?;
        pair.on_backup.wait_present(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn a_backup_that_hears_a_healthy_master_wakes_nobody() -> Result<()> {
    wakes_nobody(5)
}

fn wakes_nobody(attempts: u32) -> Result<()> {
    let fast = |priority| Instance {
        advert_interval: Duration::from_millis(10),
        ..instance(priority)
    };
    let pair = Pair::of(fast(100), fast(90))?;
    let driver = driver_thread(&pair.backup)?;
    let (before, status_before) = (pair.backup.only()?, pair.backup.status()?);
    let (switches, began) = (voluntary_switches(&driver)?, Instant::now());
    let after = pair.backup.wait_adverts(&before, 200, PATIENCE)?;
    let switches = voluntary_switches(&driver)? - switches;
    let elapsed = began.elapsed();
    ensure!(
        after.counters.wakeups == before.counters.wakeups,
        "woken for adverts: {before:?}, {after:?}"
    );
    ensure!(after.counters.events == before.counters.events);
    // On a machine so busy that the kernel's timer was late, the agent's own stands behind it and does wake it.
    if before.timer.guarded || after.timer.late != before.timer.late {
        ensure!(
            attempts > 1,
            "the kernel's timer is late again and again: {after:?}"
        );
        pair.is_settled()?;
        return wakes_nobody(attempts - 1);
    }
    let status = pair.backup.status()?;
    for cause in ["ring_events", "timers", "commands", "checks", "netlink"] {
        ensure!(
            status.wakeups.get(cause) == status_before.wakeups.get(cause),
            "{cause}: {:?}, before {:?}",
            status.wakeups,
            status_before.wakeups
        );
    }
    // The watchdog of a 10 ms instance looks every 100 ms; a look may sleep on a lock.
    let most = u64::try_from(elapsed.as_millis() / 100)? * 2 + 4;
    ensure!(
        switches <= most,
        "the driver's thread slept {switches} times in {elapsed:?}"
    );
    pair.is_settled()
}

/// The status file of the agent's driver thread.
fn driver_thread(agent: &Agent) -> Result<std::path::PathBuf> {
    for task in fs::read_dir(format!("/proc/{}/task", agent.process().pid()))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "ha-driver" {
            return Ok(task.join("status"));
        }
    }
    anyhow::bail!("no thread is called ha-driver")
}

fn voluntary_switches(status: &std::path::Path) -> Result<u64> {
    let text = fs::read_to_string(status)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.context("no such line")?.trim().parse()?)
}
