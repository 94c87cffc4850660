//! A hold on one process that tells of its death at once and can never mean another process.

use std::io;
use std::os::fd::OwnedFd;

use procfs::process::Process;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

/// Which process: a pid alone is used again, together with the start time it is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ProcessId {
    pub(super) pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to the process's start.
    pub(super) started: u64,
}

/// A held process.
#[derive(Debug)]
pub(super) struct Held {
    id: ProcessId,
    fd: AsyncFd<OwnedFd>,
}

impl Held {
    /// Takes hold of the process that has this pid now. `NotFound` if there is none, or a dead one.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let fd = open_pidfd(pid)?;
        let stat = Process::new(i32::try_from(pid).map_err(io::Error::other)?)
            .and_then(|process| process.stat())
            .map_err(|_| absent())?;
        let id = ProcessId {
            pid,
            started: stat.starttime,
        };
        // If it lives now, it lived when /proc was read, so /proc spoke of the process that is held.
        if has_exited(&fd)? {
            return Err(absent());
        }
        Ok(Self {
            id,
            fd: crate::os::async_fd::watch(fd)?,
        })
    }

    /// Who it is.
    pub(super) const fn id(&self) -> ProcessId {
        self.id
    }

    /// Comes back when the process has ended, whether its parent has waited for it or not.
    pub(super) async fn died(&self) {
        ended(&self.fd).await;
    }
}

/// A pidfd for `pid`.
pub(super) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(absent)?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(fd),
        Err(Errno::SRCH) => Err(absent()),
        Err(error) => Err(error.into()),
    }
}

/// Comes back when the process behind this pidfd has ended.
pub(super) async fn ended(fd: &AsyncFd<OwnedFd>) {
    if fd.readable().await.is_err() {
        // Only a runtime that is being torn down refuses; then nobody is left to be told.
        std::future::pending::<()>().await;
    }
}

fn has_exited(fd: &OwnedFd) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

fn absent() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such process")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn death_is_noticed_at_once_even_before_the_parent_waits() {
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let held = Held::open(child.id()).unwrap();
        assert_eq!(held.id().pid, child.id());
        let began = Instant::now();
        child.kill().unwrap();
        tokio::time::timeout(Duration::from_secs(5), held.died())
            .await
            .unwrap();
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "{:?}",
            began.elapsed()
        );
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_zombie_and_a_pid_that_nobody_has_are_absent() {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let fd = crate::os::async_fd::watch(open_pidfd(child.id()).unwrap()).unwrap();
        ended(&fd).await;
        let kind = |pid| Held::open(pid).unwrap_err().kind();
        assert_eq!(kind(child.id()), io::ErrorKind::NotFound);
        child.wait().unwrap();
        assert_eq!(kind(child.id()), io::ErrorKind::NotFound);
        assert!(Held::open(0).is_err() && Held::open(u32::MAX).is_err());
    }
}
