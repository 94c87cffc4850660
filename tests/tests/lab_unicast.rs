//! Adverts by unicast between configured peers, alone and beside a real keepalived.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent::{Agent, Launch, State, peers};
use ha_tests::lab::agent_config::{AgentConfig, Instance, with_prefix};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{
    Capture, Host, Lab, Pair, VIP, keepalived, require_root_and_tools, wait_until,
};

const INTERVAL: Duration = Duration::from_millis(200);

/// The addresses of two hosts that talk to each other, and the one that they share.
#[derive(Clone, Copy)]
enum Over {
    Ipv4,
    Ipv6,
}

impl Over {
    fn of(self, host: &Host) -> IpAddr {
        match self {
            Self::Ipv4 => host.ipv4().into(),
            Self::Ipv6 => host.ipv6().into(),
        }
    }

    fn vip(self) -> IpAddr {
        match self {
            Self::Ipv4 => VIP,
            Self::Ipv6 => IpAddr::from([0xfd00, 0x99, 0, 0, 0, 0, 0, 0x100]),
        }
    }

    fn addresses(self) -> Vec<String> {
        match self {
            Self::Ipv4 => vec![with_prefix(VIP)],
            // RFC 9568 section 5.2.9: the first is link-local.
            Self::Ipv6 => vec!["fe80::100/64".to_owned(), with_prefix(self.vip())],
        }
    }
}

fn to_peers(instance: Instance, peers: &[IpAddr]) -> Instance {
    let list: Vec<String> = peers.iter().map(IpAddr::to_string).collect();
    instance.with("peers", list)
}

/// An entry of `peers` with its TTLs.
fn far_peer(address: IpAddr, min_ttl: u8, max_ttl: u8) -> toml::Table {
    let mut peer = toml::Table::new();
    peer.insert("address".to_owned(), address.to_string().into());
    peer.insert("min_ttl".to_owned(), i64::from(min_ttl).into());
    peer.insert("max_ttl".to_owned(), i64::from(max_ttl).into());
    peer
}

fn start_agent(over: Over, host: &Host, peer: &Host, priority: u8) -> Result<Agent> {
    let plain = Instance {
        priority,
        advert_interval: INTERVAL,
        addresses: over.addresses(),
        ..Instance::default()
    };
    let instance = match over {
        Over::Ipv4 => to_peers(plain, &[over.of(peer)]),
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
        Over::Ipv4 => over.vip(),
        Over::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x100]),
    };
    keepalived::Instance {
        priority,
        interval: INTERVAL,
        vips: vec![vip],
        extra: match over {
            Over::Ipv4 => extra,
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
        sent.count() >= 10
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
        waited < INTERVAL * 3,
        "keepalived waited {waited:?} after priority 0"
    );
    ensure!(!on_agent.present());

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

/// Two agents that know each other, with further keys.
fn pair(edit: impl Fn(Instance) -> Instance) -> Result<Pair> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(2)?;
    let to = |host: u8| [lab.host(host).ipv4().into()];
    let first = edit(to_peers(instance(100), &to(2)));
    let second = edit(to_peers(instance(90), &to(1)));
    Pair::settle(lab, first, second, &Launch::default())
}

fn take_over_and_come_back(pair: &Pair, kind: &str) -> Result<()> {
    for agent in [&pair.master, &pair.backup] {
        ensure!(agent.only()?.datapath.kind.as_deref() == Some(kind));
    }
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    let strayed: Vec<_> = pair
        .capture
        .frames()
        .into_iter()
        .filter(|frame| frame.vrrp().is_some_and(|it| it.destination.is_multicast()))
        .collect();
    ensure!(strayed.is_empty(), "adverts to a group: {strayed:?}");
    Ok(())
}

#[test]
fn a_backup_takes_over_from_a_unicast_master_at_the_deadline() -> Result<()> {
    take_over_and_come_back(&pair(|it| it)?, "native")
}

#[test]
fn the_plain_socket_takes_over_from_a_unicast_master_at_the_deadline() -> Result<()> {
    take_over_and_come_back(&pair(|it| it.with("datapath", "socket"))?, "socket")
}

/// A good advert of the highest priority, by unicast to a host.
fn forged(to: &Host, source: Ipv4Addr) -> Advert {
    Advert {
        priority: 255,
        interval: 10,
        source: source.into(),
        destination: Some(to.ipv4().into()),
        ethernet_destination: Some(to.mac()),
        ..Advert::default()
    }
}

