//! The lab measures what it claims to, with keepalived as the known quantity, and leaves nothing.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::{Advert, Sum};
use ha_tests::lab::capture::Timing;
use ha_tests::lab::client::Pace;
use ha_tests::lab::clock::now;
use ha_tests::lab::decode::Checksum;
use ha_tests::lab::nginx::Nginx;
use ha_tests::lab::process::{Process, Signal};
use ha_tests::lab::{Lab, VIP, keepalived, require_tools, wait_until};
use ha_tests::nspawn::Machine;

const SOON: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_millis(100);

fn start_pair(lab: &Lab) -> Result<(Process, Process)> {
    let start = |host, priority| {
        keepalived::Instance {
            priority,
            interval: INTERVAL,
            ..keepalived::Instance::default()
        }
        .start(host)
    };
    Ok((start(lab.host(1), 100)?, start(lab.host(2), 90)?))
}

#[test]
fn a_blocked_port_moves_the_address_and_every_witness_agrees() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let on_h1 = h1.vip_watch(VIP)?;
    let on_h2 = h2.vip_watch(VIP)?;
    ensure!(!on_h1.present() && on_h1.events().len() == 1);
    Nginx::running(h1)?;
    Nginx::running(h2)?;
    let begin = now();
    let (_k1, _k2) = start_pair(&lab)?;
    capture.wait_announcement(h1, VIP, begin, SOON)?;
    on_h1.wait_present(SOON)?;
    let client = lab.client_host().request_from(VIP, Pace::default())?;
    client.wait_served_by(h1, begin, SOON)?;

    let cut = now();
    lab.block(h1)?;
    let timing = Timing {
        interval: INTERVAL,
        priority: 90,
    };
    let takeover = capture.takeover(h2, VIP, timing, cut, SOON)?;
    let moved = on_h2.wait_present(SOON)?;
    let served = client.wait_served_by(h2, cut, SOON)?;
    client.settle()?;

    // 3 intervals and skew, and what keepalived needs after it on a busy machine.
    let late = takeover.first_advert.since(takeover.deadline).to_duration();
    ensure!(
        takeover.first_advert.0 + 1_000_000 >= takeover.deadline.0,
        "too early: {takeover:?}"
    );
    ensure!(late < Duration::from_millis(100), "late by {late:?}");
    ensure!(takeover.first_announcement >= takeover.first_advert);
    ensure!(moved > cut && served.end > takeover.deadline);
    ensure!(client.who_at(served.end).as_deref() == Some("h2"));
    ensure!(client.who_at(cut).as_deref() == Some("h1"));
    let outages = client.outages_since(begin);
    let outage = outages.last().context("the client noticed nothing")?;
    // Silence began at some time after the last advert; it ended with the announcement.
    ensure!(outage.over && outage.length() > INTERVAL * 2, "{outages:?}");
    ensure!(
        outage.length() < timing.master_down() + Duration::from_millis(150),
        "{outages:?}"
    );
    ensure!(on_h1.present(), "a host that is cut off keeps its address");
    ensure!(capture.dropped() == 0);

    // Healed: the lower one yields and the client is back with the winner.
    let healed = now();
    lab.unblock(h1)?;
    on_h2.wait_absent(SOON)?;
    capture.wait_announcement(h1, VIP, healed, SOON)?;
    client.wait_served_by(h1, healed, SOON)?;
    Ok(())
}

#[test]
fn a_farewell_shows_as_priority_zero_and_costs_only_the_skew_time() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_h1, on_h2) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let (k1, _k2) = start_pair(&lab)?;
    let good = capture.wait_advert(h1, 100, now(), SOON)?;
    let advert = good.vrrp().context("an advert")?;
    ensure!(advert.interval == INTERVAL && advert.addresses == [VIP]);
    ensure!(advert.checksum == Checksum::PseudoHeader && advert.ttl == 255);
    on_h1.wait_present(SOON)?;

    let told = now();
    k1.signal(Signal::TERM)?;
    let farewell = capture.wait_advert(h1, 0, told, SOON)?;
    let exit = k1.wait(SOON)?;
    let gone = on_h1.wait_absent(SOON)?;
    let taken = on_h2.wait_present(SOON)?;
    ensure!(
        gone < exit.at,
        "the address was still there when the process had gone"
    );
    let skew = Timing {
        interval: INTERVAL,
        priority: 90,
    }
    .skew();
    let waited = taken.since(farewell.at).to_duration();
    ensure!(
        waited >= skew.mul_f64(0.9) && waited < skew + INTERVAL,
        "{waited:?}"
    );
    Ok(())
}

