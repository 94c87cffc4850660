//! Puts the parts together: reads the configuration, loads the kernel half, starts the driver, the
//! checks and the control socket, and ends them in the order in which nothing is left behind.

mod changes;
pub mod cleanup;
mod control_service;
pub mod dirs;
pub mod exit;
pub mod failure;
mod kernel_log;
mod load_config;
mod log;
pub mod options;
pub mod peers;
mod preflight;
mod recording;
mod reload;
mod running;
mod status;
mod switch_datapath;
mod systemd;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::Stream;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::checks::{CheckEvent, Checks, Verdict};
use crate::config::Config;
use crate::control::server::{ControlSocket, Limits, serve};
use crate::driver::board::Board;
use crate::driver::report::Reporter;
use crate::driver::{self, Command, Handle, Setup};
use crate::logging;
use crate::net::links::monitor::Notification;
use crate::net::links::{self, LinkTable};
use crate::net::removals::{self, Removals};
use crate::os::async_fd;
use crate::os::{clock, realtime};
use crate::router::health::Health;

use dirs::Dirs;
use exit::Exit;
use failure::Failure;
use options::RunOptions;
use running::Agent;

pub use load_config::load;

/// Waiting check results; the driver takes them within a turn.
const CHECK_QUEUE: usize = 1024;

/// Runs in the foreground until SIGTERM or SIGINT.
pub fn run(dirs: &Dirs, options: &RunOptions) -> Result<(), Failure> {
    let config = load(&options.config, "name another with --config")?;
    let format = options.log_format.unwrap_or(config.node.log_format);
    let _log = logging::start(format, options.log_level.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, &error))?;
    for warning in &config.warnings {
        warn!("{}", warning.one_line());
    }
    preflight::require_capabilities()?;
    let socket = ControlSocket::claim(&dirs.runtime_dir)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve_until_told(config, dirs, options, socket));
    // Nothing that still runs there may hold up the end.
    runtime.shutdown_background();
    outcome
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ha-async")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Environment, &error))
}

async fn serve_until_told(
    config: Config,
    dirs: &Dirs,
    options: &RunOptions,
    socket: ControlSocket,
) -> Result<(), Failure> {
    let file = options.config.as_path();
    let config = Arc::new(config);
    let mut signals = Signals::install()?;
    let memory = realtime::lock_memory();
    let (watching, monitor) =
        links::monitor::watch().map_err(|error| Failure::new(Exit::Environment, &error))?;
    let removals = removals::watch().map_err(|error| Failure::new(Exit::Environment, &error))?;
    let table = Arc::clone(&watching.table.borrow());
    preflight::require_interfaces(&config, &table)?;
    let half = preflight::kernel_half(&config, &dirs.pin_dir)?;
    let _claim = half.claim;
    let board = Arc::new(Board::new().map_err(|error| Failure::new(Exit::Environment, &error))?);
    let (reporter, reports) =
        Reporter::channel().map_err(|error| Failure::new(Exit::Environment, &error))?;
    let reports = Arc::new(reports);
    let reader = half
        .kernel
        .as_ref()
        .ok()
        .map(|loaded| loaded.kernel.reader());
    let (recorder, recording) = recording::start(options.record.as_deref(), &config);
    let started = driver::start(Setup {
        config: Arc::clone(&config),
        kernel: half.kernel,
        pins: half.links,
        links: Arc::clone(&table),
        board: Arc::clone(&board),
        reporter,
        recorder,
        deaf: preflight::injected("deaf-ring"),
    })
    .map_err(|error| Failure::new(Exit::Environment, &error))?;
    let handle = started.handle.clone();

    let mut tasks = JoinSet::new();
    let (change, changes) = watch::channel(0);
    tasks.spawn(pass_changes(Arc::clone(&board), change));
    tasks.spawn(async move {
        if let Err(error) = monitor.run().await {
            error!("{error}; interfaces are no longer watched");
        }
    });
    tasks.spawn(log::write(Arc::clone(&reports)));
    tasks.spawn(pass_links(watching.table.clone(), handle.clone()));
    tasks.spawn(pass_removals(removals, handle.clone()));
    let (events, check_events) = mpsc::channel(CHECK_QUEUE);
    tasks.spawn(pass_checks(check_events, handle.clone()));
    let checks = Checks::start(config.checks.clone(), events)?;
    let agent = Arc::new(Agent {
        file: absolute(file),
        config: std::sync::Mutex::new((Arc::clone(&config), clock::now())),
        started: clock::now(),
        pins: half.pin_dir,
        board: Arc::clone(&board),
        reader,
        links: watching.table.clone(),
        checks: Mutex::new(Some(checks)),
        shown_checks: std::sync::Mutex::new(Vec::new()),
        memory,
        realtime: (started.driver_realtime, started.sender_realtime),
        conduct: started.conduct,
        changes,
        handle: handle.clone(),
        reloading: Mutex::new(()),
    });
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve(
        socket,
        Arc::clone(&agent),
        Limits::default(),
        async move {
            let mut stopped = stopped;
            // The sender lives until it has told; both ends mean the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        },
    ));
    tasks.spawn(systemd::prove(handle.clone(), Arc::clone(&board)));
    tasks.spawn(systemd::ready_once(agent.changes.clone()));
    info!(
        "ha-agent {} runs with {}",
        env!("CARGO_PKG_VERSION"),
        file.display()
    );

    signals.wait(&agent).await;
    systemd::stopping();
    end(&agent, &handle, started.thread).await;
    let _ = stop.send(true);
    if let Ok(Err(error)) = server.await {
        warn!("control socket: {error}");
    }
    drop(handle);
    tasks.shutdown().await;
    log::write_waiting(&reports);
    recording::finish(recording).await;
    let dropped = reports.dropped();
    if dropped > 0 {
        warn!("{dropped} reports of the driver were lost: the log took too long");
    }
    info!("stopped");
    Ok(())
}

