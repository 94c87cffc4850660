//! Signed adverts between agents: who is believed, who is not, and how a segment comes to them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{State, invoke};
use ha_tests::lab::agent_config::{Instance, far_peer};
use ha_tests::lab::clock::now;
use ha_tests::lab::hmac::{hmac, key};
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, at_deadline, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Agent, Host, Lab, Pair, VIP, keepalived, wait_until};

/// Length of a trailer in bytes.
const TRAILER: usize = 28;

fn signing(host: &Host, priority: u8, mode: &str) -> Result<Instance> {
    let keys = vec![key(host, 1, 0xa7)?];
    Ok(instance(priority).with("hmac", hmac(keys, 1, mode)))
}

/// Host 1 leads and host 2 follows, both enforcing; `edit` makes them speak in some other way.
fn pair_of(edit: impl Fn(Instance, &Lab, u8) -> Instance) -> Result<Pair> {
    let lab = Lab::new(2)?;
    let first = edit(signing(lab.host(1), 100, "enforce")?, &lab, 2);
    let second = edit(signing(lab.host(2), 90, "enforce")?, &lab, 1);
    Pair::in_lab(lab, first, second)
}

fn pair() -> Result<Pair> {
    pair_of(|it, _, _| it)
}

fn rejects(agent: &Agent, reason: &str) -> Result<u64> {
    let rejects = agent.only()?.counters.rejects;
    rejects.get(reason).copied().context("no such reason")
}

/// Whether adverts of a host carry a trailer: the last one since then.
fn is_signed(pair: &Pair, host: &Host, since: Instant) -> Result<bool> {
    let frame = pair
        .capture
        .wait_for("an advert", since, PATIENCE, |frame| {
            frame.is_from(host) && frame.vrrp().is_some()
        })?;
    // Ethernet, IPv4, eight bytes and one address.
    let plain = 14 + 20 + 8 + 4;
    ensure!(frame.bytes.len() >= plain);
    Ok(frame.bytes.len() >= plain + TRAILER)
}

/// It has heard nothing that it did not believe, and did not move.
fn is_content(agent: &Agent, transitions: u64) -> Result<()> {
    let found = agent.only()?;
    ensure!(
        found.counters.rejects.values().all(|count| *count == 0),
        "{:?}",
        found.counters.rejects
    );
    ensure!(found.transitions == transitions, "it moved");
    Ok(())
}

#[test]
fn adverts_are_verified_in_the_kernel_and_a_silent_master_is_replaced_in_time() -> Result<()> {
    let pair = pair()?;
    ensure!(is_signed(&pair, pair.h1(), now())?);
    let shown = invoke(pair.h2(), &["status"])?;
    ensure!(
        shown.out.contains("enforce, verified in the kernel"),
        "{}",
        shown.out
    );
    is_content(&pair.backup, pair.backup.only()?.transitions)?;
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    // The farewell is signed, too: it counts.
    let told = now();
    pair.master.process().signal(Signal::TERM)?;
    let farewell = pair.capture.wait_advert(pair.h1(), 0, told, PATIENCE)?.at;
    let first = pair
        .capture
        .wait_advert(pair.h2(), 90, farewell, PATIENCE)?
        .at;
    let waited = first.since(farewell).to_duration();
    ensure!(waited <= TIMING.skew() + LATENESS, "{waited:?}");
    Ok(())
}

