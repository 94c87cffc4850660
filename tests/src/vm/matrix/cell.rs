//! One cell: an election on one kind of interface, seen from the segment and by `ha-agent status`.
//!
//! The agent is a backup that hears its master, goes on hearing it through a bond's fail-over and a reload,
//! takes over when the master falls silent, gives way when it comes back, and is restarted. All the while
//! adverts with the same number come in that belong to another network.

use std::net::IpAddr;
use std::time::{Duration, Instant as Deadline};

use anyhow::{Context as _, Result, bail, ensure};
use ha_common::units::Instant;

use super::shape::{FailOver, Shape};
use crate::lab::agent_config::{Instance, far_peer, with_prefix};
use crate::lab::agent_status::{self, State};
use crate::lab::capture::Timing;
use crate::lab::clock::now;
use crate::vm::agent::{ASK_EVERY, CONFIG, config};
use crate::vm::{Frame, GuestAgent, Master, Segment, Vm};

/// Between adverts of everybody.
const INTERVAL: Duration = Duration::from_millis(500);
/// The same in an advert, in hundredths of a second.
const INTERVAL_FIELD: u16 = 50;
/// The name of the instance.
const NAME: &str = "web";
/// Its priority at first, and after the reload.
const PRIORITY: [u8; 2] = [100, 110];
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// How far a guest's clock may be from ours over a few seconds.
const EARLINESS: Duration = Duration::from_millis(50);
/// Emulated timers are late, the more so beside other machines; a take-over is what counts here.
const LATENESS: Duration = Duration::from_secs(2);
/// How many further adverts show that the master is still heard.
const GOES_ON: u64 = 4;
/// How many foreign adverts are sent at once.
const BURST: u32 = 7;

/// What ran.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// `tc`, `native`, `generic` or `socket`.
    pub kind: String,
    /// Why no other, as `status` says it.
    pub why: Vec<String>,
    /// `kernel` or `watchdog`.
    pub timer: String,
}

/// How a cell ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It went as it should.
    Passed(Hook),
    /// It did not, for this reason; the hook, if it got as far as that.
    Failed(Option<Hook>, String),
    /// There is no such interface to be had, for this reason.
    Lacking(String),
}

/// Which hook is expected.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The configured `datapath`.
    pub configured: &'a str,
    /// The kinds that `status` may name.
    pub kinds: &'a [&'a str],
}

/// Plays the cell in a machine that has nothing else to do.
pub fn play(vm: &Vm, shape: &Shape, expected: &Expected<'_>) -> Outcome {
    let mut hook = None;
    match lacks(vm, shape) {
        Ok(None) => {}
        Ok(Some(reason)) => return Outcome::Lacking(reason),
        Err(error) => return Outcome::Failed(None, format!("{error:#}")),
    }
    let played = build(vm, shape).and_then(|()| {
        let mut cell = Cell::new(vm, shape, expected)?;
        let played = cell.play();
        hook.clone_from(&cell.hook);
        played
    });
    match (played.and_then(|()| clear(vm)), hook) {
        (Ok(()), Some(hook)) => Outcome::Passed(hook),
        (Ok(()), None) => Outcome::Failed(None, "no hook was seen".to_owned()),
        (Err(error), hook) => Outcome::Failed(hook, format!("{error:#}")),
    }
}

/// Why the guest's kernel has no such interface.
fn lacks(vm: &Vm, shape: &Shape) -> Result<Option<String>> {
    clear(vm)?;
    for command in &shape.probe {
        let (status, said) = vm.try_run(command)?;
        if status != 0 {
            return Ok(Some(format!("`{command}`: {}", said.trim())));
        }
    }
    Ok(None)
}

