//! `ha-agent upgrade`: the installed program goes on in the same process, and nothing moves.

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{State, config_file, invoke};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::hmac::{hmac, key};
use ha_tests::lab::pair::{PATIENCE, TIMING, instance};
use ha_tests::lab::{Host, Lab, Pair};

/// When the host sent adverts since then.
fn adverts_of(pair: &Pair, host: &Host, since: Instant) -> Vec<Instant> {
    let frames = pair.capture.frames_since(since).into_iter();
    frames
        .filter(|frame| frame.vrrp().is_some() && frame.is_from(host))
        .map(|frame| frame.at)
        .collect()
}

#[test]
fn an_upgrade_moves_nothing() -> Result<()> {
    let pair = Pair::auto()?;
    let before = pair.backup.only()?.transitions;
    let begin = now();
    let said = invoke(pair.h1(), &["upgrade"])?.ok()?;
    ensure!(said.out.contains("goes on as"), "{said:?}");
    pair.master.wait_state(State::Master, PATIENCE)?;
    pair.on_master
        .undisturbed_since(begin)
        .context("the address moved")?;
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    ensure!(pair.backup.state()? == State::Backup);
    ensure!(pair.backup.only()?.transitions == before);
    let sent = adverts_of(&pair, pair.h1(), begin);
    let gaps = sent.windows(2).map(|pair| pair[1].since(pair[0]));
    let longest = gaps.max().context("no adverts")?.to_duration();
    println!("the longest pause between two adverts was {longest:?}");
    ensure!(longest < TIMING.master_down(), "{longest:?}");
    let log = pair.master.process();
    log.wait_for_line("resumed as master after the restart", PATIENCE)?;
    // And it is not the last one.
    invoke(pair.h1(), &["upgrade"])?.ok()?;
    ensure!(pair.backup.only()?.transitions == before);
    pair.master.stop()
}

#[test]
fn a_program_that_cannot_carry_on_is_not_tried() -> Result<()> {
    let pair = Pair::of(instance(100).by("socket"), instance(90).by("socket"))?;
    let said = invoke(pair.h1(), &["upgrade"])?;
    ensure!(
        said.code != Some(0) && said.err.contains("plain socket"),
        "{said:?}"
    );
    pair.is_settled()
}

/// The next signed advert must not look like a recording, also where nothing but a counter says so.
#[test]
fn an_upgrade_of_a_signing_master_moves_nothing() -> Result<()> {
    let lab = Lab::new(2)?;
    let signing = |host: u8| -> Result<Instance> {
        let mut keyed = hmac(vec![key(lab.host(host), 1, 7)?], 1, "enforce");
        keyed.insert("replay".to_owned(), "monotonic".into());
        let priority = if host == 1 { 100 } else { 90 };
        Ok(instance(priority).with("hmac", keyed))
    };
    let (first, second) = (signing(1)?, signing(2)?);
    let pair = Pair::in_lab(lab, first, second)?;
    let before = pair.backup.only()?.transitions;
    for _ in 0..3 {
        let begin = now();
        invoke(pair.h1(), &["upgrade"])?.ok()?;
        pair.master.wait_state(State::Master, PATIENCE)?;
        pair.on_master.undisturbed_since(begin)?;
        let heard = pair.backup.only()?;
        pair.backup.wait_adverts(&heard, 3, PATIENCE)?;
    }
    let found = pair.backup.only()?;
    ensure!(found.transitions == before && found.counters.rejects.get("hmac_replay") == Some(&0));
    Ok(())
}

#[test]
fn a_program_that_rejects_the_configuration_is_not_tried() -> Result<()> {
    let pair = Pair::auto()?;
    std::fs::write(config_file(pair.h1()), "[[instance]]\n")?;
    let begin = now();
    let said = invoke(pair.h1(), &["upgrade"])?;
    ensure!(
        said.code == Some(3) && said.err.contains("stays as it is"),
        "{said:?}"
    );
    pair.on_master.undisturbed_since(begin)?;
    pair.is_settled()
}
