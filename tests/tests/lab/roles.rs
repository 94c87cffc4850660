//! Owners and learned intervals.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::capture::Timing;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{EARLINESS, INTERVAL, LATENESS, PATIENCE, instance};
use ha_tests::lab::{Agent, Lab, Pair, VIP};

/// RFC 9568 section 6.4.1 (owner): it does not listen first.
#[test]
fn an_owner_is_master_at_once_and_takes_the_addresses_from_anybody() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let slow = |priority| Instance {
        advert_interval: Duration::from_secs(1),
        ..instance(priority)
    };
    let (on_h1, on_h2) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let other = Agent::master(h2, slow(254))?;
    let begin = now();
    let owner = Agent::start(h1, slow(255))?;
    let taken = on_h1.wait_present(PATIENCE)?;
    let took = taken.since(begin).to_duration();
    ensure!(took < Duration::from_secs(2), "it listened for {took:?}");
    on_h2.wait_absent(PATIENCE)?;
    other.wait_state(State::Backup, PATIENCE)?;
    let last = owner.only()?.last_transition.context("none")?;
    ensure!(last.cause.contains("owner"), "{}", last.cause);
    Ok(())
}

/// RFC 9568 section 6.4.1 knows the owner by its own address being the virtual one.
#[test]
fn an_owner_whose_only_address_is_the_virtual_one_keeps_it_when_it_leaves() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.run(&["ip", "address", "flush", "dev", "eth0", "scope", "global"])?;
    h1.run(&["ip", "address", "add", "10.99.0.100/24", "dev", "eth0"])?;
    let watch = h1.vip_watch(VIP)?;
    let capture = lab.capture()?;
    let begin = now();
    let owner = Agent::master(h1, instance(255))?;
    let advert = capture.wait_advert(h1, 255, begin, PATIENCE)?;
    ensure!(advert.vrrp().is_some_and(|it| it.source == VIP));
    owner.stop()?;
    ensure!(watch.present());
    watch.undisturbed_since(begin)?;
    Ok(())
}

/// RFC 9568 sections 6.4.2 (learn), 7.1 (interval-equal, interval-report).
#[test]
fn a_backup_reckons_with_the_masters_interval_and_says_that_it_is_not_its_own() -> Result<()> {
    let slow = Instance {
        advert_interval: Duration::from_secs(5),
        ..instance(90)
    };
    let pair = Pair::of(instance(100), slow)?;
    let notices = pair.backup.only()?.notices;
    ensure!(
        notices.iter().any(|it| it.text.contains("interval")),
        "{notices:?}"
    );
    let cut = now();
    pair.lab.block(pair.h1())?;
    let learned = Timing {
        interval: INTERVAL,
        priority: 90,
    };
    let takeover = pair
        .capture
        .takeover(pair.h2(), VIP, learned, cut, PATIENCE)?;
    let waited = takeover
        .first_advert
        .since(takeover.last_advert)
        .to_duration();
    ensure!(
        waited + EARLINESS >= learned.master_down() && waited <= learned.master_down() + LATENESS,
        "waited {waited:?}"
    );
    Ok(())
}
