//! What an interface becomes, and who comes to it, while the agent's program is there.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent::{self, State};
use ha_tests::lab::clock::now;
use ha_tests::lab::foreign::Foreign;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Agent, Lab, Pair};

const VRID: u8 = 51;

/// How often an agent looks for others on its host.
const LOOKS_EVERY: Duration = Duration::from_secs(10);

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

/// Neither hears the other: what a host sends itself it does not receive.
#[test]
fn a_second_agent_of_the_same_router_on_this_host_is_named_by_both() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let first = Agent::master(h1, instance(100))?;
    let mut command = Command::new(agent::program()?);
    command
        .arg("run")
        .arg("--config")
        .arg(agent::config_file(h1));
    command.arg("--runtime-dir").arg(h1.dir().join("other-run"));
    command.arg("--pin-dir").arg(h1.dir().join("other-pins"));
    let second = h1.spawn("second", command)?;
    let said = |pid| format!("ha-agent (pid {pid}) runs VRID 51 on eth0 of this host as well");
    second.wait_for_line(&said(first.process().pid()), PATIENCE)?;
    first
        .process()
        .wait_for_line(&said(second.pid()), LOOKS_EVERY + PATIENCE)?;
    let shown = agent::invoke(h1, &["status"])?.out;
    ensure!(shown.contains("runs VRID 51 on eth0"), "{shown}");
    Ok(())
}

#[test]
fn another_program_that_receives_vrrp_on_this_host_is_named() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let agent = Agent::master(h1, instance(100))?;
    let other = h1.spawn("other", {
        let mut command = Command::new("python3");
        command.args([
            "-c",
            "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112); time.sleep(1000)",
        ]);
        command
    })?;
    let said = format!("(pid {}) receives VRRP on this host as well", other.pid());
    let waits = LOOKS_EVERY + PATIENCE;
    agent.process().wait_for_line(&said, waits).map(|_| ())
}
