//! What checks and restart commands have of an agent with privileges: nothing. And what a core shows of one with a
//! key.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Launch, State};
use ha_tests::lab::agent_config::{AgentConfig, Check, Instance, Restart};
use ha_tests::lab::agent_status;
use ha_tests::lab::hmac::{hmac, key};
use ha_tests::lab::inherited::{Inherited, REPORT};
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Agent, Host, Lab, require_tools, wait_until};
use nix::unistd::User;
use toml::toml;

/// Starts the agent as a real-time process of low niceness whose core is unlimited. The limits that not even every
/// root may raise are tried in a virtual machine (`tests/vm/unit.rs`).
const SPOILED: [&str; 8] = [
    "prlimit",
    "--core=unlimited",
    "--nofile=1024:",
    "nice",
    "--adjustment=-5",
    "chrt",
    "--fifo",
    "1",
];
/// An agent that is not root, as its own message advises.
const AMBIENT: [&str; 6] = [
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--inh-caps=+net_admin,+net_raw,+bpf,+perfmon",
    "--ambient-caps=+net_admin,+net_raw,+bpf,+perfmon",
];

fn command(name: &str, script: &str, user: &str) -> Check {
    let argv = ["/bin/sh", "-c", script].map(toml::Value::from).to_vec();
    Check {
        name: name.to_owned(),
        probe: toml! { command = argv user = user },
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(10),
        fall: 1,
        rise: 1,
        restart: None,
    }
}

/// A check that reports, and one that is only up once its restart command has reported to a file.
fn reporting(host: &Host, user: &str, instance: Instance) -> AgentConfig {
    let file = host.run_dir().join("restarted");
    let file = file.display();
    let restart = format!("({REPORT}) > {file}.new && mv {file}.new {file}");
    let mended = Check {
        restart: Some(Restart {
            command: ["/bin/sh", "-c", &restart].map(str::to_owned).to_vec(),
            attempts: 1,
            settle: Duration::from_secs(2),
        }),
        ..command("mended", &format!("test -e {file}"), user)
    };
    AgentConfig::new(host, instance)
        .tracking(command("report", REPORT, user))
        .tracking(mended)
}

fn up(agent: &Agent, name: &str) -> Result<agent_status::Check> {
    let find = || {
        let checks = agent.status().ok()?.checks;
        checks
            .into_iter()
            .find(|it| it.name == name && it.state == "up")
    };
    wait_until(PATIENCE, &format!("{name} is up"), || find().is_some())?;
    find().context("it was up a moment ago")
}

/// What the check and the restart command have reported.
fn reports(agent: &Agent) -> Result<[Inherited; 2]> {
    let check = up(agent, "report")?.last.context("it has run")?;
    up(agent, "mended")?;
    let restarted = fs::read_to_string(agent.host().run_dir().join("restarted"))?;
    Ok([&check.text, &restarted].map(|text| Inherited::read(text)))
}

#[test]
fn a_command_has_no_limit_priority_or_capability_of_the_agent() -> Result<()> {
    require_tools(&["prlimit", "chrt"])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    Agent::write_config(host, &reporting(host, "nobody", instance(100)))?;
    let launch = Launch {
        under: SPOILED.to_vec(),
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    let [check, restart] = reports(&agent)?;
    check.is_ordinary()?;
    ensure!(
        check.get("files")? == "1024",
        "the agent's own limit is raised: {check:?}"
    );
    check.is_powerless()?;
    // It runs as the agent's user, which is root here, and root has what root has.
    restart.is_ordinary()?;
    ensure!(restart.get("user")? == "0", "{restart:?}");
    let eff = u64::from_str_radix(restart.get("CapEff")?, 16)?;
    ensure!(eff != 0, "a restart command can start nothing: {restart:?}");
    agent.wait_state(State::Master, PATIENCE)
}

/// Its checks can only run as its own user, so that no change of user takes anything from them.
#[test]
fn a_command_has_no_capability_of_an_agent_that_is_not_root() -> Result<()> {
    require_tools(&["prlimit", "chrt", "setpriv"])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let nobody = User::from_name("nobody")?.context("no user nobody")?;
    let signing = hmac(vec![key(host, 1, 0xa7)?], 1, "enforce");
    let signing = instance(100).with("hmac", signing);
    Agent::write_config(host, &reporting(host, "nobody", signing))?;
    for path in [host.run_dir(), host.run_dir().join("key-1")] {
        chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()))?;
    }
    let launch = Launch {
        under: [&SPOILED[..], &AMBIENT].concat(),
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    for report in reports(&agent)? {
        report.is_ordinary()?;
        report.is_powerless()?;
        ensure!(report.get("user")? == nobody.uid.to_string(), "{report:?}");
    }
    agent.wait_state(State::Master, PATIENCE)?;
    // What the message advises is enough.
    let found = agent.only()?;
    ensure!(found.timer.kind == "kernel", "{:?}", found.datapath);
    Ok(())
}

/// Ends an agent as the watchdog of its unit does, where cores are unlimited: whether the kernel wrote one.
fn leaves_a_core(host: &Host, instance: Instance) -> Result<bool> {
    Agent::write_config(host, instance)?;
    let launch = Launch {
        under: vec![
            "sh",
            "-c",
            "cd \"$CORES\" && exec prlimit --core=unlimited \"$@\"",
            "sh",
        ],
        environment: vec![("CORES", OsString::from(host.run_dir()))],
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    agent.process().signal(Signal::ABORT)?;
    let status = agent.process().wait(PATIENCE)?.status;
    ensure!(status.signal() == Some(libc::SIGABRT), "{status}");
    Ok(status.core_dumped())
}

#[test]
fn an_agent_with_a_key_leaves_no_core() -> Result<()> {
    require_tools(&["prlimit"])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    ensure!(
        leaves_a_core(host, instance(100))?,
        "this machine writes no cores to {pattern}"
    );
    let signing = hmac(vec![key(host, 1, 0xa7)?], 1, "enforce");
    ensure!(!leaves_a_core(host, instance(100).with("hmac", signing))?);
    Ok(())
}
