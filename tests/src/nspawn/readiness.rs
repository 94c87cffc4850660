//! What a container says of its start: the pid of its first process, and that it has come up.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lab::Process;

/// Longer messages are none of ours.
const LONGEST_MESSAGE: usize = 4096;

/// The socket that a container tells it on, in the manner of `sd_notify(3)`.
#[derive(Debug)]
pub(super) struct Readiness {
    socket: UnixDatagram,
    path: PathBuf,
    leader: Option<u32>,
}

impl Readiness {
    /// Listens at this path.
    pub(super) fn listen(path: PathBuf) -> Result<Self> {
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot remove the last boot's socket"),
        }
        let socket = UnixDatagram::bind(&path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            path,
            leader: None,
        })
    }

    /// For `NOTIFY_SOCKET`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the container, which `process` keeps, is up; the pid of its first process, as seen
    /// from here.
    pub(super) fn wait(mut self, process: &Process, timeout: Duration) -> Result<u32> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero(),
                "{} is not up within {timeout:?}",
                process.label()
            );
            let mut ready = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::from_borrowed_fd(process.ending(), PollFlags::IN),
            ];
            poll(&mut ready, Some(&Timespec::try_from(left)?)).context("cannot wait")?;
            if !ready[1].revents().is_empty() {
                bail!("{} has ended instead of coming up", process.label());
            }
            while let Some(message) = self.receive()? {
                if self.take(&message) {
                    return self.leader.context("it is up and has named no process");
                }
            }
        }
    }

    fn receive(&self) -> Result<Option<String>> {
        let mut bytes = [0; LONGEST_MESSAGE];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Ok(Some(
                String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned(),
            )),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("cannot receive"),
        }
    }

    /// Whether that says that it is up.
    fn take(&mut self, message: &str) -> bool {
        let mut up = false;
        for line in message.lines() {
            match line.split_once('=') {
                Some(("X_NSPAWN_LEADER_PID", pid)) => self.leader = pid.parse().ok(),
                Some(("READY", "1")) => up = true,
                _ => {}
            }
        }
        up
    }
}
