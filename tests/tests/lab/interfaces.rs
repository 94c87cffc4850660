//! Interfaces that go, come back, change their names and addresses, and that there are several of.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance, Track, kind_under_test};
use ha_tests::lab::clock::now;
use ha_tests::lab::netns::Namespace;
use ha_tests::lab::pair::{LATENESS, PATIENCE, TIMING, at_deadline, by_auto, instance};
use ha_tests::lab::process::Signal;
use ha_tests::lab::{Host, Lab, Pair, VIP};

#[test]
fn a_backups_interface_that_is_deleted_and_made_again_is_attached_again() -> Result<()> {
    let pair = Pair::auto()?;
    let old = pair.backup.only()?.ifindex.context("no index")?;
    pair.lab.unplug(pair.h2())?;
    let gone = pair
        .backup
        .wait("in FAULT", |it| it.state == State::Fault)?;
    ensure!(gone.ifindex.is_none() && gone.datapath.kind.is_none());
    let reason = gone.reason.context("no reason")?;
    ensure!(reason.contains("interface"), "{reason}");

    pair.lab.replug(pair.h2())?;
    let back = pair.backup.wait("follows", |it| {
        it.state == State::Backup && it.master.is_some()
    })?;
    ensure!(back.ifindex.is_some_and(|new| new != old));
    ensure!(back.receives_by("tc"), "{:?}", back.datapath);
    ensure!(back.timer.kind == "kernel");
    let capture = pair.lab.capture()?;
    // The backup's timer runs from its last advert, which the new capture must have seen.
    capture.wait_advert(pair.h1(), 100, now(), PATIENCE)?;
    let cut = now();
    pair.lab.block(pair.h1())?;
    let takeover = capture.takeover(pair.h2(), VIP, TIMING, cut, PATIENCE)?;
    at_deadline(&takeover, LATENESS)?;
    pair.on_backup.wait_present(PATIENCE).map(drop)
}

#[test]
fn a_masters_interface_that_is_deleted_and_made_again_makes_it_master_again() -> Result<()> {
    let pair = Pair::auto()?;
    let cut = now();
    pair.lab.unplug(pair.h1())?;
    at_deadline(&pair.takeover_since(cut)?, LATENESS)?;
    pair.master.wait_state(State::Fault, PATIENCE)?;
    pair.on_backup.wait_present(PATIENCE)?;
    pair.lab.replug(pair.h1())?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    pair.moved_back()?;
    let back = pair.master.only()?;
    ensure!(back.receives_by("tc"));
    Ok(())
}

#[test]
fn a_pulled_plug_is_a_fault_and_a_new_plug_a_clean_way_back() -> Result<()> {
    let pair = Pair::start()?;
    let pulled = now();
    pair.lab.link_down(pair.h1())?;
    let found = pair
        .master
        .wait("in FAULT", |it| it.state == State::Fault)?;
    ensure!(
        found
            .reason
            .as_deref()
            .is_some_and(|it| it.contains("no carrier"))
    );
    pair.on_master.wait_absent(PATIENCE)?;
    at_deadline(&pair.takeover_since(pulled)?, LATENESS)?;
    pair.lab.link_up(pair.h1())?;
    pair.moved_back()?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    let changes = pair.on_backup.changes_since(pulled);
    ensure!(changes.len() == 2, "not one clean way: {changes:?}");
    pair.is_settled()
}

#[test]
fn a_renamed_interface_is_gone_until_it_has_its_name_again() -> Result<()> {
    let pair = Pair::auto()?;
    let rename = |from: &str, to: &str| {
        // A down and up loses the IPv6 addresses only, which nobody uses here.
        pair.h2().ns().batch(&format!(
            "link set {from} down\nlink set {from} name {to}\nlink set {to} up\n"
        ))
    };
    rename("eth0", "lan0")?;
    pair.backup.wait_state(State::Fault, PATIENCE)?;
    rename("lan0", "eth0")?;
    pair.backup.wait("follows", |it| {
        it.state == State::Backup && it.master.is_some() && it.receives_by("tc")
    })?;
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()
}

