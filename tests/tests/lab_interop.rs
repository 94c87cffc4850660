//! A real keepalived beside an agent: each as master and as backup, both versions.

use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent::State;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::capture::Timing;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::PATIENCE;
use ha_tests::lab::process::Signal;
use ha_tests::lab::{
    Agent, AgentConfig, Capture, Host, Lab, VIP, keepalived, require_root_and_tools, wait_until,
};

/// v2 knows whole seconds only.
const fn interval(version: u8) -> Duration {
    if version == 2 {
        Duration::from_secs(1)
    } else {
        Duration::from_millis(200)
    }
}

fn agent(host: &Host, version: u8, priority: u8) -> Result<Agent> {
    let instance = Instance {
        version,
        priority,
        advert_interval: interval(version),
        ..Instance::default()
    };
    Agent::start(host, &AgentConfig::new(host, instance))
}

fn peer(version: u8, priority: u8) -> keepalived::Instance {
    keepalived::Instance {
        version,
        priority,
        interval: interval(version),
        ..keepalived::Instance::default()
    }
}

/// Nobody but this host has sent an advert for so many of its intervals.
fn is_steady(capture: &Capture, master: &Host, version: u8, adverts: usize) -> Result<()> {
    let begin = now();
    wait_until(PATIENCE, "adverts of a steady master", || {
        let frames = capture.frames_since(begin);
        let sent = frames
            .iter()
            .filter(|frame| frame.is_from(master) && frame.vrrp().is_some());
        sent.count() >= adverts
    })?;
    let others = capture.frames_since(begin);
    let others = others.iter().filter(|frame| {
        frame.vrrp().is_some_and(|vrrp| vrrp.version == version) && !is_of(frame, master)
    });
    ensure!(others.count() == 0, "somebody else advertises too");
    Ok(())
}

fn is_of(frame: &ha_tests::lab::capture::Frame, master: &Host) -> bool {
    frame
        .vrrp()
        .is_some_and(|vrrp| vrrp.source == std::net::IpAddr::from(master.ipv4()))
}

/// RFC 9568 section 6.4.3 (advertise, shutdown), RFC 3768 section 6.4.3 (advertise, shutdown).
fn the_agent_leads(version: u8) -> Result<()> {
    require_root_and_tools(&["keepalived"])?;
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_agent, on_peer) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let agent = agent(h1, version, 100)?;
    let keepalived = peer(version, 90).start(h2)?;
    on_agent.wait_present(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)?;
    on_peer.wait_absent(PATIENCE)?;
    is_steady(&capture, h1, version, 10)?;
    ensure!(
        agent
            .only()?
            .counters
            .rejects
            .values()
            .all(|count| *count == 0)
    );

    // Priority 0: the peer takes over after its skew and not after the whole wait.
    let stopped = now();
    agent.process().signal(Signal::TERM)?;
    let farewell = capture.wait_advert(h1, 0, stopped, PATIENCE)?;
    let taken = on_peer.wait_present(PATIENCE)?;
    let timing = Timing {
        interval: interval(version),
        priority: 90,
    };
    let waited = taken.since(farewell.at).to_duration();
    ensure!(
        waited < timing.master_down(),
        "keepalived waited {waited:?}"
    );
    ensure!(!on_agent.present());

    // The agent comes back and preempts; keepalived yields.
    let _agent = agent_again(h1)?;
    on_agent.wait_present(PATIENCE)?;
    on_peer.wait_absent(PATIENCE)?;
    drop(keepalived);
    Ok(())
}

fn agent_again(host: &Host) -> Result<Agent> {
    Agent::start_again(host)
}

fn the_peer_leads(version: u8) -> Result<()> {
    require_root_and_tools(&["keepalived"])?;
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_peer, on_agent) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let keepalived = peer(version, 110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    let agent = agent(h2, version, 100)?;
    agent.wait_state(State::Backup, PATIENCE)?;
    is_steady(&capture, h1, version, 10)?;
    ensure!(agent.only()?.transitions == 1, "it has only become backup");

    let stopped = now();
    keepalived.signal(Signal::TERM)?;
    capture.wait_advert(h1, 0, stopped, PATIENCE)?;
    on_agent.wait_present(PATIENCE)?;
    agent.wait_state(State::Master, PATIENCE)?;

    // keepalived comes back and preempts; the agent yields.
    keepalived.wait(PATIENCE)?;
    let _keepalived = peer(version, 110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    on_agent.wait_absent(PATIENCE)?;
    agent.wait_state(State::Backup, PATIENCE)
}

#[test]
fn an_agent_leads_a_keepalived_in_version_2() -> Result<()> {
    the_agent_leads(2)
}

#[test]
fn an_agent_leads_a_keepalived_in_version_3() -> Result<()> {
    the_agent_leads(3)
}

#[test]
fn an_agent_follows_a_keepalived_in_version_2() -> Result<()> {
    the_peer_leads(2)
}

#[test]
fn an_agent_follows_a_keepalived_in_version_3() -> Result<()> {
    the_peer_leads(3)
}
