//! The device of a virtual MAC from its making to its end, and what others do to it meanwhile.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, cleanup};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::refused_calls::{Fault, Kind};
use ha_tests::lab::virtual_mac::{ROUTERS, Router, device, is_up, nothing_left, setting, written};
use ha_tests::lab::{Capture, Host, Lab, wait_until};

/// The IPv4 one, where the family makes no difference.
const ROUTER: Router = ROUTERS[0];

/// A master on a host of its own.
fn master(lab: &Lab, router: &Router) -> Result<Agent> {
    let host = lab.host(1);
    let agent = Agent::master(host, router.instance(100))?;
    ensure!(is_up(host, router.device)?, "no device that is up");
    Ok(agent)
}

/// The host, and nobody else, answers for the address.
fn answers_alone(lab: &Lab, capture: &Capture, router: &Router) -> Result<()> {
    lab.asker(capture)?
        .wait_held_by(lab.host(1), router.vip, PATIENCE)
}

#[test]
fn a_master_that_leaves_says_so_from_the_virtual_mac_and_leaves_nothing() -> Result<()> {
    for router in ROUTERS {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        let capture = lab.capture()?;
        let agent = master(&lab, &router)?;
        let interface = format!("ipv4/conf/{}", Host::INTERFACE);
        ensure!(setting(h1, &format!("{interface}/arp_ignore"))? == "1");
        ensure!(setting(h1, &format!("{interface}/arp_announce"))? == "2");
        let left = now();
        agent.stop()?;
        let farewell = capture.wait_advert(h1, 0, left, PATIENCE)?;
        ensure!(farewell.bytes.get(6..12) == Some(router.mac.as_slice()));
        nothing_left(h1)?;
    }
    Ok(())
}

#[test]
fn what_an_administrator_has_set_on_the_interface_is_not_lowered_and_comes_back() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let key = |key: &str| format!("ipv4/conf/{}/{key}", Host::INTERFACE);
    h1.ns().sysctl(&format!("net/{}", key("arp_ignore")), "2")?;
    h1.ns()
        .sysctl(&format!("net/{}", key("arp_announce")), "1")?;
    let agent = master(&lab, &ROUTER)?;
    ensure!(setting(h1, &key("arp_ignore"))? == "2" && setting(h1, &key("arp_announce"))? == "2");
    agent.stop()?;
    ensure!(setting(h1, &key("arp_ignore"))? == "2" && setting(h1, &key("arp_announce"))? == "1");
    Ok(())
}

#[test]
fn a_reload_makes_and_removes_devices() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let capture = lab.capture()?;
    let agent = master(&lab, &ROUTER)?;
    let reload = |instance: Instance, device: Option<&str>| -> Result<()> {
        let priority = instance.priority;
        agent.reload_with(instance)?;
        let is_so = |it: &agent_status::Instance| {
            let shown = it.virtual_mac.as_ref().filter(|mac| mac.up);
            it.state == State::Master
                && it.priority.base == priority
                && shown.map(|mac| mac.device.as_str()) == device
                && it.addresses.iter().all(|address| address.present)
        };
        agent.wait("is as it is to be", is_so).map(drop)
    };
    reload(instance(100), None)?;
    nothing_left(h1)?;
    answers_alone(&lab, &capture, &ROUTER)?;
    reload(ROUTER.instance(100), Some(ROUTER.device))?;
    ensure!(is_up(h1, ROUTER.device)?);
    let other = |priority| Instance {
        vrid: 77,
        ..ROUTER.instance(priority)
    };
    reload(other(100), Some("vrrp4-77"))?;
    ensure!(device(h1, ROUTER.device)?.is_none());
    let found = device(h1, "vrrp4-77")?.context("no device of the new VRID")?;
    ensure!(found["address"] == "00:00:5e:00:01:4d", "{found}");
    reload(other(90), Some("vrrp4-77"))?;
    let again = device(h1, "vrrp4-77")?.context("no device")?;
    ensure!(again["ifindex"] == found["ifindex"], "it was made anew");
    agent.stop()?;
    ensure!(device(h1, "vrrp4-77")?.is_none());
    nothing_left(h1)
}

