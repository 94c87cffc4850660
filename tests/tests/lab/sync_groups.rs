//! Sync groups: two virtual routers on two interfaces that are master together or not at all, between two
//! agents, and beside a keepalived with a `vrrp_sync_group`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ha_tests::lab::agent::{Agent, State, Status};
use ha_tests::lab::agent_config::{AgentConfig, Group, Instance};
use ha_tests::lab::agent_status;
use ha_tests::lab::clock::now;
use ha_tests::lab::pair::{INTERVAL, LATENESS, PATIENCE, TIMING, instance};
use ha_tests::lab::process::{Process, Signal};
use ha_tests::lab::{Host, Lab, VIP, VipWatch, keepalived, wait_until};

/// The second interface of each host, on a network of its own.
const SECOND: &str = "eth1";
const SECOND_VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 0, 100));

fn config(host: &Host, priority: u8) -> AgentConfig {
    let mut config = AgentConfig::new(host, instance(priority));
    config.instance.push(Instance {
        name: "dns".to_owned(),
        interface: SECOND.to_owned(),
        vrid: 52,
        addresses: vec![format!("{SECOND_VIP}/24")],
        ..instance(priority)
    });
    config.group.push(Group {
        name: "pair".to_owned(),
        instances: vec!["dns".to_owned(), "web".to_owned()],
    });
    config
}

/// Where both addresses of a host are watched.
struct Addresses([VipWatch; 2]);

impl Addresses {
    fn of(host: &Host) -> Result<Self> {
        Ok(Self([host.vip_watch(VIP)?, host.vip_watch(SECOND_VIP)?]))
    }

    fn wait_present(&self) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|it| it.wait_present(PATIENCE).map(drop))
    }

    fn wait_absent(&self) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|it| it.wait_absent(PATIENCE).map(drop))
    }

    fn present(&self) -> [bool; 2] {
        [self.0[0].present(), self.0[1].present()]
    }
}

/// Two hosts with two interfaces each.
struct Stage {
    on_first: Addresses,
    on_second: Addresses,
    lab: Lab,
}

impl Stage {
    fn new() -> Result<Self> {
        let lab = Lab::new(2)?;
        for host in lab.hosts() {
            let [_, _, _, last] = host.ipv4().octets();
            lab.plug(host, SECOND, &format!("10.98.0.{last}/24"))?;
        }
        Ok(Self {
            on_first: Addresses::of(lab.host(1))?,
            on_second: Addresses::of(lab.host(2))?,
            lab,
        })
    }

    fn h1(&self) -> &Host {
        self.lab.host(1)
    }

    fn h2(&self) -> &Host {
        self.lab.host(2)
    }

    /// Pulls the cable out of the second interface of a host, or puts it back.
    fn second_cable(&self, host: &Host, state: &str) -> Result<()> {
        let line = format!("link set {}-{SECOND} {state}\n", host.name());
        self.lab.switch().batch(&line)
    }

    /// Keeps what the second interface of a host would hear from it, without a sign; `3` ends it.
    fn second_port(&self, host: &Host, state: &str) -> Result<()> {
        let mut bridge = std::process::Command::new("bridge");
        let port = format!("{}-{SECOND}", host.name());
        bridge.args(["link", "set", "dev", &port, "state", state]);
        self.lab.switch().run(bridge).map(drop)
    }
}

/// Two agents; the first leads.
struct Agents {
    first: Agent,
    second: Agent,
    stage: Stage,
}

impl Agents {
    fn start() -> Result<Self> {
        Self::start_with(|instance| instance)
    }

    /// With these changes to each instance.
    fn start_with(change: impl Fn(Instance) -> Instance) -> Result<Self> {
        let stage = Stage::new()?;
        let changed = |host: &Host, priority| {
            let mut config = config(host, priority);
            config.instance = config.instance.into_iter().map(&change).collect();
            config
        };
        let first = Agent::start(stage.h1(), &changed(stage.h1(), 100))?;
        stage.on_first.wait_present()?;
        let second = Agent::start(stage.h2(), &changed(stage.h2(), 90))?;
        for name in ["web", "dns"] {
            second.wait_instance(name, "follows", PATIENCE, agent_status::Instance::follows)?;
        }
        ensure!(stage.on_second.present() == [false; 2]);
        Ok(Self {
            first,
            second,
            stage,
        })
    }
}

