//! Announcements one by one, for switches and neighbours that lose some of many at once.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Agent, Lab, wait_until};

/// How many addresses, and how often each is announced.
const ADDRESSES: u8 = 20;
const ROUNDS: usize = 2;
/// Between two announcements.
const GAP: Duration = Duration::from_millis(20);
/// The agent's clock and the capture's time stamp the same frame at slightly different times.
const EARLINESS: Duration = Duration::from_millis(1);

#[test]
fn with_a_gap_every_address_is_announced_and_no_two_come_closer() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let capture = lab.capture()?;
    let mut garp = toml::Table::new();
    garp.insert("count".to_owned(), 2.into());
    garp.insert("repeat_count".to_owned(), 0.into());
    garp.insert("gap".to_owned(), "20ms".into());
    let mut one = instance(100).with("garp", garp);
    one.addresses = (1..=ADDRESSES).map(|n| format!("10.99.1.{n}/24")).collect();
    let begin = now();
    let _agent = Agent::master(host, one)?;
    let all = usize::from(ADDRESSES) * ROUNDS;
    let announcements = || {
        let frames = capture.frames_since(begin);
        let own = frames.into_iter().filter(|it| it.is_from(host));
        own.filter(|it| {
            it.arp()
                .is_some_and(ha_tests::lab::decode::Arp::is_gratuitous)
        })
        .collect::<Vec<_>>()
    };
    wait_until(PATIENCE, "every announcement", || {
        announcements().len() >= all
    })?;
    let sent = announcements();
    ensure!(sent.len() == all && capture.dropped() == 0);
    for number in 1..=ADDRESSES {
        let address = IpAddr::from([10, 99, 1, number]);
        let of_it = sent.iter().filter(|it| it.announces(address)).count();
        ensure!(of_it == ROUNDS, "{address}: {of_it}");
    }
    for two in sent.windows(2) {
        let apart = two[1].at.since(two[0].at).to_duration();
        ensure!(apart + EARLINESS >= GAP, "only {apart:?} apart");
    }
    // The driver did not wait meanwhile: its adverts went on.
    let adverts = capture.frames_since(begin);
    let adverts = adverts
        .iter()
        .filter(|it| it.is_from(host) && it.vrrp().is_some());
    ensure!(adverts.count() >= 8);
    Ok(())
}

/// How many addresses one portion of a refresh has, and how far apart portions are.
const PORTION: usize = 16;
const APART: Duration = Duration::from_millis(100);

#[test]
fn a_refresh_of_many_addresses_is_no_burst() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let capture = lab.capture()?;
    let garp = toml::toml! { count = 1
    repeat_count = 0
    refresh = "4s" };
    let mut one = instance(100).with("garp", garp);
    one.addresses = (1..=200).map(|n| format!("10.99.1.{n}/24")).collect();
    let _agent = Agent::master(host, one)?;
    let of_all = || {
        let frames = capture.frames().into_iter();
        let own = frames.filter(|it| it.is_from(host));
        own.filter(|it| {
            it.arp()
                .is_some_and(ha_tests::lab::decode::Arp::is_gratuitous)
        })
        .collect::<Vec<_>>()
    };
    wait_until(PATIENCE, "the first refresh", || of_all().len() >= 400)?;
    ensure!(capture.dropped() == 0);
    let refresh = of_all().split_off(200);
    for number in 1..=200 {
        let address = IpAddr::from([10, 99, 1, number]);
        ensure!(refresh.iter().any(|it| it.announces(address)), "{address}");
    }
    // A portion that comes late may be near the next one.
    for many in refresh.windows(2 * PORTION + 1) {
        let span = many[2 * PORTION].at.since(many[0].at).to_duration();
        ensure!(span + EARLINESS >= APART, "{} in {span:?}", many.len());
    }
    Ok(())
}
