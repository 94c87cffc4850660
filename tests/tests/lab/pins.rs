//! What outlives the agent: its pinned maps and links, and what lets adverts in to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, Map, MapData};
use aya::programs::links::{FdLink, PinnedLink};
use ha_common::layout::{Meta, names};
use ha_tests::lab::agent::{self, Agent, Launch, State};
use ha_tests::lab::agent_config::{AgentConfig, Instance};
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{LATENESS, PATIENCE, by_auto, instance};
use ha_tests::lab::{Host, Lab, Pair, VIP, wait_until};
use nix::net::if_::if_nametoindex;

#[test]
fn without_a_bpffs_it_runs_unpinned_and_says_so() -> Result<()> {
    let nowhere = Launch {
        pin_dir: Some(PathBuf::from("/proc/ha-agent")),
        ..Launch::default()
    };
    let pair = Pair::launched(by_auto(100), by_auto(90), &nowhere)?;
    let pins = pair.backup.status()?.node.pins;
    ensure!(pins.state == "unpinned", "{pins:?}");
    ensure!(
        pins.why.as_deref().unwrap_or("").contains("/proc/ha-agent"),
        "{pins:?}"
    );
    pair.backup
        .process()
        .wait_for_line("are lost when the agent ends", PATIENCE)?;
    ensure!(pair.backup.only()?.datapath.kind.as_deref() == Some("tc"));
    pair.cut_and_take_over(LATENESS)?;
    pair.heal()?;
    pair.backup.process().kill()?;
    wait_until(PATIENCE, "the program goes with the agent", || {
        pair.h2()
            .ingress_programs()
            .is_ok_and(|found| found.is_empty())
    })
}

#[test]
fn a_bpffs_is_mounted_on_the_pin_directory_where_there_is_none() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let dir = h1.dir().join("own-pins");
    Agent::write_config(h1, instance(100))?;
    let agent = Agent::launch(
        h1,
        &Launch {
            pin_dir: Some(dir.clone()),
            ..Launch::default()
        },
    )?;
    agent.wait_state(State::Master, PATIENCE)?;
    ensure!(agent.status()?.node.pins.state == "pinned");
    let kind = h1.run(&["stat", "-f", "-c", "%T", &dir.display().to_string()])?;
    ensure!(kind.trim() == "bpf_fs", "{kind}");
    for name in names::PINNED {
        ensure!(dir.join(name).exists(), "{name} is not pinned");
    }
    Ok(())
}

#[test]
fn counters_outlive_a_killed_agent_and_peers_needs_none() -> Result<()> {
    let pair = Pair::start()?;
    let h1 = pair.h1().ipv4().to_string();
    pair.backup.process().kill()?;
    let adverts = || -> Result<u64> {
        let peers = agent::peers(pair.h2())?;
        let peers = peers["peers"].as_array().context("no list")?.clone();
        let one = peers.iter().find(|peer| peer["address"] == h1.as_str());
        one.and_then(|peer| peer["adverts"].as_u64())
            .with_context(|| format!("no peer {h1} in {peers:?}"))
    };
    // The kernel goes on counting while nobody is there.
    let first = adverts()?;
    wait_until(PATIENCE, "adverts are counted without an agent", || {
        adverts().is_ok_and(|count| count >= first + 3)
    })?;
    let text = agent::invoke(pair.h2(), &["peers"])?;
    ensure!(text.code == Some(5) && text.out.contains(&h1), "{text:?}");
    ensure!(
        text.err.contains("pinned maps that an earlier agent left"),
        "{text:?}"
    );
    let counted = adverts()?;
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    ensure!(adverts()? >= counted);
    // Of this life are those that came since, and it says so.
    let shown = again.only()?.counters;
    ensure!(shown.adverts_received < counted, "{shown:?} of {counted}");
    ensure!(shown.since.is_some(), "{shown:?}");
    let text = agent::invoke(pair.h2(), &["peers"])?.out;
    ensure!(
        text.contains("*: since before this agent was started"),
        "{text}"
    );
    pair.is_settled()
}

