//! The driver: one thread that runs every election, and wakes only when somebody must decide. It never logs,
//! and waits for nobody but the kernel: for netlink's answers (at most 1 s each), for what is attached to an
//! interface, and for files in /proc.
//!
//! It owns the kernel half, the ring, the netlink socket and the instances. It is told things by
//! [`Command`]s and a bell, and shows itself on the [`board::Board`] and by [`report::Report`]s.

mod advert_path;
pub mod board;
pub mod clock;
mod detector;
mod devices;
mod follow_links;
mod groups;
mod holder;
pub(crate) mod hooks;
mod inlets;
mod instance;
mod memberships;
mod port;
pub mod realtime;
mod receivers;
mod reload;
pub mod report;
pub mod seal;
pub mod sender;
pub(crate) mod switch;
mod turn;
pub mod unsent;
pub mod wake;
mod watchdog;
pub(crate) mod ways;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender as Queue, SyncSender};
use std::thread::JoinHandle;

use ha_common::hmac::Stamp;
use ha_common::units::Instant;
use tokio::sync::oneshot;

use crate::config::model::{Config, DatapathChoice};
use crate::datapath::attacher::Attacher;
use crate::datapath::kernel::Kernel;
use crate::datapath::object::{Loaded, Rings};
use crate::datapath::pins::PinnedLinks;
use crate::net::address::AddressBook;
use crate::net::announce::Announcer;
use crate::net::links::LinkTable;
use crate::net::virtual_mac::DeviceBook;
use crate::record::Recorder;

use crate::net::way::WayBook;
pub use detector::configuration as slot_configuration;

use crate::router::priority::Health;
use board::Board;
use groups::Group;
use hooks::Hooks;
use instance::Instance;
use realtime::Ability;
use receivers::Receivers;
use report::Reporter;
use sender::{Conduct, Sender};
use wake::Wake;
use watchdog::Watchdog;

/// The edges of the driver as an instance may use them, without borrowing the instances.
macro_rules! edges {
    ($driver:expr) => {
        $crate::driver::instance::Edges {
            kernel: $driver.kernel.as_mut(),
            book: &mut $driver.book,
            ways: &mut $driver.ways,
            devices: &mut $driver.devices,
            links: &$driver.links,
            announcer: &$driver.announcer,
            sender: &$driver.sender,
            reporter: &$driver.reporter,
            recorder: &$driver.recorder,
            checks: &$driver.checks,
        }
    };
}

use edges;

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A check has its first result, or has changed.
    Check {
        /// Its name.
        name: String,
        /// What it says.
        health: Health,
    },
    /// The interfaces are these.
    Links(Arc<LinkTable>),
    /// Somebody removed routes or rules, perhaps ours.
    WaysRemoved,
    /// A new configuration, already found valid.
    Reload(Arc<Config>),
    /// Receive the adverts of an instance by another datapath.
    Datapath {
        /// Its name.
        instance: String,
        /// How.
        choice: DatapathChoice,
        /// Told what has come of it.
        answer: oneshot::Sender<switch::Answer>,
    },
    /// Show what has changed without being news, such as counters of plain sockets.
    Show(SyncSender<()>),
    /// Show that you live.
    Ping,
    /// Leave: priority 0, addresses away, programs off; answered when done.
    Shutdown(oneshot::Sender<()>),
}

/// What the driver starts with.
pub struct Setup {
    /// The configuration.
    pub config: Arc<Config>,
    /// The kernel half, or why there is none.
    pub kernel: Result<Loaded, String>,
    /// Where links are pinned.
    pub pins: Option<PinnedLinks>,
    /// The interfaces.
    pub links: Arc<LinkTable>,
    /// Where it shows itself.
    pub board: Arc<Board>,
    /// Where it reports.
    pub reporter: Reporter,
    /// Where it records, if it is to.
    pub recorder: Recorder,
    /// Never look at the ring: to try the watchdog.
    pub deaf: bool,
}

/// How the rest of the agent talks to the driver.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: Queue<Command>,
    bell: Arc<Wake>,
}

