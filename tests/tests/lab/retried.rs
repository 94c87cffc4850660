//! Nothing is done only once: what could not be had, or was left behind, is put right as soon as it can be.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Host, Lab, VIP, wait_until};

const ADDRESS: &str = "10.99.0.100/24";

fn own_address(host: &Host) -> String {
    format!("{}/24", host.ipv4())
}

fn has_address(host: &Host, address: &str) -> Result<bool> {
    let shown = host.run(&["ip", "-o", "addr", "show", "dev", "eth0"])?;
    Ok(shown.contains(&format!(" {address} ")))
}

/// The kernel neither keeps secondary addresses nor lets them go: the default of many distributions.
fn without_promotion(host: &Host) -> Result<()> {
    for interface in ["all", "eth0"] {
        let key = format!("net/ipv4/conf/{interface}/promote_secondaries");
        host.ns().sysctl(&key, "0")?;
    }
    Ok(())
}

/// Without its own address the router cannot come to its interface, and never learns what its last life was.
#[test]
fn what_a_crash_left_goes_though_the_router_cannot_take_part() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    h1.ns()
        .sysctl("net/ipv4/conf/eth0/promote_secondaries", "1")?;
    let agent = Agent::master(h1, instance(100))?;
    agent.process().kill()?;
    h1.run(&["ip", "addr", "del", &own_address(h1), "dev", "eth0"])?;
    ensure!(watch.present(), "a killed agent cannot remove anything");
    let agent = Agent::start_again(h1)?;
    agent.wait_state(State::Fault, PATIENCE)?;
    watch.wait_absent(PATIENCE)?;
    agent
        .process()
        .wait_for_line("removed 10.99.0.100/24, left behind", PATIENCE)?;
    h1.run(&["ip", "addr", "add", &own_address(h1), "dev", "eth0"])?;
    agent.wait_state(State::Master, PATIENCE)
}

/// The administrator had it there, was advised to take it away, and did.
#[test]
fn an_address_that_the_agent_put_back_it_takes_away() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    h1.run(&["ip", "addr", "add", ADDRESS, "dev", "eth0"])?;
    let agent = Agent::master(h1, instance(100))?;
    let log = agent.process();
    log.wait_for_line("10.99.0.100 already existed on the interface", PATIENCE)?;
    h1.run(&["ip", "addr", "del", ADDRESS, "dev", "eth0"])?;
    log.wait_for_line("restored 10.99.0.100/24", PATIENCE)?;
    log.wait_for_line("no longer so: 10.99.0.100 already existed", PATIENCE)?;
    agent.wait("has nothing to say of it", |it| it.notices.is_empty())?;
    agent.stop()?;
    watch.wait_absent(PATIENCE)?;
    Ok(())
}

/// The own address comes back behind the virtual one, as its secondary: the kernel would take it along.
#[test]
fn the_hosts_own_address_stays_when_a_virtual_one_before_it_goes() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    without_promotion(h1)?;
    h1.run(&["ip", "addr", "add", "192.168.7.1/24", "dev", "eth0"])?;
    let watch = h1.vip_watch(VIP)?;
    let agent = Agent::master(h1, instance(100))?;
    let own = own_address(h1);
    h1.run(&["ip", "addr", "del", &own, "dev", "eth0"])?;
    agent
        .process()
        .wait_for_line("restored 10.99.0.100/24", PATIENCE)?;
    h1.run(&["ip", "addr", "add", &own, "dev", "eth0"])?;
    let shown = h1.run(&["ip", "-o", "addr", "show", "dev", "eth0", "secondary"])?;
    ensure!(
        shown.contains(&own),
        "the own address is not secondary: {shown}"
    );
    agent.stop()?;
    watch.wait_absent(PATIENCE)?;
    ensure!(has_address(h1, &own)?, "the own address went along");
    let setting = ["cat", "/proc/sys/net/ipv4/conf/eth0/promote_secondaries"];
    ensure!(h1.run(&setting)?.trim() == "0", "the setting has changed");
    Ok(())
}

/// The same by a reload that takes the first of several addresses away.
#[test]
fn an_address_that_a_reload_takes_away_takes_no_other_along() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    without_promotion(h1)?;
    let with = |addresses: &[&str]| Instance {
        addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
        ..instance(100)
    };
    let agent = Agent::master(h1, with(&["10.98.0.100/24", "10.98.0.101/24"]))?;
    let second = h1.vip_watch("10.98.0.101".parse()?)?;
    let begin = now();
    agent.reload_with(with(&["10.98.0.101/24"]))?;
    h1.vip_watch("10.98.0.100".parse()?)?
        .wait_absent(PATIENCE)?;
    second
        .undisturbed_since(begin)
        .context("the address that stays was away")
}

