//! Two machines as an operator sets them up: package, configuration, `systemctl enable --now`.

use std::time::Duration;

use anyhow::{Result, ensure};
use ha_common::units::{Instant, Nanos};

use super::node::Node;
use super::{Machine, package, root};
use crate::lab::agent::State;
use crate::lab::agent_config::Instance as InstanceConfig;
use crate::lab::agent_status::Instance;
use crate::lab::capture::{Capture, Timing};
use crate::lab::clock::now;
use crate::lab::pair::PATIENCE;
use crate::lab::{Lab, VIP, require_tools, wait_until};

/// Programs that are not in every Debian.
const TOOLS: [&str; 3] = ["systemd-nspawn", "mmdebstrap", "nsenter"];

/// Two machines, the first of which is to be master, and what happens between them.
pub struct Deployment {
    /// Host 1, with priority 100.
    pub first: Node,
    /// Host 2, with priority 90.
    pub second: Node,
    /// Every port of the switch.
    pub capture: Capture,
    /// The segment.
    pub lab: Lab,
}

/// Switches all hosts of a lab on; nothing of ours is installed.
pub fn switch_on(hosts: u8) -> Result<(Vec<Node>, Lab)> {
    require_tools(&TOOLS)?;
    // What takes long or fails for want of preparation comes before a lab is built.
    package::path()?;
    root::ensure()?;
    let lab = Lab::new(hosts)?;
    let booting: Vec<_> = lab.hosts().iter().map(Machine::switch_on).collect();
    let nodes = booting
        .into_iter()
        .map(|machine| Node::of(machine?.wait()?))
        .collect::<Result<_>>()?;
    Ok((nodes, lab))
}

/// One machine with the package and a configuration, whose unit has not been started.
pub fn single(instance: InstanceConfig) -> Result<(Node, Lab)> {
    let (mut nodes, lab) = switch_on(1)?;
    let node = nodes.remove(0);
    node.install()?;
    node.configure(instance)?;
    Ok((node, lab))
}

impl Deployment {
    /// Installed, configured with this interval between adverts, started, and settled.
    pub fn start(interval: Duration) -> Result<Self> {
        let (mut nodes, lab) = switch_on(2)?;
        let capture = lab.capture()?;
        for (node, priority) in nodes.iter().zip([100, 90]) {
            node.install()?;
            node.serve_page()?;
            node.configure(instance(priority, interval))?;
            node.must(&["enable", "--quiet", "--now"])?;
        }
        let second = nodes.remove(1);
        let deployment = Self {
            first: nodes.remove(0),
            second,
            capture,
            lab,
        };
        deployment.settle()?;
        Ok(deployment)
    }

    /// Waits until the first is master and has the address, and the second follows it and has not.
    pub fn settle(&self) -> Result<()> {
        self.first
            .wait_instance("master", |it| it.state == State::Master)?;
        self.second
            .wait_instance("follows the master", Instance::follows)?;
        self.first.watch.wait_present(PATIENCE)?;
        self.second.watch.wait_absent(PATIENCE)?;
        Ok(())
    }

    /// Waits until the first leads again; fails unless the address has moved to the second and back,
    /// once.
    pub fn there_and_back(&self, since: Instant) -> Result<()> {
        let changes = || self.second.watch.changes_since(since);
        wait_until(PATIENCE, "the address went there and back", || {
            changes().len() >= 2
        })?;
        self.settle()?;
        let mut last = now();
        // A second move would show within a master-down interval: less than four adverts.
        for _ in 0..5 {
            let advert = self
                .capture
                .wait_advert(self.first.host(), 100, last, PATIENCE)?;
            last = advert.at + Nanos(1);
        }
        let changes = changes();
        ensure!(changes.len() == 2, "not there and back once: {changes:?}");
        let announcers = self.capture.announcers(VIP, since);
        let names: Vec<&str> = announcers.iter().map(|name| &**name).collect();
        ensure!(names == ["h2", "h1"], "announced by {names:?}");
        Ok(())
    }

    /// Fails if the address came or went anywhere since then.
    pub fn address_has_not_moved(&self, since: Instant) -> Result<()> {
        for node in [&self.first, &self.second] {
            let changes = node.watch.changes_since(since);
            let name = node.host().name();
            ensure!(changes.is_empty(), "it moved on {name}: {changes:?}");
        }
        Ok(())
    }
}

/// The usual instance with this priority and interval.
pub fn instance(priority: u8, advert_interval: Duration) -> InstanceConfig {
    InstanceConfig {
        priority,
        advert_interval,
        ..InstanceConfig::default()
    }
}

/// What the second machine's wait is made of.
pub fn timing(interval: Duration) -> Timing {
    Timing {
        interval,
        priority: 90,
    }
}