fn wait_group(
    agent: &Agent,
    what: &str,
    holds: impl Fn(&agent_status::Group) -> bool,
) -> Result<agent_status::Group> {
    let mut found = None;
    wait_until(PATIENCE, what, || {
        found = agent.status().ok().and_then(only_group);
        found.as_ref().is_some_and(&holds)
    })
    .with_context(|| format!("it is {found:?}"))?;
    found.context("no group")
}

fn only_group(status: Status) -> Option<agent_status::Group> {
    status.groups.into_iter().next()
}

#[test]
fn a_cable_pulled_from_one_member_moves_all_and_put_back_it_brings_all_back() -> Result<()> {
    let agents = Agents::start()?;
    let stage = &agents.stage;
    stage.second_cable(stage.h1(), "down")?;
    stage.on_second.wait_present()?;
    stage.on_first.wait_absent()?;
    let group = wait_group(&agents.first, "a group in FAULT", |it| {
        it.state == State::Fault
    })?;
    ensure!(
        group.name == "pair" && group.instances == ["web", "dns"],
        "{group:?}"
    );
    let reason = group.reason.context("no reason")?;
    ensure!(reason == "dns: interface has no carrier", "{reason}");
    let web = agents.first.instance("web")?;
    ensure!(web.group.as_deref() == Some("pair"));
    ensure!(
        web.reason.as_deref() == Some("member dns of group pair has failed"),
        "{web:?}"
    );
    let line = "member dns of group pair has failed";
    agents.first.process().wait_for_line(line, PATIENCE)?;
    wait_group(&agents.second, "a group that leads", |it| {
        it.state == State::Master
    })?;
    // The last of both names its own cause, the other one the group's.
    let causes = [
        agents.second.instance("web")?,
        agents.second.instance("dns")?,
    ]
    .map(|it| it.last_transition.map_or_else(String::new, |it| it.cause));
    let joined = causes
        .iter()
        .filter(|it| it.contains("of group pair takes over"));
    ensure!(joined.count() == 1, "{causes:?}");

    stage.second_cable(stage.h1(), "up")?;
    stage.on_first.wait_present()?;
    stage.on_second.wait_absent()?;
    let of_second = [
        agents.second.instance("web")?,
        agents.second.instance("dns")?,
    ];
    let transitions = of_second.map(|it| it.transitions);
    ensure!(
        transitions == [3, 3],
        "to backup, to master and back: {transitions:?}"
    );
    Ok(())
}

#[test]
fn a_master_that_dies_is_replaced_in_all_members_at_once() -> Result<()> {
    replaced_at_once("auto")
}

#[test]
fn the_plain_socket_replaces_a_dead_master_in_all_members_at_once() -> Result<()> {
    replaced_at_once("socket")
}

fn replaced_at_once(datapath: &str) -> Result<()> {
    let agents = Agents::start_with(|instance| instance.by(datapath))?;
    let stage = &agents.stage;
    let killed = now();
    agents.first.process().signal(Signal::STOP)?;
    let [web, dns] = &stage.on_second.0;
    let times = [web.wait_present(PATIENCE)?, dns.wait_present(PATIENCE)?];
    let [early, late] = [times[0].min(times[1]), times[0].max(times[1])];
    let apart = late.since(early).to_duration();
    ensure!(apart <= INTERVAL / 2, "{apart:?} apart");
    let waited = late.since(killed).to_duration();
    // The members' adverts may be half an interval apart: the last of their deadlines counts.
    let rule = TIMING.master_down();
    ensure!(
        waited <= rule + LATENESS,
        "after {waited:?}, where {rule:?} is the rule"
    );
    agents.first.process().signal(Signal::CONT)?;
    // It sends nothing before it has looked, and then takes all of it back.
    stage.on_second.wait_absent()?;
    stage.on_first.wait_present()
}

