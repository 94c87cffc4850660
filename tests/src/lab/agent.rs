//! A real ha-agent in a host.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::agent_config::{Configuration, USUAL};
use super::agent_status::Instance;
pub use super::agent_status::{State, Status};
use super::host::{Host, Said};
use super::process::{Process, Signal};
use super::refused_calls::{self, Fault, RefusedCalls};
use super::wait::{PATIENCE, wait_until};

/// Names the program to test, in place of the newest one under the target directory.
pub const PROGRAM_VARIABLE: &str = "HA_AGENT_BIN";

/// How often a state is asked for while waiting; each time is a process and a wake-up of the agent.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What may differ from one start to another, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Another directory than the host's bpffs.
    pub pin_dir: Option<PathBuf>,
    /// What the agent is to break on purpose, such as `no-timer`.
    pub inject: Option<&'static str>,
    /// Further options of `run`.
    pub options: Vec<&'static str>,
    /// Further environment variables.
    pub environment: Vec<(&'static str, OsString)>,
    /// A program with its arguments that starts the agent, such as one that takes capabilities away.
    pub under: Vec<&'static str>,
    /// Its requests to the kernel wait for [`RefusedCalls`], who must be there right after.
    pub calls_pass_by: bool,
}

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    host: Host,
    process: Process,
}

impl Agent {
    /// Writes the configuration and starts an agent with it. It finds the maps and links that an
    /// earlier agent of the same host pinned.
    pub fn start(host: &Host, config: impl Configuration) -> Result<Self> {
        Self::write_config(host, config)?;
        Self::start_again(host)
    }

    /// The same, and waits until its only instance is master.
    pub fn master(host: &Host, config: impl Configuration) -> Result<Self> {
        let agent = Self::start(host, config)?;
        agent.wait_state(State::Master, PATIENCE)?;
        Ok(agent)
    }

    /// Starts an agent with the configuration file that is there.
    pub fn start_again(host: &Host) -> Result<Self> {
        Self::launch(host, &Launch::default())
    }

    /// Starts an agent with the configuration file that is there, under other circumstances.
    pub fn launch(host: &Host, launch: &Launch) -> Result<Self> {
        let agent = program()?;
        let mut line = launch
            .under
            .iter()
            .map(OsStr::new)
            .chain([agent.as_os_str()]);
        let mut command = Command::new(line.next().unwrap_or_default());
        let pin_dir = launch.pin_dir.clone().unwrap_or_else(|| host.bpf_dir());
        command
            .args(line)
            .arg("run")
            .args(&launch.options)
            .arg("--config")
            .arg(config_file(host))
            .arg("--runtime-dir")
            .arg(host.run_dir())
            .arg("--pin-dir")
            .arg(pin_dir);
        if let Some(faults) = launch.inject {
            command.env("HA_AGENT_INJECT", faults);
        }
        command.envs(launch.environment.iter().cloned());
        if launch.calls_pass_by {
            refused_calls::pass_by(&mut command);
        }
        Ok(Self {
            host: host.clone(),
            process: host.spawn("agent", command)?,
        })
    }

    /// Starts an agent with the configuration file that is there, with this fault from its start on; more can follow.
    pub fn start_with_fault(host: &Host, fault: Option<Fault>) -> Result<(Self, RefusedCalls)> {
        let launch = Launch {
            calls_pass_by: true,
            ..Launch::default()
        };
        let agent = Self::launch(host, &launch)?;
        let calls = RefusedCalls::of(&agent.process, fault)?;
        Ok((agent, calls))
    }

