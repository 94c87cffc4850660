//! Where adverts end: what a tcpdump on the host sees, and what the agent's own sockets do not.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::{Advert, GROUP_V4};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::capture::Frame;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::{Agent, Host, Lab, Pair};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

#[test]
fn a_tcpdump_sees_the_adverts_while_they_are_few() -> Result<()> {
    let pair = Pair::start()?;
    let consume = pair.backup.only()?.consume;
    ensure!(
        consume.configured == "auto" && !consume.effective,
        "{consume:?}"
    );
    ensure!(consume.why.contains("at most 100"), "{consume:?}");
    let sniffer = pair.h2().sniff(Host::INTERFACE)?;
    sniffer.wait_for("an advert", now(), PATIENCE, |it| is_of(it, pair.h2(), 51))?;
    nothing_is_queued(pair.h2())?;
    nothing_is_queued(pair.h1())
}

/// By XDP they do not even reach a tcpdump; packet sockets come before tc, so there it goes on to see them.
#[test]
fn consumed_adverts_reach_no_socket_and_other_frames_pass() -> Result<()> {
    for (datapath, is_sniffed) in [("tc", true), ("native", false)] {
        let backup = instance(90).with("consume", true).by(datapath);
        let pair = Pair::of(instance(100), backup)?;
        let consume = pair.backup.only()?.consume;
        ensure!(
            consume.configured == "always" && consume.effective,
            "{consume:?}"
        );
        let listener = listen(pair.h2())?;
        let begin = now();
        let sniffer = pair.h2().sniff(Host::INTERFACE)?;
        let before = pair.backup.only()?.counters.adverts_received;
        pair.backup.wait("ten adverts are heard", |it| {
            it.counters.adverts_received >= before + 10
        })?;
        // Another virtual router's advert is none of ours; it comes after those that must not.
        let stranger = Advert {
            ethernet_source: pair.lab.client_host().mac(),
            vrid: 77,
            ..Advert::default()
        };
        pair.lab.client_host().forger()?.send(&stranger.frame())?;
        sniffer.wait_for("the other router's advert", begin, PATIENCE, |it| {
            is_of(it, pair.h2(), 77)
        })?;
        let mut packet = [0; 128];
        let mut listener = &listener;
        let length = listener.read(&mut packet).context("nothing passed")?;
        // Behind an IPv4 header of 20 bytes: version and type, then the VRID.
        let vrid = packet.get(..length).and_then(|packet| packet.get(21));
        ensure!(vrid == Some(&77), "by {datapath} VRID {vrid:?} came first");
        let frames = sniffer.frames();
        let eaten = frames.iter().filter(|it| is_of(it, pair.h2(), 51)).count();
        ensure!(
            (eaten > 0) == is_sniffed,
            "by {datapath} {eaten} were sniffed"
        );
        ensure!(sniffer.dropped() == 0);
        nothing_is_queued(pair.h2())?;
    }
    Ok(())
}

/// A raw socket on a host that hears the group.
fn listen(host: &Host) -> Result<Socket> {
    host.ns().inside(|| -> Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
        socket.bind_device(Some(Host::INTERFACE.as_bytes()))?;
        let index = InterfaceIndexOrAddress::Index(if_nametoindex(Host::INTERFACE)?);
        socket.join_multicast_v4_n(&GROUP_V4, &index)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    })?
}

#[test]
fn auto_consumes_above_a_hundred_adverts_a_second_on_an_interface() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let mut config = AgentConfig::new(h1, fast("one", 51));
    let agent = Agent::start(h1, &config)?;
    // Exactly a hundred are not more than a hundred.
    let found = agent.wait_instance("one", "attached", PATIENCE, |it| it.ifindex.is_some())?;
    ensure!(!found.consume.effective, "{:?}", found.consume);

    config.instance.push(fast("two", 52));
    agent.reload_with(&config)?;
    for name in ["one", "two"] {
        let found = agent.wait_instance(name, "consumes", PATIENCE, |it| it.consume.effective)?;
        ensure!(found.consume.configured == "auto");
        ensure!(
            found.consume.why.contains("more than 100"),
            "{:?}",
            found.consume
        );
    }
    config.instance.pop();
    agent.reload_with(&config)?;
    agent.wait_instance("one", "passes again", PATIENCE, |it| !it.consume.effective)?;
    Ok(())
}

#[test]
fn a_configured_pass_is_kept_at_any_rate() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let mut masters = AgentConfig::new(h1, fast("one", 51));
    masters.instance.push(fast("two", 52));
    let _master = Agent::start(h1, &masters)?;
    let lower = |name, vrid| {
        Instance {
            priority: 90,
            ..fast(name, vrid)
        }
        .with("consume", false)
    };
    let mut backups = AgentConfig::new(h2, lower("one", 51));
    backups.instance.push(lower("two", 52));
    let backup = Agent::start(h2, &backups)?;
    let found = backup.wait_instance("two", "hears", PATIENCE, |it| {
        it.counters.adverts_received > 10
    })?;
    ensure!(found.consume.configured == "never" && !found.consume.effective);
    let sniffer = h2.sniff(Host::INTERFACE)?;
    for vrid in [51, 52] {
        sniffer.wait_for("an advert", now(), PATIENCE, |it| is_of(it, h2, vrid))?;
    }
    nothing_is_queued(h2)
}

fn fast(name: &str, vrid: u8) -> Instance {
    Instance {
        name: name.to_owned(),
        vrid,
        advert_interval: Duration::from_millis(10),
        addresses: vec![format!("10.99.0.{}/24", 49 + u16::from(vrid))],
        ..instance(100)
    }
}

/// An advert of that virtual router that reached the host's sockets.
fn is_of(frame: &Frame, host: &Host, vrid: u8) -> bool {
    frame.is_to(host) && frame.vrrp().is_some_and(|it| it.vrid == vrid)
}

/// No raw socket that could has ever had a packet: none waits, and none was dropped for want of
/// room. The agent does not read them in an XDP datapath, so what came would be there.
fn nothing_is_queued(host: &Host) -> Result<()> {
    let mut sockets = 0;
    let table = host.run(&["cat", "/proc/net/raw"])?;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1).context("no local address")?;
        // The agent sends by IPPROTO_RAW (255), which receives nothing; one of protocol 112 would.
        if !local.ends_with(":00FF") && !local.ends_with(":0070") {
            continue;
        }
        sockets += 1;
        let queues = fields.get(4).context("no queues")?;
        let drops = fields.last().context("no drops")?;
        ensure!(
            queues.ends_with(":00000000") && *drops == "0",
            "a socket of the agent was sent adverts: {line}"
        );
    }
    ensure!(sockets > 0, "no raw socket is open: {table}");
    Ok(())
}