impl Handle {
    /// Tells the driver; false if it is gone.
    pub(crate) fn tell(&self, command: Command) -> bool {
        let told = self.queue.send(command).is_ok();
        self.bell.wake();
        told
    }
}

/// A driver that runs.
#[derive(Debug)]
pub struct Started {
    /// How to talk to it.
    pub handle: Handle,
    /// Its thread.
    pub thread: JoinHandle<()>,
    /// Whether it is under real-time scheduling.
    pub driver_realtime: Ability,
    /// Whether the sender is.
    pub sender_realtime: Ability,
    /// The sender's punctuality and lease.
    pub conduct: Arc<Conduct>,
}

/// Starts the thread. Sockets are opened in the calling thread's network namespace.
pub fn start(setup: Setup) -> io::Result<Started> {
    let bell = Arc::new(Wake::new()?);
    let (queue, commands) = mpsc::channel();
    let handle = Handle {
        queue,
        bell: Arc::clone(&bell),
    };
    let sender = Sender::start(Arc::clone(&bell))?;
    let (sender_realtime, conduct) = (sender.ability().clone(), sender.conduct());
    let (tell, told) = mpsc::sync_channel(1);
    let book = AddressBook::open().map_err(io::Error::other)?;
    let ways = WayBook::open().map_err(io::Error::other)?;
    let devices = DeviceBook::open().map_err(io::Error::other)?;
    let announcer = Announcer::open().map_err(io::Error::other)?;
    let pinned = setup.pins.is_some();
    let (kernel, rings, attacher) = match setup.kernel {
        Ok(loaded) => {
            let ring_bell = Arc::clone(&bell);
            let attacher = Attacher::start(loaded.programs, setup.pins, move || ring_bell.wake())?;
            (Some(loaded.kernel), Some(loaded.rings), Ok(attacher))
        }
        Err(why) => (None, None, Err(why)),
    };
    let now = clock::now();
    let names = reload::names(&setup.config);
    let mut driver = Driver {
        instances: instances_of(&setup.config, &names, now, &setup.recorder),
        checks: names,
        config: setup.config,
        hooks: Hooks::new(attacher, pinned),
        receivers: Receivers::default(),
        links: setup.links,
        board: setup.board,
        reporter: setup.reporter,
        recorder: setup.recorder,
        groups: Vec::new(),
        health: Vec::new(),
        deaf: setup.deaf,
        watchdog: Watchdog::default(),
        settling_until: None,
        utc_at_zero: clock::utc_at_zero(),
        kernel,
        rings,
        book,
        ways,
        devices,
        announcer,
        sender,
        commands,
        bell,
    };
    let thread = std::thread::Builder::new()
        .name("ha-driver".to_owned())
        .spawn(move || {
            // Nobody waits for it if the starter is gone.
            let _ = tell.send(realtime::schedule());
            driver.run();
        })?;
    let driver_realtime = told.recv().map_err(io::Error::other)?;
    Ok(Started {
        handle,
        thread,
        driver_realtime,
        sender_realtime,
        conduct,
    })
}

/// The thread's own.
struct Driver {
    config: Arc<Config>,
    instances: Vec<Instance>,
    groups: Vec<Group>,
    checks: Arc<[String]>,
    health: Vec<(String, Health)>,
    kernel: Option<Kernel>,
    rings: Option<Rings>,
    hooks: Hooks,
    receivers: Receivers,
    links: Arc<LinkTable>,
    book: AddressBook,
    ways: WayBook,
    devices: DeviceBook,
    announcer: Announcer,
    sender: Sender,
    commands: Receiver<Command>,
    bell: Arc<Wake>,
    board: Arc<Board>,
    reporter: Reporter,
    recorder: Recorder,
    deaf: bool,
    watchdog: Watchdog,
    /// When interfaces that are without link by our own doing are looked at again.
    settling_until: Option<Instant>,
    /// What the gates of signed adverts take for UTC.
    utc_at_zero: Stamp,
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
