//! What an interface becomes, and who comes to it, while the agent's program is there.

use anyhow::{Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::clock::now;
use ha_tests::lab::foreign::Foreign;
use ha_tests::lab::pair::PATIENCE;
use ha_tests::lab::{Agent, Pair};

const VRID: u8 = 51;

/// Waits until some note, or none, has these words.
fn wait_noted(agent: &Agent, words: &str, is_noted: bool) -> Result<()> {
    let what = format!("`{words}` is noted: {is_noted}");
    agent.wait(&what, |it| {
        it.datapath.notes.iter().any(|note| note.contains(words)) == is_noted
    })?;
    Ok(())
}

#[test]
fn a_tc_program_that_comes_before_ours_later_is_named_while_it_is_there() -> Result<()> {
    let pair = Pair::auto()?;
    ensure!(pair.backup.only()?.datapath.notes.is_empty());
    let theirs = Foreign::tc(pair.h2())?;
    wait_noted(&pair.backup, "run before ours", true)?;
    wait_noted(&pair.backup, "ha_ingress", true)?;
    pair.backup
        .process()
        .wait_for_line("run before ours", PATIENCE)?;
    drop(theirs);
    wait_noted(&pair.backup, "run before ours", false)?;
    pair.is_settled()
}

/// Nothing can be heard then, as behind a firewall; what can be done is to say so.
#[test]
fn a_tc_program_that_drops_adverts_before_ours_makes_a_second_master_that_says_why() -> Result<()> {
    let pair = Pair::auto()?;
    let deaf = now();
    let theirs = Foreign::dropping(pair.h2(), VRID)?;
    pair.takeover_since(deaf)?;
    wait_noted(&pair.backup, "what they drop is not received", true)?;
    drop(theirs);
    // It yields as soon as it hears the better one.
    pair.backup.wait_state(State::Backup, PATIENCE)?;
    pair.on_backup.wait_absent(PATIENCE)?;
    wait_noted(&pair.backup, "what they drop is not received", false)
}

#[test]
fn an_interface_that_becomes_a_bridges_port_is_noted_and_its_master_goes_on_being_heard()
-> Result<()> {
    let pair = Pair::start()?;
    let before = pair.backup.only()?;
    let host = pair.h2();
    host.ns().batch(
        "link add name br9 type bridge\n\
         link set br9 up\n\
         link set eth0 master br9\n",
    )?;
    wait_noted(&pair.backup, "is a port of bridge br9", true)?;
    let after = pair.backup.wait_adverts(&before, 20, PATIENCE)?;
    ensure!(after.transitions == before.transitions, "{after:?}");
    host.ns().batch("link set eth0 nomaster\n")?;
    wait_noted(&pair.backup, "is a port of", false)?;
    pair.is_settled()
}