/// The kernel takes any bytes for an alias, of an interface that is none of our business.
#[test]
fn an_interface_whose_alias_is_not_text_keeps_nobody_from_being_master() -> Result<()> {
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    let script = "ip link add odd type veth peer name even && ip link set dev odd alias \"$(printf '\\377')\"";
    host.run(&["sh", "-c", script])?;
    let mut instance = instance(100);
    instance.extra.insert("virtual_mac".to_owned(), true.into());
    let agent = Agent::master(host, instance)?;
    let datapath = agent.only()?.datapath;
    ensure!(datapath.kind == Some(kind_under_test()), "{datapath:?}");
    agent.stop()
}

/// `interface` and `track` by names that the kernel's own tools take as well.
#[test]
fn an_interface_is_found_by_its_alternative_name_and_keeps_the_address_when_its_own_one_changes()
-> Result<()> {
    const LONG: &str = "enp3s0f0np0-a-long-one";
    let lab = Lab::new(1)?;
    let host = lab.host(1);
    host.run(&[
        "ip", "link", "property", "add", "dev", "eth0", "altname", LONG,
    ])?;
    let named = Instance {
        interface: LONG.to_owned(),
        track: vec![Track::interface(LONG, toml::Table::new())],
        ..instance(100)
    };
    let twin = Instance {
        name: "twin".to_owned(),
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..instance(100)
    };
    let mut config = AgentConfig::new(host, named);
    config.instance.push(twin);
    let agent = Agent::start(host, &config)?;
    let before = agent.wait("master", |it| it.state == State::Master)?;
    let twin = agent.wait_instance("twin", "in FAULT", PATIENCE, |it| it.state == State::Fault)?;
    let reason = twin.reason.context("no reason")?;
    ensure!(reason.contains("under another name"), "{reason}");

    host.ns().batch("link set eth0 name lan0\n")?;
    // The other one has lost its interface by then.
    agent.wait_instance("twin", "gone", PATIENCE, |it| it.ifindex.is_none())?;
    let after = agent.instance(&before.name)?;
    ensure!(
        after.state == State::Master && after.transitions == before.transitions,
        "{after:?}"
    );
    host.run(&[
        "ip", "link", "property", "del", "dev", "lan0", "altname", LONG,
    ])?;
    agent
        .wait("in FAULT", |it| it.state == State::Fault)
        .map(drop)
}

/// Modern kernels rename an interface that is up, without as much as a carrier change.
#[test]
fn a_master_whose_interface_is_renamed_while_it_is_up_says_so_and_lets_the_address_go() -> Result<()>
{
    let pair = Pair::start()?;
    let renamed = now();
    pair.h1().ns().batch("link set eth0 name lan0\n")?;
    pair.capture.wait_advert(pair.h1(), 0, renamed, PATIENCE)?;
    pair.moved_away()?;
    let found = pair
        .master
        .wait("in FAULT", |it| it.state == State::Fault)?;
    let reason = found.reason.context("no reason")?;
    ensure!(reason.contains("eth0 was renamed to lan0"), "{reason}");
    ensure!(found.ifindex.is_none() && found.datapath.kind.is_none());

    pair.h1().ns().batch("link set lan0 name eth0\n")?;
    pair.moved_back()?;
    pair.master.wait_state(State::Master, PATIENCE)?;
    ensure!(pair.master.only()?.reason.is_none());
    pair.is_settled()
}

#[test]
fn an_instance_goes_with_the_name_when_two_interfaces_change_theirs() -> Result<()> {
    let lab = Lab::new(2)?;
    lab.plug(lab.host(1), "eth1", "10.99.0.11/24")?;
    let pair = Pair::in_lab(lab, by_auto(100), by_auto(90))?;
    let before = pair.master.only()?.ifindex.context("no index")?;
    let swapped = now();
    pair.h1().ns().batch(
        "link set eth0 name old0\n\
         link set eth1 name eth0\n",
    )?;
    // The same host on another wire: its adverts come from the other interface's address.
    let source: IpAddr = "10.99.0.11".parse()?;
    pair.backup
        .wait("follows it there", |it| {
            it.state == State::Backup
                && it
                    .master
                    .as_ref()
                    .is_some_and(|master| master.address == source)
        })
        .with_context(|| format!("since {swapped:?}"))?;
    let found = pair.master.wait("master there", |it| {
        it.state == State::Master && it.ifindex.is_some_and(|new| new != before)
    })?;
    ensure!(found.receives_by("tc"), "{:?}", found.datapath);
    ensure!(found.addresses.iter().all(|address| address.present));
    let old = pair.h1().run(&["ip", "-br", "address", "show", "old0"])?;
    ensure!(!old.contains("10.99.0.100"), "left behind: {old}");
    Ok(())
}

