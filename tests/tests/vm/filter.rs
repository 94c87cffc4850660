//! Behind a network card that filters multicast, as virtio-net and real cards do and veth does not: what
//! joining the groups brings, and what is left of it when the agent has died.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::lab::capture::Timing;
use ha_tests::lab::clock::now;
use ha_tests::lab::{VIP, wait_until};
use ha_tests::vm::agent::{config, counted};
use ha_tests::vm::filters::own_programs;
use ha_tests::vm::{Card, GuestAgent, Master, Vm, master};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const VIP_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);
/// How far a guest's clock may be from ours over a few seconds.
const EARLINESS: Duration = Duration::from_millis(50);
/// Emulated timers are late by up to some 20 ms, and the guest's one processor has other work as well.
const LATENESS: Duration = Duration::from_millis(700);
/// The wait of the guest's instances.
const TIMING: Timing = Timing {
    interval: master::INTERVAL,
    priority: 100,
};
/// How many adverts are sent at once.
const BURST: u64 = 10;

#[test]
fn no_advert_gets_in_before_the_groups_are_joined_and_every_one_after() -> Result<()> {
    let vm = boot()?;
    for advert in [advert_v4(), advert_v6()] {
        let before = let_in(&vm, &advert)?;
        ensure!(
            before == 0,
            "without a member of its group {before} of {advert:?} got in: this card does not filter"
        );
    }
    let agent = GuestAgent::start(&vm)?;
    for (name, advert) in [("web", advert_v4()), ("web6", advert_v6())] {
        agent.wait_instance(name, "takes part", PATIENCE, takes_part)?;
        let heard = agent.instance(name)?.counters.adverts_received;
        let after = let_in(&vm, &advert)?;
        ensure!(after == BURST, "{after} of {BURST} to {name} got in");
        let counted = agent.instance(name)?.counters.adverts_received - heard;
        ensure!(counted == BURST, "{counted} of {BURST} to {name} counted");
    }
    Ok(())
}

#[test]
fn a_backup_follows_in_the_kernel_and_takes_over_at_the_deadline() -> Result<()> {
    let vm = boot()?;
    let masters = [advert_v4(), advert_v6()].map(|advert| Master::start(vm.segment(), &advert));
    let started = now();
    let agent = GuestAgent::start(&vm)?;
    for (name, advert) in [("web", advert_v4()), ("web6", advert_v6())] {
        let found = agent.wait_instance(name, "follows for a while", PATIENCE, |it| {
            follows(it, advert.source) && it.counters.adverts_received >= 5
        })?;
        ensure!(
            found.datapath.kind.as_deref() == Some("tc")
                && found.datapath.link.as_deref() == Some("clsact")
                && found.timer.kind == "kernel",
            "{found:#?}"
        );
        ensure!(found.counters.timer_fired == 0, "{found:#?}");
    }
    let said = vm.segment().frames_since(started);
    ensure!(said.iter().all(|it| it.vrrp().is_none()), "{said:#?}");

    for (master, (name, family)) in masters.into_iter().zip([
        ("web", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("web6", IpAddr::is_ipv6),
    ]) {
        let last = master.fall_silent()?;
        let first = vm
            .segment()
            .wait_for("advert of its own", started, PATIENCE, |frame| {
                frame.vrrp().is_some_and(|it| family(&it.source))
            })?;
        at_deadline(last, first.at)?;
        let sent = first.vrrp().context("an advert")?;
        ensure!(
            (sent.priority, sent.vrid, sent.ttl) == (100, 51, 255),
            "{sent:?}"
        );
        let taken = agent.wait_instance(name, "master", PATIENCE, holds_addresses)?;
        ensure!(taken.counters.timer_fired >= 1, "{taken:#?}");
        // It goes on.
        vm.segment()
            .wait_for("second advert", first.at, PATIENCE, |frame| {
                frame.at > first.at && frame.vrrp().is_some_and(|it| family(&it.source))
            })?;
    }
    Ok(())
}

/// The memberships of a process end with it; what the kernel half is to hear must not.
#[test]
fn the_kernel_half_of_a_killed_agent_goes_on_hearing_the_master() -> Result<()> {
    let vm = boot()?;
    let started = now();
    let masters = [advert_v4(), advert_v6()].map(|advert| Master::start(vm.segment(), &advert));
    let agent = GuestAgent::start(&vm)?;
    for (name, advert) in [("web", advert_v4()), ("web6", advert_v6())] {
        agent.wait_instance(name, "follows", PATIENCE, |it| follows(it, advert.source))?;
    }
    let killed = own_programs(&vm, "eth0")?;
    agent.kill()?;
    ensure!(
        own_programs(&vm, "eth0")? == killed,
        "its filters went with it"
    );
    for sender in [advert_v4().source, advert_v6().source] {
        let sender = sender.to_string();
        let before = counted(&vm, &sender)?;
        // Longer than the master may be silent.
        wait_until(PATIENCE, "five more adverts are counted", || {
            counted(&vm, &sender).is_ok_and(|count| count >= before + 5)
        })
        .with_context(|| format!("of {sender}, which the kernel half no longer hears"))?;
    }
    let agent = GuestAgent::start(&vm)?;
    for (name, advert) in [("web", advert_v4()), ("web6", advert_v6())] {
        agent.wait_instance(name, "follows", PATIENCE, |it| follows(it, advert.source))?;
    }
    let replaced = own_programs(&vm, "eth0")?;
    ensure!(
        replaced.iter().all(|id| !killed.contains(id)),
        "the programs {killed:?} of the killed agent became {replaced:?}"
    );
    let said = vm.segment().frames_since(started);
    ensure!(said.iter().all(|it| it.vrrp().is_none()), "{said:#?}");
    for master in masters {
        master.fall_silent()?;
    }
    Ok(())
}

#[test]
fn a_master_that_was_killed_is_fenced_and_comes_back_as_a_backup() -> Result<()> {
    let vm = boot()?;
    let IpAddr::V4(address) = VIP else {
        anyhow::bail!("the virtual address is not IPv4");
    };
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "master", PATIENCE, holds_addresses)?;
    ensure!(answers(&vm, address)?, "the master does not answer");
    agent.kill()?;
    ensure!(answers(&vm, address)?, "nobody has taken over yet");

    let successor = Master::start(vm.segment(), &advert_v4());
    wait_until(PATIENCE, "the host of the dead agent is fenced", || {
        answers(&vm, address).is_ok_and(|it| !it)
    })?;
    let restarted = now();
    let agent = GuestAgent::start(&vm)?;
    agent.wait_instance("web", "follows", PATIENCE, |it| {
        follows(it, advert_v4().source)
    })?;
    let said = vm.segment().frames_since(restarted);
    ensure!(
        said.iter()
            .filter_map(ha_tests::vm::Frame::vrrp)
            .all(|it| it.source.is_ipv6()),
        "it claimed to be master once more: {said:#?}"
    );
    ensure!(!answers(&vm, address)?, "its address has stayed behind");
    successor.fall_silent().map(drop)
}

