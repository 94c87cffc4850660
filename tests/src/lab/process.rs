//! A program that runs in a host: its output, its end, and signals to it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ha_common::units::Instant;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::clock;
use super::netns::{Namespace, tether};
pub use super::output::Line;
use super::output::Output;

/// The signals that tests send.
pub use rustix::process::Signal;

/// How a process ended, and when.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Its status or signal.
    pub status: ExitStatus,
    /// When the lab was told.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Ending {
    exit: Mutex<Option<Exit>>,
    changed: Condvar,
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    label: String,
    pid: u32,
    // Signals go by this descriptor: a pid may meanwhile belong to somebody else.
    handle: OwnedFd,
    output: Arc<Output>,
    ending: Arc<Ending>,
}

impl Process {
    /// Starts a program in a namespace; what it writes goes to `log`, standard error included.
    pub fn spawn(ns: &Namespace, label: &str, mut command: Command, log: &Path) -> Result<Self> {
        ns.confine(&mut command);
        Self::start(label, command, log)
    }

    /// Starts a program in the namespace that the test itself is in.
    pub fn spawn_here(label: &str, mut command: Command, log: &Path) -> Result<Self> {
        tether(&mut command);
        Self::start(label, command, log)
    }

    fn start(label: &str, mut command: Command, log: &Path) -> Result<Self> {
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let program = command.get_program().to_owned();
        let mut child = spawn_lasting(command)
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id();
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .with_context(|| format!("cannot get a handle on {label}, pid {pid}"))?;
        let ending = Arc::new(Ending::default());
        let witness = Arc::clone(&ending);
        std::thread::spawn(move || {
            if let Ok(status) = child.wait() {
                let at = clock::now();
                *witness.exit.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Exit { status, at });
                witness.changed.notify_all();
            }
        });
        Ok(Self {
            label: label.to_owned(),
            pid,
            handle,
            output: Output::collect(reader, file),
            ending,
        })
    }

    /// What the test calls it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; an error if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.handle, signal)
            .with_context(|| format!("cannot signal {} (pid {})", self.label, self.pid))
    }

    /// SIGKILL, and waits for the end; nothing if it has ended already.
    pub fn kill(&self) -> Result<Exit> {
        if let Some(exit) = self.exited() {
            return Ok(exit);
        }
        match pidfd_send_signal(&self.handle, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => bail!("cannot kill {} (pid {}): {error}", self.label, self.pid),
        }
        self.wait(Duration::from_secs(10))
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<Exit> {
        *self
            .ending
            .exit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A descriptor that becomes readable when it ends, to wait for that among other things.
    pub fn ending(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Waits for its end.
    pub fn wait(&self, timeout: Duration) -> Result<Exit> {
        let guard = self
            .ending
            .exit
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (exit, _) = self
            .ending
            .changed
            .wait_timeout_while(guard, timeout, |exit| exit.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        exit.with_context(|| format!("{} has not ended within {timeout:?}", self.label))
    }

    /// Where the output stands now: the mark for [`Self::wait_for_line_after`].
    pub fn mark(&self) -> usize {
        self.output.count()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.output.since(0)
    }

    /// The lines from a mark on.
    pub fn lines_after(&self, mark: usize) -> Vec<Line> {
        self.output.since(mark)
    }

    /// Waits for a line that contains `part`, among all it ever wrote.
    pub fn wait_for_line(&self, part: &str, timeout: Duration) -> Result<Line> {
        self.wait_for_line_after(0, part, timeout)
    }

    /// Waits for a line that contains `part`, after `mark`.
    pub fn wait_for_line_after(&self, mark: usize, part: &str, timeout: Duration) -> Result<Line> {
        self.wait_for_line_where(mark, &format!("{part:?}"), timeout, |line| {
            line.contains(part)
        })
    }

    /// Waits for a line after `mark` for which `matches` holds; `what` is for the error.
    pub fn wait_for_line_where(
        &self,
        mark: usize,
        what: &str,
        timeout: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> Result<Line> {
        self.output
            .wait_for(mark, timeout, matches)
            .with_context(|| {
                let lines = self.lines_after(mark);
                let shown: Vec<&str> = lines
                    .iter()
                    .skip(lines.len().saturating_sub(20))
                    .map(|line| line.text.as_str())
                    .collect();
                let end = self.exited().map_or(String::new(), |exit| {
                    format!(" (it ended: {})", exit.status)
                });
                format!(
                    "{} wrote no line with {what} within {timeout:?}{end}; it wrote:\n{}",
                    self.label,
                    shown.join("\n")
                )
            })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// Starts a program from a thread that lives as long as this process does: the parent-death signal
/// comes when the *thread* that forked ends, and a test's thread may be a short-lived one.
fn spawn_lasting(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Nobody waits for the reply only if the test is being torn down.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let gone = || io::Error::other("the thread that starts programs is gone");
    let (reply, answer) = mpsc::channel();
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}
