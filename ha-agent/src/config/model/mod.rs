//! A configuration that has been read and found valid: plain values, ranges already checked.

pub mod advert_size;
mod hmac;
mod probe;
mod track;
mod transport;
pub mod virtual_address;
mod virtual_mac;
pub mod virtual_route;
pub mod virtual_rule;
mod written;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ha_common::units::{Centiseconds, Family, Priority, Version, Vrid};
use serde::{Deserialize, Serialize, Serializer};

pub use hmac::{Hmac, HmacKey, KeySource, Mode};
pub use probe::{COMMAND_PATH, CountProbe, FileProbe, FileUse};
pub use track::{Carrier, Delay, Subject, Track};
pub(crate) use transport::standard_group;
pub use transport::{Peer, Transport, Unicast};
pub use virtual_mac::{VirtualMac, address_of};

use super::diagnostics::Problem;
use virtual_address::VirtualAddress;
use virtual_route::VirtualRoute;
use virtual_rule::VirtualRule;

/// The whole file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Config {
    /// `[node]`.
    pub node: Node,
    /// `[[instance]]`, in file order; names are unique.
    #[serde(rename = "instance")]
    pub instances: Vec<Instance>,
    /// `[[check]]`, in file order; names are unique.
    #[serde(rename = "check")]
    pub checks: Vec<Check>,
    /// `[[group]]`, in file order; names are unique.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
    /// What is valid but most likely not meant, in file order.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

/// `[node]`: what concerns the host.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Node {
    /// `name`; default: the host name.
    pub name: String,
    /// `log_format`.
    pub log_format: LogFormat,
    /// `max_slots`: virtual routers that the kernel half has room for, 1 to 65536; default 4096.
    pub max_slots: u32,
}

/// `log_format = "text" | "json"`, and `--log-format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line each; the journal's own form where stderr is the journal
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// `[[instance]]`: one virtual router on one interface.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Instance {
    /// `name`: unique.
    pub name: String,
    /// `interface`: its name or an alternative one, at most 127 bytes; it may come later and go.
    pub interface: String,
    /// `vrid`.
    pub vrid: Vrid,
    /// The family of the addresses; all are of one.
    #[serde(skip)]
    pub family: Family,
    /// `version`; default 3. v2 has no IPv6.
    #[serde(serialize_with = "written::version")]
    pub version: Version,
    /// `priority`: 1 to 255; default 100.
    pub priority: Priority,
    /// `advert_interval`; default 1 s. v3: 10 ms to 40.95 s in steps of 10 ms. v2: whole seconds to 255.
    #[serde(serialize_with = "written::interval")]
    pub advert_interval: Centiseconds,
    /// `addresses`: the virtual addresses of the adverts, 1 to 255.
    /// Without a prefix length the whole address is meant (/32, /128).
    pub addresses: Vec<VirtualAddress>,
    /// `excluded`: addresses of either family that move along and are not in the adverts, 0 to 4096.
    pub excluded: Vec<VirtualAddress>,
    /// `routes`: added after the addresses, removed before them, 0 to 1024.
    pub routes: Vec<VirtualRoute>,
    /// `rules`: added after the routes, removed before them, 0 to 1024.
    pub rules: Vec<VirtualRule>,
    /// `source`: where adverts leave from; default the interface's primary or link-local address. It must be
    /// on the interface, or the instance is in FAULT.
    pub source: Option<IpAddr>,
    /// `group` or `peers`, and what goes with them.
    #[serde(flatten)]
    pub transport: Transport,
    /// `virtual_mac`: the virtual router's own MAC on a device of its own; default none, the interface's.
    pub virtual_mac: Option<VirtualMac>,
    /// `down_multiplier`: intervals without an advert until the master is dead, 1 to 10; default 3.
    pub down_multiplier: u8,
    /// `preempt`; default true.
    pub preempt: bool,
    /// `preempt_delay`: how long a backup leaves a healthy master of lower priority alone; default 0, at
    /// most 1 h.
    #[serde(serialize_with = "written::span")]
    pub preempt_delay: Duration,
    /// `auth`; default none; v2 only.
    pub auth: Auth,
    /// `hmac`; default none.
    #[serde(skip)]
    pub hmac: Option<Hmac>,
    /// `track`.
    pub track: Vec<Track>,
    /// `last_resort`: the priority in place of a fault by what is tracked, 1 to 253; default none.
    pub last_resort: Option<Priority>,
    /// `carrier`; default fault.
    pub carrier: Carrier,
    /// `carrier_delay`: how long a master's own interface may be down until that is a fault; default 0, at most 1 min.
    #[serde(serialize_with = "written::span")]
    pub carrier_delay: Duration,
    /// `address_delay`: how long a master, or a backup on a BPF datapath, may miss its own address until that is a
    /// fault; default 3 s, at most 1 min.
    #[serde(serialize_with = "written::span")]
    pub address_delay: Duration,
    /// `datapath`; default auto.
    pub datapath: DatapathChoice,
    /// `consume`; default auto.
    pub consume: Consume,
    /// `checksum`: which flavour v3 over IPv4 sends; default with the pseudo-header.
    pub checksum: ChecksumFlavour,
    /// `garp`.
    pub garp: Garp,
    /// `start_delay`: how long after start, and after the link came up, to only listen; default 0, at most 10 min.
    #[serde(serialize_with = "written::span")]
    pub start_delay: Duration,
}