fn count(agent: &Agent, reject: &str) -> Result<u64> {
    let counts = agent.only()?.counters.rejects;
    counts.get(reject).copied().context("no such counter")
}

/// How often `peers` shows that adverts of a source were rejected for a reason.
fn shown_in_peers(host: &Host, source: &str, reject: &str) -> Result<u64> {
    let shown = peers(host)?;
    let list = shown["peers"].as_array().context("no list of peers")?;
    let peer = list.iter().find(|peer| peer["address"] == source);
    Ok(peer.map_or(0, |peer| peer["rejects"][reject].as_u64().unwrap_or(0)))
}

fn strangers_move_nothing(kind: &'static str) -> Result<()> {
    let pair = pair(|it| it.with("datapath", kind))?;
    let stranger = Ipv4Addr::new(10, 99, 0, 66);
    let begin = now();
    let forger = pair.lab.client_host().forger()?;
    for agent in [&pair.master, &pair.backup] {
        let host = agent.host();
        let before = agent.only()?.transitions;
        let peer = if host.name() == "h1" {
            pair.h2()
        } else {
            pair.h1()
        };
        let far = Advert {
            ttl: 254,
            ..forged(host, peer.ipv4())
        };
        let mut cases = vec![(forged(host, stranger), "unknown_peer"), (far, "ttl")];
        // A raw socket is given nothing of a group that it has not joined.
        if kind != "socket" {
            let to_group = Advert {
                destination: None,
                ethernet_destination: None,
                ..forged(host, peer.ipv4())
            };
            cases.push((to_group, "destination"));
        }
        for (advert, reject) in cases {
            let source = advert.source.to_string();
            let notice = format!("adverts from {source} are rejected: {reject}");
            let frame = advert.frame();
            let what = format!("{reject} counted and shown on {}", host.name());
            wait_until(PATIENCE, &what, || {
                // A peer's entry is made by one reject in 100 ms at most.
                let _ = forger.send(&frame);
                let found = agent.only();
                found.is_ok_and(|it| {
                    it.counters
                        .rejects
                        .get(reject)
                        .is_some_and(|count| *count > 0)
                        && it.notices.iter().any(|it| it.text == notice)
                }) && shown_in_peers(host, &source, reject).is_ok_and(|count| count > 0)
            })
            .with_context(|| format!("{:?}\n{:?}", agent.only(), peers(host)))?;
        }
        let found = agent.only()?;
        ensure!(found.transitions == before, "something moved: {found:?}");
    }
    ensure!(pair.on_master.changes_since(begin).is_empty());
    ensure!(pair.on_backup.changes_since(begin).is_empty());
    pair.is_settled()
}

#[test]
fn a_strangers_advert_moves_nothing_and_is_counted_and_shown() -> Result<()> {
    strangers_move_nothing("auto")
}

#[test]
fn a_strangers_advert_moves_nothing_and_is_counted_and_shown_by_the_plain_socket() -> Result<()> {
    strangers_move_nothing("socket")
}

#[test]
fn a_master_sends_to_every_peer_and_each_of_them_follows() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(3)?;
    let all: Vec<IpAddr> = (1..=3).map(|host| lab.host(host).ipv4().into()).collect();
    let start = |number: u8, priority| {
        let host = lab.host(number);
        let others: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|it| *it != host.ipv4())
            .collect();
        Agent::start(
            host,
            &AgentConfig::new(host, to_peers(instance(priority), &others)),
        )
    };
    let master = start(1, 100)?;
    master.wait_state(State::Master, PATIENCE)?;
    let backups = [start(2, 90)?, start(3, 80)?];
    for backup in &backups {
        backup.wait_instance("web", "follows the master", PATIENCE, |it| {
            it.state == State::Backup && it.master.as_ref().is_some_and(|it| it.priority == 100)
        })?;
    }
    // The next in rank takes over, and the last one follows it.
    lab.block(lab.host(1))?;
    backups[0].wait_state(State::Master, PATIENCE)?;
    backups[1]
        .wait_instance("web", "follows the next", PATIENCE, |it| {
            it.state == State::Backup && it.master.as_ref().is_some_and(|it| it.priority == 90)
        })
        .map(drop)
}