#[test]
fn an_agent_that_is_killed_leaves_the_device_and_the_next_one_takes_it_on() -> Result<()> {
    for router in ROUTERS {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        let capture = lab.capture()?;
        let vip = h1.vip_watch(router.vip)?;
        let agent = master(&lab, &router)?;
        let before = device(h1, router.device)?.context("no device")?;
        let killed = now();
        agent.process().kill()?;
        answers_alone(&lab, &capture, &router)?;
        let agent = Agent::start_again(h1)?;
        agent.wait_state(State::Master, PATIENCE)?;
        vip.undisturbed_since(killed)
            .context("the address has moved")?;
        let after = device(h1, router.device)?.context("no device")?;
        ensure!(before["ifindex"] == after["ifindex"] && is_up(h1, router.device)?);
        let begin = now();
        let advert = capture.wait_advert(h1, 100, begin, PATIENCE)?;
        ensure!(advert.bytes.get(6..12) == Some(router.mac.as_slice()));
        agent.stop()?;
        nothing_left(h1)?;
    }
    Ok(())
}

/// The fence is the interface's, which all that comes to the device has passed.
#[test]
fn a_master_that_stands_still_answers_no_more_once_another_has_the_address() -> Result<()> {
    for router in ROUTERS {
        let lab = Lab::new(2)?;
        let (h1, h2) = (lab.host(1), lab.host(2));
        let capture = lab.capture()?;
        let first = master(&lab, &router)?;
        let second = Agent::start(h2, router.instance(90))?;
        second.wait_state(State::Backup, PATIENCE)?;
        first.process().signal(Signal::STOP)?;
        second.wait_state(State::Master, PATIENCE)?;
        let asker = lab.asker(&capture)?;
        asker.wait_held_by(h2, router.vip, PATIENCE)?;
        ensure!(is_up(h1, router.device)?, "a stopped agent removes nothing");
        first.process().signal(Signal::CONT)?;
        asker.wait_held_by(h1, router.vip, PATIENCE)?;
        second.wait_state(State::Backup, PATIENCE)?;
        wait_until(PATIENCE, "the backup's device goes down", || {
            is_up(h2, router.device).is_ok_and(|up| !up)
        })?;
    }
    Ok(())
}

#[test]
fn what_a_killed_agent_left_is_removed_by_cleanup_or_by_one_that_wants_it_no_more() -> Result<()> {
    for by_cleanup in [true, false] {
        let lab = Lab::new(1)?;
        let h1 = lab.host(1);
        let agent = master(&lab, &ROUTER)?;
        agent.process().kill()?;
        ensure!(is_up(h1, ROUTER.device)?, "a killed agent removes nothing");
        if by_cleanup {
            let said = cleanup(h1)?;
            ensure!(said.out.contains("removed vrrp4-51"), "{}", said.out);
        } else {
            let agent = Agent::start(h1, instance(100))?;
            agent
                .process()
                .wait_for_line("removed vrrp4-51", PATIENCE)?;
            agent.wait_state(State::Master, PATIENCE)?;
        }
        nothing_left(h1)?;
    }
    Ok(())
}

#[test]
fn a_device_of_somebody_else_keeps_the_instance_out_and_stays() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let mac = written(ROUTER.mac);
    let make = format!("link add vrrp4-51 link eth0 address {mac} type macvlan mode private\n");
    h1.ns().batch(&make)?;
    let agent = Agent::start(h1, ROUTER.instance(100))?;
    let found = agent.wait("says why", |it| {
        let reason = it.reason.as_deref().unwrap_or_default();
        reason.contains("its alias does not mark it as made by ha-agent")
    })?;
    ensure!(found.state != State::Master);
    h1.run(&["ip", "link", "del", ROUTER.device])?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.stop()?;
    nothing_left(h1)
}

#[test]
fn an_interface_without_macs_is_refused_in_words() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.run(&["ip", "addr", "add", "192.0.2.1/24", "dev", "lo"])?;
    let on_lo = Instance {
        interface: "lo".to_owned(),
        addresses: vec!["192.0.2.100/24".to_owned()],
        ..ROUTER.instance(100)
    }
    .by("auto");
    let agent = Agent::start(h1, on_lo)?;
    agent.wait("says why", |it| {
        let reason = it.reason.as_deref().unwrap_or_default();
        reason.contains("a virtual MAC needs an Ethernet interface, and lo is the loopback")
    })?;
    Ok(())
}

