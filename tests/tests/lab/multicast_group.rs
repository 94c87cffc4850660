//! A multicast group of one's own, with agents alone and beside a real keepalived.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent::{Agent, State, cleanup};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Host, Lab, Pair, VIP, keepalived, wait_until};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 77);
const INTERVAL: Duration = Duration::from_millis(200);

fn in_group(instance: Instance) -> Instance {
    instance.with("group", GROUP.to_string())
}

fn agent(host: &Host, priority: u8) -> Result<Agent> {
    let instance = Instance {
        priority,
        advert_interval: INTERVAL,
        ..Instance::default()
    };
    Agent::start(host, in_group(instance))
}

fn peer(priority: u8) -> keepalived::Instance {
    keepalived::Instance {
        priority,
        interval: INTERVAL,
        global: format!("  vrrp_mcast_group4 {GROUP}\n"),
        ..keepalived::Instance::default()
    }
}

#[test]
fn an_agent_leads_a_keepalived_in_a_group_of_their_own() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let capture = lab.capture()?;
    let (on_agent, on_peer) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let first = agent(h1, 100)?;
    let _keepalived = peer(90).start(h2)?;
    on_agent.wait_present(PATIENCE)?;
    first.wait_state(State::Master, PATIENCE)?;
    on_peer.wait_absent(PATIENCE)?;
    let begin = now();
    let advert = capture.wait_advert(h1, 100, begin, PATIENCE)?;
    let to = advert.vrrp().map(|it| it.destination);
    ensure!(to == Some(IpAddr::from(GROUP)), "{to:?}");
    ensure!(advert.bytes[..6] == [0x01, 0, 0x5e, 0, 0, 77]);

    first.process().signal(Signal::TERM)?;
    on_peer.wait_present(PATIENCE)?;
    first.process().wait(PATIENCE)?;
    let _again = Agent::start_again(h1)?;
    on_agent.wait_present(PATIENCE)?;
    on_peer.wait_absent(PATIENCE).map(drop)
}

#[test]
fn an_agent_follows_a_keepalived_in_a_group_of_their_own() -> Result<()> {
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let (on_peer, on_agent) = (h1.vip_watch(VIP)?, h2.vip_watch(VIP)?);
    let keepalived = peer(110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    let second = agent(h2, 100)?;
    second.wait("follows keepalived", |it| it.follows_priority(110))?;
    ensure!(second.only()?.transitions == 1, "it has only become backup");
    keepalived.signal(Signal::TERM)?;
    on_agent.wait_present(PATIENCE)?;
    second.wait_state(State::Master, PATIENCE)?;

    keepalived.wait(PATIENCE)?;
    let _keepalived = peer(110).start(h1)?;
    on_peer.wait_present(PATIENCE)?;
    on_agent.wait_absent(PATIENCE)?;
    second.wait_state(State::Backup, PATIENCE)
}

fn two_agents(datapath: &'static str) -> Result<()> {
    let of = |priority| in_group(instance(priority)).by(datapath);
    let pair = Pair::in_lab(Lab::new(2)?, of(100), of(90))?;
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

#[test]
fn a_backup_takes_over_in_another_group_at_the_deadline() -> Result<()> {
    two_agents("auto")
}

#[test]
fn the_plain_socket_takes_over_in_another_group_at_the_deadline() -> Result<()> {
    two_agents("socket")
}

/// One VRID, two clusters on one segment: each has its own master, and says whom it does not listen to.
#[test]
fn two_clusters_with_one_vrid_and_two_groups_do_not_disturb_each_other() -> Result<()> {
    let pair = Pair::in_lab(
        Lab::new(3)?,
        in_group(instance(100)),
        in_group(instance(90)),
    )?;
    let begin = now();
    let third = pair.lab.host(3);
    let other = Instance {
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..instance(200)
    };
    let third = Agent::master(third, other)?;
    for agent in [&pair.master, &pair.backup] {
        wait_until(PATIENCE, "a stranger's adverts", || {
            let rejects = agent.only().map(|it| it.counters.rejects);
            rejects.is_ok_and(|it| it.get("destination").is_some_and(|count| *count > 10))
        })?;
    }
    pair.undisturbed_since(begin)?;
    ensure!(third.state()? == State::Master);
    pair.is_settled()
}

#[test]
fn a_reload_takes_a_plain_socket_to_another_group_and_back() -> Result<()> {
    let plain = |priority| instance(priority).by("socket");
    let pair = Pair::in_lab(Lab::new(2)?, plain(100), plain(90))?;
    let begin = now();
    for edit in [in_group as fn(Instance) -> Instance, |it| it] {
        for (agent, priority) in [(&pair.master, 100), (&pair.backup, 90)] {
            let said = agent.reload_with(edit(plain(priority)))?;
            ensure!(said.out.contains("group"), "{said:?}");
        }
        let before = pair.backup.only()?.counters.adverts_received;
        pair.backup.wait("hears the master", |it| {
            it.counters.adverts_received > before + 5
        })?;
    }
    // Nobody listens to the other group any more, or the host would still be a member.
    let groups = pair.h2().run(&["ip", "maddress", "show", "dev", "eth0"])?;
    ensure!(!groups.contains(&GROUP.to_string()), "{groups}");
    pair.undisturbed_since(begin)?;
    pair.is_settled()
}

/// Whether the interface's card would let the group in, whoever is a member of it.
fn lets_group_in(host: &Host) -> Result<bool> {
    let table = host.run(&["ip", "maddress", "show", "dev", Host::INTERFACE])?;
    Ok(table.contains("01:00:5e:00:00:4d"))
}

/// Memberships end with the process; the program that outlives it must go on hearing.
#[test]
fn a_killed_agent_leaves_the_filter_open_for_its_group_until_nobody_wants_it() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let first = agent(host, 100)?;
    first.wait_state(State::Master, PATIENCE)?;
    first.process().kill()?;
    ensure!(lets_group_in(host)?);

    // The next one is of the standard's group.
    let second = Agent::master(host, instance(100))?;
    ensure!(!lets_group_in(host)?);
    second.process().kill()?;

    let third = agent(host, 100)?;
    third.wait_state(State::Master, PATIENCE)?;
    third.process().kill()?;
    ensure!(lets_group_in(host)?);
    cleanup(host)?;
    ensure!(!lets_group_in(host)?);
    Ok(())
}
