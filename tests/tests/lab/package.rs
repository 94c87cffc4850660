//! The package on a fresh Debian with systemd: what it installs, what an upgrade keeps, what is left.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{INTERVAL, PATIENCE};
use ha_tests::nspawn::deployment::{instance, single, switch_on};
use ha_tests::nspawn::node::CONFIG;
use ha_tests::nspawn::{Deployment, Node, package};

/// What the papers say, which is what counts.
const SECURITY: &str = include_str!("../../../docs/SECURITY.md");

#[test]
fn a_fresh_installation_starts_nothing_and_its_sample_works_as_it_stands() -> Result<()> {
    let (nodes, _lab) = switch_on(1)?;
    let node = nodes.first().context("a machine")?;
    package::bring(&node.machine)?;
    let install = ["apt-get", "install", "--yes"];
    let said = node
        .machine
        .run(&[&install[..], &[package::INSIDE]].concat())?;
    ensure!(said.contains("systemctl enable --now ha-agent"), "{said}");
    ensure!(node.property("ActiveState")? == "inactive");
    ensure!(node.property("UnitFileState")? == "disabled");
    ensure!(node.program()?.is_none() && node.pins()?.is_empty());

    node.machine.run(&["ha-agent", "check-config", CONFIG])?;
    node.must(&["enable", "--quiet", "--now"])?;
    node.wait_instance("master", |it| it.state == State::Master)?;
    node.watch.wait_present(PATIENCE)?;
    node.wait_check("up", |check| check.state == "up")
}

#[test]
fn an_upgrade_keeps_the_edited_file_and_moves_nothing() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let edited = it.first.machine.read(CONFIG)?;
    let pid = it.first.property("MainPID")?;
    let (before, mark) = (now(), it.first.journal.mark());
    it.first.install()?;
    ensure!(it.first.machine.read(CONFIG)? == edited);
    it.first
        .journal
        .wait_after(mark, "resumed as master after the restart", PATIENCE)?;
    it.address_has_not_moved(before)?;
    ensure!(
        it.first.property("MainPID")? == pid,
        "the service was restarted"
    );
    ensure!(it.first.property("ActiveState")? == "active");
    ensure!(it.first.property("UnitFileState")? == "enabled");
    Ok(())
}

#[test]
fn a_purge_leaves_nothing_behind_and_the_other_takes_over() -> Result<()> {
    let it = Deployment::start(INTERVAL)?;
    let program = it.first.program()?.context("no program is attached")?;
    it.first
        .machine
        .run(&["apt-get", "purge", "--yes", "ha-agent"])?;
    it.second.watch.wait_present(PATIENCE)?;
    nothing_is_left(&it.first, program)
}

#[test]
fn a_purge_takes_along_what_an_agent_that_died_has_left() -> Result<()> {
    let (node, _lab) = single(instance(100, INTERVAL))?;
    node.must(&["start"])?;
    node.watch.wait_present(PATIENCE)?;
    let program = node.program()?.context("no program is attached")?;
    // It is not started again, as after a reset that an administrator forgot.
    let dropin = "/run/systemd/system/ha-agent.service.d";
    node.machine.run(&["mkdir", "--parents", dropin])?;
    node.machine
        .write(&format!("{dropin}/once.conf"), "[Service]\nRestartSec=1h\n")?;
    node.machine.run(&["systemctl", "daemon-reload"])?;
    let mark = node.journal.mark();
    node.must(&["kill", "--signal=KILL"])?;
    node.journal
        .wait_after(mark, "Failed with result", PATIENCE)?;
    ensure!(node.watch.present() && node.program()? == Some(program));
    node.machine.run(&["rm", "--recursive", dropin])?;
    node.machine.run(&["dpkg", "--purge", "ha-agent"])?;
    nothing_is_left(&node, program)
}

fn nothing_is_left(node: &Node, program: u32) -> Result<()> {
    node.watch.wait_absent(PATIENCE)?;
    node.is_clean_of(program)?;
    // The machine's own file systems and all that is mounted in them, but for processes.
    let find = "find / -path /proc -prune -o -name '*ha-agent*' -print";
    let found = node.machine.run(&["sh", "-c", find])?;
    ensure!(found.is_empty(), "left behind:\n{found}");
    ensure!(node.property("LoadState")? == "not-found");
    Ok(())
}

#[test]
fn the_sandbox_is_as_tight_as_the_papers_say() -> Result<()> {
    let (node, _lab) = single(instance(100, Duration::from_secs(1)))?;
    let argv = [
        "systemd-analyze",
        "security",
        "--no-pager",
        "ha-agent.service",
    ];
    let said = node.machine.run(&argv)?;
    let exposure = said
        .lines()
        .find_map(|line| line.split("ha-agent.service: ").nth(1)?.split(' ').next())
        .with_context(|| format!("no verdict in {said}"))?;
    let claim = format!("`systemd-analyze security ha-agent.service` rates it {exposure}");
    ensure!(SECURITY.contains(&claim), "docs/SECURITY.md lacks: {claim}");
    Ok(())
}
