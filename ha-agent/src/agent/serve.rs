//! From start to end: the parts are started in the order in which each finds what it needs, and ended in the order in
//! which nothing is left behind.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info, warn};

use super::dirs::Dirs;
use super::ending::Ending;
use super::exit::Exit;
use super::failure::Failure;
use super::options::RunOptions;
use super::running::Agent;
use super::signals::Signals;
use super::{forward, log, other_lists, peers, placed, preflight, recording, same_host, systemd};
use crate::checks::{CheckEvent, Checks};
use crate::config::Config;
use crate::control::server::{ControlSocket, Limits, serve};
use crate::driver::published::StatusPublisher;
use crate::driver::report::{Reporter, Reports};
use crate::driver::{self, Command, Handle, Setup};
use crate::net::links::monitor::{self, Watch};
use crate::net::links::{Link, LinkTable};
use crate::net::retry::Trouble;
use crate::net::route_monitor::RouteMonitor;
use crate::os::latest::Latest;
use crate::os::realtime::{self, Ability};
use crate::os::{clock, heap};

/// Waiting check results; the driver takes them within a turn.
const CHECK_QUEUE: usize = 1024;

/// Starts everything, and serves until a signal says that it is enough.
pub(super) async fn until_told(
    config: Config,
    dirs: &Dirs,
    options: &RunOptions,
    socket: ControlSocket,
) -> Result<Ending, Failure> {
    let config = Arc::new(config);
    let mut signals = Signals::install()?;
    let mut tasks = JoinSet::new();
    let watch = monitor::watch().map_err(environment)?;
    let links = watch.table.clone();
    let table = links.get();
    preflight::say_missing_interfaces(&config, &table);
    let half = preflight::kernel_half(&config, &dirs.pin_dir)?;
    let memory = lock_memory();
    let (recorder, recording) = recording::start(options.record.as_deref(), &config);
    let (reporter, reports, published) = outlets()?;
    let placed = placed_before(&dirs.runtime_dir, &table, half.held());
    let (reader, _claim) = (half.reader(), half.claim); // Others are kept from the pins until the end.
    // Before the driver: a check that can never run must not end an agent that is master already.
    let (events, found) = mpsc::channel(CHECK_QUEUE);
    let checks = Checks::start(config.checks.clone(), events)?;
    let started = driver::start(Setup {
        config: Arc::clone(&config),
        kernel: half.kernel,
        pins: half.links,
        placed,
        links: table,
        published: Arc::clone(&published),
        reporter,
        recorder,
        faults: preflight::faults(),
    })
    .map_err(environment)?;
    let changes = follow_driver(&mut tasks, &published, &reports);
    let unheard = follow_network(&mut tasks, &watch, &started.handle);
    let agent = Arc::new(Agent {
        file: absolute(&options.config),
        config: std::sync::Mutex::new((Arc::clone(&config), clock::now())),
        last_reload: std::sync::Mutex::default(),
        started: clock::now(),
        frames_before: reader.as_deref().map(peers::frames).unwrap_or_default(),
        pins: half.pin_dir,
        published: Arc::clone(&published),
        reader,
        links,
        watch_troubles: unheard,
        checks: Mutex::new(Some(checks)),
        shown_checks: std::sync::Mutex::new(Vec::new()),
        memory,
        realtime: (started.driver_realtime, started.sender_realtime),
        sender_stats: started.sender_stats,
        changes,
        other_lists: Arc::default(),
        same_host: Arc::default(),
        handle: started.handle,
        reloading: Mutex::new(()),
        ending: watch::Sender::default(),
    });
    let control = Control::start(socket, &agent);
    follow_agent(&mut tasks, &agent, found, &dirs.runtime_dir);
    say_first(options);
    let ending = signals.wait(&agent).await;
    end(&ending, &agent, started.thread).await;
    control.stop().await;
    tasks.shutdown().await;
    say_last(&reports, &ending, &dirs.runtime_dir, &published);
    recording::finish(recording).await;
    Ok(ending)
}

/// What an earlier agent may have put on the interfaces that are still those: by what it has written down, and by its maps
/// that were `removed`.
fn placed_before(
    runtime_dir: &Path,
    links: &LinkTable,
    removed: impl Iterator<Item = (u32, Vec<IpAddr>)>,
) -> Vec<(u32, Vec<IpAddr>)> {
    let placed = placed::read(runtime_dir).unwrap_or_else(|error| {
        warn!("{error}");
        Vec::new()
    });
    let of_link = |link: &Link| -> Vec<IpAddr> {
        let here = placed.iter().filter(|it| it.is_on(link));
        here.flat_map(|it| &it.addresses).copied().collect()
    };
    links
        .iter()
        .map(|link| (link.index, of_link(link)))
        .filter(|(_, list)| !list.is_empty())
        .chain(removed)
        .collect()
}

/// Once all that is large has been read: what was freed of it cannot be given back later.
fn lock_memory() -> Ability {
    heap::give_back();
    heap::keep_no_large();
    realtime::lock_memory()
}

