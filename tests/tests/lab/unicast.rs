//! Adverts by unicast between agents: who is heard, who is not, and what a reload does.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent::{Agent, State, invoke, peers};
use ha_tests::lab::agent_config::{AgentConfig, Instance, far_peer, kind_under_test};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Host, Lab, Pair, wait_until};

/// Two agents that know each other, with further keys.
fn pair(edit: impl Fn(Instance) -> Instance) -> Result<Pair> {
    let lab = Lab::new(2)?;
    let to = |host: u8| [lab.host(host).ipv4().into()];
    let first = edit(instance(100).to_peers(&to(2)));
    let second = edit(instance(90).to_peers(&to(1)));
    Pair::in_lab(lab, first, second)
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
    take_over_and_come_back(&pair(|it| it)?, &kind_under_test())
}

#[test]
fn the_plain_socket_takes_over_from_a_unicast_master_at_the_deadline() -> Result<()> {
    take_over_and_come_back(&pair(|it| it.by("socket"))?, "socket")
}

/// The peers know this host by an address that is not its interface's first.
#[test]
fn adverts_leave_from_the_network_that_the_peers_are_in_though_another_comes_first() -> Result<()> {
    let lab = Lab::new(2)?;
    for number in 1..=2 {
        let host = lab.host(number);
        let own = host.ipv4();
        host.ns().batch(&format!(
            "address del {own}/24 dev eth0\n\
             address add 192.168.1.{number}/24 dev eth0\n\
             address add {own}/24 dev eth0\n"
        ))?;
    }
    let to = |host: u8| [lab.host(host).ipv4().into()];
    let (first, second) = (
        instance(100).to_peers(&to(2)),
        instance(90).to_peers(&to(1)),
    );
    let pair = Pair::in_lab(lab, first, second)?;
    take_over_and_come_back(&pair, &kind_under_test())
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

/// `status` says in words how adverts travel, and what was wrong with the last one that was rejected.
fn says_why(host: &Host, source: &str, reject: &str, peer: &Host) -> Result<()> {
    let said = invoke(host, &["status"])?.out;
    let way = format!("by unicast to {}, from {}", peer.ipv4(), host.ipv4());
    let difference = match reject {
        "unknown_peer" => format!("source: expected {}, got {source}", peer.ipv4()),
        "destination" => format!("destination: expected {}, got 224.0.0.18", host.ipv4()),
        _ => "ttl: expected 255, got 254".to_owned(),
    };
    for wanted in [way, difference] {
        ensure!(said.contains(&wanted), "no {wanted:?} in\n{said}");
    }
    Ok(())
}

fn strangers_move_nothing(kind: &'static str) -> Result<()> {
    let pair = pair(|it| it.by(kind))?;
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
            says_why(host, &source, reject, peer)?;
        }
        let found = agent.only()?;
        ensure!(found.transitions == before, "something moved: {found:?}");
    }
    pair.undisturbed_since(begin)?;
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
    let lab = Lab::new(3)?;
    let all: Vec<IpAddr> = (1..=3).map(|host| lab.host(host).ipv4().into()).collect();
    let start = |number: u8, priority| {
        let host = lab.host(number);
        let others: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|it| *it != host.ipv4())
            .collect();
        Agent::start(host, instance(priority).to_peers(&others))
    };
    let master = start(1, 100)?;
    master.wait_state(State::Master, PATIENCE)?;
    let backups = [start(2, 90)?, start(3, 80)?];
    for backup in &backups {
        backup.wait("follows the master", |it| it.follows_priority(100))?;
    }
    // The next in rank takes over, and the last one follows it.
    lab.block(lab.host(1))?;
    backups[0].wait_state(State::Master, PATIENCE)?;
    backups[1]
        .wait("follows the next", |it| it.follows_priority(90))
        .map(drop)
}

/// RFC 9568 section 5.1.1.3 would have none of it: it takes configuration.
#[test]
fn a_peer_behind_a_router_is_heard_with_the_ttl_that_is_configured_for_it() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let far = Ipv4Addr::new(10, 88, 0, 2);
    let peers = vec![far_peer(far.into(), 250, 254)];
    let config = AgentConfig::new(host, instance(100).with("peers", peers));
    let agent = Agent::master(host, &config)?;
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
        .wait("yields to the far peer", |it| {
            it.last_transition
                .as_ref()
                .is_some_and(|it| it.cause.contains("10.88.0.2"))
        })
        .map(drop)
}

