//! An interface and a VLAN device above it, with one and the same VRID on both: no advert of the one may
//! move, count for, or be eaten by the other, whatever the card does to the tags.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Instant;
use ha_tests::lab::VIP;
use ha_tests::lab::advert::Advert;
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::lab::clock::now;
use ha_tests::vm::agent::config;
use ha_tests::vm::filters::own_programs;
use ha_tests::vm::{Card, Frame, GuestAgent, Master, Vm};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const VLAN: u16 = 10;
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(40);

/// The two instances: on `eth0`, and on `eth0.10`.
const PARENT: &str = "parent";
const TAGGED: &str = "tagged";

#[test]
fn on_virtio_net_which_leaves_tags_alone_neither_moves_the_other() -> Result<()> {
    let guest = Guest::boot(Card::VirtioNet)?;
    let offload = guest.offload()?;
    // So there is nothing to switch: such a card passes the tag on in the frame.
    ensure!(offload == "off [fixed]", "tag offload is {offload}");
    guest.neither_moves_the_other()
}

#[test]
fn with_tag_offload_neither_moves_the_other() -> Result<()> {
    let guest = Guest::boot(Card::E1000e)?;
    let offload = guest.offload()?;
    ensure!(offload == "on", "tag offload is {offload}");
    guest.neither_moves_the_other()
}

#[test]
fn without_tag_offload_neither_moves_the_other() -> Result<()> {
    let guest = Guest::boot(Card::E1000e)?;
    guest.vm.run("ethtool -K eth0 rxvlan off")?;
    let offload = guest.offload()?;
    ensure!(offload == "off", "tag offload is {offload}");
    guest.neither_moves_the_other()
}

/// Nothing needs to change: the program tells the VLAN's adverts by their tags, in the frame or beside it.
#[test]
fn a_vlan_that_comes_later_and_goes_again_changes_nothing() -> Result<()> {
    let guest = Guest::without_vlan(Card::E1000e, parent())?;
    let agent = GuestAgent::start(&guest.vm)?;
    let master = Master::start(guest.vm.segment(), &untagged());
    let following = follows(&agent, PARENT, &untagged())?;
    runs_by_tc(&following)?;
    let programs = own_programs(&guest.vm, "eth0")?;

    guest.add_vlan()?;
    knows_of_vlan(&agent, true)?;
    let heard = agent.instance(PARENT)?.counters.adverts_received;
    for _ in 0..7 {
        guest.vm.segment().send(&tagged().frame())?;
    }
    agent.wait_instance(PARENT, "hears on", PATIENCE, |it| {
        it.counters.adverts_received >= heard + 2
    })?;
    let found = follows(&agent, PARENT, &untagged())?;
    runs_by_tc(&found)?;
    ensure!(
        found.transitions == following.transitions,
        "it did not stay a backup: {found:#?}"
    );
    guest.vm.run("ip link del eth0.10")?;
    knows_of_vlan(&agent, false)?;
    follows(&agent, PARENT, &untagged())?;
    let last = master.fall_silent()?;
    guest.takes_over(None, last)?;
    let held = agent.wait_instance(PARENT, "master", PATIENCE, is_master)?;
    ensure!(
        held.transitions == following.transitions + 1 && held.counters.timer_fired >= 1,
        "{held:#?}"
    );

    // As master it loses neither its place nor its address.
    guest.add_vlan()?;
    knows_of_vlan(&agent, true)?;
    guest.takes_over(None, now())?;
    guest.vm.run("ip link del eth0.10")?;
    knows_of_vlan(&agent, false)?;
    guest.takes_over(None, now())?;
    let found = agent.wait_instance(PARENT, "master", PATIENCE, is_master)?;
    ensure!(
        found.transitions == held.transitions && found.counters.vip_restored == 0,
        "it did not stay master: {found:#?}"
    );
    runs_by_tc(&found)?;
    // The same ones as in the beginning.
    ensure!(own_programs(&guest.vm, "eth0")? == programs);
    Ok(())
}

#[test]
fn a_configured_native_is_a_fault_while_a_vlan_is_above_the_interface() -> Result<()> {
    let guest = Guest::without_vlan(Card::VirtioNet, parent().with("datapath", "native"))?;
    let agent = GuestAgent::start(&guest.vm)?;
    let found = agent.wait_instance(PARENT, "master", PATIENCE, is_master)?;
    ensure!(
        found.datapath.kind.as_deref() == Some("native"),
        "{found:#?}"
    );
    guest.add_vlan()?;
    let found = faulted(
        &agent,
        "native: VLAN devices above it (eth0.10): XDP cannot tell their adverts",
    )?;
    ensure!(found.addresses.iter().all(|it| !it.present), "{found:#?}");
    let leave = |frame: &Frame| frame.vrrp().is_some_and(|it| it.priority == 0);
    let segment = guest.vm.segment();
    segment.wait_for("farewell", Instant(0), PATIENCE, leave)?;
    guest.vm.run("ip link del eth0.10")?;
    agent
        .wait_instance(PARENT, "master again", PATIENCE, is_master)
        .map(drop)
}

