//! The agent's configuration file, as a value that a test changes a field of.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Serialize, Serializer};

use super::addresses::VIP;
use super::host::Host;
use super::nginx::Nginx;

/// The whole file. Fields are called as in it; `extra` holds keys that have no field here.
#[derive(Clone, Debug, Serialize)]
pub struct AgentConfig {
    /// `[node]`.
    pub node: Node,
    /// `[[instance]]`.
    pub instance: Vec<Instance>,
    /// `[[check]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<Check>,
    /// `[[group]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<Group>,
}

/// `[[group]]`.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The names of its instances.
    pub instances: Vec<String>,
}

/// `[node]`.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// The node's name.
    pub name: String,
    /// Further keys.
    #[serde(flatten)]
    pub extra: toml::Table,
}

/// What the usual instance is called.
pub const USUAL: &str = "web";

/// Names the datapath of instances that have none in their configuration.
const DATAPATH_VARIABLE: &str = "HA_TEST_DATAPATH";

/// `[[instance]]`; the default is the one of the scenario, with priority 100.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The interface.
    pub interface: String,
    /// The virtual router.
    pub vrid: u8,
    /// 2 or 3.
    pub version: u8,
    /// 1 to 255.
    pub priority: u8,
    /// Between adverts.
    #[serde(serialize_with = "span")]
    pub advert_interval: Duration,
    /// Virtual addresses with prefix lengths.
    pub addresses: Vec<String>,
    /// Whether it takes the place of a healthy master of lower priority.
    pub preempt: bool,
    /// Tracked checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<Track>,
    /// Further keys, such as `datapath`.
    #[serde(flatten)]
    pub extra: toml::Table,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            name: USUAL.to_owned(),
            interface: Host::INTERFACE.to_owned(),
            vrid: 51,
            version: 3,
            priority: 100,
            advert_interval: Duration::from_secs(1),
            addresses: vec![with_prefix(VIP)],
            preempt: true,
            track: Vec::new(),
            extra: datapath_under_test(),
        }
    }
}

/// The datapath that instances without one of their own run with.
pub fn kind_under_test() -> String {
    let named = std::env::var(DATAPATH_VARIABLE).ok();
    let by_name = named.filter(|name| name != "auto");
    by_name.unwrap_or_else(|| "tc".to_owned())
}

/// What `cargo xtask test --datapath` says; a test that is about a certain one names it.
fn datapath_under_test() -> toml::Table {
    let named = std::env::var(DATAPATH_VARIABLE).ok();
    named
        .map(|name| ("datapath".to_owned(), name.into()))
        .into_iter()
        .collect()
}

impl Instance {
    /// The same with unicast peers.
    #[must_use]
    pub fn to_peers(self, peers: &[IpAddr]) -> Self {
        let list: Vec<String> = peers.iter().map(IpAddr::to_string).collect();
        self.with("peers", list)
    }

    /// The same, receiving by this datapath.
    #[must_use]
    pub fn by(self, datapath: &str) -> Self {
        self.with("datapath", datapath)
    }

    /// The same with a further key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }
}

/// An entry of `track`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Track {
    /// The check's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// None: failed means fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i16>,
    /// Further keys, such as `interface`.
    #[serde(flatten)]
    pub extra: toml::Table,
}