#[test]
fn nginx_can_be_stopped_crashed_broken_and_mended() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let nginx = Nginx::running(h1)?;
    let client = lab
        .client_host()
        .request_from(h1.ipv4().into(), Pace::default())?;
    let mut since = now();
    client.wait_served_by(h1, since, SOON)?;
    for bring_down in [Nginx::stop, Nginx::crash] {
        bring_down(&nginx)?;
        ensure!(nginx.pid().is_none());
        since = now();
        client.wait_failure(since, SOON)?;
        nginx.start()?;
        since = now();
        client.wait_served_by(h1, since, SOON)?;
    }
    nginx.break_for_good()?;
    let refusal = nginx.start().err().context("broken nginx started")?;
    ensure!(
        format!("{refusal:#}").contains("unknown directive"),
        "{refusal:#}"
    );
    ensure!(nginx.pid().is_none());
    nginx.mend()?;
    nginx.start()?;
    since = now();
    client.wait_served_by(h1, since, SOON)?;
    Ok(())
}

#[test]
fn the_hosts_own_firewall_silences_its_adverts_and_lets_them_speak_again() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_h1, on_h2) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let (_k1, _k2) = start_pair(&lab)?;
    capture.wait_advert(h1, 100, now(), SOON)?;
    on_h1.wait_present(SOON)?;
    h1.drop_own_adverts()?;
    let silenced = now();
    on_h2.wait_present(SOON)?;
    ensure!(
        !capture
            .frames_since(silenced)
            .iter()
            .any(|it| it.is_from(h1) && it.vrrp().is_some())
    );
    h1.pass_own_adverts()?;
    capture.wait_advert(h1, 100, silenced, SOON)?;
    on_h2.wait_absent(SOON)?;
    Ok(())
}

#[test]
fn a_pulled_plug_takes_the_carrier_and_a_blocked_port_does_not() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let carrier = || h1.run(&["ip", "-o", "link", "show", "eth0"]);
    lab.block(h1)?;
    ensure!(!carrier()?.contains("NO-CARRIER"));
    ensure!(
        h1.run(&["ip", "route", "get", "10.99.0.250"])?
            .contains("eth0")
    );
    lab.unblock(h1)?;
    lab.link_down(h1)?;
    ensure!(carrier()?.contains("NO-CARRIER"));
    lab.link_up(h1)?;
    wait_until(SOON, "the carrier is back", || {
        carrier().is_ok_and(|it| !it.contains("NO-CARRIER"))
    })
}

#[test]
fn a_storm_reaches_the_rate_it_is_asked_for_and_arrives() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture_port(h2)?;
    let frame = Advert {
        sum: Sum::Wrong,
        ..Advert::default()
    }
    .frame();
    // A little more than is needed, so that one stall of a busy machine does not matter.
    let storm = h1
        .forger()?
        .storm(std::slice::from_ref(&frame), 22_000, Duration::from_secs(2))?;
    ensure!(storm.sent == 44_000, "{storm:?}");
    ensure!(storm.rate() >= 20_000.0, "{storm:?}, {}/s", storm.rate());
    wait_until(
        SOON,
        "every frame is captured or counted as dropped",
        || capture.frames().len() as u64 + capture.dropped() >= storm.sent,
    )?;
    let frames = capture.frames();
    ensure!(frames.iter().all(|it| it.is_to(h2) && *it.bytes == *frame));
    ensure!(
        frames
            .iter()
            .filter_map(|it| it.vrrp())
            .all(|it| it.checksum == Checksum::Wrong)
    );
    Ok(())
}