/// Takes away what cells make: processes, namespaces, links, addresses.
fn clear(vm: &Vm) -> Result<()> {
    for card in 0..2 {
        vm.segment().plug(card, card == 0);
    }
    for command in [
        "[ ! -e /run/tcpdump.pid ] || { kill $(cat /run/tcpdump.pid); rm /run/tcpdump.pid; }",
        "for name in $(ip netns list | cut -d' ' -f1); do ip netns del $name; done",
        // The second card comes back from a namespace a moment after that.
        "until [ -e /sys/class/net/eth1 ]; do sleep 0.1; done",
        "for path in /sys/class/net/*/ifindex; do path=${path%/ifindex}; case ${path##*/} in \
         lo|eth0|eth1|gre0|gretap0|erspan0) ;; *) [ ! -e $path ] || ip link del ${path##*/} ;; esac; done",
        "for card in eth0 eth1; do ip link set $card nomaster down && ip addr flush dev $card && \
         ip link set $card mtu 1500; done",
        "rm -rf /run/ha-agent /sys/fs/bpf/ha-agent/*",
    ] {
        vm.run(command)?;
    }
    Ok(())
}

fn build(vm: &Vm, shape: &Shape) -> Result<()> {
    for card in 0..shape.cards {
        vm.segment().plug(card, true);
    }
    vm.run("ip link set eth0 up")?;
    for command in &shape.commands {
        vm.run(command)?;
    }
    vm.run(
        "ip link set eth0 up; until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done",
    )?;
    shape.settle(vm)
}

/// The interfaces' counts of carrier changes.
type Carriers = Vec<(&'static str, u64)>;

struct Cell<'a> {
    vm: &'a Vm,
    shape: &'a Shape,
    expected: &'a Expected<'a>,
    segment: Segment,
    hook: Option<Hook>,
    /// What is wrong, but leaves the rest worth seeing.
    faults: Vec<String>,
}

impl<'a> Cell<'a> {
    fn new(vm: &'a Vm, shape: &'a Shape, expected: &'a Expected<'a>) -> Result<Self> {
        let cell = Self {
            vm,
            shape,
            expected,
            segment: shape.segment(vm),
            hook: None,
            faults: Vec::new(),
        };
        vm.run("mkdir -p /etc/ha-agent")?;
        cell.configure(PRIORITY[0])?;
        Ok(cell)
    }

    fn play(&mut self) -> Result<()> {
        let strangers = self.shape.strangers(INTERVAL_FIELD);
        // They advertise for as long as these live.
        let _elsewhere: Vec<Master> = strangers
            .iter()
            .map(|(way, advert)| Master::every(INTERVAL, &self.vm.segment().to(way.to), advert))
            .collect();
        let master = self.master();
        let agent = self.start().context("at the start")?;
        if let Some(fail_over) = self.shape.fail_over {
            self.fails_over(&agent, fail_over)
                .context("a card of the bond without carrier")?;
        }
        self.reloads(&agent).context("at the reload")?;
        self.takes_over(&agent, master)
            .context("the master falls silent")?;
        self.stays_master(&agent)
            .context("adverts from elsewhere")?;
        let _master = self.master();
        self.gives_way(&agent).context("the master comes back")?;
        self.restarts(agent).context("at the restart")?;
        ensure!(self.faults.is_empty(), "{}", self.faults.join("; "));
        Ok(())
    }