#[test]
fn the_same_holds_by_a_plain_socket() -> Result<()> {
    let pair = pair_of(|it, _, _| it.by("socket"))?;
    let shown = invoke(pair.h2(), &["status"])?;
    ensure!(shown.out.contains("verified in the agent"), "{}", shown.out);
    is_content(&pair.backup, pair.backup.only()?.transitions)?;
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn the_same_holds_in_version_2_by_unicast_and_without_pseudo_header() -> Result<()> {
    let pair = pair_of(|it, _, _| it.with("checksum", "payload"))?;
    pair.cut_and_take_over(LATENESS)?;
    let pair = pair_of(|it, lab, peer| it.to_peers(&[lab.host(peer).ipv4().into()]))?;
    is_content(&pair.backup, pair.backup.only()?.transitions)?;
    let pair = pair_of(|it, _, _| Instance {
        version: 2,
        advert_interval: Duration::from_secs(1),
        ..it
    })?;
    is_content(&pair.backup, pair.backup.only()?.transitions)
}

#[test]
fn the_same_holds_over_ipv6() -> Result<()> {
    for unicast in [false, true] {
        let lab = Lab::new(2)?;
        let (h1, h2) = (lab.host(1), lab.host(2));
        let six = |host: &Host, peer: &Host, priority| -> Result<Instance> {
            let it = Instance {
                addresses: vec!["fe80::100/64".to_owned(), "fd00:99::100/64".to_owned()],
                ..signing(host, priority, "enforce")?
            };
            Ok(if unicast {
                it.with("peers", vec![far_peer(peer.ipv6().into(), 255, 255)])
            } else {
                it
            })
        };
        let watch = h2.vip_watch("fd00:99::100".parse()?)?;
        let _master = Agent::master(h1, six(h1, h2, 100)?)?;
        let backup = Agent::start(h2, six(h2, h1, 90)?)?;
        backup.wait("follows the master", |it| {
            it.state == State::Backup && it.counters.adverts_received >= 5
        })?;
        is_content(&backup, 1)?;
        lab.block(h1)?;
        watch.wait_present(PATIENCE)?;
    }
    Ok(())
}

/// Host by host: each step is taken by both before the next, and nobody moves.
#[test]
fn a_segment_comes_to_signed_adverts_and_to_another_key_without_a_fail_over() -> Result<()> {
    let pair = Pair::start()?;
    let (h1, h2) = (pair.h1(), pair.h2());
    let begin = now();
    let moved =
        || -> Result<u64> { Ok(pair.backup.only()?.transitions + pair.master.only()?.transitions) };
    let before = moved()?;
    for mode in ["receive-only", "permissive", "enforce"] {
        pair.backup.reload_with(signing(h2, 90, mode)?)?;
        pair.master.reload_with(signing(h1, 100, mode)?)?;
        // One that was on its way may be of before.
        pair.capture.wait_advert(h1, 100, now(), PATIENCE)?;
        ensure!(
            is_signed(&pair, h1, now())? == (mode != "receive-only"),
            "{mode}"
        );
    }
    // Both know the new key before anybody signs with it, and forget the old one after.
    for (ids, active) in [(&[1, 2][..], 1), (&[1, 2], 2), (&[2], 2)] {
        for (agent, host, priority) in [(&pair.backup, h2, 90), (&pair.master, h1, 100)] {
            let keys = ids.iter().map(|id| key(host, *id, 0xa6 + *id));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            agent.reload_with(instance(priority).with("hmac", hmac(keys, active, "enforce")))?;
        }
        pair.capture.wait_advert(h1, 100, now(), PATIENCE)?;
    }
    let last = pair.capture.wait_advert(h1, 100, now(), PATIENCE)?;
    ensure!(
        last.bytes[14 + 20 + 12..][..2] == [1, 2],
        "{:?}",
        last.bytes
    );
    ensure!(moved()? == before, "somebody moved");
    let gap = pair
        .capture
        .frames_since(begin)
        .iter()
        .filter(|it| it.is_from(h1) && it.vrrp().is_some())
        .map(|it| it.at)
        .collect::<Vec<_>>()
        .windows(2)
        .map(|two| two[1].since(two[0]).to_duration())
        .max()
        .context("no adverts")?;
    ensure!(gap < TIMING.interval * 2, "a gap of {gap:?}");
    for agent in [&pair.master, &pair.backup] {
        let rejects = agent.only()?.counters.rejects;
        ensure!(rejects.values().all(|count| *count == 0), "{rejects:?}");
    }
    Ok(())
}

/// What an attacker on the segment can send: what he has recorded, and what he makes up.
#[test]
fn recorded_unsigned_and_forged_adverts_move_nothing_and_are_told_apart() -> Result<()> {
    let pair = pair()?;
    let (h1, h2) = (pair.h1(), pair.h2());
    let transitions = pair.backup.only()?.transitions;
    let recorded = pair.capture.wait_advert(h1, 100, now(), PATIENCE)?.bytes;
    // The next one makes it old.
    pair.capture.wait_advert(h1, 100, now(), PATIENCE)?;
    let attacker = pair.lab.client_host().forger()?;
    let mut unsigned = recorded.to_vec();
    unsigned.truncate(unsigned.len() - TRAILER);
    let total = u16::try_from(unsigned.len() - 14)?.to_be_bytes();
    unsigned[16..18].copy_from_slice(&total);
    ha_tests::vectors::build::sum_header_again(&mut unsigned);
    let mut forged = recorded.to_vec();
    // Another time, so that it is no replay, and with it the digest is wrong.
    forged[14 + 20 + 12 + 9] ^= 1;
    let at = forged.len() - 1;
    forged[at] ^= 1;
    for frame in [&recorded[..], &unsigned, &forged] {
        for _ in 0..10 {
            attacker.send(frame)?;
        }
    }
    wait_until(PATIENCE, "all are refused", || {
        let enough = |reason| rejects(&pair.backup, reason).is_ok_and(|count| count >= 10);
        enough("hmac_missing") && enough("hmac_replay")
    })?;
    let refused = ["hmac_digest", "hmac_stale", "hmac_replay"];
    let sum = refused.iter().map(|reason| rejects(&pair.backup, reason));
    ensure!(sum.sum::<Result<u64>>()? >= 20);
    let shown = invoke(h2, &["status"])?;
    ensure!(shown.out.contains("hmac: expected"), "{}", shown.out);
    ensure!(pair.backup.only()?.transitions == transitions);
    pair.is_settled()?;

    // A master that is dead is not kept alive by its own adverts.
    let cut = now();
    pair.lab.block(h1)?;
    let storm = std::thread::scope(|scope| {
        let noise = scope.spawn(|| {
            let frames = [recorded.to_vec(), unsigned.clone()];
            attacker.storm(&frames, 2000, TIMING.master_down() * 2)
        });
        let first = pair.capture.wait_advert(h2, 90, cut, PATIENCE);
        noise.join().map(|storm| (first, storm))
    });
    let Ok((first, storm)) = storm else {
        anyhow::bail!("the attacker panicked");
    };
    ensure!(storm?.sent > 100);
    let first = first?.at;
    let frames = pair.capture.frames_since(Instant(0));
    let last = frames
        .iter()
        .rev()
        .find(|it| it.is_from(h1) && it.vrrp().is_some() && it.at < cut)
        .context("no advert")?
        .at;
    let waited = first.since(last).to_duration();
    ensure!(
        waited <= TIMING.master_down() + LATENESS,
        "kept waiting for {waited:?}"
    );
    Ok(())
}

/// A router that cannot sign goes on beside one that is not strict yet.
#[test]
fn a_keepalived_without_signatures_is_heard_until_they_are_required() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let other = keepalived::Instance {
        priority: 110,
        interval: Duration::from_millis(100),
        ..keepalived::Instance::default()
    };
    let on_h1 = h1.vip_watch(VIP)?;
    let _keepalived = other.start(h1)?;
    on_h1.wait_present(PATIENCE)?;
    let agent = Agent::start(h2, signing(h2, 90, "permissive")?)?;
    agent.wait("follows keepalived", |it| {
        it.state == State::Backup && it.counters.adverts_received >= 5
    })?;
    is_content(&agent, 1)?;
    agent.reload_with(signing(h2, 90, "enforce")?)?;
    agent.wait("refuses keepalived", |it| {
        it.counters
            .rejects
            .get("hmac_missing")
            .is_some_and(|it| *it > 0)
    })?;
    Ok(())
}

/// A killed agent begins anew with the time that it is: its peers must not take that for a replay.
#[test]
fn a_restarted_master_is_believed_at_once() -> Result<()> {
    let pair = pair()?;
    pair.master.process().kill()?;
    let killed = now();
    let again = Agent::start_again(pair.h1())?;
    again.wait_state(State::Master, PATIENCE)?;
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    ensure!(rejects(&pair.backup, "hmac_replay")? == 0);
    pair.on_backup.undisturbed_since(killed)?;
    let takeover_due = pair.cut_and_take_over(LATENESS)?;
    at_deadline(&takeover_due, LATENESS)
}
