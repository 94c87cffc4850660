//! The daemons that are compared, each at its normal log level with its log in a file.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::lab::agent::{self, State, Status};
use crate::lab::agent_config::{AgentConfig, Instance, with_prefix};
use crate::lab::{Host, Process, VIP, keepalived};

/// Between two adverts: the shortest that version 3 allows.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);
/// What every contestant stands by with.
pub(super) const PRIORITY: u8 = 90;
/// The virtual router when there is only one.
pub(super) const VRID: u8 = 51;

/// How a daemon takes part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) priority: u8,
    pub(super) interval: Duration,
}

impl Part {
    /// As the backup of a master that is played.
    pub(super) const STANDBY: Self = Self {
        priority: PRIORITY,
        interval: INTERVAL,
    };
}

/// One of them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contestant {
    /// Ours as it is by default: by tc, with the timers in the kernel.
    Tc,
    /// Ours by native XDP.
    Native,
    /// Ours, on a plain socket.
    Socket,
    /// keepalived as packaged.
    Keepalived,
    /// keepalived with what it offers for punctuality.
    KeepalivedRealtime,
    /// Another ha-agent, such as an earlier one, as it is by default: what `--beside` names.
    Beside,
}

/// What `--beside` names.
static BESIDE: OnceLock<PathBuf> = OnceLock::new();

/// Has this program take part as [`Contestant::Beside`]. Fails if it is no file, or one does already.
pub(super) fn set_beside(program: &Path) -> Result<()> {
    let program = fs::canonicalize(program)
        .with_context(|| format!("no ha-agent at {}", program.display()))?;
    ensure!(program.is_file(), "{} is no program", program.display());
    ensure!(BESIDE.set(program).is_ok(), "only one program can be named");
    Ok(())
}

impl Contestant {
    /// All that take part.
    pub(super) fn all() -> Vec<Self> {
        let always = [
            Self::Tc,
            Self::Native,
            Self::Socket,
            Self::Keepalived,
            Self::KeepalivedRealtime,
        ];
        Self::with_beside(&always)
    }

    /// These, and the other ha-agent if one was named.
    pub(super) fn with_beside(always: &[Self]) -> Vec<Self> {
        let beside = BESIDE.get().map(|_| Self::Beside);
        always.iter().copied().chain(beside).collect()
    }

    /// What the table calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tc => "ha-agent, tc",
            Self::Native => "ha-agent, native XDP",
            Self::Socket => "ha-agent, socket",
            Self::Keepalived => "keepalived",
            Self::KeepalivedRealtime => "keepalived, real-time",
            Self::Beside => "the other ha-agent",
        }
    }

    /// Whether it is the agent of this build, whose answers are known here.
    pub(super) const fn is_ours(self) -> bool {
        matches!(self, Self::Tc | Self::Native | Self::Socket)
    }

    /// The ha-agent that it is, if it is one.
    fn agent(self) -> Result<Option<PathBuf>> {
        match self {
            Self::Tc | Self::Native | Self::Socket => agent::program().map(Some),
            Self::Beside => Ok(BESIDE.get().cloned()),
            Self::Keepalived | Self::KeepalivedRealtime => Ok(None),
        }
    }

    /// Its datapath in the configuration, and what must have come of it.
    const fn datapath(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Tc | Self::Beside => Some(("auto", "tc")),
            Self::Native => Some(("native", "native")),
            Self::Socket => Some(("socket", "socket")),
            Self::Keepalived | Self::KeepalivedRealtime => None,
        }
    }

    /// Starts it on a host with these virtual routers.
    pub(super) fn start(self, host: &Host, routers: &[Router], part: Part) -> Result<Process> {
        let log = host.log_dir().join("bench.log");
        // Straight into a file: a pipe would make our own reader part of what is measured.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"log=$1; shift; exec "$@" >>"$log" 2>&1"#, "sh"])
            .arg(log);
        if let Some(agent) = self.agent()? {
            command.arg(agent);
            self.prepare_agent(host, routers, part, &mut command)?;
        } else {
            self.prepare_keepalived(host, routers, part, &mut command)?;
        }
        host.spawn("bench", command)
    }

    fn prepare_agent(
        self,
        host: &Host,
        routers: &[Router],
        part: Part,
        command: &mut Command,
    ) -> Result<()> {
        let (datapath, _) = self.datapath().context("not ours")?;
        let instance = |router: &Router| {
            let excluded: Vec<_> = router.excluded().map(|it| format!("{it}/32")).collect();
            Instance {
                name: router.name(),
                interface: router.interface.to_owned(),
                vrid: router.vrid,
                priority: part.priority,
                advert_interval: part.interval,
                addresses: vec![with_prefix(router.address)],
                ..Instance::default()
            }
            .by(datapath)
            .with("excluded", excluded)
        };
        let mut config = AgentConfig::new(host, Instance::default());
        config.instance = routers.iter().map(instance).collect();
        agent::Agent::write_config(host, &config)?;
        command
            .args(["run", "--config"])
            .arg(agent::config_file(host))
            .arg("--runtime-dir")
            .arg(host.run_dir())
            .arg("--pin-dir")
            .arg(host.bpf_dir());
        Ok(())
    }

    fn prepare_keepalived(
        self,
        host: &Host,
        routers: &[Router],
        part: Part,
        command: &mut Command,
    ) -> Result<()> {
        let run = host.run_dir();
        let config = run.join("keepalived.conf");
        fs::write(&config, self.keepalived_config(routers, part))
            .with_context(|| format!("cannot write {}", config.display()))?;
        command
            .arg(keepalived::PROGRAM)
            .args(["--dont-fork", "--vrrp", "--log-console", "--no-syslog"])
            .arg(format!("--use-file={}", config.display()))
            .arg(format!("--pid={}", run.join("keepalived.pid").display()))
            .arg(format!("--vrrp_pid={}", run.join("vrrp.pid").display()));
        Ok(())
    }

    fn keepalived_config(self, routers: &[Router], part: Part) -> String {
        let realtime = if self == Self::KeepalivedRealtime {
            // With its default limit of 10 ms of CPU it kills its own process at this interval.
            "  vrrp_rt_priority 50\n  vrrp_no_swap\n  vrrp_rlimit_rttime 10000000\n"
        } else {
            ""
        };
        let buffers = if routers.iter().any(|router| router.excluded > 0) {
            KEEPALIVED_BUFFERS
        } else {
            ""
        };
        let mut text = format!("global_defs {{\n  router_id bench\n{realtime}{buffers}}}\n");
        for router in routers {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "vrrp_instance {name} {{\n  state BACKUP\n  interface {interface}\n  version 3\n  \
                 virtual_router_id {vrid}\n  priority {priority}\n  advert_int {interval}\n  \
                 virtual_ipaddress {{\n    {address}/24\n  }}\n{excluded}}}",
                name = router.name(),
                vrid = router.vrid,
                interface = router.interface,
                priority = part.priority,
                interval = part.interval.as_secs_f64(),
                address = router.address,
                excluded = router.keepalived_excluded(),
            );
        }
        text
    }
}

