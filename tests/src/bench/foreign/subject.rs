//! The host that carries the traffic, and what a contestant makes of it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::course::{Course, Role};
use super::end::End;
use super::hook::Hook;
use crate::lab::agent::{Agent, State, Status};
use crate::lab::agent_config::{AgentConfig, Instance, with_prefix};
use crate::lab::agent_status;
use crate::lab::process::Signal;
use crate::lab::{Host, Lab, VIP, wait_until};

/// Until an agent is what it is to be; in emulation everything takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Ten adverts a second: so that a turn does not consist of waiting for them.
const INTERVAL: Duration = Duration::from_millis(100);
/// The priority of the host, and of the one that it is the backup of.
const PRIORITY: u8 = 100;
const BETTER: u8 = 200;

/// A host on the lab's segment.
pub(super) trait Subject {
    /// What its tables are headed with.
    fn name(&self) -> &'static str;
    /// The segment.
    fn lab(&self) -> &Lab;
    /// Who is master while this one is the backup.
    fn peer(&self) -> &Host;
    /// Its interface on the segment.
    fn interface(&self) -> &'static str;
    /// Its own address there.
    fn own(&self) -> Ipv4Addr;
    /// In which roles it is measured.
    fn roles(&self) -> &'static [Role];
    /// What is measured in a role.
    fn courses(&self, role: Role) -> &'static [Course];
    /// Processors for the two ends of the traffic, as iperf3's `--affinity` has them.
    fn affinity(&self) -> &'static str;
    /// Runs a shell command there: what it wrote. A status other than 0 is an error.
    fn run(&self, line: &str) -> Result<String>;
    /// `ethtool -k` of that end of its wire.
    fn features(&self, end: End) -> Result<String>;
    /// Starts an agent with that datapath.
    fn start(&self, datapath: &str) -> Result<()>;
    /// What that agent says.
    fn status(&self) -> Result<Status>;
    /// Stops it, and takes away what a stop may leave for the next one.
    fn stop(&self) -> Result<()>;
}

/// How a contestant has begun its turn.
pub(super) enum Entry {
    /// What `status` calls its datapath, for tc with the kind of link; `None`: no agent.
    Runs(Option<String>),
    /// Why its datapath cannot be had here.
    Refused(String),
}

/// The configuration of the agent on such a host.
pub(super) fn instance(interface: &str, datapath: &str) -> Instance {
    Instance {
        interface: interface.to_owned(),
        priority: PRIORITY,
        advert_interval: INTERVAL,
        ..Instance::default()
    }
    .by(datapath)
}

/// Does the work while the host's peer is what the role takes.
pub(super) fn with_role(
    subject: &dyn Subject,
    role: Role,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if role == Role::Master {
        return work();
    }
    let better = Instance {
        priority: BETTER,
        ..instance(Host::INTERFACE, "socket")
    };
    let master = Agent::start(subject.peer(), &AgentConfig::new(subject.peer(), better))?;
    master.wait_state(State::Master, PATIENCE)?;
    work()?;
    // Killed, it would leave its address behind.
    master.process().signal(Signal::TERM)?;
    master.process().wait(PATIENCE).map(drop)
}

/// Makes the host what the contestant stands for.
pub(super) fn enter(subject: &dyn Subject, hook: &Hook, role: Role) -> Result<Entry> {
    let Some(datapath) = hook.datapath else {
        if role == Role::Master {
            address(subject, "add")?;
            // Nobody announces this one.
            let flush = ["ip", "neigh", "flush", "dev", Host::INTERFACE];
            subject.lab().client_host().run(&flush)?;
        }
        return Ok(Entry::Runs(None));
    };
    subject.start(datapath)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Right after its start nobody listens on the socket yet.
        let found = subject.status().and_then(only);
        if let Ok(it) = &found {
            if is(it, role) {
                return settled(it, datapath);
            }
            if it.state == State::Fault && it.datapath.kind.is_none() {
                return Ok(Entry::Refused(it.reason.clone().unwrap_or_default()));
            }
        }
        if Instant::now() >= deadline {
            bail!("no {} within {PATIENCE:?}: {found:#?}", role.name());
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// Undoes it.
pub(super) fn leave(subject: &dyn Subject, hook: &Hook, role: Role) -> Result<()> {
    if hook.datapath.is_some() {
        subject.stop()?;
        return wait_until(PATIENCE, "the program is off the interface", || {
            is_bare(subject)
        });
    }
    if role == Role::Master {
        address(subject, "del")?;
    }
    Ok(())
}

/// The kernel takes an XDP program off a moment after `cleanup` has removed its link, and tells nobody.
fn is_bare(subject: &dyn Subject) -> bool {
    let line = format!("ip -details link show dev {}", subject.interface());
    subject
        .run(&line)
        .is_ok_and(|said| !said.contains("prog/xdp"))
}

/// Gives the host the virtual address by hand, or takes it away.
fn address(subject: &dyn Subject, verb: &str) -> Result<()> {
    let (address, interface) = (with_prefix(VIP), subject.interface());
    let line = format!("ip address {verb} {address} dev {interface}");
    subject.run(&line).map(drop)
}

fn only(status: Status) -> Result<agent_status::Instance> {
    let found = status.instances.into_iter().next();
    found.context("the agent has no instance")
}

fn is(it: &agent_status::Instance, role: Role) -> bool {
    match role {
        Role::Master => it.state == State::Master && it.addresses.iter().all(|it| it.present),
        Role::Backup => {
            let master = it.master.as_ref();
            it.state == State::Backup && master.is_some_and(|master| master.priority == BETTER)
        }
    }
}

/// Fails unless it runs on the datapath that it was told to.
fn settled(it: &agent_status::Instance, datapath: &str) -> Result<Entry> {
    let kind = it.datapath.kind.clone().context("no datapath")?;
    ensure!(
        datapath == "auto" || datapath == kind,
        "told to use the datapath {datapath}, the agent uses {kind}: {:?}",
        it.datapath.why
    );
    Ok(Entry::Runs(Some(match it.datapath.link.as_deref() {
        Some(link) if kind == "tc" => format!("{kind} ({link})"),
        _ => kind,
    })))
}
