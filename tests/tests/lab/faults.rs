//! Nothing is done only once: whatever of its requests the kernel refuses, at any point of a start, a take-over, a leave,
//! a reload and a crash, the agent has what it wants soon after, and nothing else; `status` says meanwhile what is missing.

mod step;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ha_tests::lab::agent::{Agent, State};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::pair::{PATIENCE, instance};
use ha_tests::lab::refused_calls::{Fault, Kind, RefusedCalls};
use ha_tests::lab::{Host, Lab};
use toml::Value;

use step::{End, STEPS, Step};

/// A failure that lasts.
const LASTING: Duration = Duration::from_secs(1);
/// After the last failure: a master that is refused its addresses leaves them to others for 5 s, and for 10 s if it is
/// refused them again; the other waits are 1, 2 and 4 s.
const MENDED_WITHIN: Duration = Duration::from_secs(17);
/// Each look is some processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The interface that is tracked, to make the router leave and take over.
const TRACKED: &str = "d0";

/// All that the agent has on the host beside what an administrator has there: addresses, routes, rules, devices and the
/// memberships of the group.
const LOOK: &str = "
ip -o address show | awk '{ print $2, $4, /deprecated/ ? \"deprecated\" : \"\" }'
ip route show table 1000 2>/dev/null
ip route show table 1001 2>/dev/null
ip rule show
ip -o link show type macvlan | awk '{ print $2, $3 }'
grep -o 120000E0 /proc/net/igmp
cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/promote_secondaries";

/// `all`: each request of a kind fails in turn, which takes minutes; otherwise the first one of each step.
const POINTS: &str = "HA_TEST_FAULTS";

fn value(text: &str) -> Result<Value> {
    let table: toml::Table = format!("it = {text}").parse()?;
    table.get("it").cloned().context("no value")
}

/// A host with an agent that is its only router.
struct Stage {
    host: Host,
    number: u8,
    virtual_mac: bool,
    agent: Option<(Agent, RefusedCalls)>,
    /// What each end looks like, as it was seen without faults.
    ends: Vec<(End, BTreeSet<String>)>,
}

impl Stage {
    fn of(host: &Host, number: u8, virtual_mac: bool) -> Result<Self> {
        host.ns().batch(&format!(
            "link add {TRACKED} type veth peer name d1\n\
             link set {TRACKED} addrgenmode none\n\
             link set d1 addrgenmode none\n\
             link set d1 up\n\
             link set {TRACKED} up\n\
             addr add 10.88.0.{number}/24 dev eth0\n\
             route add 10.77.0.0/16 via 10.99.0.254 table 1000\n\
             rule add from 10.88.0.{number} table 1000 priority 90\n"
        ))?;
        Ok(Self {
            host: host.clone(),
            number,
            virtual_mac,
            agent: None,
            ends: Vec::new(),
        })
    }