#[test]
fn an_agent_that_is_killed_and_started_again_in_time_leads_its_group_on() -> Result<()> {
    let mut agents = Agents::start_with(|instance| Instance {
        advert_interval: Duration::from_secs(1),
        ..instance
    })?;
    let killed = now();
    agents.first.process().kill()?;
    agents.first = Agent::start_again(agents.stage.h1())?;
    let group = wait_group(&agents.first, "a group that leads", |it| {
        it.state == State::Master
    })?;
    ensure!(group.reason.is_none(), "{group:?}");
    // The next adverts of both came in time.
    for name in ["web", "dns"] {
        let heard = agents.second.instance(name)?.counters.adverts_received;
        agents
            .second
            .wait_instance(name, "hears more", PATIENCE, |it| {
                it.counters.adverts_received >= heard + 2
            })?;
        let found = agents.first.instance(name)?;
        ensure!(found.transitions == 0, "{found:#?}");
    }
    for watch in agents
        .stage
        .on_first
        .0
        .iter()
        .chain(&agents.stage.on_second.0)
    {
        watch.undisturbed_since(killed)?;
    }
    Ok(())
}

#[test]
fn a_backup_that_is_deaf_on_one_segment_says_so_and_leaves_the_group_where_it_is() -> Result<()> {
    let agents = Agents::start()?;
    let stage = &agents.stage;
    let before = agents.second.instance("dns")?.counters.timer_fired;
    stage.second_port(stage.h2(), "0")?;
    agents
        .second
        .wait_instance("dns", "its timer ran out three times", PATIENCE, |it| {
            it.counters.timer_fired >= before + 3
        })?;
    let group = wait_group(&agents.second, "a group that waits", |it| {
        it.waits_for.is_some()
    })?;
    ensure!(
        group.state == State::Backup
            && group.waits_for.as_deref() == Some("web")
            && group.would_take_over.as_deref() == Some("dns"),
        "{group:?}"
    );
    agents
        .second
        .process()
        .wait_for_line("dns: would take over, but member web of group", PATIENCE)?;
    ensure!(stage.on_first.present() == [true; 2] && stage.on_second.present() == [false; 2]);

    // Nobody is in the way any more once the master leaves.
    agents.first.process().signal(Signal::TERM)?;
    stage.on_second.wait_present()?;
    let group = wait_group(&agents.second, "a group that leads", |it| {
        it.state == State::Master
    })?;
    ensure!(group.waits_for.is_none(), "{group:?}");
    Ok(())
}

#[test]
fn a_backup_that_hears_again_on_that_segment_does_not_take_the_other_one() -> Result<()> {
    let agents = Agents::start()?;
    let stage = &agents.stage;
    stage.second_port(stage.h2(), "0")?;
    wait_group(&agents.second, "a group that waits", |it| {
        it.waits_for.is_some()
    })?;
    stage.second_port(stage.h2(), "3")?;
    agents
        .second
        .wait_instance("dns", "hears the master", PATIENCE, |it| {
            it.master.is_some()
        })?;
    // Now the other one: the master that came back unchanged was not news, and must count all the same.
    let before = agents.second.instance("web")?.counters.timer_fired;
    stage.lab.block(stage.h2())?;
    agents.second.wait("its timer ran out twice", |it| {
        it.counters.timer_fired >= before + 2
    })?;
    ensure!(stage.on_first.present() == [true; 2] && stage.on_second.present() == [false; 2]);
    // Once it is dead on both segments, it is.
    agents.first.process().signal(Signal::TERM)?;
    stage.on_second.wait_present()
}

