//! A virtual machine that is up: its console, its segment and its cables.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::console::{Console, Socket};
use super::folder::{self, Folder};
use super::machine::{self, Card, Machine};
use super::segment::Segment;
use super::{image, monitor};
use crate::lab::process::Process;

/// From power-on to a guest that takes orders; 3 to 6 s on a machine that does nothing else.
const BOOT: Duration = Duration::from_secs(90);

/// A machine that is up; it goes when this is dropped.
#[derive(Debug)]
pub struct Vm {
    console: Mutex<Console>,
    segment: Segment,
    // Fields are dropped in this order: the machine is gone before its files are.
    process: Process,
    folder: Folder,
}

impl Vm {
    /// Boots a machine with one such card; `files` are put into the guest by path and content.
    pub fn boot(card: Card, files: &[(&str, String)]) -> Result<Self> {
        Self::start(&Machine::ordinary(card)?, files)
    }

    /// Boots a machine; `files` are put into the guest by path and content.
    pub fn start(machine: &Machine, files: &[(&str, String)]) -> Result<Self> {
        let folder = Folder::create()?;
        let archive = image::build(machine, files)?;
        let image = folder.path("guest.cpio");
        std::fs::write(&image, archive)
            .with_context(|| format!("cannot write {}", image.display()))?;
        let orders = Socket::bind(&folder.path("orders"))?;
        let command = machine::command(machine, &folder)?;
        let log = folder.path("qemu.log");
        let process = match &machine.wire {
            Some(wire) => Process::spawn(&wire.namespace, "qemu", command, &log)?,
            None => Process::spawn_here("qemu", command, &log)?,
        };
        let console = orders
            .accept(BOOT)
            .with_context(|| last_words(&folder, &process))?;
        // Last, for it listens until it is closed; the guest's cards are still off.
        let cables = (0..machine.cards).map(|number| machine::cable(&folder, number));
        let segment = Segment::open(cables.collect())?;
        Ok(Self {
            console: Mutex::new(console),
            segment,
            process,
            folder,
        })
    }

    /// Pulls the cable of a card, or puts it back: the guest sees the carrier go or come. The first is 0.
    pub fn plug(&self, card: usize, plugged: bool) -> Result<()> {
        // Never may a frame wait for a card that takes none.
        if !plugged {
            self.segment.plug(card, false);
        }
        let network = machine::network(card);
        monitor::set_link(&self.folder.path(folder::MONITOR), &network, plugged)?;
        if plugged {
            self.segment.plug(card, true);
        }
        Ok(())
    }

    /// Stops the machine, with its clocks, as a hypervisor does that moves it or takes a snapshot; or lets it go on.
    /// Meanwhile nothing can be run in it.
    pub fn pause(&self, paused: bool) -> Result<()> {
        monitor::pause(&self.folder.path(folder::MONITOR), paused)
    }

    /// Writes a file in the guest.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        ensure!(
            !text.contains(['\'', '\\', '%']),
            "this text cannot be quoted for the guest's shell: {text}"
        );
        let line = text.replace('\n', "\\n");
        self.run(&format!("printf '{line}' > {path}")).map(drop)
    }

    /// The segment that the guest's card is on.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Runs a shell command in the guest: what it wrote. A status other than 0 is an error.
    pub fn run(&self, command: &str) -> Result<String> {
        let (status, said) = self.try_run(command)?;
        ensure!(
            status == 0,
            "in the guest `{command}` failed ({status}): {said}"
        );
        Ok(said)
    }

    /// Runs a shell command in the guest: its exit status, and what it wrote.
    pub fn try_run(&self, command: &str) -> Result<(i32, String)> {
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console
            .run(command)
            .with_context(|| format!("in the guest: `{command}`"))
            .with_context(|| last_words(&self.folder, &self.process))
    }

    /// What the guest's kernel and its agent have said so far.
    pub fn log(&self) -> String {
        console_of(&self.folder)
    }

    /// Gives an interface an address with its prefix length, switches it on and waits for its carrier.
    pub fn bring_up(&self, interface: &str, address: &str) -> Result<()> {
        self.run(&format!("ip address add {address} dev {interface}"))?;
        self.run(&format!("ip link set {interface} up"))?;
        let state = format!("/sys/class/net/{interface}/operstate");
        self.run(&format!(
            "until [ \"$(cat {state})\" = up ]; do sleep 0.1; done"
        ))
        .map(drop)
    }

    /// How many frames the card of an interface has let in.
    pub fn frames_received(&self, interface: &str) -> Result<u64> {
        let file = format!("/sys/class/net/{interface}/statistics/rx_packets");
        let text = self.run(&format!("cat {file}"))?;
        let count = text.trim().parse();
        count.with_context(|| format!("{file} holds {text:?}"))
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.segment.close();
    }
}

/// How many lines an error quotes of what was said last.
const LINES: usize = 20;

/// What the machine and the guest said last, and what became of the last order, for an error.
fn last_words(folder: &Folder, process: &Process) -> String {
    let console = console_of(folder);
    let (orders, said): (Vec<&str>, Vec<&str>) = console
        .lines()
        .partition(|line| line.starts_with(image::ORDER));
    let qemu = process.lines();
    let words = qemu.iter().map(|line| line.text.as_str()).chain(said);
    format!(
        "the virtual machine said last:\n{}\nand of its orders:\n{}",
        tail(&words.collect::<Vec<_>>(), LINES),
        tail(&orders, 2)
    )
}

/// Empty until the machine has written to it.
fn console_of(folder: &Folder) -> String {
    let console = std::fs::read(folder.path(folder::CONSOLE)).unwrap_or_default();
    String::from_utf8_lossy(&console).into_owned()
}

fn tail(lines: &[&str], most: usize) -> String {
    let from = lines.len().saturating_sub(most);
    lines.get(from..).unwrap_or_default().join("\n")
}