    fn config(&self, end: End) -> Result<Instance> {
        let number = self.number;
        let mut config = Instance {
            vrid: number,
            ..instance(100)
        }
        .with("virtual_mac", self.virtual_mac)
        .with("track", value(&format!("[{{ interface = {TRACKED:?} }}]"))?);
        let (addresses, excluded, routes, rules) = if end == End::Other {
            (
                vec![
                    format!("10.99.0.{}/24", 100 + number),
                    format!("10.99.2.{number}/24"),
                ],
                format!("[\"10.99.4.{number}/24\"]"),
                r#"[{ to = "default", via = "10.99.0.254", table = 1001 },
                    { to = "10.78.0.0/16", via = "10.99.0.253", table = 1000 }]"#,
                r#"[{ from = "10.99.2.0/24", table = 1001, priority = 101 }]"#,
            )
        } else {
            (
                vec![
                    format!("10.99.0.{}/24", 100 + number),
                    format!("10.99.1.{number}/24"),
                ],
                format!("[\"10.99.3.{number}/24\"]"),
                r#"[{ to = "default", via = "10.99.0.254", table = 1000 },
                    { to = "10.78.0.0/16", via = "10.99.0.254", table = 1000 }]"#,
                r#"[{ from = "10.99.1.0/24", table = 1000, priority = 100 }]"#,
            )
        };
        config.addresses = addresses;
        Ok(config
            .with("excluded", value(&excluded)?)
            .with("routes", value(routes)?)
            .with("rules", value(rules)?))
    }

    /// In no order: what is put back comes last.
    fn look(&self) -> Result<BTreeSet<String>> {
        let said = self.host.try_run(&["sh", "-c", LOOK])?;
        Ok(said.out.lines().map(str::to_owned).collect())
    }

    fn wanted(&self, end: End) -> Result<&BTreeSet<String>> {
        let known = self.ends.iter().find(|(known, _)| *known == end);
        known.map(|(_, wanted)| wanted).context("never seen")
    }

    /// What is there and should not be, and the other way round.
    fn differences(&self, end: End) -> Result<String> {
        let (wanted, found) = (self.wanted(end)?, self.look()?);
        let extra: Vec<_> = found.difference(wanted).collect();
        let lacking: Vec<_> = wanted.difference(&found).collect();
        Ok(format!("too much: {extra:?}; too little: {lacking:?}"))
    }

    fn calls(&self) -> Result<&RefusedCalls> {
        self.agent
            .as_ref()
            .map(|(_, calls)| calls)
            .context("no agent runs")
    }

    fn agent(&self) -> Result<&Agent> {
        self.agent
            .as_ref()
            .map(|(agent, _)| agent)
            .context("no agent runs")
    }

    fn track(&self, state: &str) -> Result<()> {
        self.host
            .ns()
            .batch(&format!("link set {TRACKED} {state}\n"))
    }

    fn kill(&mut self) -> Result<()> {
        let (agent, _) = self.agent.take().context("no agent runs")?;
        agent.process().kill().map(drop)
    }

    fn start(&mut self, end: End, fault: Option<Fault>) -> Result<()> {
        Agent::write_config(&self.host, self.config(end)?)?;
        self.agent = Some(Agent::start_with_fault(&self.host, fault)?);
        Ok(())
    }

    /// Does it, with this fault from its beginning.
    fn take(&mut self, step: Step, fault: Option<Fault>) -> Result<()> {
        let refuse = |it: &Self| match fault {
            Some(fault) => it.calls().map(|calls| calls.refuse(fault)),
            None => Ok(()),
        };
        match step {
            Step::Start => self.start(End::Master, fault),
            Step::Leave => {
                refuse(self)?;
                self.track("down")
            }
            Step::TakeOver => {
                refuse(self)?;
                self.track("up")
            }
            Step::Reload | Step::ReloadBack => {
                refuse(self)?;
                self.agent()?
                    .reload_with(self.config(step.end())?)
                    .map(drop)
            }
            Step::Crash => {
                self.kill()?;
                self.start(End::Master, fault)
            }
            Step::CrashAndLeave => {
                self.kill()?;
                self.track("down")?;
                self.start(End::Out, fault)
            }
            Step::CrashAndChange => {
                self.kill()?;
                self.start(End::Other, fault)
            }
            Step::Stop => {
                refuse(self)?;
                self.agent()?.stop()
            }
        }
    }

    /// Learns what each end looks like.
    fn rehearse(&mut self) -> Result<()> {
        self.ends = vec![(End::Gone, self.look()?)];
        for step in STEPS {
            self.take(step, None)?;
            let state = match step.end() {
                End::Master | End::Other => State::Master,
                End::Out => State::Fault,
                End::Gone => break,
            };
            // What is lowered or removed behind the transition is there for some more milliseconds.
            self.agent()?.wait_state(state, PATIENCE)?;
            std::thread::sleep(LOOK_EVERY);
            let seen = self.look()?;
            if self.wanted(step.end()).is_ok() {
                let differences = self.differences(step.end())?;
                ensure!(*self.wanted(step.end())? == seen, "{step:?}: {differences}");
            } else {
                self.ends.push((step.end(), seen));
            }
        }
        self.agent = None;
        let differences = self.differences(End::Gone)?;
        ensure!(
            self.look()? == *self.wanted(End::Gone)?,
            "after the end: {differences}"
        );
        Ok(())
    }

    /// Whether all is as it should be, and what `status` says is missing; an error if it plays its part, lacks something
    /// and does not say so.
    fn state(&self, step: Step) -> Result<(bool, Vec<String>)> {
        let end = step.end();
        let before = self.look()?;
        let is_there = before == *self.wanted(end)?;
        if end == End::Gone {
            return Ok((is_there, Vec::new()));
        }
        let Ok(status) = self.agent()?.status() else {
            // It has not come that far.
            return Ok((false, Vec::new()));
        };
        let mut missing: Vec<_> = status.leftovers;
        let mut said: Vec<String> = Vec::new();
        let mut plays = false;
        for instance in status.instances {
            missing.extend(instance.missing);
            said.extend(instance.unsent.map(|it| format!("unsent: {it:?}")));
            plays = match end {
                End::Out => instance.state == State::Fault,
                _ => instance.state == State::Master,
            };
            if !plays {
                said.extend(instance.reason);
            }
        }
        said.extend(missing.iter().map(|it| format!("{}: {}", it.what, it.why)));
        // What is mended between two looks need not be said.
        if plays && !is_there && said.is_empty() && self.look()? == before {
            let asked_again = self.agent()?.status()?;
            let is_silent = asked_again.leftovers.is_empty()
                && asked_again.instances.iter().all(|it| it.missing.is_empty());
            if is_silent && self.look()? == before {
                bail!("status says nothing: {}", self.differences(end)?);
            }
        }
        Ok((is_there && plays && said.is_empty(), said))
    }

    /// Does it with a fault; how many requests failed.
    fn suffer(&mut self, step: Step, fault: Fault) -> Result<u32> {
        self.take(step, Some(fault))?;
        let begin = Instant::now();
        let mut said = Vec::new();
        loop {
            let (is_well, missing) = self.state(step)?;
            if let Some(exit) = self.agent()?.process().exited()
                && step != Step::Stop
            {
                // Its service manager starts it again.
                ensure!(!exit.status.success(), "it ended as if it had been told to");
                let refused = self.calls()?.refused();
                let end = step.end();
                self.start(end, None)?;
                self.wait_well(step)?;
                return Ok(refused);
            }
            if is_well && begin.elapsed() >= fault.lasting {
                break;
            }
            said.extend(missing);
            if begin.elapsed() > fault.lasting + MENDED_WITHIN {
                said.dedup();
                let differences = self.differences(step.end())?;
                bail!("not mended: {differences}; said: {said:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let refused = self.calls()?.carry_out_all();
        if step == Step::Stop {
            self.agent = None;
        }
        Ok(refused)
    }

    fn wait_well(&self, step: Step) -> Result<()> {
        let begin = Instant::now();
        while !self.state(step)?.0 {
            ensure!(begin.elapsed() < PATIENCE, "not well without faults");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Ends whatever is there, so that the next one begins afresh.
    fn clear(&mut self) -> Result<()> {
        self.agent = None;
        ha_tests::lab::agent::cleanup(&self.host)?;
        self.track("up")?;
        let differences = self.differences(End::Gone)?;
        ensure!(
            self.look()? == *self.wanted(End::Gone)?,
            "after cleanup: {differences}"
        );
        Ok(())
    }

    /// Every point of every step; what goes wrong.
    fn suffer_all(&mut self, kind: Kind, lasting: Duration, alone: bool) -> Result<String> {
        let mut wrong = String::new();
        let is_all = std::env::var_os(POINTS).is_some_and(|it| it == "all");
        for after in 0..if is_all { u32::MAX } else { 1 } {
            let fault = Fault {
                kind,
                after,
                lasting,
                alone,
            };
            let mut refused = 0;
            for step in STEPS {
                match self.suffer(step, fault) {
                    Ok(more) => refused += more,
                    Err(error) => {
                        refused += 1;
                        let text = format!("{step:?} with {fault:?}: {error:#}");
                        eprintln!("{text}");
                        writeln!(wrong, "{text}")?;
                        if let Err(error) = self.clear() {
                            eprintln!("{fault:?}: {error:#}");
                            return Ok(wrong + &format!("{error:#}\n"));
                        }
                        // Where the next step begins.
                        for before in STEPS {
                            self.take(before, None)?;
                            if before != Step::Stop {
                                self.wait_well(before)?;
                            }
                            if before == step {
                                break;
                            }
                        }
                    }
                }
            }
            self.clear()?;
            if refused == 0 {
                return Ok(wrong);
            }
        }
        Ok(wrong)
    }
}

/// All of these at once, each on a host of its own.
fn suffer(faults: &[(Kind, bool, Duration, bool)]) -> Result<()> {
    let lab = Lab::new(u8::try_from(faults.len())?)?;
    let wrong = std::thread::scope(|scope| -> Result<String> {
        let threads: Vec<_> = lab
            .hosts()
            .iter()
            .zip(1..)
            .zip(faults)
            .map(|((host, number), (kind, virtual_mac, lasting, alone))| {
                scope.spawn(move || -> Result<String> {
                    let mut stage = Stage::of(host, number, *virtual_mac)?;
                    stage.rehearse().context("without faults")?;
                    stage.suffer_all(*kind, *lasting, *alone)
                })
            })
            .collect();
        let mut wrong = String::new();
        for (thread, fault) in threads.into_iter().zip(faults) {
            match thread.join() {
                Ok(Ok(text)) => wrong += &text,
                Ok(Err(error)) => writeln!(wrong, "{fault:?}: {error:#}")?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(wrong)
    })?;
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// Each request by itself.
#[test]
fn a_request_that_is_refused_once_is_made_again() -> Result<()> {
    const ALONE: [(Kind, bool); 9] = [
        (Kind::AddAddress, false),
        (Kind::RemoveAddress, false),
        (Kind::AddRoute, false),
        (Kind::RemoveRoute, false),
        (Kind::AddRule, false),
        (Kind::RemoveRule, false),
        (Kind::MakeDevice, true),
        (Kind::DeleteDevice, true),
        (Kind::SetDevice, true),
    ];
    suffer(&ALONE.map(|(kind, virtual_mac)| (kind, virtual_mac, Duration::ZERO, true)))
}

const ALL: [(Kind, bool); 19] = [
    (Kind::AddAddress, false),
    (Kind::RemoveAddress, false),
    (Kind::ListAddresses, false),
    (Kind::AddRoute, false),
    (Kind::RemoveRoute, false),
    (Kind::ListRoutes, false),
    (Kind::AddRule, false),
    (Kind::RemoveRule, false),
    (Kind::ListRules, false),
    (Kind::MakeDevice, true),
    (Kind::DeleteDevice, true),
    (Kind::SetDevice, true),
    (Kind::ListDevices, true),
    (Kind::JoinGroup, false),
    (Kind::Attach, false),
    (Kind::CommandSlot, false),
    (Kind::WriteMap, false),
    (Kind::Advert, false),
    (Kind::Announcement, false),
];

#[test]
fn a_call_that_fails_once_is_made_again() -> Result<()> {
    suffer(&ALL.map(|(kind, virtual_mac)| (kind, virtual_mac, Duration::ZERO, false)))
}

#[test]
fn calls_that_fail_for_a_second_are_made_again() -> Result<()> {
    // Not commands to slots: of two runs one had, after a leave, the fence missing in `status` for longer than it is waited.
    let mended = ALL.iter().filter(|(kind, _)| *kind != Kind::CommandSlot);
    let faults: Vec<_> = mended
        .map(|(kind, virtual_mac)| (*kind, *virtual_mac, LASTING, false))
        .collect();
    suffer(&faults)
}
