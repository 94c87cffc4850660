//! Interfaces as real hosts have them, and traffic that is not VRRP: what needs no card of its own to be shown.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant as StdInstant};

use anyhow::{Context as _, Result, ensure};
use ha_agent::datapath::reader::Reader;
use ha_common::layout::{Counter, Slot};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent::{Agent, Launch, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::bpf::detach_link;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{PATIENCE, by_auto, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::tun::Tunnel;
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};

/// Two agents that advertise through a tunnel, by unicast.
fn through_a_tunnel(datapath: &'static str) -> Result<(Lab, Tunnel, Agent, Agent)> {
    let lab = Lab::new(2)?;
    let tunnel = Tunnel::between(lab.host(1), lab.host(2))?;
    let start = |number: u8, priority| {
        let host = lab.host(number);
        let peer: IpAddr = Ipv4Addr::new(10, 77, 0, 3 - number).into();
        let instance = Instance {
            interface: Tunnel::INTERFACE.to_owned(),
            addresses: vec!["10.77.0.100/24".to_owned()],
            ..instance(priority)
        };
        let instance = instance.to_peers(&[peer]).by(datapath);
        Agent::start(host, instance)
    };
    let master = start(1, 100)?;
    master.wait_state(State::Master, PATIENCE)?;
    let backup = start(2, 90)?;
    backup.wait_follows()?;
    Ok((lab, tunnel, master, backup))
}

/// XDP programs begin with an Ethernet header, which such an interface has not.
#[test]
fn a_master_at_the_other_end_of_a_tunnel_is_heard_and_replaced() -> Result<()> {
    for datapath in ["auto", "socket"] {
        let (_lab, tunnel, master, backup) = through_a_tunnel(datapath)?;
        let kind = if datapath == "auto" { "tc" } else { "socket" };
        let found = backup.only()?;
        ensure!(found.receives_by(kind), "{found:?}");
        ensure!(found.transitions <= 1, "it never was master: {found:?}");
        tunnel.cut();
        backup.wait_state(State::Master, PATIENCE)?;
        tunnel.mend();
        backup.wait_follows()?;
        ensure!(master.only()?.state == State::Master);
    }
    Ok(())
}

#[test]
fn xdp_on_a_layer_3_interface_is_refused_with_the_reason() -> Result<()> {
    let lab = Lab::new(2)?;
    let _tunnel = Tunnel::between(lab.host(1), lab.host(2))?;
    let host = lab.host(1);
    let peer: IpAddr = Ipv4Addr::new(10, 77, 0, 2).into();
    for datapath in ["native", "generic"] {
        let instance = Instance {
            interface: Tunnel::INTERFACE.to_owned(),
            addresses: vec!["10.77.0.100/24".to_owned()],
            ..instance(100)
        };
        let instance = instance.to_peers(&[peer]).by(datapath);
        let agent = Agent::start(host, instance)?;
        let found = agent.wait("in FAULT", |it| it.state == State::Fault)?;
        let reason = found.reason.unwrap_or_default();
        ensure!(reason.contains("no Ethernet header"), "{reason}");
        agent.stop()?;
    }
    Ok(())
}

const BRIDGE: &str = "br0";

/// Makes the host's interface the port of a bridge that has its address.
fn bridged(host: &Host) -> Result<()> {
    host.ns().batch(&format!(
        "link add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0\n\
         addr del {0}/24 dev eth0\n\
         link set eth0 master {BRIDGE}\n\
         addr add {0}/24 dev {BRIDGE}\n\
         link set {BRIDGE} up\n",
        host.ipv4()
    ))
}

fn better(vlans: Vec<u16>) -> Vec<u8> {
    Advert {
        vlans,
        source: Ipv4Addr::new(10, 99, 0, 66).into(),
        priority: 254,
        interval: 10,
        addresses: vec![VIP],
        ..Advert::default()
    }
    .frame()
}

/// A bridge takes the tag out of the frame and keeps it beside: XDP sees none, tc does.
#[test]
fn the_same_virtual_router_in_a_vlan_of_a_bridge_moves_nothing() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    bridged(host)?;
    let on_bridge = Instance {
        interface: BRIDGE.to_owned(),
        ..by_auto(100)
    };
    let agent = Agent::master(host, on_bridge)?;
    ensure!(agent.only()?.datapath.kind.as_deref() == Some("tc"));
    let forger = lab.client_host().forger()?;
    let tagged = || -> Result<u64> {
        let reader = Reader::pinned(&host.bpf_dir())?;
        Ok(reader.counter(Counter::Tagged))
    };
    let before = tagged()?;
    for _ in 0..20 {
        forger.send(&better(vec![10]))?;
    }
    wait_until(PATIENCE, "twenty frames of the VLAN are counted", || {
        tagged().is_ok_and(|count| count == before + 20)
    })?;
    let found = agent.only()?;
    ensure!(found.state == State::Master && found.counters.adverts_received == 0);
    // The same without a tag is its own.
    forger.send(&better(Vec::new()))?;
    agent.wait_state(State::Backup, PATIENCE)
}

