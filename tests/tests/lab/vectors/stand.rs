//! The stand that frames are tried on: an agent that is a backup, and a host that sends anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_agent::datapath::reader::Reader;
use ha_common::layout::Counter;
use ha_common::units::Family;
use ha_tests::lab::agent::{self, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance, with_prefix};
use ha_tests::lab::forge::Forger;
use ha_tests::lab::pair::PATIENCE;
use ha_tests::lab::{Agent, Host, Lab, require_tools, wait_until};
use ha_tests::vectors::{Receiver, VRID, link_local};
use serde_json::Value;

use super::path::Path;
use super::tally::{Counts, Look, Moved, Said};

/// The priority of who keeps the agent a backup; higher than its own, and than those of most frames.
const LEADER: u8 = 200;
/// Room for the longest frames of the corpus, within what native XDP takes.
const MTU: &str = "3000";

pub(crate) struct Stand {
    path: Path,
    receiver: Receiver,
    agent: Agent,
    forger: Forger,
    // Said after each frame: once it is counted, so is what came before it.
    marker: Vec<u8>,
    last: Look,
    _lab: Lab,
}

impl Stand {
    pub(crate) fn new(path: Path, receiver: Receiver) -> Result<Self> {
        require_tools(&["ethtool"])?;
        let lab = Lab::new(2)?;
        widen(&lab)?;
        forward_blindly(&lab)?;
        keep_tags(&lab)?;
        let h1 = lab.host(1);
        let config = AgentConfig::new(h1, instance(receiver, path));
        let agent = Agent::start(h1, &config)?;
        let mut leader = receiver.valid();
        leader.source = third(receiver);
        leader.message.priority = LEADER;
        let mut stand = Self {
            path,
            receiver,
            agent,
            forger: lab.host(2).forger()?,
            marker: leader.bytes(),
            last: Look::default(),
            _lab: lab,
        };
        stand.settle()?;
        Ok(stand)
    }

    /// Sends a frame, and waits until it has come to everything that it can come to.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<Moved> {
        self.forger.send(frame)?;
        let before = self.last.clone();
        self.last = self.mark()?;
        Ok(Moved::between(&before, &self.last))
    }

    /// Fails if any of the frames had a consequence that no frame of that kind may have.
    pub(crate) fn has_stayed_backup(&self) -> Result<()> {
        let found = self.agent.only()?;
        ensure!(found.state == State::Backup, "{found:#?}");
        ensure!(found.transitions == 1, "{found:#?}");
        Ok(())
    }

    /// Waits until the agent hears, by the path that is on trial, both the leader and the peer whose frames
    /// will be wrong. Known peers are counted; a new one is only noted every so often.
    fn settle(&mut self) -> Result<()> {
        let valid = self.receiver.valid();
        let agent = &self.agent;
        agent.wait("listens", |it| it.state == State::Backup)?;
        let known = |address: IpAddr| {
            let peers = agent::peers(agent.host());
            peers.is_ok_and(|peers| peer(&peers, address).is_some())
        };
        for (frame, source) in [
            (valid.bytes(), valid.source),
            (self.marker.clone(), third(self.receiver)),
        ] {
            wait_until(PATIENCE, "the agent knows its peers", || {
                self.forger.send(&frame).is_ok() && known(source)
            })?;
        }
        let found = self.agent.only()?;
        ensure!(
            found.receives_by(self.path.name()),
            "{:?} does not run: {:?}",
            self.path,
            found.datapath
        );
        // Frames may still be under way: not to be taken for what the first vector moves.
        for _ in 0..2 {
            self.last = self.mark()?;
        }
        Ok(())
    }

    /// Sends the marker, waits until it is counted, and looks at everything else.
    fn mark(&mut self) -> Result<Look> {
        let before = self.marks()?;
        self.forger.send(&self.marker)?;
        wait_until(PATIENCE, "the marker is counted", || {
            self.marks().is_ok_and(|marks| marks > before)
        })?;
        self.look()
    }

    /// How many markers are counted.
    fn marks(&self) -> Result<u64> {
        let peers = agent::peers(self.agent.host())?;
        let leader = peer(&peers, third(self.receiver)).context("the leader is not known")?;
        leader["adverts"].as_u64().context("no number")
    }

    fn look(&self) -> Result<Look> {
        let mut counts = Counts::default();
        let found = self.agent.only()?;
        counts.take_router(&found, self.marks()?);
        let peers = agent::peers(self.agent.host())?;
        let leader = third(self.receiver).to_string();
        let mut last_adverts = BTreeMap::new();
        for peer in peers["peers"].as_array().context("no peers")? {
            let address = peer["address"].as_str().context("no address")?;
            if address == leader {
                continue;
            }
            counts.take_peer(address, peer)?;
            let last = &peer["last"];
            let said = ["priority", "version", "interval_us"].map(|field| last[field].as_u64());
            if let [Some(priority), Some(version), Some(interval_us)] = said {
                let said = Said {
                    priority,
                    version,
                    interval_us,
                };
                last_adverts.insert(address.to_owned(), said);
            }
        }
        if self.path.is_xdp() {
            let reader = Reader::pinned(&self.agent.host().bpf_dir())?;
            for counter in [Counter::Tagged, Counter::Unreadable, Counter::NotOurs] {
                counts.set(&format!("host {counter:?}"), reader.counter(counter));
            }
        }
        Ok(Look {
            counts,
            last_adverts,
            last_refused: found
                .last_rejected
                .map(|it| (it.reason, it.source.to_string())),
        })
    }
}

