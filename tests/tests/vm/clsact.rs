//! On a kernel without tcx (before 6.6) the agent's programs are filters of a `clsact` qdisc, which anybody may
//! delete and which may be somebody else's.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::VIP;
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::vm::agent::config;
use ha_tests::vm::filters::{Filter, Hook, filters, own_programs};
use ha_tests::vm::{Card, GuestAgent, Master, Vm};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a removed program may stay away: a look every 2 s, and what an emulated guest takes to act on it.
const ABSENCE: Duration = Duration::from_secs(10);
/// What the log says of it, once for each time.
const TOLD: &str = "the program on eth0 was removed by something else; attached again";

#[test]
fn what_somebody_deletes_is_put_back_counted_and_told() -> Result<()> {
    let vm = boot()?;
    let agent = GuestAgent::start(&vm)?;
    let master = Master::start(vm.segment(), &advert());
    let before = follows(&agent)?;
    ensure!(
        before.datapath.link.as_deref() == Some("clsact"),
        "{before:#?}"
    );
    let mut programs = own_programs(&vm, "eth0")?;
    for (times, deletion) in (1..).zip([
        "tc qdisc del dev eth0 clsact",
        "tc filter del dev eth0 ingress",
        "tc filter del dev eth0 egress",
    ]) {
        vm.run(deletion)?;
        agent
            .wait_instance("web", "puts it back", ABSENCE, |it| {
                it.datapath.reattached == times
            })
            .context(deletion)?;
        programs = own_programs(&vm, "eth0").context(deletion)?;
        let told = vm.log().matches(TOLD).count();
        ensure!(
            u64::try_from(told)? == times,
            "told {told} times after `{deletion}`"
        );
        // It hears again what it was deaf to.
        let heard = agent.instance("web")?.counters.adverts_received;
        agent.wait_instance("web", "hears on", PATIENCE, |it| {
            it.counters.adverts_received >= heard + 2
        })?;
    }
    // Its programs stay the same ones while nobody touches them.
    ensure!(own_programs(&vm, "eth0")? == programs);
    let after = follows(&agent)?;
    ensure!(after.transitions == before.transitions, "{after:#?}");
    master.fall_silent().map(drop)
}

/// A kernel may have been built without, or have its modules elsewhere.
#[test]
fn without_tcx_and_clsact_it_is_the_plain_socket_until_there_is_one() -> Result<()> {
    let vm = boot()?;
    vm.run("rmmod sch_ingress")?;
    let agent = GuestAgent::start(&vm)?;
    let master = Master::start(vm.segment(), &advert());
    let found = agent.wait_instance("web", "follows by a plain socket", PATIENCE, |it| {
        it.state == State::Backup
            && it.master.as_ref().is_some_and(|it| it.priority == 200)
            && it.datapath.kind.as_deref() == Some("socket")
    })?;
    let reason = found.datapath.refusal("tc");
    ensure!(
        reason.contains("neither tcx (Linux 6.6) nor the clsact qdisc"),
        "{found:#?}"
    );
    vm.run("insmod /modules/*sch_ingress.ko")?;
    let after = follows(&agent)?;
    ensure!(
        after.datapath.link.as_deref() == Some("clsact"),
        "{after:#?}"
    );
    ensure!(after.transitions == found.transitions, "{after:#?}");
    master.fall_silent().map(drop)
}

/// Nothing pins a filter, and none goes by itself.
#[test]
fn cleanup_removes_the_filters_of_a_killed_agent() -> Result<()> {
    let vm = boot()?;
    let agent = GuestAgent::start(&vm)?;
    let master = Master::start(vm.segment(), &advert());
    follows(&agent)?;
    agent.kill()?;
    ensure!(!own_programs(&vm, "eth0")?.is_empty());
    let told = vm.run("ha-agent cleanup")?;
    ensure!(told.contains("removed the tc filters from eth0"), "{told}");
    for hook in Hook::BOTH {
        let left = filters(&vm, "eth0", hook)?;
        ensure!(left.is_empty(), "at {} there are {left:?}", hook.name());
    }
    master.fall_silent().map(drop)
}

/// Even of the preference that the agent's own filter takes.
#[test]
fn somebody_elses_qdisc_and_its_filters_stay() -> Result<()> {
    let vm = boot()?;
    vm.run("tc qdisc add dev eth0 clsact")?;
    for (hook, preference) in [(Hook::Ingress, 1), (Hook::Ingress, 7), (Hook::Egress, 1)] {
        // Classic BPF that matches nothing.
        vm.run(&format!(
            "tc filter add dev eth0 {} pref {preference} bpf bytecode '1,6 0 0 0' flowid 1:1",
            hook.name()
        ))?;
    }
    let theirs = of_others(&vm)?;
    ensure!(theirs.iter().map(Vec::len).eq([2, 1]), "{theirs:?}");

    let agent = GuestAgent::start(&vm)?;
    let master = Master::start(vm.segment(), &advert());
    let found = follows(&agent)?;
    ensure!(
        found.datapath.link.as_deref() == Some("clsact"),
        "{found:#?}"
    );
    // Ours is first, so that nobody is said to come before it.
    ensure!(found.datapath.notes.is_empty(), "{found:#?}");
    let killed = own_programs(&vm, "eth0")?;
    ensure!(of_others(&vm)? == theirs);

    // The filters of a killed agent are its successor's to replace, and nobody else's are.
    agent.kill()?;
    ensure!(own_programs(&vm, "eth0")? == killed);
    let agent = GuestAgent::start(&vm)?;
    follows(&agent)?;
    let replaced = own_programs(&vm, "eth0")?;
    ensure!(
        replaced.iter().all(|id| !killed.contains(id)),
        "{killed:?} became {replaced:?}"
    );
    ensure!(of_others(&vm)? == theirs);

    agent.stop()?;
    for (hook, theirs) in Hook::BOTH.into_iter().zip(theirs) {
        let left = filters(&vm, "eth0", hook)?;
        ensure!(left == theirs, "at {} there are {left:?}", hook.name());
    }
    let qdiscs = vm.run("tc qdisc show dev eth0")?;
    ensure!(qdiscs.contains("qdisc clsact "), "{qdiscs}");
    master.fall_silent().map(drop)
}

/// A guest with one instance on virtio-net.
fn boot() -> Result<Vm> {
    let vm = Vm::boot(Card::VirtioNet, &[config(vec![Instance::default()])?])?;
    vm.bring_up("eth0", &format!("{OWN}/24"))?;
    vm.segment().settle(OWN)?;
    Ok(vm)
}

fn advert() -> Advert {
    Advert {
        priority: 200,
        addresses: vec![VIP],
        ..Advert::default()
    }
}

fn follows(agent: &GuestAgent<'_>) -> Result<agent_status::Instance> {
    agent.wait_instance("web", "follows in the kernel", PATIENCE, |it| {
        it.state == State::Backup
            && it.master.as_ref().is_some_and(|it| it.priority == 200)
            && it.datapath.kind.as_deref() == Some("tc")
    })
}

/// The filters at both hooks that are not the agent's.
fn of_others(vm: &Vm) -> Result<[Vec<Filter>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for (slot, hook) in found.iter_mut().zip(Hook::BOTH) {
        *slot = filters(vm, "eth0", hook)?;
        slot.retain(|filter| !is_own(filter));
    }
    Ok(found)
}

fn is_own(filter: &Filter) -> bool {
    filter
        .name
        .as_deref()
        .is_some_and(|name| name.starts_with("ha_"))
}
