//! A network manager applies the same configuration again: what it takes away for a moment moves nothing.

use anyhow::{Result, ensure};
use ha_tests::lab::Pair;
use ha_tests::lab::agent::State;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::PATIENCE;

/// The host removes secondary addresses with their first one, as the kernel does by default: the virtual one goes too.
#[test]
fn a_masters_own_address_that_is_applied_again_moves_nothing() -> Result<()> {
    let pair = Pair::start()?;
    let own = format!("{}/24", pair.h1().ipv4());
    let removed = now();
    pair.h1()
        .ns()
        .batch(&format!("addr del {own} dev eth0\n"))?;
    pair.master
        .process()
        .wait_for_line("this master gives up in 3.0 s", PATIENCE)?;
    // Adverts go on without the address that they say they are from, and the virtual one is back.
    for _ in 0..5 {
        pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    }
    pair.on_master.wait_present(PATIENCE)?;
    pair.h1()
        .ns()
        .batch(&format!("addr add {own} dev eth0\n"))?;
    pair.master
        .process()
        .wait_for_line("has all it needs again", PATIENCE)?;
    pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    ensure!(pair.master.state()? == State::Master && pair.backup.state()? == State::Backup);
    pair.on_backup.undisturbed_since(removed)?;
    pair.is_settled()
}

/// The kernel's timer goes on, and what the program hears moves it: the backup takes over at the usual moment.
#[test]
fn a_backups_own_address_that_is_applied_again_costs_no_standby() -> Result<()> {
    let pair = Pair::start()?;
    let own = format!("{}/24", pair.h2().ipv4());
    let transitions = pair.backup.only()?.transitions;
    let removed = now();
    pair.h2()
        .ns()
        .batch(&format!("addr del {own} dev eth0\n"))?;
    pair.backup
        .process()
        .wait_for_line("this backup gives up in 3.0 s", PATIENCE)?;
    // Longer than it may not hear its master.
    for _ in 0..5 {
        pair.capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    }
    pair.h2()
        .ns()
        .batch(&format!("addr add {own} dev eth0\n"))?;
    pair.backup
        .process()
        .wait_for_line("has all it needs again", PATIENCE)?;
    let backup = pair.backup.only()?;
    ensure!(
        backup.follows() && backup.transitions == transitions,
        "{backup:#?}"
    );
    pair.on_backup.undisturbed_since(removed)?;
    pair.is_settled()
}

#[test]
fn a_masters_own_address_that_stays_away_is_a_clean_way_out() -> Result<()> {
    let pair = Pair::start()?;
    let removed = now();
    pair.h1()
        .ns()
        .batch(&format!("addr del {}/24 dev eth0\n", pair.h1().ipv4()))?;
    // Priority 0, so that nobody waits.
    pair.capture.wait_advert(pair.h1(), 0, removed, PATIENCE)?;
    pair.moved_away()?;
    let found = pair
        .master
        .wait("in FAULT", |it| it.state == State::Fault)?;
    ensure!(
        found
            .reason
            .is_some_and(|it| it.contains("no address to send from"))
    );
    Ok(())
}
