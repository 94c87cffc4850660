//! A real keepalived beside an agent, by unicast: each as master and as backup.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance, far_peer, with_prefix};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::PATIENCE;
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Capture, Host, Lab, VIP, keepalived, require_root_and_tools, wait_until};

/// How two hosts talk to each other, and about which address.
#[derive(Clone, Copy)]
enum Over {
    Ipv4,
    Version2,
    Ipv6,
}

impl Over {
    const fn version(self) -> u8 {
        match self {
            Self::Version2 => 2,
            Self::Ipv4 | Self::Ipv6 => 3,
        }
    }

    /// v2 knows whole seconds only.
    const fn interval(self) -> Duration {
        match self {
            Self::Version2 => Duration::from_secs(1),
            Self::Ipv4 | Self::Ipv6 => Duration::from_millis(200),
        }
    }

    fn of(self, host: &Host) -> IpAddr {
        match self {
            Self::Ipv4 | Self::Version2 => host.ipv4().into(),
            Self::Ipv6 => host.ipv6().into(),
        }
    }

    fn vip(self) -> IpAddr {
        match self {
            Self::Ipv4 | Self::Version2 => VIP,
            Self::Ipv6 => IpAddr::from([0xfd00, 0x99, 0, 0, 0, 0, 0, 0x100]),
        }
    }

    fn addresses(self) -> Vec<String> {
        match self {
            Self::Ipv4 | Self::Version2 => vec![with_prefix(VIP)],
            // RFC 9568 section 5.2.9: the first is link-local.
            Self::Ipv6 => vec!["fe80::100/64".to_owned(), with_prefix(self.vip())],
        }
    }
}

fn start_agent(over: Over, host: &Host, peer: &Host, priority: u8) -> Result<Agent> {
    let plain = Instance {
        priority,
        version: over.version(),
        advert_interval: over.interval(),
        addresses: over.addresses(),
        ..Instance::default()
    };
    let instance = match over {
        Over::Ipv4 | Over::Version2 => plain.to_peers(&[over.of(peer)]),
        // keepalived 2.2.7 sends its unicast over IPv6 with the hop limit of any other packet.
        Over::Ipv6 => plain.with("peers", vec![far_peer(over.of(peer), 64, 255)]),
    };
    Agent::start(host, &AgentConfig::new(host, instance))
}

fn peer_of(over: Over, host: &Host, agent: &Host, priority: u8) -> keepalived::Instance {
    let extra = format!(
        "  unicast_src_ip {}\n  unicast_peer {{\n    {}\n  }}\n  check_unicast_src\n",
        over.of(host),
        over.of(agent)
    );
    let vip = match over {
        Over::Ipv4 | Over::Version2 => over.vip(),
        Over::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x100]),
    };
    keepalived::Instance {
        priority,
        version: over.version(),
        interval: over.interval(),
        vips: vec![vip],
        extra: match over {
            Over::Ipv4 | Over::Version2 => extra,
            Over::Ipv6 => format!(
                "{extra}  virtual_ipaddress {{\n    {}/64\n  }}\n",
                over.vip()
            ),
        },
        ..keepalived::Instance::default()
    }
}

/// Some adverts of the master, all of them by unicast to the peer, and none of anybody else.
fn leads_by_unicast(over: Over, capture: &Capture, master: &Host, peer: &Host) -> Result<()> {
    let begin = now();
    wait_until(PATIENCE, "adverts of a steady master", || {
        let frames = capture.frames_since(begin);
        let sent = frames
            .iter()
            .filter(|it| it.is_from(master) && it.vrrp().is_some());
        sent.count() >= 5
    })?;
    for frame in capture.frames_since(begin) {
        let Some(vrrp) = frame.vrrp() else { continue };
        ensure!(vrrp.source == over.of(master), "{vrrp:?}");
        ensure!(vrrp.destination == over.of(peer), "{vrrp:?}");
        ensure!(vrrp.ttl == 255 || matches!(over, Over::Ipv6), "{vrrp:?}");
    }
    Ok(())
}

/// The agent is master; it leaves and comes back.
fn an_agent_leads(over: Over) -> Result<()> {
    require_root_and_tools(&["keepalived"])?;
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_agent, on_peer) = (h1.vip_watch(over.vip())?, h2.vip_watch(over.vip())?);
    let agent = start_agent(over, h1, h2, 100)?;
    let _keepalived = peer_of(over, h2, h1, 90).start(h2)?;
    on_agent.wait_present(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)?;
    on_peer.wait_absent(PATIENCE)?;
    leads_by_unicast(over, &capture, h1, h2)?;
    no_rejects(&agent)?;

    let stopped = now();
    agent.process().signal(Signal::TERM)?;
    let farewell = capture.wait_advert(h1, 0, stopped, PATIENCE)?;
    let taken = on_peer.wait_present(PATIENCE)?;
    let waited = taken.since(farewell.at).to_duration();
    ensure!(
        waited < over.interval() * 3,
        "keepalived waited {waited:?} after priority 0"
    );
    ensure!(!on_agent.present());

    agent.process().wait(PATIENCE)?;
    let agent = Agent::start_again(h1)?;
    on_agent.wait_present(PATIENCE)?;
    on_peer.wait_absent(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)?;
    leads_by_unicast(over, &capture, h1, h2)
}

/// keepalived is master; it leaves and comes back.
fn an_agent_follows(over: Over) -> Result<()> {
    require_root_and_tools(&["keepalived"])?;
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_peer, on_agent) = (h1.vip_watch(over.vip())?, h2.vip_watch(over.vip())?);
    let keepalived = peer_of(over, h1, h2, 110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    let agent = start_agent(over, h2, h1, 100)?;
    agent.wait_state(State::Backup, PATIENCE)?;
    leads_by_unicast(over, &capture, h1, h2)?;
    let found = agent.only()?;
    ensure!(found.transitions == 1, "it has only become backup");
    ensure!(found.counters.adverts_received > 0);
    no_rejects(&agent)?;

    let stopped = now();
    keepalived.signal(Signal::TERM)?;
    capture.wait_advert(h1, 0, stopped, PATIENCE)?;
    on_agent.wait_present(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)?;
    leads_by_unicast(over, &capture, h2, h1)?;

    keepalived.wait(PATIENCE)?;
    let _keepalived = peer_of(over, h1, h2, 110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    on_agent.wait_absent(PATIENCE)?;
    agent.wait_state(State::Backup, PATIENCE)
}

fn no_rejects(agent: &Agent) -> Result<()> {
    let rejects = agent.only()?.counters.rejects;
    ensure!(rejects.values().all(|count| *count == 0), "{rejects:?}");
    Ok(())
}

#[test]
fn an_agent_leads_a_keepalived_by_unicast() -> Result<()> {
    an_agent_leads(Over::Ipv4)
}

#[test]
fn an_agent_follows_a_keepalived_by_unicast() -> Result<()> {
    an_agent_follows(Over::Ipv4)
}

#[test]
fn an_agent_leads_a_keepalived_by_unicast_over_ipv6() -> Result<()> {
    an_agent_leads(Over::Ipv6)
}

#[test]
fn an_agent_follows_a_keepalived_by_unicast_over_ipv6() -> Result<()> {
    an_agent_follows(Over::Ipv6)
}
#[test]
fn an_agent_leads_a_keepalived_by_unicast_in_version_2() -> Result<()> {
    an_agent_leads(Over::Version2)
}

#[test]
fn an_agent_follows_a_keepalived_by_unicast_in_version_2() -> Result<()> {
    an_agent_follows(Over::Version2)
}
