//! A backup on whose interface an address of ours is left: it is kept quiet, since its slot is not master.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{Launch, State};
use ha_tests::lab::ask::{EVERYBODY, arp_request};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, by_auto};
use ha_tests::lab::{Agent, Host, Pair, VIP, wait_until};

/// An ARP request for the virtual address, to everybody.
fn who_has(from: [u8; 6]) -> Vec<u8> {
    let own = Ipv4Addr::new(10, 99, 0, 250);
    arp_request(EVERYBODY, from, own, Ipv4Addr::new(10, 99, 0, 100))
}

fn answers(pair: &Pair, host: &Host, since: Instant) -> bool {
    pair.capture.frames_since(since).iter().any(|frame| {
        let arp = frame.arp().filter(|arp| arp.operation == 2);
        frame.is_from(host)
            && arp.is_some_and(|arp| IpAddr::from(arp.sender) == VIP && !arp.is_gratuitous())
    })
}

/// Host 2 has taken over and come back as backup, and the kernel has refused to remove the address from it.
fn left_behind() -> Result<Pair> {
    let launch = Launch {
        inject: Some("keep-addresses"),
        ..Launch::default()
    };
    let pair = Pair::launched(by_auto(100), by_auto(90), &launch)?;
    pair.cut_and_take_over(LATENESS)?;
    pair.lab.unblock(pair.h1())?;
    pair.backup.wait_state(State::Backup, PATIENCE)?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    Ok(pair)
}

#[test]
fn a_backup_that_cannot_remove_the_address_does_not_answer_for_it() -> Result<()> {
    let pair = left_behind()?;
    let asker = pair.lab.client_host();
    let forger = asker.forger()?;
    let ask = who_has(asker.mac());
    ensure!(pair.on_backup.present(), "it could be removed");
    pair.backup.wait("is closed", |it| {
        it.fence.state == "closed" && it.fence.closed == [VIP]
    })?;
    for _ in 0..3 {
        let question = now();
        forger.send(&ask)?;
        wait_until(PATIENCE, "the master answers", || {
            answers(&pair, pair.h1(), question)
        })?;
        // An answer takes microseconds; so long is the next advert away at most.
        let last = pair
            .capture
            .wait_advert(pair.h1(), 100, now(), PATIENCE)?
            .at;
        pair.capture.wait_advert(pair.h1(), 100, last, PATIENCE)?;
        ensure!(
            !answers(&pair, pair.h2(), question),
            "the backup answers for an address that another host holds"
        );
    }
    let fence = pair.backup.only()?.fence;
    ensure!(
        fence.not_master_in >= 3 && fence.dropped_in == 0,
        "{fence:?}"
    );

    // What is gone is not closed any more, and what an administrator adds never was.
    pair.h2()
        .run(&["ip", "address", "del", "10.99.0.100/24", "dev", "eth0"])?;
    pair.backup.wait("is open", |it| it.fence.state == "down")?;
    pair.h2()
        .run(&["ip", "address", "add", "10.99.0.100/24", "dev", "eth0"])?;
    let question = now();
    forger.send(&ask)?;
    wait_until(PATIENCE, "an administrator's address answers", || {
        answers(&pair, pair.h2(), question)
    })
}

/// What it could not remove is its own again when it takes over, and passes.
#[test]
fn a_backup_that_could_not_remove_the_address_serves_it_when_it_takes_over_again() -> Result<()> {
    let pair = left_behind()?;
    let asker = pair.lab.client_host();
    let forger = asker.forger()?;
    pair.cut_and_take_over(LATENESS)?;
    pair.backup.wait_state(State::Master, PATIENCE)?;
    let question = now();
    forger.send(&who_has(asker.mac()))?;
    wait_until(PATIENCE, "the new master answers", || {
        answers(&pair, pair.h2(), question)
    })?;
    let fence = pair.backup.only()?.fence;
    ensure!(
        fence.state == "down" && fence.closed.is_empty(),
        "{fence:?}"
    );
    Ok(())
}

/// Before the program that drops what comes for it is replaced, and after.
#[test]
fn an_address_that_a_killed_backup_has_left_stays_closed_until_the_next_agent_has_removed_it()
-> Result<()> {
    let mut pair = left_behind()?;
    pair.backup
        .wait("is closed", |it| it.fence.state == "closed")?;
    let asker = pair.lab.client_host();
    let forger = asker.forger()?;
    let ask = who_has(asker.mac());
    let host = pair.h2().clone();
    pair.backup.process().kill()?;
    let killed = now();
    forger.send(&ask)?;
    wait_until(PATIENCE, "the master answers", || {
        answers(&pair, pair.h1(), killed)
    })?;
    pair.backup = Agent::start_again(&host)?;
    while pair.on_backup.present() {
        let question = now();
        forger.send(&ask)?;
        wait_until(PATIENCE, "the master answers", || {
            answers(&pair, pair.h1(), question)
        })?;
    }
    pair.backup.wait_state(State::Backup, PATIENCE)?;
    pair.backup.wait("is open", |it| it.fence.state == "down")?;
    ensure!(
        !answers(&pair, pair.h2(), killed),
        "what a dead agent has left answers"
    );
    Ok(())
}