    /// Starts the agent, and sees that it hears its master and says how.
    fn start(&mut self) -> Result<GuestAgent<'a>> {
        let begin = now();
        let carriers = self.carriers()?;
        let agent = GuestAgent::start_in(self.vm, self.shape.namespace)?;
        let hears = |it: &agent_status::Instance| {
            self.follows(it) && it.counters.adverts_received >= GOES_ON
        };
        let found = wait(&agent, "hears its master", hears)?;
        self.is_silent(begin)?;
        self.carriers_stay("start", &carriers)?;
        self.names_its_hook(&found);
        Ok(agent)
    }

    fn names_its_hook(&mut self, found: &agent_status::Instance) {
        let kind = found.datapath.kind.clone().unwrap_or_default();
        let why: Vec<String> = found
            .datapath
            .why
            .iter()
            .map(|refusal| format!("no {}: {}", refusal.kind, refusal.reason))
            .collect();
        if !self.expected.kinds.contains(&kind.as_str()) {
            self.fault(format!(
                "the hook is {kind:?} where {:?} was expected; {}",
                self.expected.kinds,
                why.join("; ")
            ));
        }
        if self.expected.configured == "auto" && kind == "socket" && why.is_empty() {
            self.fault("status does not say why it is the socket".to_owned());
        }
        self.hook = Some(Hook {
            kind,
            why,
            timer: found.timer.kind.clone(),
        });
    }

    fn fault(&mut self, text: String) {
        // At the restart the same may be found once more.
        if !self.faults.contains(&text) {
            self.faults.push(text);
        }
    }

    fn fails_over(&self, agent: &GuestAgent<'_>, bond: FailOver) -> Result<()> {
        let before = agent.instance(NAME)?;
        let begin = now();
        self.vm.plug(bond.card, false)?;
        self.holds(bond.noticed)?;
        self.hears_on(agent, &before)?;
        self.vm.plug(bond.card, true)?;
        self.holds(bond.mended)?;
        self.hears_on(agent, &before)?;
        self.is_silent(begin)
    }

    fn reloads(&mut self, agent: &GuestAgent<'_>) -> Result<()> {
        let before = agent.instance(NAME)?;
        let carriers = self.carriers()?;
        let begin = now();
        self.configure(PRIORITY[1])?;
        agent.reload()?;
        let reloaded = |it: &agent_status::Instance| it.priority.base == PRIORITY[1];
        wait(agent, "has the new priority", reloaded)?;
        self.hears_on(agent, &before)?;
        self.is_silent(begin)?;
        self.carriers_stay("reload", &carriers)
    }

    fn takes_over(&self, agent: &GuestAgent<'_>, master: Master) -> Result<()> {
        let last = master.fall_silent()?;
        let first = self
            .segment
            .wait_for("advert of its own", last, PATIENCE, |frame| {
                self.is_own(frame)
            })?;
        let waited = first.at.since(last).to_duration();
        let rule = Timing {
            interval: INTERVAL,
            priority: PRIORITY[1],
        }
        .master_down();
        ensure!(
            waited + EARLINESS >= rule && waited <= rule + LATENESS,
            "the guest waited {waited:?}, where the protocol says {rule:?}"
        );
        let sent = first.vrrp().context("an advert")?;
        ensure!((sent.vrid, sent.priority) == (51, PRIORITY[1]), "{sent:?}");
        wait(agent, "is master", is_master)?;
        if self.shape.tunnel.is_none() {
            ensure!(self.answers()?, "it does not answer for the address");
        }
        Ok(())
    }

    /// A burst from elsewhere neither counts nor moves it.
    fn stays_master(&self, agent: &GuestAgent<'_>) -> Result<()> {
        let before = agent.instance(NAME)?;
        ensure!(is_master(&before), "it is master no more: {before:#?}");
        for (way, advert) in self.shape.strangers(INTERVAL_FIELD) {
            let segment = self.vm.segment().to(way.to);
            for _ in 0..BURST {
                segment.send(&advert.frame())?;
            }
        }
        self.shape.settle(self.vm)?;
        let after = agent.instance(NAME)?;
        ensure!(
            is_master(&after) && after.transitions == before.transitions,
            "it gave way to another network's master: {after:#?}"
        );
        let counted = after.counters.adverts_received - before.counters.adverts_received;
        ensure!(counted == 0, "{counted} adverts of another network counted");
        Ok(())
    }

    fn gives_way(&self, agent: &GuestAgent<'_>) -> Result<()> {
        let gone = |it: &agent_status::Instance| {
            self.follows(it) && it.addresses.iter().all(|it| !it.present)
        };
        let found = wait(agent, "is a backup without the address", gone)?;
        self.shape.settle(self.vm)?;
        let begin = now();
        self.hears_on(agent, &found)?;
        self.is_silent(begin)?;
        if self.shape.tunnel.is_none() {
            ensure!(!self.answers()?, "it still answers for the address");
        }
        Ok(())
    }

    fn restarts(&mut self, agent: GuestAgent<'_>) -> Result<()> {
        let carriers = self.carriers()?;
        agent.stop()?;
        self.carriers_stay("stop", &carriers)?;
        let agent = self.start()?;
        let carriers = self.carriers()?;
        agent.stop()?;
        self.carriers_stay("stop", &carriers)
    }

    fn configure(&self, priority: u8) -> Result<()> {
        let mut instance = Instance {
            name: NAME.to_owned(),
            interface: self.shape.interface.to_owned(),
            priority,
            advert_interval: INTERVAL,
            addresses: vec![with_prefix(self.shape.vip())],
            ..Instance::default()
        }
        .with("datapath", self.expected.configured);
        if let Some(tunnel) = self.shape.tunnel {
            // One router is between them.
            let peer = far_peer(IpAddr::V4(tunnel.peer), 254, 254);
            instance = instance.with("peers", vec![toml::Value::from(peer)]);
        }
        let (_, text) = config(vec![instance])?;
        self.vm.write(CONFIG, &text)
    }

    fn master(&self) -> Master {
        Master::every(INTERVAL, &self.segment, &self.shape.master(INTERVAL_FIELD))
    }

    /// Waits until further adverts of its master have come in, and nothing has moved it since `before`.
    fn hears_on(&self, agent: &GuestAgent<'_>, before: &agent_status::Instance) -> Result<()> {
        let from = agent.instance(NAME)?.counters.adverts_received;
        let found = wait(agent, "goes on hearing its master", |it| {
            it.counters.adverts_received >= from + GOES_ON
        })?;
        ensure!(
            self.follows(&found) && found.transitions == before.transitions,
            "it did not stay a backup: {found:#?}"
        );
        Ok(())
    }

    /// Whether it follows the master of its own segment.
    fn follows(&self, instance: &agent_status::Instance) -> bool {
        let advert = self.shape.master(INTERVAL_FIELD);
        let right = |it: &agent_status::Master| {
            (it.address, it.priority) == (advert.source, advert.priority)
        };
        instance.state == State::Backup && instance.master.as_ref().is_some_and(right)
    }

    /// Whether the frame is an advert of the guest where its adverts belong.
    fn is_own(&self, frame: &Frame) -> bool {
        frame.vlan == self.shape.home.vlan && frame.vrrp().is_some()
    }

    /// Fails if the guest has sent an advert since then, wherever.
    fn is_silent(&self, since: Instant) -> Result<()> {
        let said = self.segment.frames_since(since);
        let adverts: Vec<&Frame> = said.iter().filter(|it| it.vrrp().is_some()).collect();
        ensure!(
            adverts.is_empty(),
            "it advertises beside a master: {adverts:#?}"
        );
        Ok(())
    }

    /// Whether the guest answers for the virtual address.
    fn answers(&self) -> Result<bool> {
        let IpAddr::V4(address) = self.shape.vip() else {
            bail!("the virtual address is not IPv4");
        };
        let asked = now();
        self.segment.ask_in(self.shape.home.vlan, address)?;
        self.shape.settle(self.vm)?;
        let said = self.segment.frames_since(asked);
        Ok(said.iter().any(|frame| frame.answers(address)))
    }

    /// Waits until a command about a bond succeeds.
    fn holds(&self, command: &str) -> Result<()> {
        let deadline = Deadline::now() + PATIENCE;
        while self.vm.try_run(command)?.0 != 0 {
            if Deadline::now() >= deadline {
                let bond = self.vm.run("cat /proc/net/bonding/bond0")?;
                bail!("not within {PATIENCE:?}: {command}; the bond says:\n{bond}");
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(())
    }

    fn carriers(&self) -> Result<Carriers> {
        let mut found = Vec::new();
        for &interface in &self.shape.carriers {
            let file = format!("/sys/class/net/{interface}/carrier_changes");
            let text = self.vm.run(&format!("cat {file}"))?;
            let count = text.trim().parse();
            found.push((
                interface,
                count.with_context(|| format!("{file} holds {text:?}"))?,
            ));
        }
        Ok(found)
    }

    /// A change is a fault.
    fn carriers_stay(&mut self, when: &str, before: &Carriers) -> Result<()> {
        let after = self.carriers()?;
        for ((interface, before), (_, after)) in before.iter().zip(after) {
            if after != *before {
                let changes = after - before;
                self.fault(format!(
                    "{changes} carrier changes of {interface} at the {when}"
                ));
            }
        }
        Ok(())
    }
}

fn wait(
    agent: &GuestAgent<'_>,
    what: &str,
    holds: impl Fn(&agent_status::Instance) -> bool,
) -> Result<agent_status::Instance> {
    agent.wait_instance(NAME, what, PATIENCE, holds)
}

fn is_master(instance: &agent_status::Instance) -> bool {
    instance.state == State::Master && instance.addresses.iter().all(|it| it.present)
}