/// `auth = { type = "none" }` or `{ type = "pass", password = "..." }`.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub enum Auth {
    /// No authentication.
    #[default]
    None,
    /// RFC 2338 simple text password, at most 8 bytes, padded with zeros.
    Pass([u8; 8]),
}

impl std::fmt::Debug for Auth {
    // A password never reaches a log or a dump.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Pass(_) => f.write_str("Pass(..)"),
        }
    }
}

impl Serialize for Auth {
    // Nor a file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => BTreeMap::from([("type", "none")]),
            Self::Pass(_) => BTreeMap::from([("type", "pass"), ("password", written::REDACTED)]),
        }
        .serialize(serializer)
    }
}

/// A way to receive adverts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Datapath {
    /// BPF at the tc ingress hook: what the host's stack sees, at no cost to other traffic.
    Tc,
    /// XDP in the driver.
    Native,
    /// XDP in the stack.
    Generic,
    /// A plain socket in the agent.
    Socket,
}

impl Datapath {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tc, Self::Native, Self::Generic, Self::Socket];

    /// As the configuration and the JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Socket => "socket",
        }
    }

    /// As a person reads it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Native => "native XDP",
            Self::Generic => "generic XDP",
            Self::Socket => "plain socket",
        }
    }
}

/// `datapath = "auto" | "tc" | "native" | "generic" | "socket"`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DatapathChoice {
    /// What costs the host's other traffic nothing: tc, else a plain socket.
    #[default]
    Auto,
    /// This one, or FAULT with the reason.
    #[serde(untagged)]
    Only(Datapath),
}

impl DatapathChoice {
    /// Every choice, in the order in which errors list them.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Only(Datapath::Tc),
        Self::Only(Datapath::Native),
        Self::Only(Datapath::Generic),
        Self::Only(Datapath::Socket),
    ];

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(datapath) => datapath.name(),
        }
    }

    /// The one that the configuration writes so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// `consume = "auto" | true | false`: whether adverts for our VRIDs end in the BPF program.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consume {
    /// Pass them on while the instances of the interface add up to at most 100 adverts a second.
    #[default]
    Auto,
    /// Always consume.
    Always,
    /// Never consume.
    Never,
}

impl Serialize for Consume {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

/// `checksum = "pseudo-header" | "payload"` for v3 over IPv4; both are accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChecksumFlavour {
    /// With the IPv4 pseudo-header, as keepalived and FRR send.
    #[default]
    PseudoHeader,
    /// Over the VRRP message alone (RFC 9568 section 5.2.8 for IPv4).
    Payload,
}

/// `garp = { count = 5, repeat_after = "5s", repeat_count = 5, refresh = "60s" }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Garp {
    /// `count`: announcements of each address at once on take-over, 1 to 100; default 5.
    pub count: u8,
    /// `repeat_after`: when the second burst leaves, 0 (never) to 60 s; default 5 s.
    #[serde(serialize_with = "written::span")]
    pub repeat_after: Duration,
    /// `repeat_count`: announcements of the second burst, 0 to 100; default 5.
    pub repeat_count: u8,
    /// `refresh`: one more of each every so often while master, 0 (never) to 24 h; default 60 s.
    #[serde(serialize_with = "written::span")]
    pub refresh: Duration,
    /// `gap`: from one announcement to the next, 0 (the default: 256 in 2 ms) to 10 s.
    #[serde(serialize_with = "written::span")]
    pub gap: Duration,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            count: 5,
            repeat_after: Duration::from_secs(5),
            repeat_count: 5,
            refresh: Duration::from_mins(1),
            gap: Duration::ZERO,
        }
    }
}

