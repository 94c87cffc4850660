//! The dead that nobody waits for, where the agent is the first process of a container: what outlives a check's command is
//! given to process 1, and stays in its table of processes until that one asks how it ended.
//!
//! The agent's own children are left to those who started them: they are listed until their status has been asked for.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use procfs::process::all_processes;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// How soon after one look the next may come, however many die.
const PAUSE: Duration = Duration::from_secs(1);

/// Our own children.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Shared by those who start one, so that none is taken for somebody else's before it is listed. Starting a program may hang,
/// which must hold up no other.
static STARTING: RwLock<()> = RwLock::new(());

/// A child of ours, until its status has been asked for.
#[derive(Debug)]
pub(super) struct Own(u32);

impl Drop for Own {
    fn drop(&mut self) {
        own().remove(&self.0);
    }
}

fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program whose end is not to be taken from whoever waits for it.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Own)> {
    let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    own().insert(child.id());
    let listed = Own(child.id());
    Ok((child, listed))
}

/// Collects the dead for as long as it is polled, if this is process 1. Within a tokio runtime.
pub(super) async fn collect() {
    if std::process::id() != 1 {
        return;
    }
    let mut deaths = match signal(SignalKind::child()) {
        Ok(deaths) => deaths,
        Err(error) => return warn!("what outlives a command stays a zombie: {error}"),
    };
    while deaths.recv().await.is_some() {
        // It reads /proc. One that panics has said so.
        while let Ok(Looked::NotYet) = tokio::task::spawn_blocking(reap).await {
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

enum Looked {
    Done,
    /// A program is being started.
    NotYet,
}

fn reap() -> Looked {
    // A hung start is no reason to wait here: whoever waits to write keeps new readers out.
    let Ok(_nobody_starts) = STARTING.try_write() else {
        return Looked::NotYet;
    };
    let Ok(all) = all_processes() else {
        return Looked::NotYet;
    };
    let own = own().clone();
    let dead = all
        .filter_map(Result::ok)
        .filter_map(|process| process.stat().ok())
        .filter(|stat| stat.ppid == 1 && stat.state == 'Z')
        .map(|stat| stat.pid);
    for pid in dead.filter(|pid| !own.contains(&pid.cast_unsigned())) {
        // Nobody else waits for it, so that it is still there; its status is of no interest.
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
    Looked::Done
}