fn instance(receiver: Receiver, path: Path) -> Instance {
    let addresses = receiver.valid().message.addresses;
    let instance = Instance {
        vrid: VRID,
        version: receiver.version(),
        priority: 100,
        advert_interval: Duration::from_secs(1),
        addresses: addresses.into_iter().map(with_prefix).collect(),
        ..Instance::default()
    }
    .by(path.name());
    match receiver {
        // Nothing comes here for unicast and other groups: `unicast` has them.
        Receiver::V3Ipv4
        | Receiver::V3Ipv6
        | Receiver::V2Plain
        | Receiver::UnicastIpv4
        | Receiver::UnicastIpv6
        | Receiver::UnicastAnybody
        | Receiver::OtherGroup => instance,
        Receiver::V2Password => instance.with(
            "auth",
            toml::Table::from_iter([
                ("type".to_owned(), "pass".into()),
                ("password".to_owned(), "secret".into()),
            ]),
        ),
    }
}

/// Neither the agent's address nor that of the frames.
fn third(receiver: Receiver) -> IpAddr {
    match receiver.family() {
        Family::V4 => Ipv4Addr::new(10, 99, 0, 3).into(),
        Family::V6 => link_local(3).into(),
    }
}

fn peer(peers: &Value, address: IpAddr) -> Option<&Value> {
    let peers = peers["peers"].as_array()?;
    peers
        .iter()
        .find(|peer| peer["address"] == address.to_string())
}

/// Lets frames pass that are longer than usual.
fn widen(lab: &Lab) -> Result<()> {
    let (h1, h2) = (lab.host(1), lab.host(2));
    for host in [h1, h2] {
        lab.switch()
            .batch(&format!("link set {} mtu {MTU}\n", host.name()))?;
        host.ns()
            .batch(&format!("link set {} mtu {MTU}\n", Host::INTERFACE))?;
    }
    lab.switch().batch(&format!("link set br0 mtu {MTU}\n"))
}

/// Keeps the switch from looking into what it forwards, as a machine with `br_netfilter` does: it would
/// drop what is wrong, and cut off what is too long.
fn forward_blindly(lab: &Lab) -> Result<()> {
    for family in ["iptables", "ip6tables"] {
        let key = format!("net/bridge/bridge-nf-call-{family}");
        if std::path::Path::new("/proc/sys").join(&key).exists() {
            lab.switch().sysctl(&key, "0")?;
        }
    }
    Ok(())
}

/// Makes the host's card one that leaves VLAN tags in the frame. With the usual offload the tag stands
/// beside the frame, where no XDP program sees it (`docs/OPERATIONS.md`).
fn keep_tags(lab: &Lab) -> Result<()> {
    let mut ethtool = Command::new("ethtool");
    ethtool
        .args(["-K", lab.host(1).name(), "txvlan", "off"])
        .args(["tx-vlan-stag-hw-insert", "off"]);
    lab.switch().run(ethtool).map(drop)
}
