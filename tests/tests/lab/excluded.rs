//! Addresses in all their forms, and those that are not in the adverts: few, of both families, and a
//! thousand.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::Agent;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, instance};
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};
use toml::Value;

/// Within which all of a thousand addresses are announced: several times what it takes on an idle machine.
const ALL_ANNOUNCED: Duration = Duration::from_millis(300);

const FOUR: &str = "192.0.2.7";
const SIX: &str = "2001:db8::7";

fn with_excluded(priority: u8, excluded: Vec<Value>) -> Instance {
    instance(priority).with("excluded", excluded)
}

fn both_families(priority: u8) -> Instance {
    let entries = [format!("{FOUR}/24"), format!("{SIX}/64")];
    with_excluded(priority, entries.map(Value::from).to_vec())
}

/// That many addresses of which no advert can hold the list.
fn many(count: u32) -> Vec<IpAddr> {
    let first = u32::from(Ipv4Addr::new(10, 98, 0, 1));
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(first + n));
    (0..count).map(address).collect()
}

#[test]
fn excluded_addresses_of_both_families_move_and_are_announced_and_are_in_no_advert() -> Result<()> {
    let pair = Pair::of(both_families(100), both_families(90))?;
    let watches = [FOUR, SIX].map(|it| -> Result<_> {
        let address: IpAddr = it.parse()?;
        Ok((
            address,
            pair.h1().vip_watch(address)?,
            pair.h2().vip_watch(address)?,
        ))
    });
    let watches = watches.into_iter().collect::<Result<Vec<_>>>()?;
    let cut = now();
    pair.cut_and_take_over(LATENESS)?;
    for (address, on_h1, on_h2) in &watches {
        ensure!(on_h1.present(), "{address} was not on the master");
        on_h2.wait_present(PATIENCE)?;
        pair.capture
            .wait_announcement(pair.h2(), *address, cut, PATIENCE)?;
    }
    let advert = pair.capture.wait_advert(pair.h2(), 90, cut, PATIENCE)?;
    ensure!(advert.vrrp().context("an advert")?.addresses == [VIP]);
    let found = pair.backup.only()?;
    ensure!(found.excluded.len() == 2 && found.excluded.iter().all(|it| it.present));
    pair.heal()?;
    for (_, _, on_h2) in &watches {
        on_h2.wait_absent(PATIENCE)?;
    }
    Ok(())
}

/// A peer need not know of them.
#[test]
fn a_peer_without_them_finds_no_difference_in_the_lists() -> Result<()> {
    let pair = Pair::of(both_families(100), instance(90))?;
    let found = pair.backup.only()?;
    ensure!(found.notices.is_empty(), "{:?}", found.notices);
    Ok(())
}

#[test]
fn an_address_has_its_label_scope_and_broadcast_and_is_replaced_when_they_change() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let formed = |label: &str| -> Result<Instance> {
        let entry: toml::Table = format!(
            "address = \"{FOUR}/24\"\nlabel = \"{label}\"\nscope = \"link\"\nbroadcast = \"auto\"\n"
        )
        .parse()?;
        Ok(with_excluded(100, vec![Value::Table(entry)]))
    };
    let agent = Agent::master(h1, formed("eth0:vip")?)?;
    let shown = || h1.run(&["ip", "-4", "address", "show", "dev", "eth0"]);
    let line = "inet 192.0.2.7/24 brd 192.0.2.255 scope link eth0:vip";
    ensure!(shown()?.contains(line), "{}", shown()?);
    ensure!(agent.only()?.excluded[0].label.as_deref() == Some("eth0:vip"));

    let other = h1.vip_watch(VIP)?;
    let told = now();
    agent.reload_with(formed("eth0:web")?)?;
    wait_until(PATIENCE, "the new label", || {
        shown().is_ok_and(|text| text.contains("eth0:web"))
    })?;
    ensure!(!shown()?.contains("eth0:vip"), "{}", shown()?);
    other
        .undisturbed_since(told)
        .context("the other address has moved")?;
    agent.stop()?;
    ensure!(!shown()?.contains(FOUR), "{}", shown()?);
    Ok(())
}

#[test]
fn what_a_crash_left_of_them_goes_with_the_configuration_that_had_them() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let watches = [FOUR, SIX].map(|it| h1.vip_watch(it.parse()?));
    let watches = watches.into_iter().collect::<Result<Vec<_>>>()?;
    let agent = Agent::master(h1, both_families(100))?;
    for watch in &watches {
        watch.wait_present(PATIENCE)?;
    }
    agent.process().kill()?;
    let vip = h1.vip_watch(VIP)?;
    let killed = now();
    let _again = Agent::master(h1, instance(100))?;
    for watch in &watches {
        watch.wait_absent(PATIENCE)?;
    }
    vip.undisturbed_since(killed)
        .context("the one that stays has moved")?;
    Ok(())
}

#[test]
fn a_thousand_addresses_are_taken_over_announced_and_given_back() -> Result<()> {
    let addresses = many(1000);
    let entries = |priority| {
        let entries = addresses.iter().map(|it| Value::from(format!("{it}/32")));
        with_excluded(priority, entries.collect())
    };
    let pair = Pair::of(entries(100), entries(90))?;
    let cut = now();
    let takeover = pair.cut_and_take_over(LATENESS)?;
    let last = *addresses.last().context("a thousand")?;
    pair.capture
        .wait_announcement(pair.h2(), last, cut, PATIENCE)?;
    let frames = pair.capture.frames_since(cut);
    ensure!(pair.capture.dropped() == 0, "the capture is not complete");
    let mut firsts = HashMap::new();
    for frame in frames.iter().filter(|frame| frame.is_from(pair.h2())) {
        if let Some(arp) = frame.arp().filter(|arp| arp.is_gratuitous()) {
            firsts.entry(IpAddr::V4(arp.sender)).or_insert(frame.at);
        }
    }
    let silent: Vec<_> = addresses
        .iter()
        .filter(|it| !firsts.contains_key(it))
        .collect();
    ensure!(silent.is_empty(), "not announced: {silent:?}");
    let last = firsts.values().max().context("announcements")?;
    let after = last.since(takeover.first_advert).to_duration();
    ensure!(
        after < ALL_ANNOUNCED,
        "the last one was announced after {after:?}"
    );
    ensure!(count(pair.h2())? == 1001, "{}", count(pair.h2())?);
    let found = pair.backup.only()?;
    ensure!(found.excluded.iter().all(|it| it.present));
    pair.heal()?;
    wait_until(PATIENCE, "all of them gone", || {
        count(pair.h2()).is_ok_and(|left| left == 0)
    })
}

/// How many of the virtual addresses a host has.
fn count(host: &Host) -> Result<usize> {
    let text = host.run(&["ip", "-4", "-o", "address", "show", "dev", "eth0"])?;
    let own = format!("inet {}/", host.ipv4());
    Ok(text.lines().filter(|line| !line.contains(&own)).count())
}