/// The driver first, which says priority 0 and removes the addresses before it answers; then the checks,
/// so that no restart command runs on.
async fn end(agent: &Agent, handle: &Handle, thread: std::thread::JoinHandle<()>) {
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
        error!("the driver thread could not be awaited");
    }
}

async fn pass_links(mut table: watch::Receiver<Arc<LinkTable>>, driver: Handle) {
    while table.changed().await.is_ok() {
        let links = Arc::clone(&table.borrow_and_update());
        if !driver.tell(Command::Links(links)) {
            return;
        }
    }
}

async fn pass_removals(
    mut removals: Removals<impl Stream<Item = Notification> + Unpin>,
    driver: Handle,
) {
    while removals.next().await.is_some() {
        if !driver.tell(Command::RoutesRemoved) {
            return;
        }
    }
    error!("the kernel tells no more of removed routes; only a change of an interface shows them");
}

/// From the driver's bell, which never blocks it, to those who wait for changes.
async fn pass_changes(board: Arc<Board>, change: watch::Sender<u64>) {
    let bell = board
        .bell()
        .as_fd()
        .try_clone_to_owned()
        .and_then(async_fd::watch);
    let Ok(bell) = bell else {
        warn!("`status --watch` will only show the time pass: the driver's bell cannot be heard");
        return;
    };
    while let Ok(mut ready) = bell.readable().await {
        board.bell().clear();
        ready.clear_ready();
        change.send_modify(|number| *number = number.wrapping_add(1));
    }
}

async fn pass_checks(mut events: mpsc::Receiver<CheckEvent>, driver: Handle) {
    while let Some(event) = events.recv().await {
        let Some(verdict) = event.kind.verdict() else {
            continue;
        };
        let health = match (event.weight, verdict) {
            (Some(weight), Verdict::Up | Verdict::Down) => Health::Weight(weight),
            (None, Verdict::Up) => Health::Up,
            (None, Verdict::Down) => Health::Down,
        };
        if !driver.tell(Command::Check {
            name: event.name.to_string(),
            health,
        }) {
            return;
        }
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> Result<Self, Failure> {
        let install = |kind| signal(kind).map_err(|error| Failure::new(Exit::Environment, &error));
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    /// Until the process is to end; reloads meanwhile.
    async fn wait(&mut self, agent: &Arc<Agent>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    // Beside this, for a file on a hung disk must not keep the agent from leaving.
                    tokio::spawn(reload_by_signal(Arc::clone(agent)));
                }
            }
        }
    }
}

async fn reload_by_signal(agent: Arc<Agent>) {
    systemd::reloading();
    // Nobody gets the answer but the log.
    let _ = reload::reload(&agent).await;
    systemd::ready();
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