#[test]
fn a_device_that_somebody_deletes_or_switches_off_is_put_back_and_counted() -> Result<()> {
    for router in ROUTERS {
        for undo in ["link del", "link set down"] {
            let lab = Lab::new(1)?;
            let h1 = lab.host(1);
            let capture = lab.capture()?;
            let agent = master(&lab, &router)?;
            let done = now();
            h1.ns().batch(&format!("{undo} {}\n", router.device))?;
            let found = agent.wait("has put it back", |it| {
                it.counters.vip_restored > 0 && it.addresses.iter().all(|it| it.present)
            })?;
            ensure!(found.state == State::Master && found.transitions == 2);
            ensure!(is_up(h1, router.device)?, "{undo}");
            let told = capture.wait_announcement(h1, router.vip, done, PATIENCE)?;
            ensure!(told.bytes.get(6..12) == Some(router.mac.as_slice()));
            answers_alone(&lab, &capture, &router)?;
            agent.stop()?;
            nothing_left(h1)?;
        }
    }
    Ok(())
}

#[test]
fn a_backups_device_that_somebody_switches_on_is_switched_off_again() -> Result<()> {
    let lab = Lab::new(2)?;
    let _first = master(&lab, &ROUTER)?;
    let h2 = lab.host(2);
    let backup = Agent::start(h2, ROUTER.instance(90))?;
    backup.wait_state(State::Backup, PATIENCE)?;
    h2.run(&["ip", "link", "set", ROUTER.device, "up"])?;
    backup.process().wait_for_line(
        "vrrp4-51 was switched on by something else; switched off again",
        PATIENCE,
    )?;
    ensure!(!is_up(h2, ROUTER.device)?);
    Ok(())
}

/// Nothing tells of it a second time.
#[test]
fn what_the_kernel_refuses_of_a_device_is_said_and_asked_for_again() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    Agent::write_config(h1, ROUTER.instance(100))?;
    let (agent, calls) = Agent::start_with_fault(h1, None)?;
    agent.wait_state(State::Master, PATIENCE)?;
    for (undo, missing) in [
        ("link set vrrp4-51 down\n", "device vrrp4-51 switched on"),
        (
            "link set eth0 mtu 1400\nlink set eth0 mtu 1500\n",
            "MTU and VRF of eth0 on device vrrp4-51",
        ),
    ] {
        calls.refuse(Fault {
            kind: Kind::SetDevice,
            after: 0,
            lasting: Duration::ZERO,
            alone: true,
        });
        h1.ns().batch(undo)?;
        agent.wait("says what is missing", |it| {
            it.missing.iter().any(|it| it.what == missing)
        })?;
        agent.wait("misses nothing any more", |it| it.missing.is_empty())?;
        ensure!(is_up(h1, ROUTER.device)?, "{undo}");
    }
    let found = device(h1, ROUTER.device)?.context("no device")?;
    ensure!(found["mtu"] == 1500, "{found}");
    Ok(())
}

#[test]
fn the_interface_may_change_its_mac_its_state_its_name_and_its_life() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let agent = master(&lab, &ROUTER)?;
    let is_mac = || -> Result<()> {
        let found = device(h1, ROUTER.device)?.context("no device")?;
        ensure!(found["address"] == *written(ROUTER.mac), "{found}");
        Ok(())
    };
    let run = |words: &str| h1.ns().batch(&format!("{words}\n"));
    run("link set eth0 address 02:99:00:00:00:77")?;
    is_mac()?;

    run("link set eth0 down")?;
    agent.wait_state(State::Fault, PATIENCE)?;
    run("link set eth0 up")?;
    agent.wait_state(State::Master, PATIENCE)?;
    is_mac()?;
    ensure!(is_up(h1, ROUTER.device)?);

    run("link set eth0 down")?;
    run("link set eth0 name lan0")?;
    agent.wait_state(State::Fault, PATIENCE)?;
    wait_until(PATIENCE, "the device goes", || {
        device(h1, ROUTER.device).is_ok_and(|it| it.is_none())
    })?;
    ensure!(setting(h1, "ipv4/conf/lan0/arp_ignore")? == "0");
    run("link set lan0 name eth0")?;
    run("link set eth0 up")?;
    agent.wait_state(State::Master, PATIENCE)?;
    is_mac()?;

    lab.unplug(h1)?;
    agent.wait_state(State::Fault, PATIENCE)?;
    lab.replug(h1)?;
    agent.wait_state(State::Master, PATIENCE)?;
    is_mac()?;
    agent.stop()?;
    nothing_left(h1)
}