#[test]
fn pins_of_another_version_are_replaced() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let config = AgentConfig::new(h1, by_auto(100));
    let agent = Agent::master(h1, &config)?;
    agent.process().kill()?;
    forge_version(&h1.bpf_dir().join(names::MAP_META))?;
    let agent = Agent::start_again(h1)?;
    agent
        .process()
        .wait_for_line("replaced pins of another version", PATIENCE)?;
    runs_in_the_kernel(&agent)?;

    // Another size is another layout as well.
    agent.process().kill()?;
    let mut config = config;
    config.node.extra.insert("max_slots".to_owned(), 64.into());
    let agent = Agent::start(h1, &config)?;
    agent
        .process()
        .wait_for_line("replaced pins of another version", PATIENCE)?;
    runs_in_the_kernel(&agent)?;

    // So is another map under a name of ours.
    agent.process().kill()?;
    let marks = h1.bpf_dir().join(names::MAP_MARKS);
    fs::remove_file(&marks)?;
    MapData::from_pin(h1.bpf_dir().join(names::MAP_PEERS))?.pin(&marks)?;
    let agent = Agent::start_again(h1)?;
    agent
        .process()
        .wait_for_line("replaced pins of another version", PATIENCE)?;
    runs_in_the_kernel(&agent)?;

    // And the right ones are kept.
    agent.process().kill()?;
    let agent = Agent::start_again(h1)?;
    agent
        .process()
        .wait_for_line("reuses the maps pinned", PATIENCE)?;
    runs_in_the_kernel(&agent)
}

/// Where a program goes and comes anew, a card resets.
#[test]
fn an_upgrade_to_another_layout_keeps_the_link_in_xdp_that_is_used_and_no_other() -> Result<()> {
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    h1.run(&[
        "ip", "link", "add", "name", "side", "type", "veth", "peer", "name", "far",
    ])?;
    for args in [["side", "up"], ["far", "up"]] {
        h1.run(&["ip", "link", "set", "dev", args[0], args[1]])?;
    }
    h1.run(&["ip", "address", "add", "10.98.0.1/24", "dev", "side"])?;
    let native = |it: Instance| it.by("native");
    let side = Instance {
        name: "side".to_owned(),
        interface: "side".to_owned(),
        vrid: 52,
        addresses: vec!["10.98.0.100/24".to_owned()],
        ..instance(100)
    };
    let mut config = AgentConfig::new(h1, native(instance(100)));
    config.instance.push(native(side));
    let agent = Agent::start(h1, &config)?;
    for name in ["web", "side"] {
        agent.wait_instance(name, "is master by XDP", PATIENCE, |it| {
            it.state == State::Master && it.receives_by("native")
        })?;
    }
    let (link, program) = (xdp_link(h1)?, h1.xdp_program(Host::INTERFACE)?);
    agent.process().kill()?;
    forge_version(&h1.bpf_dir().join(names::MAP_META))?;

    config.instance.truncate(1);
    let agent = Agent::start(h1, &config)?;
    agent
        .process()
        .wait_for_line("replaced pins of another version", PATIENCE)?;
    agent.wait("is master by XDP", |it| {
        it.state == State::Master && it.receives_by("native")
    })?;
    ensure!(xdp_link(h1)? == link, "it was detached");
    ensure!(
        h1.xdp_program(Host::INTERFACE)? != program,
        "the old one runs"
    );
    // A program of the old version has the old maps, in which the dead agent is a master still.
    wait_until(PATIENCE, "the program that nobody uses goes", || {
        h1.xdp_program("side").is_ok_and(|it| it.is_none())
    })
}

/// With `consume`, say, it would eat the adverts that the plain socket is to hear.
#[test]
fn where_the_kernel_half_cannot_be_loaded_an_earlier_agents_program_does_not_go_on() -> Result<()> {
    let consuming = |priority| {
        let instance = instance(priority).by("native");
        instance.with("consume", true)
    };
    let pair = Pair::of(instance(100), consuming(90))?;
    let host = pair.h2();
    ensure!(host.xdp_program(Host::INTERFACE)?.is_some());
    pair.backup.process().kill()?;
    Agent::write_config(host, instance(90).by("auto"))?;
    let agent = Agent::launch(
        host,
        &Launch {
            inject: Some("no-kernel"),
            ..Launch::default()
        },
    )?;
    agent
        .process()
        .wait_for_line("that an earlier agent left in the kernel", PATIENCE)?;
    agent.wait("follows by a plain socket", |it| {
        it.receives_by("socket") && it.follows()
    })?;
    wait_until(PATIENCE, "no program in XDP", || {
        host.xdp_program(Host::INTERFACE)
            .is_ok_and(|it| it.is_none())
    })?;
    pair.is_settled()
}

/// The identifier of the pinned link on the interface.
fn xdp_link(host: &Host) -> Result<u32> {
    let index = host.ns().inside(|| if_nametoindex(Host::INTERFACE))??;
    let pin = host.bpf_dir().join(format!("link-{index}"));
    let link: FdLink = PinnedLink::from_pin(pin)?.into();
    Ok(link.info()?.id())
}