/// `[[check]]`: one health check, shared by all instances that track it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// `name`: unique.
    pub name: String,
    /// One of `http`, `tcp`, `process`, `command`, `file`.
    #[serde(rename = "process", serialize_with = "written::probe")]
    pub probe: Probe,
    /// `interval`: from one run's start to the next's, 10 ms to 1 h; default 1 s.
    #[serde(serialize_with = "written::span")]
    pub interval: Duration,
    /// `timeout`: 1 ms to 10 min; default 500 ms or the interval, whichever is shorter; at most the
    /// interval for http and tcp.
    #[serde(serialize_with = "written::span")]
    pub timeout: Duration,
    /// `fall`: failures in a row until the check is down, 1 to 100; default 2.
    pub fall: u32,
    /// `rise`: successes in a row until it is up again, 1 to 100; default 2.
    pub rise: u32,
    /// `restart`.
    #[serde(skip)]
    pub restart: Option<Restart>,
}

/// What a check looks at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// `http = "http://HOST[:PORT]/PATH"`, with `status`, `body`, `host` beside it.
    Http(HttpProbe),
    /// `tcp = "ADDRESS:PORT"`: a connection can be opened.
    Tcp(SocketAddr),
    /// `process = { pid_file = PATH }` or `{ name = NAME }`.
    Process(ProcessProbe),
    /// `process = { name = NAME, min = 2, max = 10, args = [...] }`.
    ProcessCount(CountProbe),
    /// `file = { path = PATH, up = "exists" }`: watched, so that the keys of runs do not go with it.
    File(FileProbe),
    /// `command = ["PROGRAM", "ARG", ...]`, with `user` beside it.
    Command(CommandProbe),
}

/// An HTTP request and what its answer must look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpProbe {
    /// Where to connect.
    pub address: SocketAddr,
    /// Path and query.
    pub path: String,
    /// `host`: the Host header; default: the URL's authority.
    pub host: String,
    /// `status`: what counts as success, inclusive; default 200..=399.
    pub status: std::ops::RangeInclusive<u16>,
    /// `body`: a substring that must occur in the first 64 KiB.
    pub body: Option<String>,
    /// For this process to be noticed as dead at once: `pid_file` beside `http`.
    pub process: Option<ProcessProbe>,
}

/// A process that must live.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProcessProbe {
    /// The pid in this file.
    PidFile(PathBuf),
    /// The oldest process of this name (`/proc/PID/comm`).
    Name(String),
}

/// A command whose exit status 0 means health.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandProbe {
    /// Program (absolute path) and arguments; no shell.
    pub argv: Vec<String>,
    /// `user`: whom it runs as; default `nobody`.
    pub user: String,
}

/// `restart = { command = [...], attempts = 1, settle = "2s", backoff = "1s", timeout = "10s" }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restart {
    /// `command`: run as the agent's user, no shell.
    pub command: Vec<String>,
    /// `attempts`: per outage, 1 to 100; default 1.
    pub attempts: u32,
    /// `settle`: how long after the command the service has to pass the check, to 10 min; default 2 s.
    pub settle: Duration,
    /// `backoff`: the wait before the second attempt, doubled for each further one, to 10 min; default 1 s.
    pub backoff: Duration,
    /// `timeout`: how long the command itself may run, to 10 min; default 10 s.
    pub timeout: Duration,
}

/// `[[group]]`: instances that are master together or not at all.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Group {
    /// `name`: unique.
    pub name: String,
    /// `instances`: names of two or more instances, none of them an owner's or in another group.
    pub instances: Vec<String>,
}

impl Config {
    /// A file that is read as this configuration, but for its secrets.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

impl Instance {
    /// The addresses of the adverts without their prefixes, in configured order.
    pub fn virtual_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(VirtualAddress::addr)
    }

    /// Whether an IPv6 address is among them.
    pub fn holds_ipv6(&self) -> bool {
        self.held().any(|address| address.addr().is_ipv6())
    }

    /// All that a master holds: the addresses of the adverts first, then the excluded ones.
    pub fn held(&self) -> impl Iterator<Item = &VirtualAddress> + '_ {
        self.addresses.iter().chain(&self.excluded)
    }
}
