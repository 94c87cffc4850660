//! The virtual addresses: held against others, cleared after a crash, announced as often as they ought.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, Launch, State, cleanup};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, at_deadline, by_auto, instance};
use ha_tests::lab::refused_calls::{Fault, Kind};
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};
use toml::toml;

#[test]
fn an_address_that_somebody_removes_is_put_back_counted_and_announced() -> Result<()> {
    let pair = Pair::start()?;
    let removed = now();
    pair.h1()
        .run(&["ip", "addr", "del", "10.99.0.100/24", "dev", "eth0"])?;
    pair.capture
        .wait_announcement(pair.h1(), VIP, removed, PATIENCE)?;
    // The watch may hear of either later than the wire.
    wait_until(PATIENCE, "away and back", || {
        pair.on_master.changes_since(removed).len() >= 2
    })?;
    let changes = pair.on_master.changes_since(removed);
    ensure!(changes.len() == 2, "away and back: {changes:?}");
    let away = changes[1].at.since(changes[0].at).to_duration();
    ensure!(away < LATENESS, "it was away for {away:?}");
    pair.master
        .process()
        .wait_for_line("restored 10.99.0.100/24", PATIENCE)?;
    let found = pair.master.only()?;
    ensure!(found.counters.vip_restored == 1 && found.state == State::Master);
    ensure!(found.addresses[0].present && found.transitions == 2);
    ensure!(pair.backup.state()? == State::Backup);
    Ok(())
}

#[test]
fn an_address_that_a_crash_left_behind_is_removed_and_an_administrators_is_not() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    let unpinned = Launch {
        pin_dir: Some(PathBuf::from("/proc/ha-agent")),
        ..Launch::default()
    };
    Agent::write_config(h1, instance(100))?;
    let agent = Agent::launch(h1, &unpinned)?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.process().kill()?;
    ensure!(watch.present(), "a killed agent cannot remove anything");
    let theirs = "10.99.0.101/24";
    h1.run(&["ip", "addr", "add", theirs, "dev", "eth0"])?;

    let two = Instance {
        addresses: vec!["10.99.0.100/24".to_owned(), theirs.to_owned()],
        ..instance(100)
    };
    let admins = h1.vip_watch("10.99.0.101".parse()?)?;
    let begin = now();
    Agent::write_config(h1, two)?;
    let agent = Agent::launch(h1, &unpinned)?;
    let line = agent
        .process()
        .wait_for_line("left behind by an earlier run", PATIENCE)?;
    ensure!(line.text.contains("10.99.0.100/24"), "{}", line.text);
    agent.wait_state(State::Master, PATIENCE)?;
    ensure!(
        watch.changes_since(begin).len() == 2,
        "removed at the start, added as master"
    );
    admins
        .undisturbed_since(begin)
        .context("an administrator's address was touched")?;
    Ok(())
}

#[test]
fn an_address_that_was_there_before_stays_when_the_master_leaves() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let theirs = "10.99.0.101";
    let added = format!("{theirs}/24");
    h1.run(&["ip", "addr", "add", &added, "dev", "eth0"])?;
    let (admins, ours) = (h1.vip_watch(theirs.parse()?)?, h1.vip_watch(VIP)?);
    let two = Instance {
        addresses: vec!["10.99.0.100/24".to_owned(), added],
        ..instance(100)
    };
    // In order, and after a crash: the kernel half knows both as this router's.
    for crash in [false, true] {
        let agent = Agent::master(h1, two.clone())?;
        agent
            .process()
            .wait_for_line("10.99.0.101 already existed on the interface", PATIENCE)?;
        let agent = if crash {
            agent.process().kill()?;
            Agent::start_again(h1)?
        } else {
            agent
        };
        agent.wait_state(State::Master, PATIENCE)?;
        agent.stop()?;
        ours.wait_absent(PATIENCE)?;
        ensure!(admins.present(), "an administrator's address was removed");
    }
    Ok(())
}

#[test]
fn an_address_that_is_no_longer_configured_does_not_outlive_a_crash() -> Result<()> {
    let second = "10.99.0.101";
    // So slow that nobody takes over while the agent is away.
    let slow = |priority| Instance {
        advert_interval: Duration::from_secs(2),
        ..instance(priority)
    };
    let two = Instance {
        addresses: vec!["10.99.0.100/24".to_owned(), format!("{second}/24")],
        ..slow(100)
    };
    let pair = Pair::of(two, slow(90))?;
    let other = pair.h1().vip_watch(second.parse()?)?;
    ensure!(other.present());
    pair.master.process().kill()?;
    let killed = now();
    let _again = Agent::master(pair.h1(), slow(100))?;
    other.wait_absent(PATIENCE)?;
    pair.on_master
        .undisturbed_since(killed)
        .context("the address that stays has moved")?;
    pair.is_settled()
}