impl Track {
    /// A check that faults the instance when it fails.
    pub fn check(name: &str) -> Self {
        Self {
            check: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// Another interface, with what else stands in the entry.
    pub fn interface(name: &str, extra: toml::Table) -> Self {
        let mut track = Self {
            extra,
            ..Self::default()
        };
        track.extra.insert("interface".to_owned(), name.into());
        track
    }
}

/// `[[check]]`; the probe (`http`, `tcp`, `process` or `command`) is in `probe`.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The key that says what is checked, and those that belong to it.
    #[serde(flatten)]
    pub probe: toml::Table,
    /// From one run to the next.
    #[serde(serialize_with = "span")]
    pub interval: Duration,
    /// When a run is given up.
    #[serde(serialize_with = "span")]
    pub timeout: Duration,
    /// Failures until it is down.
    pub fall: u32,
    /// Successes until it is up again.
    pub rise: u32,
    /// How to bring the service back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// `restart`.
#[derive(Clone, Debug, Serialize)]
pub struct Restart {
    /// What to run.
    pub command: Vec<String>,
    /// How often in one outage.
    pub attempts: u32,
    /// How long the service may take to come back.
    #[serde(serialize_with = "span")]
    pub settle: Duration,
}

impl Check {
    /// The check of nginx, with a restart that works where there is no systemd.
    pub fn of(nginx: &Nginx) -> Self {
        Self::nginx(nginx.start_command())
    }

    /// The check of nginx, with this restart command.
    pub fn nginx(restart: Vec<String>) -> Self {
        let url = toml::Value::from("http://127.0.0.1:80/");
        Self {
            name: "nginx".to_owned(),
            probe: toml::Table::from_iter([("http".to_owned(), url)]),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            fall: 2,
            rise: 2,
            restart: Some(Restart {
                command: restart,
                attempts: 1,
                settle: Duration::from_secs(2),
            }),
        }
    }
}

impl AgentConfig {
    /// One instance, no checks.
    pub fn new(host: &Host, instance: Instance) -> Self {
        Self {
            node: Node {
                name: host.name().to_owned(),
                extra: toml::Table::new(),
            },
            instance: vec![instance],
            check: Vec::new(),
            group: Vec::new(),
        }
    }

    /// Adds a check that every instance tracks; failed means fault.
    #[must_use]
    pub fn tracking(mut self, check: Check) -> Self {
        for instance in &mut self.instance {
            instance.track.push(Track::check(&check.name));
        }
        self.check.push(check);
        self
    }

    /// The file's text.
    pub fn text(&self) -> Result<String> {
        toml::to_string(self).context("the configuration cannot be written as TOML")
    }
}

/// What a host's configuration file can be written from: the whole of it, or its one instance.
pub trait Configuration {
    /// The whole file of this host.
    fn of(self, host: &Host) -> AgentConfig;
}

impl Configuration for Instance {
    fn of(self, host: &Host) -> AgentConfig {
        AgentConfig::new(host, self)
    }
}

impl Configuration for &AgentConfig {
    fn of(self, _: &Host) -> AgentConfig {
        self.clone()
    }
}

/// An address as `addresses` wants it, with the segment's prefix length.
pub fn with_prefix(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 64 };
    format!("{address}/{length}")
}

/// An entry of `peers` with its TTLs.
pub fn far_peer(address: IpAddr, min_ttl: u8, max_ttl: u8) -> toml::Table {
    let mut peer = toml::Table::new();
    peer.insert("address".to_owned(), address.to_string().into());
    peer.insert("min_ttl".to_owned(), i64::from(min_ttl).into());
    peer.insert("max_ttl".to_owned(), i64::from(max_ttl).into());
    peer
}

fn span<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{}ms", span.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_key_stands_in_its_table_and_an_unset_one_nowhere() {
        let mut instance = Instance::default();
        instance
            .extra
            .insert("datapath".to_owned(), "socket".into());
        let config = AgentConfig {
            node: Node {
                name: "h1".to_owned(),
                extra: toml::Table::new(),
            },
            instance: vec![instance],
            check: Vec::new(),
            group: Vec::new(),
        };
        let read: toml::Table = config.text().unwrap().parse().unwrap();
        let instance = &read["instance"][0];
        assert_eq!(instance["datapath"].as_str(), Some("socket"));
        assert_eq!(instance["advert_interval"].as_str(), Some("1000ms"));
        assert_eq!(instance["addresses"][0].as_str(), Some("10.99.0.100/24"));
        assert!(!read.contains_key("check") && instance.get("track").is_none());
    }
}