#[test]
fn neighbours_learn_the_new_ethernet_address_of_a_master_at_once() -> Result<()> {
    let pair = Pair::start()?;
    let changed = now();
    let mac = [2, 0, 0, 0, 0, 0x77];
    pair.h1()
        .ns()
        .batch("link set eth0 address 02:00:00:00:00:77\n")?;
    pair.capture
        .wait_for("an announcement of 02:...:77", changed, PATIENCE, |frame| {
            frame.is_from(pair.h1())
                && frame.announces(VIP)
                && frame.arp().is_some_and(|arp| arp.sender_mac == mac)
        })?;
    pair.on_backup.undisturbed_since(changed)?;
    ensure!(pair.master.state()? == State::Master);
    Ok(())
}

/// The kernel keeps the index of an interface that goes to another network namespace and comes back, and
/// whoever looks only then sees nothing but the same name and index. What was attached is gone all the same.
#[test]
fn an_interface_that_went_away_and_came_back_unseen_is_attached_again() -> Result<()> {
    let pair = Pair::auto()?;
    let before = pair.backup.only()?;
    let old = before.ifindex.context("no index")?;
    // An empty one, in which nobody has the index.
    let away = Namespace::create(&format!("{}-away", pair.lab.name()))?;
    let (there, here) = (away.name(), pair.h2().ns().name());
    pair.backup.process().signal(Signal::STOP)?;
    pair.h2()
        .ns()
        .batch(&format!("link set eth0 netns {there}\n"))?;
    away.batch(&format!("link set eth0 netns {here}\n"))?;
    pair.h2()
        .ns()
        .batch("addr add 10.99.0.2/24 dev eth0\nlink set eth0 up\n")?;
    pair.backup.process().signal(Signal::CONT)?;
    let resumed = now();
    let back = pair.backup.wait("follows anew", |it| {
        it.transitions > before.transitions && it.follows()
    })?;
    // The membership ended with the interface's first life; a veth would not miss it, a real card does.
    let groups = pair.h2().run(&["ip", "maddress", "show", "dev", "eth0"])?;
    ensure!(
        groups.contains("inet  224.0.0.18"),
        "not a member: {groups}"
    );
    ensure!(back.ifindex == Some(old), "another index: {back:?}");
    ensure!(back.receives_by("tc"), "{:?}", back.datapath);
    ensure!(back.timer.kind == "kernel");
    // It hears the master: otherwise it would have the address by its deadline.
    let heard = back.counters.adverts_received;
    pair.backup.wait("hears adverts", |it| {
        it.counters.adverts_received > heard + 10
    })?;
    pair.on_backup.undisturbed_since(resumed)?;
    pair.is_settled()
}

#[test]
fn a_master_whose_own_address_changes_advertises_from_the_new_one() -> Result<()> {
    let pair = Pair::start()?;
    for scope in ["all", "eth0"] {
        // As most hosts have it: without it, removing the first address removes them all.
        pair.h1()
            .ns()
            .sysctl(&format!("net/ipv4/conf/{scope}/promote_secondaries"), "1")?;
    }
    let changed = now();
    pair.h1().ns().batch(
        "addr add 10.99.0.9/24 dev eth0\n\
         addr del 10.99.0.1/24 dev eth0\n",
    )?;
    let new: IpAddr = "10.99.0.9".parse()?;
    pair.capture
        .wait_for("an advert from 10.99.0.9", changed, PATIENCE, |frame| {
            frame.is_from(pair.h1()) && frame.vrrp().is_some_and(|it| it.source == new)
        })
        .context("a master has fallen silent")?;
    // And it goes on, which the backup confirms.
    pair.backup.wait("follows it", |it| {
        it.state == State::Backup
            && it
                .master
                .as_ref()
                .is_some_and(|master| master.address == new)
    })?;
    pair.on_backup.undisturbed_since(changed)?;
    ensure!(pair.on_master.present() && pair.master.state()? == State::Master);
    Ok(())
}

