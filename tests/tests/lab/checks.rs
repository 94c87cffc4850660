//! Checks of every kind decide about the address of a real agent.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{Launch, State};
use ha_tests::lab::agent_config::{AgentConfig, Check, Instance, Track};
use ha_tests::lab::clock::now;
use ha_tests::lab::nginx::Nginx;
use ha_tests::lab::pair::{PATIENCE, TIMING, instance};
use ha_tests::lab::{Agent, Lab, Pair, wait_until};
use toml::toml;

/// So long that no run of the check can be what notices.
const SELDOM: Duration = Duration::from_secs(30);
/// Between runs where a run has to notice.
const OFTEN: Duration = Duration::from_millis(100);
/// From a death to the address on the other host: what the kernel tells, the skew, and a busy machine.
const AT_ONCE: Duration = Duration::from_millis(500);

fn check(probe: toml::Table, interval: Duration) -> Check {
    Check {
        name: "service".to_owned(),
        probe,
        interval,
        timeout: Duration::from_millis(90),
        fall: 1,
        rise: 1,
        restart: None,
    }
}

/// A pair whose master tracks this check of an nginx that runs beside it.
fn watched(probe: impl FnOnce(&Nginx) -> Result<Check>) -> Result<(Pair, Nginx)> {
    let pair = Pair::start()?;
    let nginx = Nginx::running(pair.h1())?;
    let config = AgentConfig::new(pair.h1(), instance(100)).tracking(probe(&nginx)?);
    pair.master.reload_with(&config)?;
    pair.master.wait_checks_up()?;
    pair.is_settled()?;
    Ok((pair, nginx))
}

/// Waits until the agent has found out whose end would be the service's.
fn wait_watched(pair: &Pair, nginx: &Nginx) -> Result<()> {
    wait_until(PATIENCE, "nginx is watched", || {
        let status = pair.master.status();
        status.is_ok_and(|it| {
            it.checks
                .iter()
                .all(|check| check.watched_pid == nginx.pid())
        })
    })
}

/// The service dies: how long until the other host has the address. The master is a fault and says why.
fn moves_after_death(pair: &Pair, nginx: &Nginx) -> Result<Duration> {
    let died = now();
    nginx.crash()?;
    pair.capture.wait_advert(pair.h1(), 0, died, PATIENCE)?;
    let taken = pair.on_backup.wait_present(PATIENCE)?;
    pair.master.wait_state(State::Fault, PATIENCE)?;
    let reason = pair.master.only()?.reason.unwrap_or_default();
    ensure!(reason.contains("service"), "{reason}");
    Ok(taken.since(died).to_duration())
}

#[test]
fn the_death_of_a_process_by_its_pid_file_is_noticed_at_once() -> Result<()> {
    let (pair, nginx) = watched(|nginx| {
        let file = nginx.pid_file().to_string_lossy().into_owned();
        Ok(check(toml! { process = { pid_file = file } }, SELDOM))
    })?;
    wait_watched(&pair, &nginx)?;
    let took = moves_after_death(&pair, &nginx)?;
    ensure!(took < AT_ONCE + TIMING.skew(), "the address took {took:?}");
    Ok(())
}

#[test]
fn the_death_of_the_process_behind_a_port_is_noticed_at_once() -> Result<()> {
    let (pair, nginx) = watched(|_| Ok(check(toml! { tcp = "127.0.0.1:80" }, SELDOM)))?;
    wait_watched(&pair, &nginx)?;
    let took = moves_after_death(&pair, &nginx)?;
    ensure!(took < AT_ONCE + TIMING.skew(), "the address took {took:?}");
    Ok(())
}

/// An agent that may open no more files knows nothing of the service: that moves nothing.
#[test]
fn a_check_that_cannot_be_asked_for_want_of_descriptors_moves_nothing() -> Result<()> {
    let (pair, _nginx) = watched(|_| Ok(check(toml! { tcp = "127.0.0.1:80" }, OFTEN)))?;
    let pid = pair.master.process().pid().to_string();
    let began = now();
    let limit = |soft: u32| {
        let soft = format!("--nofile={soft}:");
        pair.h1().run(&["prlimit", "--pid", &pid, &soft])
    };
    let raised = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let raised = raised
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let raised: Vec<&str> = raised.context("a limit")?.split_whitespace().collect();
    ensure!(
        raised.get(3) == raised.get(4),
        "the soft limit is the hard one: {raised:?}"
    );

    let mark = pair.master.process().mark();
    // What is open stays open, and the first three are.
    limit(3)?;
    let log = pair.master.process();
    log.wait_for_line_after(mark, "service cannot be checked", PATIENCE)?;
    limit(4096)?;
    let seen = pair
        .master
        .status()?
        .checks
        .first()
        .context("a check")?
        .runs;
    wait_until(PATIENCE, "the service is asked again", || {
        let status = pair.master.status();
        status.is_ok_and(|it| {
            it.checks
                .iter()
                .all(|it| it.runs > seen && it.state == "up")
        })
    })?;
    pair.undisturbed_since(began)
}

/// Process, parent and state of every process here.
fn processes() -> Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path().join("stat");
        // One that ends meanwhile is none.
        let Ok(stat) = fs::read_to_string(path) else {
            continue;
        };
        let (pid, rest) = stat.split_once(' ').context("a pid")?;
        let (_, rest) = rest.rsplit_once(')').context("a name")?;
        let mut fields = rest.split_whitespace().map(str::to_owned);
        let (state, parent) = (fields.next(), fields.next());
        found.push((
            pid.to_owned(),
            parent.context("a parent")?,
            state.context("a state")?,
        ));
    }
    Ok(found)
}