/// Starts what passes on the driver's changes and writes what it reports.
fn follow_driver(
    tasks: &mut JoinSet<()>,
    published: &Arc<StatusPublisher>,
    reports: &Arc<Reports>,
) -> watch::Receiver<u64> {
    let (change, changes) = watch::channel(0);
    tasks.spawn(forward::pass_changes(Arc::clone(published), change));
    tasks.spawn(log::write(Arc::clone(reports)));
    changes
}

/// Starts what tells the driver of the checks, what looks beyond this agent, and what writes down or tells of what it shows.
fn follow_agent(
    tasks: &mut JoinSet<()>,
    agent: &Arc<Agent>,
    found: mpsc::Receiver<CheckEvent>,
    runtime_dir: &Path,
) {
    let published = || Arc::clone(&agent.published);
    let (changes, dir) = (agent.changes.clone(), runtime_dir.to_owned());
    tasks.spawn(forward::pass_checks(found, agent.handle.clone()));
    tasks.spawn(placed::keep(dir, published(), changes.clone()));
    tasks.spawn(systemd::prove(agent.handle.clone(), published()));
    let (lists, same_host) = (Arc::clone(&agent.other_lists), Arc::clone(&agent.same_host));
    tasks.spawn(other_lists::look(lists, published(), changes.clone()));
    tasks.spawn(same_host::watch(same_host, published(), changes.clone()));
    tasks.spawn(systemd::ready_once(changes));
}

/// Where the driver reports and shows itself.
fn outlets() -> Result<(Reporter, Arc<Reports>, Arc<StatusPublisher>), Failure> {
    let (reporter, reports) = Reporter::channel().map_err(environment)?;
    let published = StatusPublisher::new().map_err(environment)?;
    Ok((reporter, Arc::new(reports), Arc::new(published)))
}

fn environment(error: impl std::error::Error + 'static) -> Failure {
    Failure::new(Exit::Environment, &error)
}

/// Passes on what the kernel tells of interfaces and routes. Returns why it is not heard, of each.
fn follow_network(
    tasks: &mut JoinSet<()>,
    watched: &Watch,
    handle: &Handle,
) -> [Latest<Option<Trouble>>; 2] {
    let (removals, unheard_routes) = RouteMonitor::new();
    let unheard_links = watched.trouble.clone();
    tasks.spawn(forward::pass_links(watched.table.clone(), handle.clone()));
    tasks.spawn(forward::pass_removals(removals, handle.clone()));
    tasks.spawn(forward::say_troubles("interfaces", unheard_links.clone()));
    tasks.spawn(forward::say_troubles("routes", unheard_routes.clone()));
    [unheard_links, unheard_routes]
}

/// The control socket while it is served.
struct Control {
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Control {
    fn start(socket: ControlSocket, agent: &Arc<Agent>) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            // The sender lives until it has told; both ends mean the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let server = tokio::spawn(serve(socket, Arc::clone(agent), Limits::default(), until));
        Self { stop, server }
    }

    async fn stop(self) {
        // A server that has ended already has nobody to tell.
        let _ = self.stop.send(true);
        if let Ok(Err(error)) = self.server.await {
            warn!("control socket: {error}");
        }
    }
}

fn say_first(options: &RunOptions) {
    let version = env!("CARGO_PKG_VERSION");
    info!(
        "ha-agent {version} started with {}",
        options.config.display()
    );
}

/// What is left to write once nothing else runs.
fn say_last(reports: &Reports, ending: &Ending, runtime_dir: &Path, published: &StatusPublisher) {
    log::write_waiting(reports);
    let dropped = reports.dropped();
    if dropped > 0 {
        warn!("{dropped} events of the driver were not logged: the log is too slow");
    }
    if *ending == Ending::Stopped {
        placed::leave(runtime_dir, &published.picture().owed);
        info!("stopped");
    }
}

async fn end(ending: &Ending, agent: &Agent, thread: std::thread::JoinHandle<()>) {
    let handle = &agent.handle;
    match ending {
        Ending::Stopped => {
            systemd::stopping();
            leave(agent, handle, thread).await;
        }
        Ending::Upgrade(_) => {
            systemd::reloading();
            hand_over(agent, handle).await;
        }
        Ending::HandedOver => hand_over(agent, handle).await,
    }
}

/// The checks first, whose commands would outlive this program; then each master says once more that it is there, and
/// the others wait their whole time from then on.
async fn hand_over(agent: &Agent, handle: &Handle) {
    if let Some(checks) = agent.checks.lock().await.take() {
        checks.stop().await;
    }
    let (done, said) = oneshot::channel();
    if handle.tell(Command::HandOver(done)) {
        // Without an answer it is the same but for that advert.
        let _ = said.await;
    }
}

/// The driver first, which says priority 0 and removes the addresses before it answers; then the checks,
/// so that no restart command runs on.
async fn leave(agent: &Agent, handle: &Handle, thread: std::thread::JoinHandle<()>) {
    let (done, left) = oneshot::channel();
    if handle.tell(Command::Shutdown(done)) {
        // A driver that died without an answer has said why.
        let _ = left.await;
    }
    if let Some(checks) = agent.checks.lock().await.take() {
        checks.stop().await;
    }
    if tokio::task::spawn_blocking(move || thread.join())
        .await
        .is_err()
    {
        error!("cannot wait for the driver thread");
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