    /// Writes the configuration file only, for a reload.
    pub fn write_config(host: &Host, config: impl Configuration) -> Result<()> {
        let path = config_file(host);
        fs::write(&path, config.of(host).text()?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The host that it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its process: output, signals, end.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What `ha-agent status --json` says.
    pub fn status(&self) -> Result<Status> {
        let text = ask(
            &self.host,
            "status",
            &["--runtime-dir", &utf8(&self.host.run_dir())?],
        )?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "status --json of {} is not as agreed:\n{text}",
                self.host.name()
            )
        })
    }

    /// The state of its only instance.
    pub fn state(&self) -> Result<State> {
        Ok(self.only()?.state)
    }

    /// What it says of its only instance.
    pub fn only(&self) -> Result<Instance> {
        let mut instances = self.status()?.instances;
        match instances.len() {
            1 => Ok(instances.remove(0)),
            others => bail!("{others} instances, not one"),
        }
    }

    /// What it says of the instance of that name.
    pub fn instance(&self, name: &str) -> Result<Instance> {
        let instances = self.status()?.instances;
        let found = instances.into_iter().find(|it| it.name == name);
        found.with_context(|| format!("no instance {name} on {}", self.host.name()))
    }

    /// Waits until an instance has received so many adverts more than before.
    pub fn wait_adverts(&self, before: &Instance, more: u64, within: Duration) -> Result<Instance> {
        let wanted = before.counters.adverts_received + more;
        self.wait_instance(&before.name, "more adverts", within, |it| {
            it.counters.adverts_received >= wanted
        })
    }

    /// Waits until the usual instance is a backup that has heard its master.
    pub fn wait_follows(&self) -> Result<Instance> {
        self.wait("follows the master", Instance::follows)
    }

    /// Waits until what it says of the usual instance is so.
    pub fn wait(&self, what: &str, holds: impl Fn(&Instance) -> bool) -> Result<Instance> {
        self.wait_instance(USUAL, what, PATIENCE, holds)
    }

    /// Waits until what it says of the instance of that name is so.
    pub fn wait_instance(
        &self,
        name: &str,
        what: &str,
        timeout: Duration,
        holds: impl Fn(&Instance) -> bool,
    ) -> Result<Instance> {
        let deadline = Instant::now() + timeout;
        loop {
            let found = self.instance(name);
            if let Ok(found) = &found
                && holds(found)
            {
                return Ok(found.clone());
            }
            self.still_runs()?;
            if Instant::now() >= deadline {
                bail!(
                    "{name} on {}: not within {timeout:?}: {what}; it is {found:#?}",
                    self.host.name()
                );
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Waits until every check is up.
    pub fn wait_checks_up(&self) -> Result<()> {
        wait_until(PATIENCE, "every check is up", || {
            let status = self.status();
            status.is_ok_and(|it| it.checks.iter().all(|check| check.state == "up"))
        })
    }

    /// Makes it read its configuration again: what `ha-agent reload` said.
    pub fn reload(&self) -> Result<Said> {
        invoke(&self.host, &["reload"])
    }

    /// The same; fails unless it took the configuration.
    pub fn reload_ok(&self) -> Result<Said> {
        self.reload()?.ok()
    }

    /// Writes the configuration and makes it read it; fails unless it took it.
    pub fn reload_with(&self, config: impl Configuration) -> Result<Said> {
        Self::write_config(&self.host, config)?;
        self.reload_ok()
    }

    /// Ends it as a service manager does; fails unless that is a success.
    pub fn stop(&self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        let exit = self.process.wait(PATIENCE)?;
        ensure!(exit.status.success(), "it ended with {}", exit.status);
        Ok(())
    }

    fn still_runs(&self) -> Result<()> {
        match self.process.exited() {
            None => Ok(()),
            Some(exit) => bail!(
                "the agent on {} has ended: {}",
                self.host.name(),
                exit.status
            ),
        }
    }

    /// Waits until its only instance is in this state.
    pub fn wait_state(&self, state: State, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            // Right after its start nobody listens on the socket yet.
            let found = self.state();
            if matches!(found, Ok(found) if found == state) {
                return Ok(());
            }
            self.still_runs()?;
            if Instant::now() >= deadline {
                let name = self.host.name();
                bail!("{name} is not {state:?} within {timeout:?}: {found:?}");
            }
            std::thread::sleep(ASK_EVERY);
        }
    }
}

/// What `ha-agent peers --json` says on a host, whether or not an agent runs there.
pub fn peers(host: &Host) -> Result<serde_json::Value> {
    let said = invoke(host, &["peers", "--json"])?;
    // 5: nobody runs, and the pinned maps were read.
    ensure!(matches!(said.code, Some(0 | 5)), "{said:?}");
    serde_json::from_str(&said.out).context("peers --json is no JSON")
}

/// Runs the program with these arguments on a host, in the host's directories: what it said.
pub fn invoke(host: &Host, arguments: &[&str]) -> Result<Said> {
    invoke_with(host, &Circumstances::default(), arguments)
}

/// What `ha-agent cleanup` says on a host; fails unless that is a success.
pub fn cleanup(host: &Host) -> Result<Said> {
    let config = utf8(&config_file(host))?;
    invoke(host, &["cleanup", "--config", &config])?.ok()
}

/// What may differ from one invocation to another, beside the arguments.
#[derive(Clone, Debug, Default)]
pub struct Circumstances<'c> {
    /// Another runtime directory than the host's.
    pub run_dir: Option<&'c Path>,
    /// Further environment variables, each `NAME=value`.
    pub environment: &'c [&'c str],
}

/// The same under other circumstances.
pub fn invoke_with(
    host: &Host,
    circumstances: &Circumstances<'_>,
    arguments: &[&str],
) -> Result<Said> {
    let own = host.run_dir();
    let run = utf8(circumstances.run_dir.unwrap_or(&own))?;
    let (bpf, agent) = (utf8(&host.bpf_dir())?, utf8(&program()?)?);
    let mut line = vec!["env"];
    line.extend(circumstances.environment);
    line.extend([agent.as_str(), "--runtime-dir", &run, "--pin-dir", &bpf]);
    line.extend(arguments);
    host.try_run(&line)
}

/// Starts the program with these arguments on a host, in the host's directories, and lets it run.
pub fn spawn(host: &Host, label: &str, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new(program()?);
    command
        .arg("--runtime-dir")
        .arg(host.run_dir())
        .arg("--pin-dir")
        .arg(host.bpf_dir())
        .args(arguments);
    host.spawn(label, command)
}

/// The configuration file of a host's agent.
pub fn config_file(host: &Host) -> PathBuf {
    host.dir().join("ha-agent.toml")
}

/// The agent to test: what [`PROGRAM_VARIABLE`] names, else the newest under the target directory.
pub fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        let path = PathBuf::from(named);
        if !path.is_file() {
            bail!(
                "{PROGRAM_VARIABLE} names {}, which is no file",
                path.display()
            );
        }
        return Ok(path);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join("ha-agent"))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| {
            format!(
                "no ha-agent is built under {}: run `cargo xtask test`, which builds it first",
                target.display()
            )
        })
}

fn ask(host: &Host, what: &str, options: &[&str]) -> Result<String> {
    let agent = utf8(&program()?)?;
    let mut command_line = vec![agent.as_str(), what, "--json"];
    command_line.extend(options);
    host.run(&command_line)
}

fn utf8(path: &Path) -> Result<String> {
    let text = path.to_str().context("a path that is not UTF-8")?;
    Ok(text.to_owned())
}
