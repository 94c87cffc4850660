//! What the agent writes into its log, and in which form.

use anyhow::{Result, ensure};
use ha_tests::lab::advert::{Advert, Sum};
use ha_tests::lab::agent::{Agent, Launch, State};
use ha_tests::lab::agent_config::AgentConfig;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Lab, require_root_and_tools};

/// What every line of the XDP program begins with.
const OF_XDP: &str = "XDP program: ";

/// Sends an advert with a wrong checksum to the only host and waits until it is counted.
fn reject_one(lab: &Lab, agent: &Agent) -> Result<()> {
    let advert = Advert {
        sum: Sum::Wrong,
        ..Advert::default()
    };
    lab.client_host().forger()?.send(&advert.frame())?;
    agent.wait_instance("web", "one refused advert", PATIENCE, |it| {
        it.counters.rejects.get("checksum") == Some(&1)
    })?;
    Ok(())
}

fn launch(lab: &Lab, options: &[&'static str]) -> Result<Agent> {
    let h1 = lab.host(1);
    Agent::write_config(h1, &AgentConfig::new(h1, instance(100)))?;
    let launch = Launch {
        options: options.to_vec(),
        ..Launch::default()
    };
    let agent = Agent::launch(h1, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    Ok(agent)
}

#[test]
fn debugging_shows_what_the_xdp_program_says_of_a_rejected_advert() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(1)?;
    let agent = launch(&lab, &["--log-level", "info,ha_ebpf=debug"])?;
    reject_one(&lab, &agent)?;
    let line = agent.process().wait_for_line(OF_XDP, PATIENCE)?.text;
    ensure!(
        line.contains("DEBUG") && line.contains("vrid 51: rejected"),
        "{line}"
    );
    Ok(())
}

#[test]
fn without_the_switch_the_xdp_program_is_silent() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(1)?;
    let agent = launch(&lab, &[])?;
    reject_one(&lab, &agent)?;
    // The driver's own line about the same advert comes later than the XDP program's would.
    agent
        .process()
        .wait_for_line("are rejected: checksum", PATIENCE)?;
    let lines = agent.process().lines();
    ensure!(
        !lines.iter().any(|line| line.text.contains(OF_XDP)),
        "{lines:?}"
    );
    Ok(())
}
