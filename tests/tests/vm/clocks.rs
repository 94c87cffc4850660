//! Two machines on one wire that sign their adverts: neither a clock that is set nor a pause of either makes two masters,
//! or has a master refused that lives.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use ha_tests::lab::agent_config::Instance;
use ha_tests::lab::agent_status::{self, State};
use ha_tests::lab::clock;
use ha_tests::lab::hmac::hmac;
use ha_tests::vm::agent::{CONFIG, config};
use ha_tests::vm::{Card, GuestAgent, Vm};

/// Where the key is in both guests.
const KEY: &str = "/etc/ha-agent/key";
const SECRET: &str = "an open secret of thirty-two byt";
/// Before mode `enforce` an advert of any time counts; with it one within the window, 5 s.
const MODES: [&str; 3] = ["receive-only", "permissive", "enforce"];
/// For what is only a matter of working at all; a guest is slow.
const PATIENCE: Duration = Duration::from_secs(50);
/// A guest is emulated, and others beside it: it must not be late for that.
const INTERVAL: Duration = Duration::from_millis(500);
/// Longer than a backup waits for adverts, and shorter than the window.
const PAUSE: Duration = Duration::from_secs(3);
/// The adverts that must have come before it is looked at what became of them.
const ADVERTS: usize = 4;

/// A machine, what it has as its own address, and its priority.
struct Host {
    vm: Vm,
    own: Ipv4Addr,
    priority: u8,
}

impl Host {
    fn boot(own: [u8; 4], priority: u8) -> Result<Self> {
        let vm = Vm::boot(
            Card::VirtioNet,
            &[config(vec![signing(priority, MODES[0])])?],
        )?;
        let own = Ipv4Addr::from(own);
        vm.bring_up("eth0", &format!("{own}/24"))?;
        vm.run(&format!("umask 077; echo '{SECRET}' > {KEY}"))?;
        Ok(Self { vm, own, priority })
    }

    /// The agent goes on in another mode.
    fn reload(&self, agent: &GuestAgent<'_>, mode: &str) -> Result<()> {
        let (_, text) = config(vec![signing(self.priority, mode)])?;
        self.vm.write(CONFIG, &text)?;
        agent.reload()
    }

    fn step_clock(&self, seconds: i64) -> Result<()> {
        let order = format!("date -s @$(($(date +%s) + {seconds}))");
        self.vm.run(&order).map(drop)
    }

    /// So long no processor of it runs. Time itself is what must pass.
    fn pause(&self) -> Result<()> {
        self.vm.pause(true)?;
        std::thread::sleep(PAUSE);
        self.vm.pause(false)
    }

    /// Waits until it has sent so many more.
    fn wait_adverts(&self, count: usize) -> Result<()> {
        let mut since = clock::now();
        for _ in 0..count {
            let is_own = |frame: &ha_tests::vm::Frame| {
                frame
                    .vrrp()
                    .is_some_and(|it| it.source == IpAddr::from(self.own))
            };
            let segment = self.vm.segment();
            let advert = segment.wait_for("advert", since, PATIENCE, is_own)?;
            since = clock::now().max(advert.at);
        }
        Ok(())
    }
}

fn signing(priority: u8, mode: &str) -> Instance {
    let mut key = toml::Table::new();
    key.insert("id".to_owned(), 1.into());
    key.insert("file".to_owned(), KEY.into());
    let instance = Instance {
        priority,
        advert_interval: INTERVAL,
        ..Instance::default()
    };
    instance.with("hmac", hmac(vec![key.into()], 1, mode))
}

/// Both agents, of which the first has the higher priority.
struct Pair<'vm> {
    hosts: [&'vm Host; 2],
    agents: [GuestAgent<'vm>; 2],
}

impl<'vm> Pair<'vm> {
    fn start(hosts: [&'vm Host; 2]) -> Result<Self> {
        let [first, second] = hosts;
        first.vm.segment().join(second.vm.segment())?;
        let agents = [
            GuestAgent::start(&first.vm)?,
            GuestAgent::start(&second.vm)?,
        ];
        let pair = Self { hosts, agents };
        pair.settle()?;
        Ok(pair)
    }

    /// Waits until the first is master, and the second its backup.
    fn settle(&self) -> Result<()> {
        let [first, second] = &self.agents;
        first.wait_instance("web", "is master", PATIENCE, |it| it.state == State::Master)?;
        let own = self.hosts[0].own;
        let follows = |it: &agent_status::Instance| {
            let master = it.master.as_ref();
            it.state == State::Backup && master.is_some_and(|master| master.address == own)
        };
        second.wait_instance("web", "follows it", PATIENCE, follows)?;
        Ok(())
    }

    /// How often either has changed its state.
    fn transitions(&self) -> Result<u64> {
        let [first, second] = &self.agents;
        Ok(first.instance("web")?.transitions + second.instance("web")?.transitions)
    }
}

#[test]
fn neither_clocks_that_are_set_nor_pauses_make_two_masters_or_have_one_refused() -> Result<()> {
    let first = Host::boot([10, 99, 0, 1], 100)?;
    let second = Host::boot([10, 99, 0, 2], 90)?;
    let pair = Pair::start([&first, &second])?;
    for mode in MODES {
        let before = pair.transitions()?;
        for (host, agent) in pair.hosts.iter().zip(&pair.agents) {
            host.reload(agent, mode)?;
        }
        for host in pair.hosts {
            for seconds in [3600, -7200] {
                host.step_clock(seconds)?;
                first.wait_adverts(ADVERTS)?;
            }
        }
        second.pause()?;
        first.wait_adverts(ADVERTS)?;
        pair.settle()?;
        let after = pair.transitions()?;
        ensure!(after == before, "{mode}: {} transitions", after - before);

        // Its backup takes over, and gives the address back when it hears it again.
        first.pause()?;
        pair.settle()?;
        first.wait_adverts(ADVERTS)?;
        pair.settle()?;
        let after = pair.transitions()?;
        ensure!(
            after == before + 2,
            "{mode}: {} transitions",
            after - before
        );
    }
    Ok(())
}
