//! What the agent tells a service manager, which is played by a socket of the test's own.

use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::Lab;
use ha_tests::lab::agent::{Agent, invoke};
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::service_manager::ServiceManager;

/// Longer than any of this takes.
const UNHURRIED: Duration = Duration::from_mins(1);

#[test]
fn ready_is_said_once_status_is_answered_with_the_instances() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let manager = ServiceManager::listen(h1)?;
    Agent::write_config(h1, instance(100))?;
    let agent = Agent::launch(h1, &manager.launch(UNHURRIED))?;
    manager.wait_for("READY=1", PATIENCE)?;
    let status = agent.status()?;
    ensure!(status.instances.len() == 1, "{status:?}");
    Ok(())
}

#[test]
fn an_agent_that_is_refused_is_never_ready() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let first = Agent::start(h1, instance(100))?;
    first.process().wait_for_line("started with", PATIENCE)?;
    let manager = ServiceManager::listen(h1)?;
    let second = Agent::launch(h1, &manager.launch(UNHURRIED))?;
    let end = second.process().wait(PATIENCE)?;
    ensure!(end.status.code() == Some(7), "{end:?}");
    // Whatever it said is in the socket by now.
    let said = manager.next(Duration::ZERO)?;
    ensure!(said.is_none(), "{said:?}");
    Ok(())
}

#[test]
fn a_reload_by_signal_and_the_end_are_announced() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let manager = ServiceManager::listen(h1)?;
    Agent::write_config(h1, instance(100))?;
    let agent = Agent::launch(h1, &manager.launch(UNHURRIED))?;
    manager.wait_for("READY=1", PATIENCE)?;
    agent.process().signal(Signal::HUP)?;
    manager.wait_for("RELOADING=1", PATIENCE)?;
    manager.wait_for("READY=1", PATIENCE)?;
    agent.process().signal(Signal::TERM)?;
    manager.wait_for("STOPPING=1", PATIENCE)?;
    ensure!(agent.process().wait(PATIENCE)?.status.success());
    let said = invoke(h1, &["status"])?;
    ensure!(said.code == Some(5), "{said:?}");
    Ok(())
}