/// An advert of a VLAN would come to the program without its tag, whether the VLAN has a device or not.
#[test]
fn xdp_by_name_is_refused_while_the_card_takes_tags_out_of_frames() -> Result<()> {
    let guest = Guest::without_vlan(Card::E1000e, parent().with("datapath", "native"))?;
    ensure!(guest.offload()? == "on");
    let agent = GuestAgent::start(&guest.vm)?;
    let why = "it strips VLAN tags before XDP sees the frames";
    faulted(&agent, &format!("native: {why}"))?;

    let (file, text) = config(vec![parent().with("datapath", "generic")])?;
    guest.vm.write(file, &text)?;
    agent.reload_into_fault()?;
    let found = faulted(&agent, &format!("generic: {why}"))?;
    let reason = found.reason.unwrap_or_default();
    ensure!(
        reason.contains("use tc, or `ethtool -K` with `rxvlan off`"),
        "{reason}"
    );
    // What it advises helps, without a restart.
    guest.vm.run("ethtool -K eth0 rxvlan off")?;
    let found = agent.wait_instance(PARENT, "master", PATIENCE, is_master)?;
    ensure!(
        found.datapath.kind.as_deref() == Some("generic"),
        "{found:#?}"
    );
    Ok(())
}

/// A virtual machine with an interface and a VLAN device above it.
struct Guest {
    vm: Vm,
}

impl Guest {
    fn boot(card: Card) -> Result<Self> {
        let tagged = Instance {
            name: TAGGED.to_owned(),
            interface: format!("eth0.{VLAN}"),
            addresses: vec!["10.10.0.100/24".to_owned()],
            ..Instance::default()
        };
        // Adverts that end in the program are those that the other one would miss.
        let instances = [parent(), tagged].map(|it| it.with("consume", true));
        let guest = Self::of(card, instances.into())?;
        guest.add_vlan()?;
        Ok(guest)
    }

    fn without_vlan(card: Card, instance: Instance) -> Result<Self> {
        Self::of(card, vec![instance])
    }

    fn of(card: Card, instances: Vec<Instance>) -> Result<Self> {
        let vm = Vm::boot(card, &[config(instances)?])?;
        vm.bring_up("eth0", &format!("{OWN}/24"))?;
        vm.segment().settle(OWN)?;
        Ok(Self { vm })
    }

    fn add_vlan(&self) -> Result<()> {
        self.vm.run(&format!(
            "ip link add link eth0 name eth0.{VLAN} type vlan id {VLAN}"
        ))?;
        self.vm.bring_up(&format!("eth0.{VLAN}"), "10.10.0.1/24")
    }

    /// What the card does with tags: `on`, `off`, or one of them and `[fixed]`.
    fn offload(&self) -> Result<String> {
        let features = self.vm.run("ethtool -k eth0")?;
        let found = features
            .lines()
            .find_map(|line| line.trim().strip_prefix("rx-vlan-offload: "));
        found
            .map(str::to_owned)
            .with_context(|| format!("no word of tag offload in:\n{features}"))
    }

    fn neither_moves_the_other(&self) -> Result<()> {
        let agent = GuestAgent::start(&self.vm)?;
        for name in [PARENT, TAGGED] {
            let found = agent.wait_instance(name, "takes part", PATIENCE, |it| {
                matches!(it.state, State::Backup | State::Master)
            })?;
            runs_by_tc(&found)?;
        }
        self.each_advert_counts_once(&agent)?;
        self.each_follows_its_own_master(&agent)
    }

    fn each_advert_counts_once(&self, agent: &GuestAgent<'_>) -> Result<()> {
        for (advert, name, other) in [(untagged(), PARENT, TAGGED), (tagged(), TAGGED, PARENT)] {
            let before = received(agent, name)?;
            let others = received(agent, other)?;
            for _ in 0..7 {
                self.vm.segment().send(&advert.frame())?;
            }
            self.vm.segment().settle(OWN)?;
            agent.wait_instance(name, "has counted seven", PATIENCE, |it| {
                it.counters.adverts_received >= before + 7
            })?;
            let (after, others_after) = (received(agent, name)?, received(agent, other)?);
            ensure!(
                after == before + 7 && others_after == others,
                "seven adverts for {name} counted {} there and {} for {other}",
                after - before,
                others_after - others
            );
        }
        Ok(())
    }