fn slot(host: &Host) -> Result<Slot> {
    let reader = Reader::pinned(&host.bpf_dir())?;
    let (_, index) = *reader.entries().first().context("no slot")?;
    reader.slot(index).context("the slot cannot be read")
}

/// 290 adverts a second of a lower priority once cost a living 10 ms master a third of its packets, since the limit
/// of events made silence that looked like its own.
#[test]
fn a_burst_of_lower_adverts_costs_a_living_master_no_packet() -> Result<()> {
    for datapath in ["tc", "native"] {
        let lab = Lab::new(1)?;
        let host = lab.host(1);
        let fast = Instance {
            priority: 100,
            advert_interval: Duration::from_millis(10),
            ..Instance::default()
        };
        let fast = fast.by(datapath);
        let agent = Agent::master(host, fast)?;
        let served = host.ns().inside(|| UdpSocket::bind((vip_v4(), 7)))??;
        served.set_read_timeout(Some(Duration::from_secs(1)))?;
        let client = lab.client_host();
        let sender = client.ns().inside(|| UdpSocket::bind("0.0.0.0:0"))??;
        let forger = client.forger()?;
        let lower = Advert {
            priority: 50,
            interval: 1,
            addresses: vec![VIP],
            ..Advert::default()
        }
        .frame();
        // The neighbour entry is made before anything counts.
        sender.send_to(b"?", (vip_v4(), 7))?;
        served
            .recv(&mut [0; 16])
            .context("the address is not served")?;

        // They are taken as they come, or the socket's own buffer would lose them.
        let counter = std::thread::spawn(move || {
            let mut received = 0_u32;
            while served.recv(&mut [0; 16]).is_ok() {
                received += 1;
            }
            received
        });
        let begin = StdInstant::now();
        let mut sent = 0_u32;
        for tick in 1..=2000_u32 {
            if tick % 101 == 0 {
                for _ in 0..20 {
                    forger.send(&lower)?;
                }
            }
            if tick % 10 == 0 {
                forger.send(&lower)?;
            }
            sender.send_to(b"?", (vip_v4(), 7))?;
            sent += 1;
            let due = begin + Duration::from_millis(1) * tick;
            std::thread::sleep(due.saturating_duration_since(StdInstant::now()));
        }
        let received = counter
            .join()
            .map_err(|_| anyhow::anyhow!("the counter panicked"))?;
        let slot = slot(host)?;
        ensure!(slot.suppressed > 0, "the limit of events was not reached");
        ensure!(
            (slot.fenced, slot.fenced_out, received) == (0, 0, sent),
            "by {datapath} {received} of {sent} packets came, {} were dropped by the fence",
            slot.fenced
        );
        ensure!(agent.only()?.state == State::Master);
    }
    Ok(())
}

