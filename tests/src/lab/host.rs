//! One host of a lab: its addresses, its files, and what can be done in it.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use nix::mount::{MsFlags, mount};

use super::directory::ROOT;
use super::netns::Namespace;
use super::process::Process;

/// What a program said, and how it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Fails with all that it said unless its exit code is 0.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{self:?}");
        Ok(self)
    }
}

#[derive(Debug)]
struct Inner {
    name: String,
    number: u8,
    ns: Namespace,
    dir: PathBuf,
}

/// A host; cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

impl Host {
    /// The interface on the segment.
    pub const INTERFACE: &'static str = "eth0";

    pub(super) fn create(lab: &str, name: &str, number: u8, switch: &Namespace) -> Result<Self> {
        let ns = Namespace::create(&format!("{lab}-{name}"))?;
        let host = Self(Arc::new(Inner {
            name: name.to_owned(),
            number,
            ns,
            dir: Path::new(ROOT).join(lab).join(name),
        }));
        host.make_directories()?;
        host.connect(switch)?;
        Ok(host)
    }

    /// `h1`, `h2`, ... or `client`; also the name of its port on the switch.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its network namespace.
    pub fn ns(&self) -> &Namespace {
        &self.0.ns
    }

    /// `10.99.0.N`, its own address, with prefix length 24.
    pub fn ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, 0, self.0.number)
    }

    /// `fd00:99::N`, its own address, with prefix length 64.
    pub fn ipv6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, self.0.number.into())
    }

    /// `fe80::N`: its only link-local address.
    pub fn link_local(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, self.0.number.into())
    }

    /// The hardware address of its interface.
    pub fn mac(&self) -> [u8; 6] {
        [0x02, 0x99, 0, 0, 0, self.0.number]
    }

    /// The directory with everything of this host.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// A mounted bpffs: what is pinned there outlives one agent and serves the next.
    pub fn bpf_dir(&self) -> PathBuf {
        self.0.dir.join("bpf")
    }

    /// For sockets and pid files.
    pub fn run_dir(&self) -> PathBuf {
        self.0.dir.join("run")
    }

    /// For what programs write.
    pub fn log_dir(&self) -> PathBuf {
        self.0.dir.join("log")
    }

    /// Starts a program; its output is kept in `<log_dir>/<label>.log`.
    pub fn spawn(&self, label: &str, command: Command) -> Result<Process> {
        let log = self.log_dir().join(format!("{label}.log"));
        Process::spawn(
            &self.0.ns,
            &format!("{}/{label}", self.name()),
            command,
            &log,
        )
    }

    /// Runs a program to its end; its standard output, or an error with its standard error.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        let (program, rest) = argv.split_first().context("no program to run")?;
        let mut command = Command::new(program);
        command.args(rest);
        self.0
            .ns
            .run(command)
            .with_context(|| format!("on {}", self.name()))
    }

    /// Runs a program to its end, whatever that is.
    pub fn try_run(&self, argv: &[&str]) -> Result<Said> {
        let (program, rest) = argv.split_first().context("no program to run")?;
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null());
        self.0.ns.confine(&mut command);
        let output = command
            .output()
            .with_context(|| format!("cannot run {program} on {}", self.name()))?;
        Ok(Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Names of the programs at the tcx ingress hook of its interface, in the order in which they run.
    pub fn ingress_programs(&self) -> Result<Vec<String>> {
        self.ns().inside(|| {
            let (_, programs) = SchedClassifier::query_tcx(Self::INTERFACE, TcAttachType::Ingress)?;
            let name = |info: &ProgramInfo| info.name_as_str().unwrap_or("").to_owned();
            Ok(programs.iter().map(name).collect())
        })?
    }

    /// What `ip link` says of XDP on an interface: 1 native, 2 generic.
    pub fn xdp_mode(&self, interface: &str) -> Result<Option<u64>> {
        Ok(self.xdp(interface)?["mode"].as_u64())
    }

    /// The identifier of the XDP program on an interface.
    pub fn xdp_program(&self, interface: &str) -> Result<Option<u64>> {
        Ok(self.xdp(interface)?["prog"]["id"].as_u64())
    }

    fn xdp(&self, interface: &str) -> Result<serde_json::Value> {
        let text = self.run(&["ip", "-json", "-details", "link", "show", "dev", interface])?;
        let links: serde_json::Value = serde_json::from_str(&text)?;
        Ok(links[0]["xdp"].clone())
    }

    /// How many virtual routers have a slot in its pinned maps.
    pub fn slots_in_use(&self) -> Result<usize> {
        let reader = ha_agent::datapath::reader::Reader::pinned(&self.bpf_dir())?;
        Ok(reader.entries().len())
    }

    /// Makes the host's own firewall drop the adverts that it sends: the operators' way of testing.
    pub fn drop_own_adverts(&self) -> Result<()> {
        self.output_rule("-I")
    }

    /// Undoes [`Self::drop_own_adverts`].
    pub fn pass_own_adverts(&self) -> Result<()> {
        self.output_rule("-D")
    }

    fn output_rule(&self, verb: &str) -> Result<()> {
        self.run(&["iptables", "-w", verb, "OUTPUT", "-p", "vrrp", "-j", "DROP"])
            .map(drop)
    }

    fn make_directories(&self) -> Result<()> {
        for dir in [self.bpf_dir(), self.run_dir(), self.log_dir()] {
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let none: Option<&str> = None;
        mount(
            Some("bpf"),
            &self.bpf_dir(),
            Some("bpf"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            none,
        )
        .with_context(|| format!("cannot mount a bpffs on {}", self.bpf_dir().display()))
    }

    pub(super) fn connect(&self, switch: &Namespace) -> Result<()> {
        let ns = self.ns().name();
        let port = self.name();
        let mac = self.mac().map(|byte| format!("{byte:02x}")).join(":");
        // Duplicate address detection would delay the addresses by a second or more.
        for scope in ["all", "default"] {
            self.ns()
                .sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
        }
        switch.batch(&format!(
            "link add {port} type veth peer name eth0 netns {ns}\n\
             link set {port} addrgenmode none\n\
             link set {port} master br0 up\n"
        ))?;
        self.ns().batch(&format!(
            "link set lo up\n\
             link set eth0 addrgenmode none\n\
             link set eth0 address {mac}\n\
             addr add {}/24 dev eth0\n\
             link set eth0 up\n\
             addr add {}/64 dev eth0 nodad\n\
             addr add {}/64 dev eth0 nodad\n",
            self.ipv4(),
            self.link_local(),
            self.ipv6(),
        ))
    }
}
