//! A machine with the package on it: its unit, its agent, its web server, and what is left of them.

use std::fs;
use std::time::{Duration, Instant as Deadline};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use ha_common::layout::names;

use super::{Journal, Machine, package};
use crate::lab::agent_config::{AgentConfig, Check, Instance as InstanceConfig};
use crate::lab::agent_status::{Check as CheckStatus, Instance, Status};
use crate::lab::host::Said;
use crate::lab::pair::PATIENCE;
use crate::lab::{Host, VIP, VipWatch, wait_until};

/// The unit.
pub const UNIT: &str = "ha-agent.service";
/// Its configuration.
pub const CONFIG: &str = "/etc/ha-agent/ha-agent.toml";
/// The directory of the pins.
const PINS: &str = "ha-agent";
/// How often a state is asked for while waiting; each time is a process.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A machine, and the witnesses of what happens on it.
#[derive(Debug)]
pub struct Node {
    /// The machine. It goes first: what was started in it then ends while its starter is there to reap
    /// it, and no dead process keeps the machine.
    pub machine: Machine,
    /// The virtual address there, told by the kernel.
    pub watch: VipWatch,
    /// The unit's journal.
    pub journal: Journal,
}

impl Node {
    /// Opens the eyes on a machine.
    pub fn of(machine: Machine) -> Result<Self> {
        Ok(Self {
            watch: machine.host().vip_watch(VIP)?,
            journal: Journal::follow(&machine, UNIT)?,
            machine,
        })
    }

    /// The host that it is.
    pub fn host(&self) -> &Host {
        self.machine.host()
    }

    /// Installs the package.
    pub fn install(&self) -> Result<String> {
        package::bring(&self.machine)?;
        self.machine.run(&["dpkg", "--install", package::INSIDE])
    }

    /// Writes the configuration: this instance, with the usual check of nginx.
    pub fn configure(&self, instance: InstanceConfig) -> Result<()> {
        self.machine.write(CONFIG, &config(self.host(), instance)?)
    }

    /// Makes nginx serve the page that the lab's client wants to see.
    pub fn serve_page(&self) -> Result<()> {
        let page = format!("host {}\n", self.host().name());
        self.machine.write("/var/www/html/index.html", &page)
    }

    /// `systemctl` and these words, with the unit's name at the end.
    pub fn systemctl(&self, words: &[&str]) -> Result<Said> {
        let argv = [&["systemctl"], words, &[UNIT]].concat();
        self.machine.try_run(&argv)
    }

    /// [`Self::systemctl`], which must succeed.
    pub fn must(&self, words: &[&str]) -> Result<()> {
        let argv = [&["systemctl"], words, &[UNIT]].concat();
        self.machine.run(&argv).map(drop)
    }

    /// A property of the unit.
    pub fn property(&self, name: &str) -> Result<String> {
        self.machine.property(UNIT, name)
    }

    /// What `ha-agent status --json` says.
    pub fn status(&self) -> Result<Status> {
        let text = self.machine.run(&["ha-agent", "status", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("status is not as agreed:\n{text}"))
    }

    /// What it says of the only instance.
    pub fn instance(&self) -> Result<Instance> {
        let found = self.status()?.instances.into_iter().next();
        found.context("no instance")
    }

    /// Waits until what it says of the only instance is so.
    pub fn wait_instance(&self, what: &str, holds: impl Fn(&Instance) -> bool) -> Result<Instance> {
        let deadline = Deadline::now() + PATIENCE;
        loop {
            let found = self.instance();
            if let Ok(found) = &found
                && holds(found)
            {
                return Ok(found.clone());
            }
            if Deadline::now() >= deadline {
                let name = self.host().name();
                bail!("{name}: not within {PATIENCE:?}: {what}; it is {found:#?}");
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// Waits until what it says of the only check is so.
    pub fn wait_check(&self, what: &str, holds: impl Fn(&CheckStatus) -> bool) -> Result<()> {
        wait_until(PATIENCE, what, || {
            self.status()
                .is_ok_and(|status| status.checks.first().is_some_and(&holds))
        })
    }

    /// The agent's program on its interface, at the tc ingress hook or in XDP, where nobody else has one.
    pub fn program(&self) -> Result<Option<u32>> {
        let at_ingress: Option<u32> = self.host().ns().inside(|| {
            let (_, programs) = SchedClassifier::query_tcx(Host::INTERFACE, TcAttachType::Ingress)?;
            let own = |info: &&ProgramInfo| info.name_as_str() == Some(names::PROG_INGRESS);
            anyhow::Ok(programs.iter().find(own).map(ProgramInfo::id))
        })??;
        let in_xdp = self.host().xdp_program(Host::INTERFACE)?;
        Ok(at_ingress.or(in_xdp.and_then(|id| id.try_into().ok())))
    }

    /// What is pinned, by name.
    pub fn pins(&self) -> Result<Vec<String>> {
        let directory = self.host().bpf_dir().join(PINS);
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(directory).context("cannot list the pins")?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// Fails unless nothing of an agent, whose program that was, is on the interface, in the bpffs or in
    /// the kernel.
    pub fn is_clean_of(&self, program: u32) -> Result<()> {
        ensure!(self.program()?.is_none(), "a program is attached");
        let pins = self.pins()?;
        ensure!(pins.is_empty(), "pinned: {pins:?}");
        // The kernel frees what nobody holds a moment later.
        wait_until(PATIENCE, "the program is unloaded", || {
            !aya::programs::loaded_programs().any(|it| it.is_ok_and(|it| it.id() == program))
        })
    }
}

/// The configuration file of a host.
pub fn config(host: &Host, instance: InstanceConfig) -> Result<String> {
    let start = ["systemctl", "start", "nginx"].map(str::to_owned).to_vec();
    AgentConfig::new(host, instance)
        .tracking(Check::nginx(start))
        .text()
}