#[test]
fn a_backup_whose_own_address_changes_still_takes_over_at_the_deadline() -> Result<()> {
    let pair = Pair::start()?;
    pair.h2().ns().batch(
        "addr add 10.99.0.9/24 dev eth0\n\
         addr del 10.99.0.2/24 dev eth0\n\
         addr replace 10.99.0.9/24 dev eth0\n",
    )?;
    pair.backup.wait_state(State::Backup, PATIENCE)?;
    pair.cut_and_take_over(LATENESS)?;
    let heard = pair.capture.wait_advert(pair.h2(), 90, now(), PATIENCE)?;
    let source = heard.vrrp().context("an advert")?.source;
    ensure!(source == "10.99.0.9".parse::<IpAddr>()?, "{source}");
    pair.heal()
}

#[test]
fn several_interfaces_fail_and_recover_one_by_one() -> Result<()> {
    let lab = Lab::new(2)?;
    for (host, address) in lab.hosts().iter().zip(["10.98.0.1/24", "10.98.0.2/24"]) {
        lab.plug(host, "eth1", address)?;
    }
    let (h1, h2) = (lab.host(1), lab.host(2));
    let start = |host: &Host, priority| -> Result<Agent> {
        let mut config = AgentConfig::new(host, by_auto(priority));
        config.instance.push(Instance {
            name: "inner".to_owned(),
            interface: "eth1".to_owned(),
            // Both interfaces are on one segment, where a VRID is one virtual router's.
            vrid: 52,
            addresses: vec!["10.98.0.100/24".to_owned()],
            ..by_auto(priority)
        });
        Agent::start(host, &config)
    };
    let first = start(h1, 100)?;
    for name in ["web", "inner"] {
        first.wait_instance(name, "master", PATIENCE, |it| it.state == State::Master)?;
    }
    let second = start(h2, 90)?;
    for name in ["web", "inner"] {
        let found = second.wait_instance(name, "follows", PATIENCE, |it| {
            it.state == State::Backup && it.master.is_some()
        })?;
        ensure!(found.receives_by("tc"));
    }
    h1.run(&["ip", "link", "set", "eth1", "down"])?;
    first.wait_instance("inner", "in FAULT", PATIENCE, |it| it.state == State::Fault)?;
    second.wait_instance("inner", "master", PATIENCE, |it| it.state == State::Master)?;
    ensure!(first.instance("web")?.state == State::Master);
    ensure!(second.instance("web")?.state == State::Backup);
    h1.run(&["ip", "link", "set", "eth1", "up"])?;
    first.wait_instance("inner", "master again", PATIENCE, |it| {
        it.state == State::Master
    })?;
    second.wait_instance("inner", "backup again", PATIENCE, |it| {
        it.state == State::Backup
    })?;
    Ok(())
}

/// Containers come and go: each takes the kernel's lock of all network configuration, and is told to the agent.
#[test]
fn interfaces_that_come_and_go_elsewhere_on_the_host_move_nothing() -> Result<()> {
    const ROUNDS: usize = 20;
    const PAIRS: usize = 25;
    let pair = Pair::auto()?;
    let lines: String = (0..PAIRS)
        .flat_map(|number| {
            [
                format!("link add c{number} type veth peer name d{number}\n"),
                format!("link set c{number} up\n"),
                format!("link del c{number}\n"),
            ]
        })
        .collect();
    let before = (pair.master.only()?, pair.backup.only()?);
    let begin = now();
    for _ in 0..ROUNDS {
        pair.h1().ns().batch(&lines)?;
    }
    let end = now();
    pair.on_master.undisturbed_since(begin)?;
    let after = (pair.master.only()?, pair.backup.only()?);
    ensure!(before.0.transitions == after.0.transitions);
    ensure!(before.1.transitions == after.1.transitions);
    let took = end.since(begin).to_duration();
    let sent: Vec<_> = pair
        .capture
        .frames_since(begin)
        .into_iter()
        .filter(|frame| frame.vrrp().is_some() && frame.is_from(pair.h1()) && frame.at < end)
        .collect();
    let due = took.as_secs_f64() / TIMING.interval.as_secs_f64();
    let count = u32::try_from(sent.len())?;
    println!(
        "{} interfaces in {took:?}, {count} adverts of {due:.1}",
        ROUNDS * PAIRS * 2
    );
    ensure!(
        (f64::from(count) - due).abs() <= due * 0.1 + 1.0,
        "{count} adverts in {took:?}"
    );
    Ok(())
}
