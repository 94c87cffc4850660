//! Other hosts that claim a master's addresses: by adverts of a lower priority, and by ARP and neighbour
//! discovery.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::{Instant, Nanos};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::announcement::{gratuitous_arp, unsolicited_advert};
use ha_tests::lab::capture::Frame;
use ha_tests::lab::clock::now;
use ha_tests::lab::decode::Arp;
use ha_tests::lab::pair::{INTERVAL, LATENESS, PATIENCE, instance};
use ha_tests::lab::{Capture, Host, Lab, VIP, wait_until};
use toml::Value;

/// Beside the one in the adverts.
const EXCLUDED: u32 = 500;
/// All of them.
const ADDRESSES: usize = 501;
/// Adverts a second, and for how long.
const RATE: u32 = 100;
const STORM: Duration = Duration::from_secs(4);
/// Within which a claim is answered.
const AT_ONCE: Duration = Duration::from_millis(100);

const SIX: &str = "2001:db8::7";

/// Announced once on take-over, so that all that follows answers somebody.
fn quiet(priority: u8) -> Instance {
    let garp = toml::toml! { count = 1
    repeat_count = 0
    refresh = "0s" };
    instance(priority).with("garp", garp)
}

/// Gratuitous ARP of this host.
fn announced(capture: &Capture, host: &Host, since: Instant) -> Vec<Frame> {
    let frames = capture.frames_since(since).into_iter();
    let own = frames.filter(|frame| frame.is_from(host));
    own.filter(|frame| frame.arp().is_some_and(Arp::is_gratuitous))
        .collect()
}

#[test]
fn adverts_of_a_lower_priority_are_answered_at_once_and_then_ever_more_rarely() -> Result<()> {
    let lab = Lab::new(2)?;
    let (master, other) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let first = u32::from(Ipv4Addr::new(10, 98, 0, 1));
    let addresses = (first..first + EXCLUDED).map(Ipv4Addr::from);
    let entries = addresses.map(|it| Value::from(format!("{it}/32")));
    let config = quiet(100).with("excluded", entries.collect::<Vec<_>>());
    let begin = now();
    let agent = Agent::master(master, config)?;
    wait_until(PATIENCE, "every address announced", || {
        announced(&capture, master, begin).len() == ADDRESSES
    })?;

    let advert = Advert {
        priority: 50,
        source: IpAddr::V4(other.ipv4()),
        ethernet_source: other.mac(),
        ..Advert::default()
    };
    let begin = now();
    let storm = other.forger()?.storm(&[advert.frame()], RATE, STORM)?;
    ensure!(storm.sent == u64::from(RATE) * STORM.as_secs(), "{storm:?}");
    let end = now();
    let frames = capture.frames_since(begin);
    ensure!(capture.dropped() == 0, "the capture is not complete");

    // At once, and after pauses of 100 ms, 400 ms and 1.6 s; the next one is of 6.4 s.
    let sent = announced(&capture, master, begin);
    let rounds = sent.len() / ADDRESSES;
    ensure!((2..=4).contains(&rounds), "{} announcements", sent.len());
    ensure!(sent.len() <= 4 * ADDRESSES, "{} announcements", sent.len());
    let all_of_first = sent.get(ADDRESSES - 1).context("a whole round")?;
    let after = all_of_first.at.since(begin).to_duration();
    ensure!(after < AT_ONCE, "the first answer took {after:?}");

    // One at each interval, and one more for the claims within it.
    let own = frames.iter().filter(|frame| frame.is_from(master));
    let adverts = own.filter(|frame| frame.vrrp().is_some()).count();
    let intervals = end.since(begin).0 / Nanos(u64::try_from(INTERVAL.as_nanos())?).0 + 1;
    ensure!(
        u64::try_from(adverts)? <= 2 * intervals,
        "{adverts} adverts in {intervals} intervals"
    );
    agent.wait_state(State::Master, PATIENCE)
}

#[test]
fn a_claim_by_arp_or_neighbour_discovery_is_answered_at_once_and_shown() -> Result<()> {
    let lab = Lab::new(2)?;
    let (master, other) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let config = quiet(100).with("excluded", vec![Value::from(format!("{SIX}/64"))]);
    let agent = Agent::master(master, config)?;
    let six: IpAddr = SIX.parse()?;
    capture.wait_announcement(master, six, Instant(0), PATIENCE)?;
    ensure!(agent.only()?.claims.count == 0);

    let forger = other.forger()?;
    let arp = gratuitous_arp(other.mac(), Ipv4Addr::new(10, 99, 0, 100));
    let begin = now();
    forger.send(&arp)?;
    answered(&capture, master, VIP, begin, AT_ONCE)?;
    wait_until(PATIENCE, "the claim in the status", || {
        agent.only().is_ok_and(|it| it.claims.count == 1)
    })?;

    // After the first pause, which is no longer than that.
    let begin = now();
    forger.send(&unsolicited_advert(
        other.mac(),
        other.link_local(),
        SIX.parse()?,
    ))?;
    answered(&capture, master, six, begin, AT_ONCE + LATENESS)?;
    let claims = agent.only()?.claims;
    ensure!(claims.count == 2 && claims.by.len() == 1, "{claims:?}");
    let by = claims.by.first().context("a claimant")?;
    let mac = other.mac().map(|octet| format!("{octet:02x}")).join(":");
    ensure!(
        by.mac == mac && by.address == six && by.count == 2,
        "{by:?}"
    );
    let said = agent.process().lines();
    let said: Vec<&str> = said
        .iter()
        .map(|line| line.text.as_str())
        .filter(|text| text.contains("which this host holds as master"))
        .collect();
    let once = format!("{mac} claims {VIP}, ");
    ensure!(
        said.len() == 1 && said.iter().all(|text| text.contains(&once)),
        "{said:?}"
    );
    Ok(())
}

/// The neighbours are told within the time.
fn answered(
    capture: &Capture,
    master: &Host,
    address: IpAddr,
    since: Instant,
    within: Duration,
) -> Result<()> {
    let answer = capture.wait_announcement(master, address, since, PATIENCE)?;
    let after = answer.at.since(since).to_duration();
    ensure!(after < within, "{address} was announced after {after:?}");
    Ok(())
}

/// Of different virtual routers, so that no advert makes one of them yield.
#[test]
fn two_masters_of_one_address_do_not_answer_each_other_without_end() -> Result<()> {
    let lab = Lab::new(2)?;
    let capture = lab.capture()?;
    let begin = now();
    // One after the other: a claim is one to who is master already.
    let agents = [(1, 51), (2, 52)].map(|(number, vrid)| {
        let host = lab.host(number);
        let one = Instance { vrid, ..quiet(100) };
        let agent = Agent::master(host, one)?;
        Ok(agent)
    });
    let agents = agents.into_iter().collect::<Result<Vec<_>>>()?;
    for agent in &agents {
        // At take-over, at once, and after 100 ms, 400 ms, 1.6 s and 6.4 s.
        let sent = || announced(&capture, agent.host(), begin);
        wait_until(PATIENCE, "six announcements", || sent().len() >= 6)?;
        let span = sent()[5].at.since(sent()[1].at).to_duration();
        ensure!(
            span > Duration::from_secs(8),
            "the last five within {span:?}"
        );
        ensure!(agent.only()?.claims.count >= 5);
    }
    Ok(())
}
