//! What stands in a file, and how many processes there are, decide about the address of a real agent.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::agent::{State, config_file, invoke};
use ha_tests::lab::agent_config::{AgentConfig, Check, Instance, Track};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, TIMING, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Pair, Process, wait_until};
use toml::toml;

/// From a change of the file to the advert that tells of it, on a machine that does other things as well.
const AT_ONCE: Duration = Duration::from_millis(300);

/// A pair whose master tracks a check of a file, which is not there yet.
struct Stage {
    pair: Pair,
    file: PathBuf,
}

fn file_of(pair: &Pair) -> PathBuf {
    pair.h1().dir().join("later/weight")
}

fn watched(track: Track, up: Option<&str>) -> Result<Stage> {
    let pair = Pair::start()?;
    let file = file_of(&pair);
    let up = up.map_or(String::new(), |up| format!(", up = \"{up}\""));
    let tracking = Instance {
        track: vec![track],
        ..instance(100)
    };
    // The lab's own value has the keys of runs, which a file has none of.
    let check = format!(
        "\n[[check]]\nname = \"manual\"\nfile = {{ path = \"{}\"{up} }}\n",
        file.display()
    );
    let text = AgentConfig::new(pair.h1(), tracking).text()? + &check;
    fs::write(config_file(pair.h1()), text)?;
    pair.master.reload_ok()?;
    wait_until(PATIENCE, "the file was looked at", || {
        let status = pair.master.status();
        status.is_ok_and(|it| it.checks.iter().any(|check| check.runs > 0))
    })?;
    Ok(Stage { pair, file })
}

impl Stage {
    /// Writes the file as careful programs do, and waits until host 1 says this priority.
    fn says(&self, text: &str, priority: u8) -> Result<Instant> {
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir)?;
        }
        let beside = self.file.with_extension("new");
        fs::write(&beside, text)?;
        let written = now();
        fs::rename(&beside, &self.file)?;
        self.pair
            .capture
            .wait_advert(self.pair.h1(), priority, written, PATIENCE)?;
        Ok(written)
    }
}

#[test]
fn a_number_in_a_file_moves_the_address_at_once_and_its_removal_takes_it_back() -> Result<()> {
    let stage = watched(Track::check("manual"), None)?;
    stage.pair.is_settled()?;
    let written = stage.says("-20\n", 80)?;
    let taken = stage.pair.moved_away()?;
    let took = taken.since(written).to_duration();
    // The backup hears of the lower priority and waits for its deadline.
    ensure!(
        took < TIMING.master_down() + AT_ONCE,
        "the address took {took:?}"
    );
    let said = invoke(stage.pair.h1(), &["status"])?;
    for line in [
        "100 -20 (manual) = 80",
        "manual: adds -20; weight +1",
        "contains -20",
    ] {
        ensure!(said.out.contains(line), "no {line:?} in\n{}", said.out);
    }
    fs::remove_file(&stage.file)?;
    stage.pair.moved_back()?;
    let found = stage.pair.master.only()?.priority;
    ensure!(found.effective == 100, "{found:?}");
    Ok(())
}

#[test]
fn a_weight_is_a_factor_for_the_number_and_no_number_adds_nothing() -> Result<()> {
    let track = Track {
        weight: Some(-5),
        ..Track::check("manual")
    };
    let stage = watched(track, None)?;
    stage.says("1", 95)?;
    stage.says("2", 90)?;
    stage.says("-4", 120)?;
    let begin = now();
    stage.says("none at all", 100)?;
    let said = stage.pair.master.status()?;
    ensure!(said.checks[0].state == "down", "{said:?}");
    ensure!(stage.pair.master.state()? == State::Master);
    stage.pair.on_master.undisturbed_since(begin)?;
    // One line for it, however often it is written.
    for _ in 0..5 {
        fs::write(&stage.file, "still none")?;
    }
    stage.says("3", 85)?;
    stage.pair.moved_away()?;
    let log = stage.pair.master.process().lines();
    let complaints: Vec<_> = log
        .iter()
        .filter(|line| line.text.contains("manual is down") && line.text.contains("a whole number"))
        .collect();
    ensure!(complaints.len() == 1, "{complaints:?}");
    Ok(())
}

