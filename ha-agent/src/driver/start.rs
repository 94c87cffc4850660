//! Starting the driver: what it needs is opened, then its thread goes.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use ha_common::units::Instant;

use super::command::Handle;
use super::hooks::Hooks;
use super::instance::Instance;
use super::leftovers::Leftovers;
use super::published::StatusPublisher;
use super::receivers::Receivers;
use super::reload;
use super::report::Reporter;
use super::sender::{Sender, SenderStats};
use super::shared_sockets::SharedSockets;
use super::system::System;
use super::thread::Driver;
use super::watchdog::Watchdog;
use crate::config::model::Config;
use crate::datapath::attacher::Attacher;
use crate::datapath::kernel::Kernel;
use crate::datapath::object::{Loaded, Rings};
use crate::datapath::pins::PinnedLinks;
use crate::net::address::AddressTable;
use crate::net::announce::Announcer;
use crate::net::links::LinkTable;
use crate::net::routing::RoutingTable;
use crate::net::virtual_mac::MacvlanTable;
use crate::os::clock;
use crate::os::notifier::Notifier;
use crate::os::realtime::{self, Ability};
use crate::record::Recorder;

/// What the driver starts with.
pub struct Setup {
    pub config: Arc<Config>,
    /// The kernel half, or why there is none.
    pub kernel: Result<Loaded, String>,
    /// Where links are pinned.
    pub pins: Option<PinnedLinks>,
    pub links: Arc<LinkTable>,
    /// Where it shows itself.
    pub published: Arc<StatusPublisher>,
    /// Where it reports.
    pub reporter: Reporter,
    /// Where it records, if it is to.
    pub recorder: Recorder,
    /// What an earlier agent may have put on each interface: index, and addresses.
    pub placed: Vec<(u32, Vec<IpAddr>)>,
    /// What is broken on purpose.
    pub faults: Faults,
}

/// What is broken on purpose, to try what stands in for it.
pub struct Faults {
    /// Do without the kernel's marks of addresses, as before Linux 5.18.
    pub no_marks: bool,
    /// Never look at the ring: to try the watchdog.
    pub deaf: bool,
    /// Never remove an address: to try what keeps it quiet.
    pub keeps_addresses: bool,
}

/// A driver that runs.
#[derive(Debug)]
pub struct Started {
    /// How to talk to it.
    pub handle: Handle,
    pub thread: JoinHandle<()>,
    /// Whether it is under real-time scheduling.
    pub driver_realtime: Ability,
    /// Whether the sender is.
    pub sender_realtime: Ability,
    /// The sender's punctuality and lease.
    pub sender_stats: Arc<SenderStats>,
}

/// Starts the thread. Sockets are opened in the calling thread's network namespace.
pub fn start(setup: Setup) -> io::Result<Started> {
    let bell = Arc::new(Notifier::new()?);
    let (queue, commands) = mpsc::channel();
    let handle = Handle::new(queue, Arc::clone(&bell));
    let sender = Sender::start(Arc::clone(&bell))?;
    let (sender_realtime, sender_stats) = (sender.ability().clone(), sender.sender_stats());
    let (tell, told) = mpsc::sync_channel(1);
    let mut addresses = AddressTable::open().map_err(io::Error::other)?;
    addresses.refuse_removals(setup.faults.keeps_addresses);
    addresses.forget_marks(setup.faults.no_marks);
    let routing = RoutingTable::open().map_err(io::Error::other)?;
    let devices = MacvlanTable::open().map_err(io::Error::other)?;
    let announcer = Announcer::open().map_err(io::Error::other)?;
    let pinned = setup.pins.is_some();
    let KernelHalf { maps, attacher } = kernel_half(setup.kernel, setup.pins, &bell)?;
    let (kernel, rings) = maps.unzip();
    let names = reload::names(&setup.config);
    let mut driver = Driver {
        instances: instances_of(&setup.config, &names, clock::now(), &setup.recorder),
        config: setup.config,
        hooks: Hooks::new(attacher, pinned),
        receivers: Receivers::default(),
        sockets: SharedSockets::default(),
        published: Arc::clone(&setup.published),
        by_slot: HashMap::new(),
        groups: Vec::new(),
        health: Vec::new(),
        leftovers: Leftovers::default(),
        deaf: setup.faults.deaf,
        watchdog: Watchdog::default(),
        settling_until: None,
        unrelated_until: None,
        utc_at_zero: clock::utc_at_zero(),
        system: System {
            kernel,
            addresses,
            routing,
            devices,
            links: setup.links,
            announcer,
            sender,
            reporter: setup.reporter,
            recorder: setup.recorder,
            published: setup.published,
            checks: names,
            defers_addresses: false,
        },
        rings,
        commands,
        news: Arc::clone(&handle.news),
        bell,
    };
    driver.recall_placed(setup.placed);
    let thread = std::thread::Builder::new()
        .name("ha-driver".to_owned())
        .spawn(move || {
            // Nobody waits for it if the starter is gone.
            let _ = tell.send(realtime::schedule(realtime::DRIVER));
            driver.run();
        })?;
    let driver_realtime = told.recv().map_err(io::Error::other)?;
    Ok(Started {
        handle,
        thread,
        driver_realtime,
        sender_realtime,
        sender_stats,
    })
}

/// What the driver has in the kernel.
struct KernelHalf {
    maps: Option<(Kernel, Rings)>,
    /// The thread that attaches the programs, or why there are none.
    attacher: Result<Attacher, String>,
}

/// The parts of the kernel half, with the thread that attaches its programs; its bell is the driver's.
fn kernel_half(
    kernel: Result<Loaded, String>,
    pins: Option<PinnedLinks>,
    bell: &Arc<Notifier>,
) -> io::Result<KernelHalf> {
    let loaded = match kernel {
        Ok(loaded) => loaded,
        Err(why) => {
            return Ok(KernelHalf {
                maps: None,
                attacher: Err(why),
            });
        }
    };
    let bell = Arc::clone(bell);
    let attacher = Attacher::start(loaded.programs, pins, move || bell.notify())?;
    Ok(KernelHalf {
        maps: Some((loaded.kernel, loaded.rings)),
        attacher: Ok(attacher),
    })
}

fn instances_of(
    config: &Config,
    names: &Arc<[String]>,
    now: Instant,
    recorder: &Recorder,
) -> Vec<Instance> {
    let configs = config.instances.iter().cloned().map(Arc::new);
    configs
        .enumerate()
        .map(|(id, config)| Instance::new(id, config, Arc::clone(names), now, recorder))
        .collect()
}
