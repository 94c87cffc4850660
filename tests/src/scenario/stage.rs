//! The lab in which the scenario is played, and the witnesses that its steps ask.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;

use super::report::{Fact, Report};
use crate::lab::agent_config::{Check, Instance as InstanceConfig};
use crate::lab::capture::{Capture, Takeover, Timing};
use crate::lab::client::{Client, Pace};
use crate::lab::clock::now;
use crate::lab::nginx::Nginx;
use crate::lab::{Agent, AgentConfig, Host, Lab, VIP, VipWatch};

/// What is allowed past a moment that the protocol defines, on a machine that does other things as
/// well. The bench measures how late it really is.
pub(super) const LATENESS: Duration = Duration::from_millis(100);
/// How far the measured wait may fall short of the protocol's: the capture and the host stamp the same
/// frame at slightly different times.
pub(super) const EARLINESS: Duration = Duration::from_millis(1);
/// What a move that both sides know of may cost the client.
pub(super) const SMOOTH: Duration = Duration::from_millis(250);
/// How long to wait for what is only a matter of working at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The master's priority.
const PRIMARY_PRIORITY: u8 = 100;
/// The backup's priority.
pub(super) const SECONDARY_PRIORITY: u8 = 90;

/// How the scenario is played.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Between adverts.
    pub interval: Duration,
    /// How adverts are received: `datapath` of both agents.
    pub datapath: &'static str,
}

impl Settings {
    /// Adverts so often, received as the agent chooses.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            datapath: "auto",
        }
    }

    /// The same, received so.
    #[must_use]
    pub const fn by(mut self, datapath: &'static str) -> Self {
        self.datapath = datapath;
        self
    }

    /// What the backup's wait is made of.
    pub fn timing(self) -> Timing {
        Timing {
            interval: self.interval,
            priority: SECONDARY_PRIORITY,
        }
    }
}

/// One of the two hosts with the address.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: Host,
    pub(super) nginx: Nginx,
    pub(super) config: AgentConfig,
    pub(super) watch: Arc<VipWatch>,
    // `None` before the first step and while a step has the agent stopped.
    agent: Option<Agent>,
}

impl Node {
    fn build(host: &Host, priority: u8, settings: Settings) -> Result<Self> {
        let nginx = Nginx::running(host)?;
        let instance = InstanceConfig {
            priority,
            advert_interval: settings.interval,
            ..InstanceConfig::default()
        }
        .by(settings.datapath);
        Ok(Self {
            config: AgentConfig::new(host, instance).tracking(Check::of(&nginx)),
            watch: Arc::new(host.vip_watch(VIP)?),
            host: host.clone(),
            nginx,
            agent: None,
        })
    }

    pub(super) fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(Agent::start(&self.host, &self.config)?);
        Ok(())
    }

    pub(super) fn agent(&self) -> Result<&Agent> {
        self.agent
            .as_ref()
            .with_context(|| format!("no agent runs on {}", self.host.name()))
    }
}

/// The lab, its nodes and the witnesses.
pub struct Stage {
    pub(super) settings: Settings,
    pub(super) primary: Node,
    pub(super) secondary: Node,
    pub(super) capture: Capture,
    pub(super) client: Arc<Client>,
    // Dropped last: everything above lives in it.
    pub(super) lab: Lab,
}

/// What can be seen while a step is played, from any thread.
#[derive(Clone)]
pub struct Eyes {
    watches: [(String, Arc<VipWatch>); 2],
    client: Arc<Client>,
}

impl Eyes {
    /// The hosts that have the address.
    pub fn holders(&self) -> Vec<&str> {
        self.watches
            .iter()
            .filter(|(_, watch)| watch.present())
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// What the client's last finished request got.
    pub fn page(&self) -> Option<Result<String, String>> {
        self.client.last().map(|request| request.outcome)
    }
}

impl Stage {
    /// Builds the lab: two hosts with nginx, a client that asks for `http://VIP/`, no agents yet.
    pub fn build(settings: Settings) -> Result<Self> {
        let lab = Lab::new(2)?;
        Ok(Self {
            settings,
            primary: Node::build(lab.host(1), PRIMARY_PRIORITY, settings)?,
            secondary: Node::build(lab.host(2), SECONDARY_PRIORITY, settings)?,
            capture: lab.capture()?,
            client: Arc::new(lab.client_host().request_from(VIP, Pace::default())?),
            lab,
        })
    }

    /// The lab, for somebody who wants to look around in it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// What can be watched while the steps are played.
    pub fn eyes(&self) -> Eyes {
        let watch = |node: &Node| (node.host.name().to_owned(), Arc::clone(&node.watch));
        Eyes {
            watches: [watch(&self.primary), watch(&self.secondary)],
            client: Arc::clone(&self.client),
        }
    }

    /// Waits until the primary is the only master and the client gets its page.
    pub(super) fn settle_on_primary(&self, since: Instant) -> Result<()> {
        self.primary.watch.wait_present(PATIENCE)?;
        self.secondary.watch.wait_absent(PATIENCE)?;
        self.client
            .wait_served_by(&self.primary.host, since, PATIENCE)?;
        Ok(())
    }

    /// The take-over by the secondary after `since`, which must be at the protocol's deadline.
    pub(super) fn takeover_at_deadline(&self, since: Instant) -> Result<Takeover> {
        let takeover = self.capture.takeover(
            &self.secondary.host,
            VIP,
            self.settings.timing(),
            since,
            self.settings.timing().master_down() + PATIENCE,
        )?;
        let waited = takeover
            .first_advert
            .since(takeover.last_advert)
            .to_duration();
        Self::is_about(
            "the backup waited for its deadline",
            waited,
            self.settings.timing().master_down(),
        )?;
        ensure!(
            takeover.first_announcement >= takeover.first_advert,
            "the address was announced before the advert: {takeover:?}"
        );
        Ok(takeover)
    }

    /// Fails unless a measured wait is the protocol's, give or take what the machine adds.
    pub(super) fn is_about(what: &str, waited: Duration, rule: Duration) -> Result<()> {
        ensure!(
            waited + EARLINESS >= rule && waited <= rule + LATENESS,
            "{what}: {waited:?}, where the protocol says {rule:?}"
        );
        Ok(())
    }

    /// Fails if the address came or went anywhere since then.
    pub(super) fn address_has_not_moved(&self, since: Instant) -> Result<()> {
        for node in [&self.primary, &self.secondary] {
            let changes = node.watch.changes_since(since);
            ensure!(
                changes.is_empty(),
                "the address has moved on {}, {} times; the first: {:?}",
                node.host.name(),
                changes.len(),
                changes.first()
            );
        }
        Ok(())
    }

    /// The report on the time since then, when every request that began in it has its answer.
    pub(super) fn report(&self, since: Instant, facts: Vec<Fact>) -> Result<Report> {
        let until = self.client.settle()?;
        let requests = self.client.requests_between(since, until);
        Ok(Report {
            outage: self.client.longest_outage_between(since, until),
            failed_requests: requests.iter().filter(|it| it.outcome.is_err()).count(),
            master: self.eyes().holders().join(" and "),
            page: self.client.who_at(now()),
            facts,
        })
    }
}