#[test]
fn a_group_that_a_reload_makes_or_takes_away_moves_nothing_by_itself() -> Result<()> {
    let agents = Agents::start()?;
    let stage = &agents.stage;
    let begin = now();
    let mut alone = config(stage.h1(), 100);
    let pair = std::mem::take(&mut alone.group);
    let said = agents.first.reload_with(&alone)?;
    ensure!(said.out == "group pair removed\n", "{said:?}");
    ensure!(agents.first.status()?.groups.is_empty());
    ensure!(agents.first.instance("web")?.group.is_none());

    alone.group = pair;
    alone.instance[1].priority = 95;
    let said = agents.first.reload_with(&alone)?;
    ensure!(said.out.contains("group pair added"), "{said:?}");
    let group = wait_group(&agents.first, "a group of the lowest priority", |it| {
        it.priority == 95
    })?;
    ensure!(group.state == State::Master, "{group:?}");
    let web = agents.first.instance("web")?;
    ensure!(web.priority.effective == 95 && web.priority.capped_by.as_deref() == Some("dns"));
    for watch in stage.on_first.0.iter().chain(&stage.on_second.0) {
        watch.undisturbed_since(begin)?;
    }
    Ok(())
}

/// keepalived #2715: a group flaps when a member is added to it.
#[test]
fn a_member_that_a_reload_adds_to_a_group_that_leads_joins_it_and_moves_nobody() -> Result<()> {
    let agents = Agents::start()?;
    let stage = &agents.stage;
    let third = "10.99.0.101";
    let watch = stage.h1().vip_watch(third.parse()?)?;
    let begin = now();
    for (agent, priority) in [(&agents.second, 90), (&agents.first, 100)] {
        let mut grown = config(agent.host(), priority);
        grown.instance.push(Instance {
            name: "mail".to_owned(),
            vrid: 53,
            addresses: vec![format!("{third}/24")],
            ..instance(priority)
        });
        grown.group[0].instances.push("mail".to_owned());
        agent.reload_with(&grown)?;
    }
    watch.wait_present(PATIENCE)?;
    let mail = agents.first.instance("mail")?;
    let cause = mail.last_transition.context("none")?.cause;
    ensure!(cause == "member web of group pair takes over", "{cause}");
    for watch in stage.on_first.0.iter().chain(&stage.on_second.0) {
        watch.undisturbed_since(begin)?;
    }
    wait_group(&agents.first, "all three lead", |it| {
        it.state == State::Master && it.instances.len() == 3
    })
    .map(drop)
}

fn peer(host: &Host, priority: u8) -> Result<Process> {
    let interval = INTERVAL.as_secs_f64();
    let more = format!(
        "vrrp_instance dns {{\n  state BACKUP\n  interface {SECOND}\n  version 3\n  \
         virtual_router_id 52\n  priority {priority}\n  advert_int {interval}\n  \
         virtual_ipaddress {{\n    {SECOND_VIP}/24\n  }}\n}}\n\
         vrrp_sync_group pair {{\n  group {{\n    web\n    dns\n  }}\n}}\n"
    );
    keepalived::Instance {
        priority,
        interval: INTERVAL,
        more,
        ..keepalived::Instance::default()
    }
    .start(host)
}

/// Beside a keepalived; the better one leads, its cable is pulled and put back.
fn beside_keepalived(agents: u8, peers: u8) -> Result<()> {
    let stage = Stage::new()?;
    let agent = Agent::start(stage.h1(), &config(stage.h1(), agents))?;
    let keepalived = peer(stage.h2(), peers)?;
    let (on_better, on_other, better) = if agents > peers {
        (&stage.on_first, &stage.on_second, stage.h1())
    } else {
        (&stage.on_second, &stage.on_first, stage.h2())
    };
    on_better.wait_present()?;
    on_other.wait_absent()?;
    stage.second_cable(better, "down")?;
    on_other.wait_present()?;
    on_better.wait_absent()?;
    stage.second_cable(better, "up")?;
    on_better.wait_present()?;
    on_other.wait_absent()?;

    // And the better one leaves.
    if agents > peers {
        agent.process().signal(Signal::TERM)?;
        return on_other.wait_present();
    }
    keepalived.signal(Signal::TERM)?;
    on_other.wait_present()?;
    wait_group(&agent, "a group that leads", |it| it.state == State::Master).map(drop)
}

#[test]
fn a_group_leads_a_keepalived_with_a_sync_group() -> Result<()> {
    beside_keepalived(110, 100)
}

#[test]
fn a_group_follows_a_keepalived_with_a_sync_group() -> Result<()> {
    beside_keepalived(90, 100)
}