/// RFC 9568 section 5.1.1.3 would have none of it: it takes configuration.
#[test]
fn a_peer_behind_a_router_is_heard_with_the_ttl_that_is_configured_for_it() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let far = Ipv4Addr::new(10, 88, 0, 2);
    let peers = vec![far_peer(far.into(), 250, 254)];
    let config = AgentConfig::new(host, instance(100).with("peers", peers));
    let agent = Agent::start(host, &config)?;
    agent.wait_state(State::Master, PATIENCE)?;
    let forger = lab.client_host().forger()?;
    for ttl in [249, 255] {
        let before = count(&agent, "ttl")?;
        forger.send(
            &Advert {
                ttl,
                ..forged(host, far)
            }
            .frame(),
        )?;
        wait_until(PATIENCE, "a reject", || {
            count(&agent, "ttl").is_ok_and(|count| count == before + 1)
        })?;
        ensure!(agent.state()? == State::Master);
    }
    forger.send(
        &Advert {
            ttl: 252,
            ..forged(host, far)
        }
        .frame(),
    )?;
    agent
        .wait_instance("web", "yields to the far peer", PATIENCE, |it| {
            it.last_transition
                .as_ref()
                .is_some_and(|it| it.cause.contains("10.88.0.2"))
        })
        .map(drop)
}

#[test]
fn a_reload_turns_a_pair_from_multicast_to_unicast_and_back_and_nothing_moves() -> Result<()> {
    let pair = Pair::start()?;
    let begin = now();
    let h = [pair.h1().clone(), pair.h2().clone()];
    let of = |host: &Host| [IpAddr::from(host.ipv4())];
    let reload = |agent: &Agent, instance: Instance| -> Result<()> {
        Agent::write_config(agent.host(), &AgentConfig::new(agent.host(), instance))?;
        let said = agent.reload()?;
        ensure!(said.code == Some(0), "{said:?}");
        ensure!(said.out.contains("in place of"), "{said:?}");
        Ok(())
    };
    // The backup first would be deaf for longer than it waits, if the master were slow to follow.
    let before = count_adverts(&pair.backup)?;
    reload(&pair.master, to_peers(instance(100), &of(&h[1])))?;
    reload(&pair.backup, to_peers(instance(90), &of(&h[0])))?;
    pair.backup
        .wait_instance("web", "hears the master again", PATIENCE, |it| {
            it.counters.adverts_received > before + 5
        })?;
    let turned = now();
    pair.capture.wait_advert(&h[0], 100, turned, PATIENCE)?;
    for frame in pair.capture.frames_since(turned) {
        let to = frame.vrrp().map(|it| it.destination);
        ensure!(
            to.is_none_or(|to| to == IpAddr::from(h[1].ipv4())),
            "{frame:?}"
        );
    }
    let before = count_adverts(&pair.backup)?;
    reload(&pair.master, instance(100))?;
    reload(&pair.backup, instance(90))?;
    pair.backup
        .wait_instance("web", "hears the master again", PATIENCE, |it| {
            it.counters.adverts_received > before + 5
        })?;
    ensure!(pair.on_master.changes_since(begin).is_empty());
    ensure!(pair.on_backup.changes_since(begin).is_empty());
    pair.is_settled()
}

fn count_adverts(agent: &Agent) -> Result<u64> {
    Ok(agent.only()?.counters.adverts_received)
}

#[test]
fn without_its_source_address_an_instance_is_in_fault_and_says_which_is_missing() -> Result<()> {
    require_root_and_tools(&[])?;
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let capture = lab.capture()?;
    let config = AgentConfig::new(host, instance(100).with("source", "10.99.0.71"));
    let agent = Agent::start(host, &config)?;
    let found = agent.wait_instance("web", "in fault", PATIENCE, |it| it.state == State::Fault)?;
    let reason = found.reason.unwrap_or_default();
    ensure!(
        reason == "source address 10.99.0.71 is not on eth0",
        "{reason}"
    );

    let begin = now();
    host.run(&["ip", "address", "add", "10.99.0.71/24", "dev", "eth0"])?;
    agent.wait_state(State::Master, PATIENCE)?;
    let advert = capture.wait_advert(host, 100, begin, PATIENCE)?;
    let source = advert.vrrp().map(|it| it.source);
    ensure!(source == Some("10.99.0.71".parse()?), "{source:?}");

    host.run(&["ip", "address", "del", "10.99.0.71/24", "dev", "eth0"])?;
    agent.wait_state(State::Fault, PATIENCE)
}