/// RFC 9568 sections 6.4.2 (arp, accept, expiry), 8.1.2 (announce);
/// RFC 3768 section 6.4.2 (arp, accept).
#[test]
fn all_addresses_of_an_instance_move_together() -> Result<()> {
    let addresses = ["10.99.0.100", "10.99.0.101", "10.99.0.102"];
    let several = |priority| Instance {
        addresses: addresses.map(|it| format!("{it}/24")).to_vec(),
        ..instance(priority)
    };
    let pair = Pair::of(several(100), several(90))?;
    let watches = addresses
        .iter()
        .map(|it| pair.h2().vip_watch(it.parse()?))
        .collect::<Result<Vec<_>>>()?;
    let cut = now();
    pair.cut_and_take_over(LATENESS)?;
    for (address, watch) in addresses.iter().zip(&watches) {
        watch.wait_present(PATIENCE)?;
        let address: IpAddr = address.parse()?;
        pair.capture
            .wait_announcement(pair.h2(), address, cut, PATIENCE)?;
    }
    let advert = pair.capture.wait_advert(pair.h2(), 90, cut, PATIENCE)?;
    let listed = &advert.vrrp().context("an advert")?.addresses;
    ensure!(listed.len() == 3, "{listed:?}");
    let found = pair.backup.only()?;
    ensure!(found.addresses.iter().all(|address| address.present));
    pair.heal()?;
    for watch in &watches {
        watch.wait_absent(PATIENCE)?;
    }
    Ok(())
}

/// RFC 9568 sections 6.4.2 (solicited, expiry), 8.2.2 (announce, duplicates).
#[test]
fn an_ipv6_instance_takes_over_with_neighbour_advertisements_and_without_waiting() -> Result<()> {
    let lab = Lab::new(2)?;
    let vip: IpAddr = "fd00:99::100".parse()?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    // Where the kernel would look for duplicates, the take-over must not wait for it.
    for host in [h1, h2] {
        for scope in ["all", "default", "eth0"] {
            host.ns()
                .sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "1")?;
        }
    }
    let capture = lab.capture()?;
    let (on_h1, on_h2) = (h1.vip_watch(vip)?, h2.vip_watch(vip)?);
    let six = |priority| Instance {
        addresses: vec!["fe80::100/64".to_owned(), "fd00:99::100/64".to_owned()],
        ..instance(priority)
    };
    let _first = Agent::master(h1, six(100))?;
    on_h1.wait_present(PATIENCE)?;
    let second = Agent::start(h2, six(90))?;
    second.wait("follows", |it| {
        it.state == State::Backup && it.master.is_some()
    })?;
    let cut = now();
    lab.block(h1)?;
    let takeover = capture.takeover(h2, vip, TIMING, cut, PATIENCE)?;
    at_deadline(&takeover, LATENESS)?;
    on_h2.wait_present(PATIENCE)?;
    let told = capture.wait_announcement(h2, vip, cut, PATIENCE)?;
    let advert = told
        .neighbour_advert()
        .context("not a neighbour advertisement")?;
    ensure!(
        advert.is_override() && advert.target_mac == Some(h2.mac()),
        "{advert:?}"
    );
    ensure!(advert.destination == "ff02::1".parse::<std::net::Ipv6Addr>()?);
    let shown = h2.run(&["ip", "-6", "addr", "show", "dev", "eth0"])?;
    ensure!(
        shown.contains("fd00:99::100/64") && !shown.contains("tentative"),
        "{shown}"
    );
    let heard = capture.wait_advert(h2, 90, cut, PATIENCE)?;
    let vrrp = heard.vrrp().context("an advert")?;
    ensure!(vrrp.source == IpAddr::V6(h2.link_local()) && vrrp.ttl == 255);
    lab.unblock(h1)?;
    on_h2.wait_absent(PATIENCE).map(drop)
}

/// RFC 9568 section 8.1.2 (announce), RFC 3768 section 8.2 (announce).
#[test]
fn an_address_is_announced_five_times_soon_and_five_times_later() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let capture = lab.capture()?;
    let garp = toml! { count = 5
    repeat_after = "600ms"
    repeat_count = 5 };
    let begin = now();
    let agent = Agent::start(h1, instance(100).with("garp", garp))?;
    let first = capture.wait_announcement(h1, VIP, begin, PATIENCE)?.at;
    agent.wait_state(State::Master, PATIENCE)?;
    adverts_pass(&capture, h1, 3)?;
    ensure!(
        capture.announcements(h1, VIP, begin) == 5,
        "{} in the first burst",
        capture.announcements(h1, VIP, begin)
    );
    let repeat = first + ha_common::units::Nanos(500_000_000);
    let second = capture.wait_announcement(h1, VIP, repeat, PATIENCE)?.at;
    let after = second.since(first).to_duration();
    ensure!(
        after >= Duration::from_millis(599) && after < Duration::from_millis(600) + LATENESS,
        "the second burst came after {after:?}"
    );
    adverts_pass(&capture, h1, 8)?;
    ensure!(
        capture.announcements(h1, VIP, begin) == 10,
        "{} in all",
        capture.announcements(h1, VIP, begin)
    );
    ensure!(agent.only()?.counters.garp_sent == 10);
    Ok(())
}