/// The two are in two networks, and the client forwards between them.
#[test]
fn two_hosts_with_a_router_between_them_follow_each_other() -> Result<()> {
    let lab = Lab::new(2)?;
    let (near, far, router) = (lab.host(1), lab.host(2), lab.client_host());
    let far_address: IpAddr = "10.88.0.2".parse()?;
    router.ns().batch("addr add 10.88.0.250/24 dev eth0\n")?;
    for scope in ["all", "eth0"] {
        // Both networks are on one wire: the router would tell the hosts so.
        let redirects = format!("net/ipv4/conf/{scope}/send_redirects");
        router.ns().sysctl(&redirects, "0")?;
    }
    router.ns().sysctl("net/ipv4/ip_forward", "1")?;
    near.ns()
        .batch("route add 10.88.0.0/24 via 10.99.0.250\n")?;
    far.ns().batch(
        "addr flush dev eth0 scope global\n\
         addr add 10.88.0.2/24 dev eth0\n\
         route add 10.99.0.0/24 via 10.88.0.250\n",
    )?;
    let start = |host: &Host, priority, peer| {
        let instance = instance(priority).with("peers", vec![far_peer(peer, 254, 254)]);
        Agent::start(host, instance)
    };
    let first = start(near, 100, far_address)?;
    first.wait_state(State::Master, PATIENCE)?;
    let second = start(far, 90, near.ipv4().into())?;
    second.wait("follows the master", |it| {
        it.state == State::Backup
            && it
                .master
                .as_ref()
                .is_some_and(|it| it.address == near.ipv4())
    })?;
    first.process().signal(Signal::TERM)?;
    second.wait("takes over", |it| {
        let cause = it.last_transition.as_ref().map(|it| it.cause.as_str());
        it.state == State::Master && cause == Some("priority 0 from 10.99.0.1")
    })?;
    Ok(())
}

#[test]
fn a_unicast_master_that_was_killed_carries_on_with_its_peers() -> Result<()> {
    let slow = |it| Instance {
        advert_interval: Duration::from_secs(1),
        ..it
    };
    let pair = pair(slow)?;
    let begin = now();
    pair.master.process().kill()?;
    let again = Agent::start_again(pair.h1())?;
    again.wait_state(State::Master, PATIENCE)?;
    let before = count_adverts(&pair.backup)?;
    pair.backup.wait("hears the master again", |it| {
        it.counters.adverts_received > before
    })?;
    pair.undisturbed_since(begin)?;
    pair.is_settled()
}

#[test]
fn a_reload_turns_a_pair_from_multicast_to_unicast_and_back_and_nothing_moves() -> Result<()> {
    let pair = Pair::start()?;
    let begin = now();
    let h = [pair.h1().clone(), pair.h2().clone()];
    let of = |host: &Host| [IpAddr::from(host.ipv4())];
    let reload = |agent: &Agent, instance: Instance| -> Result<()> {
        let said = agent.reload_with(instance)?;
        ensure!(said.out.contains("in place of"), "{said:?}");
        Ok(())
    };
    // The backup first would be deaf for longer than it waits, if the master were slow to follow.
    let before = count_adverts(&pair.backup)?;
    reload(&pair.master, instance(100).to_peers(&of(&h[1])))?;
    reload(&pair.backup, instance(90).to_peers(&of(&h[0])))?;
    pair.backup.wait("hears the master again", |it| {
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
    pair.backup.wait("hears the master again", |it| {
        it.counters.adverts_received > before + 5
    })?;
    pair.undisturbed_since(begin)?;
    pair.is_settled()
}

fn count_adverts(agent: &Agent) -> Result<u64> {
    Ok(agent.only()?.counters.adverts_received)
}

#[test]
fn without_its_source_address_an_instance_is_in_fault_and_says_which_is_missing() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let capture = lab.capture()?;
    let config = AgentConfig::new(host, instance(100).with("source", "10.99.0.71"));
    let agent = Agent::start(host, &config)?;
    let found = agent.wait("in fault", |it| it.state == State::Fault)?;
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

/// Its peers' neighbour entries for it have failed while it was away, and nothing of theirs would arrive.
#[test]
fn a_host_whose_link_is_back_tells_its_peers_where_it_is() -> Result<()> {
    let pair = pair(|it| Instance {
        preempt: false,
        ..it
    })?;
    let host = pair.h2();
    host.run(&["ip", "link", "set", "eth0", "down"])?;
    pair.backup.wait_state(State::Fault, PATIENCE)?;
    let back = now();
    host.run(&["ip", "link", "set", "eth0", "up"])?;
    let own = host.ipv4().into();
    pair.capture.wait_announcement(host, own, back, PATIENCE)?;
    pair.backup.wait_follows()?;
    ensure!(pair.master.state()? == State::Master);
    Ok(())
}