/// Every host has the same file: if it were a fault, none of them would serve any address.
#[test]
fn an_excluded_address_that_is_refused_is_shown_and_tried_again() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let refused = "fd00::99/64";
    let disable = "net/ipv6/conf/eth0/disable_ipv6";
    h1.ns().sysctl(disable, "1")?;
    let both = |it: Instance| it.with("excluded", vec![refused.to_owned()]);
    let agent = Agent::master(h1, both(instance(100)))?;
    agent.wait("the missing address", |found| {
        let missing = found.missing.first();
        missing.is_some_and(|it| it.what.contains(refused) && it.why.contains("IPv6"))
    })?;
    ensure!(agent.state()? == State::Master);
    h1.ns().sysctl(disable, "0")?;
    agent.wait("nothing missing", |found| found.missing.is_empty())?;
    ensure!(has_address(h1, refused)?);

    // The same of one that a reload brings.
    h1.ns().sysctl(disable, "1")?;
    agent.wait_state(State::Master, PATIENCE)?;
    let more = both(instance(100)).with(
        "excluded",
        vec![refused.to_owned(), "fd00::98/64".to_owned()],
    );
    agent.reload_with(more)?;
    agent.wait("the missing addresses", |found| !found.missing.is_empty())?;
    ensure!(agent.state()? == State::Master);
    Ok(())
}

#[test]
fn a_backup_says_at_once_that_its_address_is_on_its_interface() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let _master = Agent::master(h1, instance(100))?;
    // As a killed keepalived leaves it, in another form than is configured.
    h2.run(&["ip", "addr", "add", "10.99.0.100/32", "dev", "eth0"])?;
    let backup = Agent::start(h2, instance(90))?;
    backup.process().wait_for_line(
        "10.99.0.100 is on the interface although this host is not master",
        PATIENCE,
    )?;
    ensure!(
        has_address(h2, "10.99.0.100/32")?,
        "it is not ours to remove"
    );
    Ok(())
}

/// Something removes the address again and again.
#[test]
fn a_fight_over_an_address_is_no_busy_loop() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    let agent = Agent::master(h1, instance(100))?;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let removed = now();
        h1.run(&["ip", "addr", "del", ADDRESS, "dev", "eth0"])?;
        wait_until(PATIENCE, "away and back", || {
            watch.changes_since(removed).len() >= 2
        })?;
        waits.push(now().since(removed).to_duration());
    }
    let pause = Duration::from_millis(900);
    ensure!(waits[..3].iter().all(|wait| *wait < pause), "{waits:?}");
    ensure!(waits[3] >= pause, "{waits:?}");
    ensure!(agent.state()? == State::Master);
    Ok(())
}

/// Nothing of the host changes when descriptors are to be had again.
#[test]
fn sockets_that_could_not_be_had_are_opened_once_they_can_be() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let config = AgentConfig::new(h1, instance(100));
    let agent = Agent::master(h1, &config)?;
    let pid = agent.process().pid().to_string();
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let open: HashSet<u32> = open
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // Enough for the file that is read, and not for two sockets of each: a descriptor is the lowest free number.
    let last = (0..).filter(|number| !open.contains(number)).nth(3);
    let limit = last.context("descriptors have no end")? + 1;
    h1.run(&["prlimit", &format!("--nofile={limit}:"), "--pid", &pid])?;
    let mut more = config.clone();
    let names: Vec<String> = (52..60).map(|vrid| format!("more{vrid}")).collect();
    for (vrid, name) in (52..).zip(&names) {
        more.instance.push(Instance {
            name: name.clone(),
            vrid,
            addresses: vec![format!("10.99.0.{vrid}/24")],
            ..instance(100)
        });
    }
    Agent::write_config(h1, &more)?;
    h1.run(&["kill", "-HUP", &pid])?;
    agent
        .process()
        .wait_for_line("Too many open files", PATIENCE)?;
    h1.run(&["prlimit", "--nofile=1024:", "--pid", &pid])?;
    for name in &names {
        agent.wait_instance(name, "master", PATIENCE, |found| {
            found.state == State::Master
        })?;
    }
    Ok(())
}

/// The same of a virtual MAC, whose device was up and answered for the address.
#[test]
fn the_device_of_a_crashed_master_goes_though_the_router_cannot_take_part() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let agent = Agent::master(h1, instance(100).with("virtual_mac", true))?;
    let device = agent.only()?.virtual_mac.context("no device")?.device;
    agent.process().kill()?;
    h1.run(&["ip", "addr", "del", &own_address(h1), "dev", "eth0"])?;
    let is_there = || h1.try_run(&["ip", "link", "show", &device]);
    ensure!(
        is_there()?.code == Some(0),
        "a killed agent removes nothing"
    );
    let agent = Agent::start_again(h1)?;
    agent.wait_state(State::Fault, PATIENCE)?;
    wait_until(PATIENCE, "the device is gone", || {
        is_there().is_ok_and(|said| said.code != Some(0))
    })?;
    h1.run(&["ip", "addr", "add", &own_address(h1), "dev", "eth0"])?;
    agent.wait_state(State::Master, PATIENCE)?;
    ensure!(is_there()?.code == Some(0));
    Ok(())
}