#[test]
fn a_refresh_goes_on_for_as_long_as_it_is_master() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let capture = lab.capture()?;
    let garp = toml! { count = 1
    repeat_after = "0s"
    refresh = "1s" };
    let agent = Agent::start(h1, instance(100).with("garp", garp))?;
    let mut since = now();
    agent.wait_state(State::Master, PATIENCE)?;
    let mut times = Vec::new();
    for _ in 0..3 {
        let frame = capture.wait_announcement(h1, VIP, since, PATIENCE)?;
        times.push(frame.at);
        since = frame.at + ha_common::units::Nanos(1);
    }
    for pair in times.windows(2) {
        let apart = pair[1].since(pair[0]).to_duration();
        ensure!(
            apart >= Duration::from_millis(998) && apart <= Duration::from_secs(1) + LATENESS,
            "{apart:?}"
        );
    }
    Ok(())
}

/// Waits until the host has sent that many adverts from now on.
fn adverts_pass(capture: &ha_tests::lab::Capture, host: &Host, count: usize) -> Result<()> {
    let mut since = now();
    for _ in 0..count {
        let advert = capture.wait_advert(host, 100, since, PATIENCE)?;
        since = advert.at + ha_common::units::Nanos(1);
    }
    Ok(())
}

/// Kernels before 5.18 keep no mark on an address, and a plain socket has no maps that outlive a crash.
#[test]
fn without_marks_an_address_that_a_crash_left_is_known_and_removed() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    let unmarked = Launch {
        inject: Some("no-marks"),
        ..Launch::default()
    };
    let written = h1.run_dir().join("placed.json");
    Agent::write_config(h1, instance(100).by("socket"))?;
    let agent = Agent::launch(h1, &unmarked)?;
    agent.wait_state(State::Master, PATIENCE)?;
    wait_until(PATIENCE, "it is written what may be placed", || {
        fs::read_to_string(&written).is_ok_and(|text| text.contains("10.99.0.100"))
    })?;
    agent.process().kill()?;
    ensure!(watch.present(), "it went with the agent");
    let again = Agent::launch(h1, &unmarked)?;
    again.wait_state(State::Master, PATIENCE)?;
    again.stop()?;
    watch.wait_absent(PATIENCE)?;
    ensure!(!written.exists(), "an orderly end leaves nothing");
    Ok(())
}

/// By its marks alone an agent would not know it from another agent's.
#[test]
fn an_address_that_a_crash_left_on_a_plain_socket_is_known_though_another_is_configured()
-> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watch = h1.vip_watch(VIP)?;
    let written = h1.run_dir().join("placed.json");
    let has_written = |address: &str| {
        fs::read_to_string(&written).is_ok_and(|text| text.contains(&format!("\"{address}\"")))
    };
    let other = Instance {
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..instance(100).by("socket")
    };
    for is_cleaned_up in [false, true] {
        let agent = Agent::master(h1, instance(100).by("socket"))?;
        watch.wait_present(PATIENCE)?;
        wait_until(PATIENCE, "it is written what was placed", || {
            has_written("10.99.0.100")
        })?;
        agent.process().kill()?;
        Agent::write_config(h1, other.clone())?;
        if is_cleaned_up {
            cleanup(h1)?;
            watch.wait_absent(PATIENCE)?;
            ensure!(!written.exists(), "nothing is left");
            continue;
        }
        let again = Agent::start_again(h1)?;
        again.wait_state(State::Master, PATIENCE)?;
        watch.wait_absent(PATIENCE)?;
        wait_until(PATIENCE, "it is written what is placed", || {
            has_written("10.99.0.101") && !has_written("10.99.0.100")
        })?;
        again.stop()?;
    }
    Ok(())
}

/// It was another virtual router's, and could not be removed at first.
#[test]
fn what_a_dead_router_had_is_not_taken_from_the_one_that_has_it_now() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let agent = Agent::master(h1, by_auto(100))?;
    agent.process().kill()?;
    let other = Instance {
        vrid: 52,
        ..instance(100).by("socket")
    };
    Agent::write_config(h1, other)?;
    let watch = h1.vip_watch(VIP)?;
    let started = now();
    // Until it is master, and not until it is tried again.
    let fault = Fault {
        kind: Kind::RemoveAddress,
        after: 0,
        lasting: Duration::from_millis(700),
        alone: true,
    };
    let (again, calls) = Agent::start_with_fault(h1, Some(fault))?;
    again.wait_state(State::Master, PATIENCE)?;
    ensure!(!again.status()?.leftovers.is_empty(), "nothing is left");
    wait_until(PATIENCE, "nothing is left any more", || {
        again.status().is_ok_and(|it| it.leftovers.is_empty())
    })?;
    ensure!(calls.refused() > 0);
    let changes = watch.changes_since(started);
    ensure!(changes.is_empty(), "{changes:?}");
    Ok(())
}