/// What our agent on this host says of itself.
pub(super) fn status(host: &Host) -> Result<Status> {
    let program = agent::program()?;
    let (program, run) = (program.to_str(), host.run_dir());
    let (Some(program), Some(run)) = (program, run.to_str()) else {
        bail!("a path that is not UTF-8");
    };
    let text = host.run(&[program, "status", "--json", "--runtime-dir", run])?;
    serde_json::from_str(&text).with_context(|| format!("status --json is not as agreed:\n{text}"))
}

/// Fails unless our agent's instances run on the datapath that the contestant stands for, as backups.
/// The datapath's name.
pub(super) fn datapath(contestant: Contestant, host: &Host) -> Result<String> {
    let status = status(host)?;
    let mut kinds: Vec<String> = Vec::new();
    for instance in &status.instances {
        ensure!(
            instance.state == State::Backup,
            "{} is {:?}",
            instance.name,
            instance.state
        );
        kinds.push(instance.datapath.kind.clone().unwrap_or_default());
    }
    kinds.dedup();
    let [kind] = kinds.as_slice() else {
        bail!("not one datapath but: {kinds:?}");
    };
    ensure!(
        contestant.datapath().is_some_and(|(_, runs)| runs == kind),
        "{} runs on the datapath {kind}",
        contestant.name()
    );
    Ok(kind.clone())
}

/// With the default buffers its own messages about many addresses overflow, and it reads everything anew.
const KEEPALIVED_BUFFERS: &str = "  vrrp_netlink_cmd_rcv_bufs 16777216\n  \
     vrrp_netlink_cmd_rcv_bufs_force true\n  vrrp_netlink_monitor_rcv_bufs 16777216\n  \
     vrrp_netlink_monitor_rcv_bufs_force true\n";

/// A virtual router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Router {
    pub(super) interface: &'static str,
    pub(super) vrid: u8,
    /// The address of the adverts.
    pub(super) address: IpAddr,
    /// How many addresses move along.
    pub(super) excluded: u32,
}

impl Router {
    /// The one of the take-overs.
    pub(super) const ONE: [Self; 1] = [Self {
        interface: Host::INTERFACE,
        vrid: VRID,
        address: VIP,
        excluded: 0,
    }];

    fn name(&self) -> String {
        format!("{}-vr{}", self.interface, self.vrid)
    }

    /// The addresses that move along.
    pub(super) fn excluded(self) -> impl Iterator<Item = Ipv4Addr> {
        let first = u32::from(Ipv4Addr::new(10, 98, 0, 1));
        (0..self.excluded).map(move |number| Ipv4Addr::from(first + number))
    }

    fn keepalived_excluded(self) -> String {
        let lines: Vec<_> = self.excluded().map(|it| format!("    {it}/32\n")).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("  virtual_ipaddress_excluded {{\n{}  }}\n", lines.concat())
    }

    /// All that one interface can have.
    pub(super) fn all() -> Vec<Self> {
        (1..=u8::MAX)
            .map(|vrid| Self {
                interface: Host::INTERFACE,
                vrid,
                address: Ipv4Addr::new(10, 99, 1, vrid).into(),
                excluded: 0,
            })
            .collect()
    }
}