    fn each_follows_its_own_master(&self, agent: &GuestAgent<'_>) -> Result<()> {
        let segment = self.vm.segment();
        let mut on_parent = Master::start(segment, &untagged());
        let on_vlan = Master::start(segment, &tagged());
        follows(agent, PARENT, &untagged())?;
        follows(agent, TAGGED, &tagged())?;

        let since = now();
        let last = on_parent.fall_silent()?;
        self.takes_over(None, last)?;
        follows(agent, TAGGED, &tagged())?;
        self.is_silent(Some(VLAN), since)?;

        on_parent = Master::start(segment, &untagged());
        follows(agent, PARENT, &untagged())?;
        let since = now();
        let last = on_vlan.fall_silent()?;
        self.takes_over(Some(VLAN), last)?;
        follows(agent, PARENT, &untagged())?;
        self.is_silent(None, since)?;
        on_parent.fall_silent().map(drop)
    }

    /// Waits for the guest's own advert on that VLAN, or on none.
    fn takes_over(&self, vlan: Option<u16>, since: Instant) -> Result<Frame> {
        let what = format!("advert on VLAN {vlan:?}");
        let found = self
            .vm
            .segment()
            .wait_for(&what, since, PATIENCE, |frame| {
                frame.vlan == vlan && frame.vrrp().is_some()
            })?;
        let sent = found.vrrp().context("an advert")?;
        ensure!((sent.vrid, sent.priority) == (51, 100), "{sent:?}");
        Ok(found)
    }

    /// Fails if the guest has sent an advert on that VLAN, or on none, since then.
    fn is_silent(&self, vlan: Option<u16>, since: Instant) -> Result<()> {
        let said = self.vm.segment().frames_since(since);
        let there = |frame: &&Frame| frame.vlan == vlan && frame.vrrp().is_some();
        let wrong: Vec<&Frame> = said.iter().filter(there).collect();
        ensure!(wrong.is_empty(), "adverts on VLAN {vlan:?}: {wrong:#?}");
        Ok(())
    }
}

fn parent() -> Instance {
    Instance {
        name: PARENT.to_owned(),
        ..Instance::default()
    }
}

fn untagged() -> Advert {
    Advert {
        priority: 200,
        addresses: vec![VIP],
        ..Advert::default()
    }
}

/// Of another priority, so that whoever takes it for one of [`untagged`]'s shows it.
fn tagged() -> Advert {
    Advert {
        vlans: vec![VLAN],
        source: IpAddr::V4(Ipv4Addr::new(10, 10, 0, 66)),
        priority: 150,
        addresses: vec![IpAddr::V4(Ipv4Addr::new(10, 10, 0, 100))],
        ..Advert::default()
    }
}

fn is_master(instance: &agent_status::Instance) -> bool {
    instance.state == State::Master && instance.addresses.iter().all(|it| it.present)
}

/// Fails unless it receives by tc, which the guest's kernel has as filters, and has done so without a break.
fn runs_by_tc(instance: &agent_status::Instance) -> Result<()> {
    let datapath = &instance.datapath;
    ensure!(
        datapath.kind.as_deref() == Some("tc")
            && datapath.link.as_deref() == Some("clsact")
            && datapath.reattached == 0,
        "{instance:#?}"
    );
    Ok(())
}

/// Waits until the agent has seen the VLAN device come, or go: it says why native XDP does not run there.
fn knows_of_vlan(agent: &GuestAgent<'_>, there: bool) -> Result<()> {
    agent
        .wait_instance(PARENT, "knows of the VLAN device", PATIENCE, |it| {
            it.datapath.refusal("native").contains("eth0.10") == there
        })
        .map(drop)
}

fn faulted(agent: &GuestAgent<'_>, why: &str) -> Result<agent_status::Instance> {
    agent.wait_instance(PARENT, &format!("in FAULT: {why}"), PATIENCE, |it| {
        it.state == State::Fault && it.reason.as_deref().is_some_and(|it| it.contains(why))
    })
}

fn received(agent: &GuestAgent<'_>, name: &str) -> Result<u64> {
    Ok(agent.instance(name)?.counters.adverts_received)
}

fn follows(agent: &GuestAgent<'_>, name: &str, advert: &Advert) -> Result<agent_status::Instance> {
    agent.wait_instance(name, "follows its master", PATIENCE, |it| {
        let master = it.master.as_ref();
        it.state == State::Backup
            && master.is_some_and(|master| {
                (master.address, master.priority) == (advert.source, advert.priority)
            })
    })
}
