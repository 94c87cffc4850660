//! What the program says, and with which code it ends, when it cannot do what it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{
    Agent, Circumstances, Launch, State, config_file, invoke, invoke_with, program,
};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::host::Said;
use ha_tests::lab::pair::{PATIENCE, by_auto, instance};
use ha_tests::lab::{Host, Lab, require_tools};

/// What `run` says on a host that has a configuration.
fn run(host: &Host) -> Result<Said> {
    let config = config_file(host);
    invoke(
        host,
        &["run", "--config", config.to_str().context("UTF-8")?],
    )
}

#[test]
fn a_bad_configuration_ends_with_3_and_every_mistake_with_its_place() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let good = AgentConfig::new(host, instance(100)).text()?;
    let bad = good
        .replace("priority = 100", "prioritty = 100")
        .replace("vrid = 51", "vrid = 0");
    let path = config_file(host);
    fs::write(&path, &bad)?;
    let place = |key: &str, column: usize| -> Result<String> {
        let line = bad.lines().position(|line| line.starts_with(key));
        Ok(format!(
            "{}:{}:{column}",
            path.display(),
            line.context("no such line")? + 1
        ))
    };
    let places = [place("prioritty", 1)?, place("vrid", 8)?];
    let config = path.to_str().context("UTF-8")?;
    for command in [
        vec!["run", "--config", config],
        vec!["check-config", config],
    ] {
        let said = invoke(host, &command)?;
        ensure!(said.code == Some(3), "{said:?}");
        for place in &places {
            ensure!(said.err.contains(place), "no {place} in {said:?}");
        }
        ensure!(said.err.contains("did you mean `priority`?"), "{said:?}");
    }
    Ok(())
}

#[test]
fn a_missing_configuration_ends_with_3_and_its_name() -> Result<()> {
    let lab = Lab::new(1)?;
    let said = invoke(lab.host(1), &["run", "--config", "/run/no-such.toml"])?;
    ensure!(said.code == Some(3), "{said:?}");
    ensure!(said.err.contains("/run/no-such.toml"), "{said:?}");
    Ok(())
}

#[test]
fn the_only_interface_may_come_late_and_until_then_the_agent_waits_in_fault() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    lab.unplug(host)?;
    let agent = Agent::start(host, instance(100))?;
    agent.wait_state(State::Fault, PATIENCE)?;
    let reason = agent.only()?.reason.unwrap_or_default();
    ensure!(reason.contains("no such interface"), "{reason}");
    let line = agent
        .process()
        .wait_for_line("no such interface: eth0", PATIENCE)?
        .text;
    ensure!(line.contains("this host has lo"), "{line}");
    lab.replug(host)?;
    agent.wait_state(State::Master, PATIENCE)
}

#[test]
fn a_file_is_held_against_the_host_that_it_is_checked_on() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let elsewhere = Instance {
        interface: "eht0".to_owned(),
        ..instance(100)
    };
    Agent::write_config(host, elsewhere)?;
    let config = config_file(host);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666))?;
    let said = invoke(host, &["check-config", config.to_str().context("UTF-8")?])?.ok()?;
    for part in [
        "there is no interface `eht0` on this host now (did you mean `eth0`? it has lo, eth0)",
        "this file is writable by others than its owner (mode 0666)",
    ] {
        ensure!(said.out.contains(part), "no {part:?} in {said:?}");
    }
    Ok(())
}

#[test]
fn somebody_who_is_not_root_is_told_what_is_missing_and_ends_with_4() -> Result<()> {
    require_tools(&["setpriv"])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    Agent::write_config(host, instance(100))?;
    let (program, config, run_dir) = (program()?, config_file(host), host.run_dir());
    let said = host.try_run(&[
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        program.to_str().context("UTF-8")?,
        "run",
        "--config",
        config.to_str().context("UTF-8")?,
        "--runtime-dir",
        run_dir.to_str().context("UTF-8")?,
    ])?;
    ensure!(said.code == Some(4), "{said:?}");
    for part in ["CAP_NET_ADMIN", "CAP_NET_RAW", "hint:", "root"] {
        ensure!(said.err.contains(part), "no {part:?} in {said:?}");
    }
    Ok(())
}

#[test]
fn a_second_agent_in_the_same_directory_ends_with_7_and_harms_nobody() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let watch = host.vip_watch(ha_tests::lab::VIP)?;
    let first = Agent::master(host, instance(100))?;
    let begin = ha_tests::lab::clock::now();
    let said = run(host)?;
    ensure!(said.code == Some(7), "{said:?}");
    ensure!(said.err.contains("hint: stop it first"), "{said:?}");
    ensure!(first.state()? == State::Master);
    watch.undisturbed_since(begin)?;
    Ok(())
}