/// Everything of labs made by process `pid` that is still there.
fn remains_of(pid: u32) -> Result<Vec<String>> {
    let prefix = format!("ha-{pid}-");
    let mut remains = Vec::new();
    let groups = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
    let groups = groups.iter().filter(|dir| Path::new(dir).exists());
    for dir in ["/run/netns", "/run/ha-lab", "/sys/fs/cgroup"]
        .iter()
        .chain(groups)
    {
        for entry in fs::read_dir(dir).with_context(|| format!("cannot list {dir}"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(&prefix) {
                remains.push(format!("{dir}/{name}"));
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    remains.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&format!("/{prefix}")))
            .map(|line| format!("mount {line}")),
    );
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(command) = fs::read_to_string(path.join("cmdline")) else {
            continue;
        };
        // The janitor's own command line names the lab, too.
        if command.contains(&prefix) {
            remains.push(format!("{} {}", path.display(), command.replace('\0', " ")));
        }
    }
    Ok(remains)
}

/// Not a test: what the next ones run in a process of its own, so that it can end in any way.
#[test]
#[ignore = "run by the tests below in a process of its own"]
fn inhabit_a_lab() -> Result<()> {
    let lab = Lab::new(2)?;
    let nginx = Nginx::running(lab.host(1))?;
    let sleeper = {
        let mut command = Command::new("sleep");
        command.arg(format!("3600.{}", std::process::id()));
        lab.host(2).spawn("sleeper", command)?
    };
    let machine = Machine::switch_on(lab.host(2))?.wait()?;
    let _client = lab
        .client_host()
        .request_from(lab.host(1).ipv4().into(), Pace::default())?;
    eprintln!(
        "INHABITED nginx {} sleeper {} machine {}",
        nginx.pid().context("nginx runs")?,
        sleeper.pid(),
        machine.leader()
    );
    match std::env::var("HA_LAB_TEST_END").as_deref() {
        Ok("panic") => panic!("as told"),
        Ok("wait") => std::thread::sleep(Duration::from_mins(1)),
        _ => {}
    }
    Ok(())
}

/// Runs [`inhabit_a_lab`] until it lives in its lab, has `end` end it, and looks for remains.
fn leaves_nothing(end: &str, act: impl FnOnce(&std::process::Child) -> Result<()>) -> Result<()> {
    require_tools(&["systemd-nspawn"])?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "--ignored",
            "--exact",
            "selftest::inhabit_a_lab",
            "--nocapture",
        ])
        .env("HA_LAB_TEST_END", end)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let stderr = child.stderr.take().context("piped")?;
    let mut inhabitants = Vec::new();
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if let Some(rest) = line.strip_prefix("INHABITED ") {
            inhabitants = rest
                .split(' ')
                .filter_map(|word| word.parse::<u32>().ok())
                .collect();
            break;
        }
    }
    ensure!(inhabitants.len() == 3, "the lab was not built");
    if end == "wait" {
        ensure!(!remains_of(pid)?.is_empty(), "remains would not be seen");
    }
    act(&child)?;
    child.wait()?;
    let nothing = wait_until(SOON, "nothing is left", || {
        remains_of(pid).is_ok_and(|remains| remains.is_empty())
            && !inhabitants
                .iter()
                .any(|pid| Path::new(&format!("/proc/{pid}")).exists())
    });
    nothing.with_context(|| format!("left: {:#?}", remains_of(pid)))
}

#[test]
fn a_test_that_ends_leaves_nothing_behind() -> Result<()> {
    leaves_nothing("return", |_| Ok(()))
}

#[test]
fn a_test_that_panics_leaves_nothing_behind() -> Result<()> {
    leaves_nothing("panic", |_| Ok(()))
}

#[test]
fn a_test_that_is_killed_leaves_nothing_behind() -> Result<()> {
    leaves_nothing("wait", |child| {
        let pid = rustix::process::Pid::from_child(child);
        Ok(rustix::process::kill_process(pid, Signal::KILL)?)
    })
}