fn vip_v4() -> Ipv4Addr {
    match VIP {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// Whoever asks in the name of an address takes its neighbours' entries: a host that stands still must not.
#[test]
fn a_fenced_host_neither_asks_nor_speaks_in_the_name_of_the_address() -> Result<()> {
    let pair = Pair::auto()?;
    let h1 = pair.h1();
    // On the stalled host something goes on using the address.
    let speaker = h1.ns().inside(|| UdpSocket::bind((vip_v4(), 0)))??;
    pair.master.process().signal(Signal::STOP)?;
    pair.on_backup.wait_present(PATIENCE)?;
    wait_until(PATIENCE, "the fence keeps a frame back", || {
        // Each to another neighbour, whom the kernel has to ask for.
        let other = Ipv4Addr::new(10, 99, 0, 200);
        speaker.send_to(b"!", (other, 9)).is_ok() && slot(h1).is_ok_and(|it| it.fenced_out > 0)
    })?;
    let fenced = now();
    for host in 201..=220 {
        // What the fence keeps back is no error to the sender.
        speaker.send_to(b"!", (Ipv4Addr::new(10, 99, 0, host), 9))?;
    }
    let last = pair.capture.wait_advert(pair.h2(), 90, fenced, PATIENCE)?;
    pair.capture.wait_advert(pair.h2(), 90, last.at, PATIENCE)?;
    let said: Vec<_> = pair
        .capture
        .frames_since(fenced)
        .into_iter()
        .filter(|frame| {
            frame.is_from(h1)
                && frame
                    .arp()
                    .is_some_and(|arp| IpAddr::from(arp.sender) == VIP)
        })
        .collect();
    ensure!(said.is_empty(), "a fenced host asked: {said:#?}");
    let found = slot(h1)?;
    ensure!(found.fenced_out > 0 && found.fenced_since != 0);

    pair.master.process().signal(Signal::CONT)?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    let line = pair
        .master
        .process()
        .wait_for_line("the fence was up", PATIENCE)?;
    ensure!(line.text.contains("WARN"), "{}", line.text);
    let fence = pair.master.only()?.fence;
    ensure!(
        fence.dropped_out >= found.fenced_out && fence.last_us.is_some(),
        "{fence:?}"
    );
    Ok(())
}

#[test]
fn a_program_that_somebody_else_detaches_is_put_back_counted_and_told() -> Result<()> {
    let pair = Pair::auto()?;
    let before = pair.backup.only()?;
    let ifindex = before.ifindex.context("no interface")?;
    for hook in ["ingress", "egress"] {
        let seen = pair.backup.only()?.datapath.reattached;
        detach_link(&pair.h2().bpf_dir().join(format!("tcx-{hook}-{ifindex}")))?;
        pair.backup
            .wait("puts it back", |it| it.datapath.reattached == seen + 1)
            .with_context(|| hook.to_owned())?;
    }
    pair.backup.process().wait_for_line(
        "the program on eth0 was removed by something else",
        PATIENCE,
    )?;
    let heard = pair.backup.only()?.counters.adverts_received;
    pair.backup
        .wait("follows on", |it| it.counters.adverts_received > heard + 10)?;
    let after = pair.backup.only()?;
    ensure!(after.receives_by("tc"));
    pair.is_settled()
}

/// An agent without an answer from the thread that attaches is neither in FAULT nor master.
#[test]
fn two_instances_on_one_interface_share_its_program_and_a_contradiction_is_named() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let second = Instance {
        name: "second".to_owned(),
        vrid: 52,
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..by_auto(100)
    };
    let mut config = AgentConfig::new(host, instance(100).by("generic"));
    config.instance.push(second.clone().by("native"));
    config.instance.push(Instance {
        name: "third".to_owned(),
        vrid: 53,
        addresses: vec!["10.99.0.102/24".to_owned()],
        ..second
    });
    Agent::write_config(host, &config)?;
    let agent = Agent::launch(host, &Launch::default())?;
    for name in ["web", "third"] {
        let found =
            agent.wait_instance(name, "master", PATIENCE, |it| it.state == State::Master)?;
        ensure!(found.receives_by("generic"), "{found:?}");
    }
    let found = agent.wait_instance("second", "fault", PATIENCE, |it| it.state == State::Fault)?;
    let reason = found.reason.unwrap_or_default();
    ensure!(
        reason.contains("another instance on the interface uses generic XDP"),
        "{reason}"
    );
    Ok(())
}