/// They would take each other's slots for leftovers.
#[test]
fn a_second_agent_on_the_same_pins_ends_with_7_and_harms_nobody() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let watch = host.vip_watch(ha_tests::lab::VIP)?;
    let first = Agent::master(host, by_auto(100))?;
    let begin = ha_tests::lab::clock::now();
    let elsewhere = host.dir().join("elsewhere");
    let circumstances = Circumstances {
        run_dir: Some(&elsewhere),
        ..Circumstances::default()
    };
    let config = config_file(host);
    let config = config.to_str().context("UTF-8")?;
    for command in ["run", "cleanup"] {
        let said = invoke_with(host, &circumstances, &[command, "--config", config])?;
        ensure!(said.code == Some(7), "{said:?}");
        let pins = host.bpf_dir().display().to_string();
        for part in [
            "another ha-agent uses the pins in ",
            &pins,
            "hint: ",
            "--pin-dir",
        ] {
            ensure!(said.err.contains(part), "no {part:?} in {said:?}");
        }
    }
    let found = first.only()?;
    ensure!(found.state == State::Master && found.receives_by("tc"));
    watch.undisturbed_since(begin)?;
    first.process().kill()?;
    let heir = Agent::start_again(host)?;
    heir.process()
        .wait_for_line("reuses the maps pinned", PATIENCE)?;
    Ok(())
}

#[test]
fn something_in_the_control_sockets_place_ends_with_6_and_stays() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    Agent::write_config(host, instance(100))?;
    let path = host.run_dir().join("control.sock");
    fs::write(&path, "precious")?;
    let said = run(host)?;
    ensure!(said.code == Some(6), "{said:?}");
    for part in ["exists and is not a socket", "hint: move it away"] {
        ensure!(said.err.contains(part), "no {part:?} in {said:?}");
    }
    ensure!(fs::read_to_string(&path)? == "precious");
    Ok(())
}

#[test]
fn a_runtime_directory_that_others_may_write_ends_with_6() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    Agent::write_config(host, instance(100))?;
    fs::set_permissions(host.run_dir(), fs::Permissions::from_mode(0o770))?;
    let said = run(host)?;
    ensure!(said.code == Some(6), "{said:?}");
    ensure!(said.err.contains("chmod go-w"), "{said:?}");
    Ok(())
}

#[test]
fn directories_that_it_makes_are_for_its_owner_alone() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    fs::remove_dir(host.run_dir())?;
    Agent::write_config(host, instance(100))?;
    let pins = host.bpf_dir().join("ha-agent");
    let launch = Launch {
        pin_dir: Some(pins.clone()),
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    for dir in [host.run_dir(), pins] {
        let mode = fs::metadata(&dir)?.permissions().mode();
        ensure!(mode & 0o777 == 0o700, "{}: {mode:o}", dir.display());
    }
    Ok(())
}

/// As on a kernel that is too old, the object cannot be loaded.
#[test]
fn without_the_kernel_half_it_runs_by_plain_socket_and_log_and_status_say_why() -> Result<()> {
    require_tools(&["setpriv"])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    Agent::write_config(host, by_auto(100))?;
    let launch = Launch {
        under: vec!["setpriv", "--bounding-set", "-bpf,-sys_admin"],
        ..Launch::default()
    };
    let agent = Agent::launch(host, &launch)?;
    agent.wait_state(State::Master, PATIENCE)?;
    let line = agent
        .process()
        .wait_for_line("no detection in the kernel: ", PATIENCE)?
        .text;
    for part in ["WARN", "CAP_BPF", "by a plain socket"] {
        ensure!(line.contains(part), "no {part:?} in {line:?}");
    }
    let found = agent.only()?;
    ensure!(found.receives_by("socket"));
    let why = found.datapath.refusal("tc");
    ensure!(why.contains("CAP_BPF"), "{why:?}");
    let pins = agent.status()?.node.pins;
    ensure!(pins.state == "unpinned", "{pins:?}");
    Ok(())
}

#[test]
fn asking_where_no_agent_runs_ends_with_5_and_says_how_to_start_one() -> Result<()> {
    let lab = Lab::new(1)?;
    for command in ["status", "reload"] {
        let said = invoke(lab.host(1), &[command])?;
        ensure!(said.code == Some(5) && said.out.is_empty(), "{said:?}");
        ensure!(said.err.contains("systemctl start ha-agent"), "{said:?}");
    }
    Ok(())
}

#[test]
fn a_wrong_command_line_ends_with_2() -> Result<()> {
    let lab = Lab::new(1)?;
    let said = invoke(lab.host(1), &["rnu"])?;
    ensure!(said.code == Some(2), "{said:?}");
    for part in ["'rnu'", "--help"] {
        ensure!(said.err.contains(part), "no {part:?} in {said:?}");
    }
    Ok(())
}