/// Whoever was configured before a crash and is not any more must not go on: not its slot, which
/// may eat adverts, and not its address.
#[test]
fn what_a_killed_agent_held_for_an_instance_that_is_gone_is_cleared_at_the_next_start() -> Result<()>
{
    let lab = Lab::new(1)?;
    let h1 = lab.host(1);
    let second = Instance {
        name: "second".to_owned(),
        vrid: 52,
        addresses: vec!["10.99.0.101/24".to_owned()],
        ..instance(100)
    };
    let mut both = AgentConfig::new(h1, instance(100));
    both.instance.push(second);
    let watch = h1.vip_watch("10.99.0.101".parse()?)?;
    let agent = Agent::start(h1, &both)?;
    watch.wait_present(PATIENCE)?;
    agent.process().kill()?;

    both.instance.truncate(1);
    let _agent = Agent::master(h1, &both)?;
    watch
        .wait_absent(Duration::from_secs(2))
        .context("the address of the instance that is gone stays")?;
    ensure!(h1.slots_in_use()? == 1, "its slot stays");
    Ok(())
}

/// Memberships end with the process; the program that outlives it must go on hearing.
#[test]
fn a_killed_agent_leaves_the_filter_open_and_a_clean_stop_closes_it() -> Result<()> {
    let pair = Pair::start()?;
    pair.backup.process().kill()?;
    ensure!(lets_adverts_in(pair.h2())?);
    let again = Agent::start_again(pair.h2())?;
    again.wait_state(State::Backup, PATIENCE)?;
    again.stop()?;
    ensure!(!lets_adverts_in(pair.h2())?);
    Ok(())
}

#[test]
fn a_cleanup_closes_the_filter_that_a_killed_agent_left_open() -> Result<()> {
    let pair = Pair::start()?;
    pair.backup.process().kill()?;
    agent::cleanup(pair.h2())?;
    ensure!(!lets_adverts_in(pair.h2())?);
    Ok(())
}

#[test]
fn a_clean_stop_leaves_no_program_and_no_address() -> Result<()> {
    let pair = Pair::start()?;
    let stopped = now();
    pair.master.stop()?;
    ensure!(pair.h1().ingress_programs()?.is_empty());
    pair.moved_away()?;
    pair.capture.wait_advert(pair.h1(), 0, stopped, PATIENCE)?;
    ensure!(pair.h1().slots_in_use()? == 0);
    Ok(())
}

/// Whether the interface's card would let the adverts of both families in.
fn lets_adverts_in(host: &Host) -> Result<bool> {
    let table = host.run(&["ip", "maddress", "show", "dev", Host::INTERFACE])?;
    let groups = ["01:00:5e:00:00:12", "33:33:00:00:00:12"];
    Ok(groups.iter().all(|group| table.contains(group)))
}

fn runs_in_the_kernel(agent: &Agent) -> Result<()> {
    agent.wait_state(State::Master, PATIENCE)?;
    let found = agent.only()?;
    ensure!(
        found.receives_by("tc") && found.timer.kind == "kernel",
        "{found:?}"
    );
    ensure!(agent.status()?.node.pins.state == "pinned");
    Ok(())
}

/// Makes the pinned maps look like those of another version of the agent.
fn forge_version(meta: &Path) -> Result<()> {
    const SIZE: usize = size_of::<Meta>();
    let map = Map::Array(MapData::from_pin(meta)?);
    let mut array: Array<MapData, [u8; SIZE]> = Array::try_from(map)?;
    let mut bytes = array.get(&0, 0)?;
    let at = std::mem::offset_of!(Meta, version);
    bytes[at] = bytes[at].wrapping_add(1);
    array.set(0, bytes, 0)?;
    Ok(())
}

/// The lower master that it took over from has yielded, and was heard doing so: nobody else is master.
#[test]
fn a_crash_right_after_a_take_over_from_a_lower_master_is_no_outage() -> Result<()> {
    let slow = |priority| Instance {
        advert_interval: Duration::from_millis(500),
        ..instance(priority)
    };
    let lab = Lab::new(2)?;
    let (h1, h2) = (lab.host(1), lab.host(2));
    let lower = Agent::master(h2, slow(90))?;
    let watch = h1.vip_watch(VIP)?;
    for _ in 0..4 {
        let agent = Agent::master(h1, slow(100))?;
        lower.wait_state(State::Backup, PATIENCE)?;
        agent.process().kill()?;
        let killed = now();
        let again = Agent::start_again(h1)?;
        again
            .process()
            .wait_for_line("resumed as master after the restart", PATIENCE)?;
        watch.undisturbed_since(killed)?;
        again.stop()?;
        lower.wait_state(State::Master, PATIENCE)?;
    }
    Ok(())
}
