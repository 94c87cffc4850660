//! Runs one external command: its own process group, a time limit, bounded output, nothing left over.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::user::Identity;
use super::{child, orphans, pidfd};
use crate::config::model::COMMAND_PATH;
use crate::os::descriptors;

/// Bytes of output that are kept, the last ones.
const TAIL: usize = 4096;
/// Bytes of output that are read after the command itself has ended: more comes from what it left behind.
const DRAIN: usize = 1 << 20;

/// What happens to processes of the command's group that outlive it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Leftovers {
    /// A check leaves nothing behind.
    Kill,
    /// A restart command leaves the service behind.
    Keep,
}

/// A command that can be run again and again, but never twice at once.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    argv: Arc<[String]>,
    identity: Option<Identity>,
    leftovers: Leftovers,
    /// Held until the last process of a run has been reaped.
    turn: Arc<Semaphore>,
}

/// A command that ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The end of what it printed, in one line.
    pub(super) output: String,
}

/// A command that did not end by itself.
#[derive(Debug, Error)]
pub(super) enum ExecError {
    /// The last run's process cannot be reaped, not even killed: it hangs in the kernel.
    #[error("its previous run still hangs in the kernel, so no new run was started")]
    Busy,
    /// No such program, no permission, no memory.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// Which program.
        program: String,
        source: io::Error,
    },
    /// It was killed, with its process group.
    #[error("it did not end within {} ms and was killed{}", .limit.as_millis(), said(.output))]
    TimedOut {
        limit: Duration,
        /// What it had printed.
        output: String,
    },
}

impl ExecError {
    /// Whether it was not started for want of what every process needs, and may be at any other time.
    pub(super) fn is_shortage(&self) -> bool {
        // fork(2): EAGAIN is a limit of processes.
        let is_full = |source: &io::Error| source.raw_os_error() == Some(libc::EAGAIN);
        matches!(self, Self::Spawn { source, .. } if descriptors::is_shortage(source) || is_full(source))
    }
}

impl Runner {
    /// `argv` is a program and its arguments; no shell is involved.
    pub(super) fn new(argv: &[String], identity: Option<Identity>, leftovers: Leftovers) -> Self {
        Self {
            argv: argv.into(),
            identity,
            leftovers,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Runs it. If the returned future is dropped, the command and its group are killed.
    pub(super) async fn run(&self, limit: Duration) -> Result<Ended, ExecError> {
        let turn = Arc::clone(&self.turn)
            .try_acquire_owned()
            .map_err(|_| ExecError::Busy)?;
        let mut tail = Tail::default();
        let timed = tokio::time::timeout(limit, self.run_to_end(turn, &mut tail)).await;
        match timed {
            Ok(Ok(status)) => Ok(Ended {
                status,
                output: tail.text(),
            }),
            Ok(Err(source)) => Err(ExecError::Spawn {
                program: self.argv.first().cloned().unwrap_or_default(),
                source,
            }),
            Err(_) => Err(ExecError::TimedOut {
                limit,
                output: tail.text(),
            }),
        }
    }

    async fn run_to_end(
        &self,
        turn: OwnedSemaphorePermit,
        tail: &mut Tail,
    ) -> io::Result<ExitStatus> {
        let this = self.clone();
        // Starting a program reads the disk, which may hang: never on a thread that runs the agent.
        let spawned = tokio::task::spawn_blocking(move || this.spawn(turn));
        let (mut group, mut output) = spawned.await.map_err(io::Error::other)??;
        let mut open = true;
        let mut chunk = [0_u8; TAIL];
        loop {
            tokio::select! {
                read = output.read(&mut chunk), if open => match read {
                    Ok(0) | Err(_) => open = false,
                    Ok(length) => tail.push(chunk.get(..length).unwrap_or_default()),
                },
                () = group.ended() => break,
            }
        }
        let mut drained = 0;
        while open && drained < DRAIN {
            // The descriptor itself is asked: the runtime may not have heard yet that there is more.
            match nix::unistd::read(&output, &mut chunk) {
                Ok(0) => open = false,
                Ok(length) => {
                    drained += length;
                    tail.push(chunk.get(..length).unwrap_or_default());
                }
                Err(_) => break,
            }
        }
        let status = group.reap()?;
        if open && self.leftovers == Leftovers::Keep {
            // A service that kept this pipe must not be killed by writing to it.
            tokio::spawn(async move { while matches!(output.read(&mut chunk).await, Ok(1..)) {} });
        }
        Ok(status)
    }

    fn spawn(&self, turn: OwnedSemaphorePermit) -> io::Result<(Group, pipe::Receiver)> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", COMMAND_PATH)
            .env("LANG", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        child::confine(&mut command, self.identity.as_ref());
        let (child, own) = orphans::spawn(&mut command)?;
        // From here on the group is killed and reaped whatever happens.
        let mut group = Group {
            child: Some(child),
            own: Some(own),
            pidfd: None,
            leftovers: self.leftovers,
            turn: Some(turn),
        };
        group.watch()?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok((group, output))
    }
}

impl Ended {
    /// `exit status: 1` and what it said.
    pub(super) fn describe(&self) -> String {
        format!("{}{}", self.status, said(&self.output))
    }
}

fn said(output: &str) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!(" ({output})")
    }
}

/// A running command and its process group.
#[derive(Debug)]
struct Group {
    /// Until it is reaped; so long its pid, which is the group's number, cannot be used again.
    child: Option<Child>,
    /// For as long as it is to be waited for here.
    own: Option<orphans::Own>,
    pidfd: Option<AsyncFd<OwnedFd>>,
    leftovers: Leftovers,
    turn: Option<OwnedSemaphorePermit>,
}

impl Group {
    fn watch(&mut self) -> io::Result<()> {
        if let Some(child) = &self.child {
            self.pidfd = Some(crate::os::async_fd::watch(pidfd::open_pidfd(child.id())?)?);
        }
        Ok(())
    }

    async fn ended(&self) {
        if let Some(fd) = &self.pidfd {
            pidfd::ended(fd).await;
        }
    }

    /// After `ended`: the exit status. The group is dealt with first, while its number is still ours.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.child.take().ok_or(io::ErrorKind::NotFound)?;
        if self.leftovers == Leftovers::Kill {
            kill(&child);
        }
        child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        kill(&child);
        let pidfd = self.pidfd.take();
        let (turn, own) = (self.turn.take(), self.own.take());
        // A process that hangs in the kernel dies later: somebody else must wait for it.
        if let (Ok(runtime), Some(pidfd)) = (tokio::runtime::Handle::try_current(), pidfd) {
            runtime.spawn(async move {
                pidfd::ended(&pidfd).await;
                let _ = child.wait();
                drop((turn, own));
            });
        } else {
            std::thread::spawn(move || {
                let _ = child.wait();
                drop((turn, own));
            });
        }
    }
}

fn kill(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It fails only if the whole group is gone, which is what is wanted.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// The last bytes of an endless output.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(TAIL);
        self.0.drain(..excess);
    }

    /// In one line, without control characters: it goes to logs and terminals.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests;
