//! The agent in the guest: the program that ships, in the directories that it has by default.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::guest::Vm;
use crate::lab::agent_config::{self, AgentConfig};
use crate::lab::agent_status::{self, Status};

/// Its configuration file in the guest.
pub const CONFIG: &str = "/etc/ha-agent/ha-agent.toml";
/// How often a state is asked for while waiting; in emulation each answer takes a while itself.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);

/// The file to boot a guest with, for an agent with these instances.
pub fn config(instances: Vec<agent_config::Instance>) -> Result<(&'static str, String)> {
    config_with(instances, Vec::new())
}

/// The same with these checks.
pub fn config_with(
    instances: Vec<agent_config::Instance>,
    check: Vec<agent_config::Check>,
) -> Result<(&'static str, String)> {
    let config = AgentConfig {
        node: agent_config::Node {
            name: "guest".to_owned(),
            extra: toml::Table::new(),
        },
        instance: instances,
        check,
        group: Vec::new(),
    };
    Ok((CONFIG, config.text()?))
}

/// An agent that was started in the guest.
#[derive(Debug)]
pub struct GuestAgent<'vm> {
    vm: &'vm Vm,
    pid: u32,
}

impl<'vm> GuestAgent<'vm> {
    /// Starts it; its log goes to the guest's console.
    pub fn start(vm: &'vm Vm) -> Result<Self> {
        Self::start_under(vm, "")
    }

    /// The same in a network namespace, with the file systems of the first.
    pub fn start_in(vm: &'vm Vm, namespace: Option<&str>) -> Result<Self> {
        let inside = namespace.map_or(String::new(), |name| {
            format!("nsenter --net=/run/netns/{name}")
        });
        Self::start_under(vm, &inside)
    }

    /// Starts it by way of a program and its arguments, which become it.
    pub fn start_under(vm: &'vm Vm, line: &str) -> Result<Self> {
        let order = format!("NO_COLOR=1 {line} ha-agent run >/dev/console 2>&1 & echo $!");
        let said = vm.run(&order)?;
        let pid = said.trim().parse();
        let pid = pid.with_context(|| format!("the guest's shell named no process: {said:?}"))?;
        Ok(Self { vm, pid })
    }

    /// Kills it, so that it can put nothing away.
    pub fn kill(self) -> Result<()> {
        self.end("KILL")
    }

    /// Stops it, as a service manager does.
    pub fn stop(self) -> Result<()> {
        self.end("TERM")
    }

    /// Makes it read its configuration again.
    pub fn reload(&self) -> Result<()> {
        self.vm.run("ha-agent reload").map(drop)
    }

    /// The same where what is configured is to fail: the answer's exit code is 8.
    pub fn reload_into_fault(&self) -> Result<()> {
        self.vm.run("ha-agent reload; test $? = 8").map(drop)
    }

    fn end(self, signal: &str) -> Result<()> {
        let pid = self.pid;
        // A process that nobody has waited for yet is a dead one.
        self.vm
            .run(&format!(
                "kill -{signal} {pid} && while grep -q '^State:.[^ZX]' /proc/{pid}/status; do :; done 2>/dev/null"
            ))
            .map(drop)
    }

    /// What `ha-agent status --json` says.
    pub fn status(&self) -> Result<Status> {
        let text = self.vm.run("ha-agent status --json")?;
        serde_json::from_str(&text).with_context(|| format!("status is not as agreed:\n{text}"))
    }

    /// What it says of the instance of that name.
    pub fn instance(&self, name: &str) -> Result<agent_status::Instance> {
        let instances = self.status()?.instances;
        let found = instances.into_iter().find(|it| it.name == name);
        found.with_context(|| format!("the guest has no instance {name}"))
    }

    /// Waits until what it says of the instance of that name is so.
    pub fn wait_instance(
        &self,
        name: &str,
        what: &str,
        timeout: Duration,
        holds: impl Fn(&agent_status::Instance) -> bool,
    ) -> Result<agent_status::Instance> {
        let deadline = Instant::now() + timeout;
        loop {
            // Right after its start nobody listens on the socket yet.
            let found = self.instance(name);
            if let Ok(found) = &found
                && holds(found)
            {
                return Ok(found.clone());
            }
            if Instant::now() >= deadline {
                bail!("{name} in the guest: not within {timeout:?}: {what}; it is {found:#?}");
            }
            std::thread::sleep(ASK_EVERY);
        }
    }
}

/// How many adverts of a sender the kernel half of the guest has counted; needs no agent.
pub fn counted(vm: &Vm, sender: &str) -> Result<u64> {
    // 5: no agent runs, and it is the pinned maps that are shown.
    let text = vm.run("ha-agent peers --json 2>/dev/null || test $? = 5")?;
    let said: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("peers --json is no JSON:\n{text}"))?;
    let peers = said["peers"].as_array().context("no list of peers")?;
    let one = peers.iter().find(|peer| peer["address"] == sender);
    Ok(one.and_then(|peer| peer["adverts"].as_u64()).unwrap_or(0))
}