#[test]
fn a_file_that_must_not_be_there_faults_the_instance_while_it_is() -> Result<()> {
    let stage = watched(Track::check("manual"), Some("missing"))?;
    let dir = stage.file.parent().context("no directory")?;
    fs::create_dir(dir)?;
    fs::write(&stage.file, "")?;
    stage.pair.moved_away()?;
    stage.pair.master.wait_state(State::Fault, PATIENCE)?;
    let reason = stage.pair.master.only()?.reason.unwrap_or_default();
    ensure!(reason == "check manual failed", "{reason}");
    fs::remove_dir_all(dir)?;
    stage.pair.moved_back().map(drop)
}

/// Gives the master a check of processes by a reload.
fn track_workers(pair: &Pair, probe: toml::Table, interval: Duration) -> Result<()> {
    let check = Check {
        name: "workers".to_owned(),
        probe,
        interval,
        timeout: Duration::from_secs(2),
        fall: 1,
        rise: 1,
        restart: None,
    };
    let config = AgentConfig::new(pair.h1(), instance(100)).tracking(check);
    pair.master.reload_with(&config)?;
    Ok(())
}

/// `sleep` under this name, since the kernel's names are of programs.
fn sleeper(pair: &Pair, program: &str, label: &str) -> Result<Process> {
    let path = pair.h1().dir().join(program);
    if !path.exists() {
        fs::copy("/bin/sleep", &path).context("no /bin/sleep")?;
    }
    let mut command = Command::new(&path);
    command.arg("600");
    pair.h1().spawn(label, command)
}

/// With `fall = 1` one process less is noticed when it dies, and not by the next count.
#[test]
fn a_death_that_leaves_too_few_processes_is_noticed_at_once() -> Result<()> {
    let pair = Pair::start()?;
    let name = format!("ha-d-{}", std::process::id());
    let _first = sleeper(&pair, &name, "first")?;
    let second = sleeper(&pair, &name, "second")?;
    let counted = name.clone();
    let probe = toml! { process = { name = counted, min = 2 } };
    track_workers(&pair, probe, Duration::from_mins(1))?;
    wait_until(PATIENCE, "the processes are watched", || {
        let status = pair.master.status();
        status.is_ok_and(|it| it.checks.iter().all(|check| check.watched_pid.is_some()))
    })?;
    pair.is_settled()?;
    let killed = now();
    second.signal(Signal::KILL)?;
    let taken = pair.on_backup.wait_present(PATIENCE)?;
    let took = taken.since(killed).to_duration();
    // A fault says priority 0, and the backup waits for its skew only.
    ensure!(
        took < TIMING.skew() + 2 * AT_ONCE,
        "the address took {took:?}"
    );
    Ok(())
}

#[test]
fn too_few_and_too_many_processes_move_the_address() -> Result<()> {
    let pair = Pair::start()?;
    // A name of its own: other tests' processes are seen as well.
    let name = format!("ha-w-{}", std::process::id());
    let first = sleeper(&pair, &name, "first")?;
    let second = sleeper(&pair, &name, "second")?;
    let counted = name.clone();
    let probe = toml! { process = { name = counted, min = 2, max = 2 } };
    track_workers(&pair, probe, Duration::from_millis(100))?;
    pair.master.wait_checks_up()?;
    pair.is_settled()?;

    let third = sleeper(&pair, &name, "third")?;
    pair.on_backup.wait_present(PATIENCE)?;
    pair.master.wait_state(State::Fault, PATIENCE)?;
    let said = invoke(pair.h1(), &["status"])?;
    // The table cuts the rest.
    let found = format!("3 processes named \"{name}\"");
    ensure!(said.out.contains(&found), "no {found:?} in\n{}", said.out);
    third.signal(Signal::KILL)?;
    pair.moved_back()?;

    second.signal(Signal::KILL)?;
    pair.on_backup.wait_present(PATIENCE)?;
    drop(first);
    Ok(())
}
