//! `ha-agent upgrade`: the installed program goes on in the same process, and nothing moves.

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{State, invoke};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, TIMING, instance};
use ha_tests::lab::{Host, Pair};

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