/// A guest with an instance of each family on virtio-net.
fn boot() -> Result<Vm> {
    let instances = vec![
        Instance::default(),
        Instance {
            name: "web6".to_owned(),
            addresses: vec![format!("{VIP_V6}/64")],
            ..Instance::default()
        },
    ];
    let vm = Vm::boot(Card::VirtioNet, &[config(instances)?])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    vm.segment().settle(OWN)?;
    Ok(vm)
}

fn advert_v4() -> Advert {
    Advert {
        priority: 200,
        ..Advert::default()
    }
}

fn advert_v6() -> Advert {
    Advert {
        source: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66)),
        addresses: vec![VIP_V6.into()],
        ..advert_v4()
    }
}

/// How many of a burst of adverts the guest's card lets in.
fn let_in(vm: &Vm, advert: &Advert) -> Result<u64> {
    let before = vm.frames_received("eth0")?;
    for _ in 0..BURST {
        vm.segment().send(&advert.frame())?;
    }
    vm.segment().settle(OWN)?;
    // One more is the question that settles it.
    Ok(vm.frames_received("eth0")? - before - 1)
}

/// Whether the guest answers for an address.
fn answers(vm: &Vm, address: Ipv4Addr) -> Result<bool> {
    let asked = now();
    vm.segment().ask(address)?;
    vm.segment().settle(OWN)?;
    let said = vm.segment().frames_since(asked);
    Ok(said.iter().any(|frame| frame.answers(address)))
}

fn takes_part(instance: &agent_status::Instance) -> bool {
    matches!(instance.state, State::Backup | State::Master)
}

fn follows(instance: &agent_status::Instance, master: IpAddr) -> bool {
    let followed = instance.master.as_ref();
    instance.state == State::Backup && followed.is_some_and(|it| it.address == master)
}

fn holds_addresses(instance: &agent_status::Instance) -> bool {
    instance.state == State::Master && instance.addresses.iter().all(|it| it.present)
}

/// Fails unless the first advert came when the protocol allows it, or not long after.
fn at_deadline(last: Instant, first: Instant) -> Result<()> {
    let waited = first.since(last).to_duration();
    let rule = TIMING.master_down();
    ensure!(
        waited + EARLINESS >= rule && waited <= rule + LATENESS,
        "the guest waited {waited:?}, where the protocol says {rule:?}"
    );
    Ok(())
}
