//! A virtual machine: it has a virtio card, whose other end is a tap device at the lab's switch.
//!
//! It is emulated, so that its figures say nothing of any real machine. The ratios hold as far as the same
//! driver does the same work.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::course::{Course, FEW, Role};
use super::end::End;
use super::hook::HOOKS;
use super::iperf;
use super::subject::{Subject, instance};
use crate::lab::agent::Status;
use crate::lab::{Host, Lab};
use crate::vm::agent::config;
use crate::vm::{Card, Machine, Vm, Wire};

/// The tap device, and the card in the guest that it is joined to.
const TAP: &str = "guest";
const CARD: &str = "eth1";
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 10);

/// The machine.
pub(super) struct Guest {
    agent: Cell<Option<u32>>,
    // Dropped in this order: the machine, and then the segment that it is on.
    vm: Vm,
    lab: Lab,
}

impl Guest {
    pub(super) fn boot() -> Result<Self> {
        let lab = Lab::new(1)?;
        lab.switch().batch(&format!(
            "tuntap add dev {TAP} mode tap\n\
             link set {TAP} addrgenmode none\n\
             link set {TAP} master br0 up\n"
        ))?;
        let datapaths: Vec<_> = HOOKS.iter().filter_map(|hook| hook.datapath).collect();
        let files = datapaths.iter().map(|datapath| {
            let (_, text) = config(vec![instance(CARD, datapath)])?;
            Ok((file(datapath), text))
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.clone()))
            .collect();
        let wire = Wire {
            namespace: lab.switch().clone(),
            tap: TAP,
        };
        // Busybox's `ip` does not tell of XDP programs.
        let machine = Machine::wired(Card::VirtioNet, wire, &[iperf::PROGRAM, "ip"])?;
        let vm = Vm::start(&machine, &files)?;
        vm.bring_up(CARD, &format!("{OWN_ADDRESS}/24"))?;
        Ok(Self {
            agent: Cell::new(None),
            vm,
            lab,
        })
    }
}

/// Where the guest has the configuration with that datapath.
fn file(datapath: &str) -> String {
    format!("/etc/ha-agent/{datapath}.toml")
}

impl Subject for Guest {
    fn name(&self) -> &'static str {
        "virtio in an emulated guest"
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn peer(&self) -> &Host {
        self.lab.host(1)
    }

    fn interface(&self) -> &'static str {
        CARD
    }

    fn own(&self) -> Ipv4Addr {
        OWN_ADDRESS
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Master]
    }

    fn courses(&self, _: Role) -> &'static [Course] {
        &FEW
    }

    fn affinity(&self) -> &'static str {
        // The guest has one; the emulator takes the other one of the machine.
        "0,1"
    }

    fn run(&self, line: &str) -> Result<String> {
        self.vm.run(line)
    }

    fn features(&self, end: End) -> Result<String> {
        match end {
            End::Own => self.run(&format!("ethtool -k {CARD}")),
            End::Other => {
                let mut tap = Command::new("ethtool");
                tap.args(["-k", TAP]);
                self.lab.switch().run(tap)
            }
        }
    }

    fn start(&self, datapath: &str) -> Result<()> {
        let (place, _) = config(Vec::new())?;
        self.run(&format!("cp {} {place}", file(datapath)))?;
        let said = self.run("NO_COLOR=1 ha-agent run >/dev/console 2>&1 & echo $!")?;
        let pid = said.trim().parse();
        let pid = pid.with_context(|| format!("the guest's shell named no process: {said:?}"))?;
        self.agent.set(Some(pid));
        Ok(())
    }

    fn status(&self) -> Result<Status> {
        let text = self.run("ha-agent status --json")?;
        serde_json::from_str(&text).with_context(|| format!("status is not as agreed:\n{text}"))
    }

    fn stop(&self) -> Result<()> {
        let pid = self.agent.take().context("no agent was started")?;
        // A process that nobody has waited for yet is one that has ended.
        self.run(&format!(
            "kill -TERM {pid} && while grep -q '^State:.[^ZX]' /proc/{pid}/status; do sleep 0.05; done 2>/dev/null"
        ))?;
        self.run("ha-agent cleanup").map(drop)
    }
}
