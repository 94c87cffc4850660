//! A host of the lab: it has a veth interface, whose other end is a port of the switch.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::course::{ALL, Course, OWN, Role};
use super::end::End;
use super::subject::{Subject, instance};
use crate::lab::agent::{Agent, Status, config_file, invoke};
use crate::lab::agent_config::AgentConfig;
use crate::lab::process::Signal;
use crate::lab::{Host, Lab};

/// Until an agent has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// The host.
pub(super) struct Veth {
    // Dropped in this order: the agent, and then what it lives in.
    agent: RefCell<Option<Agent>>,
    lab: Lab,
}

impl Veth {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            agent: RefCell::new(None),
            lab: Lab::new(2)?,
        })
    }

    fn host(&self) -> &Host {
        self.lab.host(1)
    }
}

impl Subject for Veth {
    fn name(&self) -> &'static str {
        "veth"
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn peer(&self) -> &Host {
        self.lab.host(2)
    }

    fn interface(&self) -> &'static str {
        Host::INTERFACE
    }

    fn own(&self) -> Ipv4Addr {
        self.host().ipv4()
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Backup, Role::Master]
    }

    fn courses(&self, role: Role) -> &'static [Course] {
        match role {
            Role::Backup => &OWN,
            Role::Master => &ALL,
        }
    }

    fn affinity(&self) -> &'static str {
        "0,1"
    }

    fn run(&self, line: &str) -> Result<String> {
        self.host().run(&["sh", "-c", line])
    }

    fn features(&self, end: End) -> Result<String> {
        match end {
            End::Own => self.run("ethtool -k eth0"),
            End::Other => {
                let mut port = Command::new("ethtool");
                port.args(["-k", self.host().name()]);
                self.lab.switch().run(port)
            }
        }
    }

    fn start(&self, datapath: &str) -> Result<()> {
        let config = AgentConfig::new(self.host(), instance(self.interface(), datapath));
        let agent = Agent::start(self.host(), &config)?;
        self.agent.replace(Some(agent));
        Ok(())
    }

    fn status(&self) -> Result<Status> {
        let agent = self.agent.borrow();
        agent.as_ref().context("no agent was started")?.status()
    }

    fn stop(&self) -> Result<()> {
        let agent = self.agent.take().context("no agent was started")?;
        agent.process().signal(Signal::TERM)?;
        agent.process().wait(PATIENCE)?;
        let config = config_file(self.host());
        let config = config.to_str().context("a path that is not UTF-8")?;
        let said = invoke(self.host(), &["cleanup", "--config", config])?;
        ensure!(said.code == Some(0), "cleanup failed: {}", said.err);
        Ok(())
    }
}
