//! What the agent writes into its log, and in which form.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::Lab;
use ha_tests::lab::advert::{Advert, Sum};
use ha_tests::lab::agent::{Agent, Launch, State, config_file, invoke};
use ha_tests::lab::agent_config::{AgentConfig, Check};
use ha_tests::lab::pair::{PATIENCE, instance};
use serde_json::Value;

/// What every line of the BPF programs begins with.
const OF_PROGRAM: &str = "BPF program: ";

/// Sends an advert with a wrong checksum to the only host and waits until it is counted.
fn reject_one(lab: &Lab, agent: &Agent) -> Result<()> {
    let advert = Advert {
        sum: Sum::Wrong,
        ..Advert::default()
    };
    lab.client_host().forger()?.send(&advert.frame())?;
    agent.wait("one refused advert", |it| {
        it.counters.rejects.get("checksum") == Some(&1)
    })?;
    Ok(())
}

fn launch(lab: &Lab, options: &[&'static str]) -> Result<Agent> {
    let h1 = lab.host(1);
    Agent::write_config(h1, instance(100))?;
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
    let lab = Lab::new(1)?;
    let agent = launch(&lab, &["--log-level", "info,ha_ebpf=debug"])?;
    reject_one(&lab, &agent)?;
    let line = agent.process().wait_for_line(OF_PROGRAM, PATIENCE)?.text;
    ensure!(
        line.contains("DEBUG") && line.contains("vrid 51: rejected"),
        "{line}"
    );
    Ok(())
}

#[test]
fn without_the_switch_the_xdp_program_is_silent() -> Result<()> {
    let lab = Lab::new(1)?;
    let agent = launch(&lab, &[])?;
    reject_one(&lab, &agent)?;
    // The driver's own line about the same advert comes later than the BPF program's would.
    agent
        .process()
        .wait_for_line("are rejected: checksum", PATIENCE)?;
    let lines = agent.process().lines();
    ensure!(
        !lines.iter().any(|line| line.text.contains(OF_PROGRAM)),
        "{lines:?}"
    );
    Ok(())
}

#[test]
fn as_json_every_line_is_an_object_and_a_transition_has_its_parts() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let mut config = AgentConfig::new(h1, instance(100));
    config
        .node
        .extra
        .insert("log_format".to_owned(), "json".into());
    let agent = Agent::master(h1, &config)?;
    agent.stop()?;
    agent.process().wait_for_line("stopped", PATIENCE)?;
    let mut promotions = Vec::new();
    for line in agent.process().lines() {
        let object: Value =
            serde_json::from_str(&line.text).with_context(|| format!("not JSON: {}", line.text))?;
        for key in ["timestamp", "level", "message"] {
            ensure!(object[key].is_string(), "no {key} in {object}");
        }
        if object["to"] == "MASTER" {
            promotions.push(object);
        }
    }
    ensure!(promotions.len() == 1, "{promotions:?}");
    let promotion = &promotions[0];
    for (key, value) in [
        ("level", "INFO"),
        ("instance", "web"),
        ("from", "BACKUP"),
        ("priority", "100"),
    ] {
        ensure!(promotion[key] == value, "{key} in {promotion}");
    }
    let cause = promotion["cause"].as_str().unwrap_or_default();
    ensure!(!cause.is_empty(), "{promotion}");
    Ok(())
}

/// A check of something that never listens.
fn hopeless_check() -> Check {
    let port = toml::Value::from("127.0.0.1:9");
    Check {
        name: "nothing".to_owned(),
        probe: toml::Table::from_iter([("tcp".to_owned(), port)]),
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(100),
        fall: 1,
        rise: 1,
        restart: None,
    }
}

#[test]
fn a_transition_to_fault_is_one_info_line_like_every_other() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let config = AgentConfig::new(h1, instance(100)).tracking(hopeless_check());
    let agent = Agent::start(h1, &config)?;
    agent.wait_state(State::Fault, PATIENCE)?;
    agent.process().wait_for_line("-> FAULT: ", PATIENCE)?;
    let lines = agent.process().lines();
    let faults: Vec<&str> = lines
        .iter()
        .map(|line| line.text.as_str())
        .filter(|text| text.contains("-> FAULT: "))
        .collect();
    ensure!(
        faults.len() == 1 && faults[0].contains(" WARN "),
        "{faults:?}"
    );
    Ok(())
}

#[test]
fn a_warning_about_the_configuration_is_one_line_in_log_status_and_reload() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let mut config = AgentConfig::new(h1, instance(100));
    config.check.push(hopeless_check());
    let agent = Agent::master(h1, &config)?;
    let file = config_file(h1);
    let text = std::fs::read_to_string(&file)?;
    let at = text.lines().position(|line| line == "name = \"nothing\"");
    let begin = format!(
        "{}:{}:8: warning: no instance tracks check `nothing`",
        file.display(),
        at.context("no check in the file")? + 1
    );
    let end = "track = [{ check = \"nothing\" }]";
    let is_it = |line: &str| line.contains(&begin) && line.ends_with(end);

    agent
        .process()
        .wait_for_line_where(0, "the warning", PATIENCE, is_it)?;
    let status = invoke(h1, &["status", "--json"])?;
    let status: Value = serde_json::from_str(&status.out)?;
    let warnings = status["warnings"].as_array().context("no warnings")?;
    ensure!(
        warnings.len() == 1 && warnings[0].as_str().is_some_and(is_it),
        "{warnings:?}"
    );
    let reloaded = invoke(h1, &["reload"])?;
    let lines: Vec<&str> = reloaded.out.lines().collect();
    ensure!(
        lines.len() == 2 && lines[0] == "nothing changed" && is_it(lines[1]),
        "{reloaded:?}"
    );
    Ok(())
}

/// A port that does not pass frames at first, as with a spanning tree, makes two masters: the log says what helps.
#[test]
fn a_host_whose_port_was_deaf_at_first_is_told_of_start_delay() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let first = Agent::master(h1, instance(100))?;
    lab.block(h2)?;
    let second = Agent::master(h2, instance(150))?;
    lab.unblock(h2)?;
    let line = second.process().wait_for_line("start_delay", PATIENCE)?;
    ensure!(
        line.text.contains("WARN") && line.text.contains(&h1.ipv4().to_string()),
        "{}",
        line.text
    );
    first.wait_state(State::Backup, PATIENCE)
}