/// As in a container: what a check's command leaves behind when it is killed is given to process 1.
#[test]
fn an_agent_that_is_process_1_collects_the_dead_and_still_hears_how_its_commands_end() -> Result<()>
{
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let commands = [("leaves", "sleep 100 & sleep 100"), ("ends", "exit 0")];
    let mut config = AgentConfig::new(host, instance(100));
    for (name, script) in commands {
        let argv = ["/bin/sh", "-c", script].map(toml::Value::from).to_vec();
        config.check.push(Check {
            name: name.to_owned(),
            ..check(toml! { command = argv user = "root" }, OFTEN)
        });
    }
    Agent::write_config(host, &config)?;
    let launch = Launch {
        under: vec!["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    let starter = agent.process().pid().to_string();
    wait_until(PATIENCE, "both have run twenty times", || {
        let status = agent.status();
        status.is_ok_and(|it| it.checks.iter().all(|check| check.runs > 20))
    })?;
    let checks = agent.status()?.checks;
    let ends = checks.iter().find(|it| it.name == "ends");
    ensure!(ends.is_some_and(|it| it.state == "up"), "{checks:?}");
    let agent_pid = processes()?
        .into_iter()
        .find(|(_, parent, _)| *parent == starter);
    let (agent_pid, _, _) = agent_pid.context("no agent")?;
    wait_until(PATIENCE, "the dead are collected", || {
        let zombie =
            |(_, parent, state): &&(String, String, String)| *parent == agent_pid && state == "Z";
        // One or two of this moment.
        processes().is_ok_and(|all| all.iter().filter(zombie).count() < 3)
    })
}

#[test]
fn a_command_that_fails_moves_the_address() -> Result<()> {
    let (pair, nginx) = watched(|nginx| {
        let file = nginx.pid_file().to_string_lossy().into_owned();
        let argv = [
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            format!("kill -0 $(cat {file})"),
        ];
        let argv: Vec<toml::Value> = argv.map(toml::Value::from).to_vec();
        Ok(check(toml! { command = argv user = "root" }, OFTEN))
    })?;
    moves_after_death(&pair, &nginx).map(drop)
}

/// A positive weight is held by who is healthy; the fault of nobody moves the address back.
#[test]
fn a_weight_moves_the_address_and_takes_it_back() -> Result<()> {
    let (pair, nginx) = watched(|_| Ok(check(toml! { tcp = "127.0.0.1:80" }, OFTEN)))?;
    let weighed = Instance {
        track: vec![Track {
            weight: Some(30),
            ..Track::check("service")
        }],
        ..instance(70)
    };
    let mut config = AgentConfig::new(pair.h1(), weighed);
    config
        .check
        .push(check(toml! { tcp = "127.0.0.1:80" }, OFTEN));
    Agent::write_config(pair.h1(), &config)?;
    let reloaded = now();
    pair.master.reload_ok()?;
    pair.capture
        .wait_advert(pair.h1(), 100, reloaded, PATIENCE)
        .context("70 and 30 are advertised as 100")?;
    pair.on_backup
        .undisturbed_since(reloaded)
        .context("the sum was below the backup's for a moment")?;

    nginx.crash()?;
    pair.on_backup.wait_present(PATIENCE)?;
    pair.master.wait_state(State::Backup, PATIENCE)?;
    nginx.start()?;
    pair.moved_back()?;
    let found = pair.master.only()?;
    ensure!(found.priority.base == 70 && found.priority.effective == 100);
    Ok(())
}

#[test]
fn an_instance_waits_for_the_first_result_of_its_checks() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let first_result = Duration::from_secs(2);
    let argv = ["/bin/sleep", "2"].map(toml::Value::from).to_vec();
    let slow = Check {
        timeout: Duration::from_secs(10),
        ..check(toml! { command = argv }, SELDOM)
    };
    let watch = host.vip_watch(ha_tests::lab::VIP)?;
    let begin = now();
    let config = AgentConfig::new(host, instance(100)).tracking(slow);
    let agent = Agent::start(host, &config)?;
    agent.wait("waits for the check", |it| {
        let reason = it.reason.as_deref().unwrap_or_default();
        it.state == State::Initialize && reason.contains("first result of check service")
    })?;
    let taken: Instant = watch.wait_present(PATIENCE)?;
    let took = taken.since(begin).to_duration();
    ensure!(took > first_result, "master after {took:?}");
    Ok(())
}

/// The check of the second life takes a second to speak, and would be missed in the sum until then.
#[test]
fn a_master_whose_agent_was_killed_keeps_the_weight_of_a_check_that_has_yet_to_speak() -> Result<()>
{
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let capture = lab.capture()?;
    let argv = ["/bin/sleep", "1"].map(toml::Value::from).to_vec();
    let slow = Check {
        timeout: Duration::from_secs(10),
        ..check(toml! { command = argv }, SELDOM)
    };
    let weighed = Instance {
        track: vec![Track {
            weight: Some(20),
            ..Track::check("service")
        }],
        ..instance(90)
    };
    let mut config = AgentConfig::new(host, weighed);
    config.check.push(slow);
    let begin = now();
    let agent = Agent::start(host, &config)?;
    capture.wait_advert(host, 110, begin, PATIENCE)?;
    agent.process().kill()?;
    let again = now();
    let agent = Agent::start_again(host)?;
    agent.wait_checks_up()?;
    let frames = capture.frames_since(again);
    let adverts: Vec<u8> = frames
        .iter()
        .filter(|frame| frame.is_from(host))
        .filter_map(|frame| frame.vrrp().map(|advert| advert.priority))
        .collect();
    ensure!(
        adverts.len() > 2 && adverts.iter().all(|priority| *priority == 110),
        "{adverts:?}"
    );
    Ok(())
}
