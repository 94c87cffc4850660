//! An agent whose requests to the kernel fail when a test says so: a netlink request, a membership, a program on an
//! interface, a write to a map, a frame.
//!
//! The agent runs under a seccomp filter of the test, which is asked of each such system call and lets it go on or
//! fails it. Nothing in the agent knows of it. A request by netlink is refused by itself, while the others of its
//! datagram are carried out: its type is made one that the kernel does not know.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "system calls take and give numbers of whatever width"
)]

mod kind;
mod listener;

use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

pub use kind::Kind;
use kind::{Memory, asked_for};
use listener::{Call, Listener};

use super::process::Process;

/// What is to fail, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Which requests.
    pub kind: Kind,
    /// So many of them are carried out before.
    pub after: u32,
    /// For how long they fail from the first one on; once only if it is zero.
    pub lasting: Duration,
    /// Refused by itself; otherwise the system call fails, and with it all of its datagram.
    pub alone: bool,
}

/// What has come of a fault.
#[derive(Debug, Default)]
struct Progress {
    fault: Option<Fault>,
    /// How many requests of the kind there were.
    seen: u32,
    first: Option<Instant>,
    refused: u32,
}

#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    refused: Condvar,
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who refuses the calls of one agent, for as long as it lives.
#[derive(Debug)]
pub struct RefusedCalls(Arc<Shared>);

/// Makes a command's system calls pass by [`RefusedCalls::of`], who must be there from its start on: until then they wait.
pub(super) fn pass_by(command: &mut Command) {
    listener::pass_by(command);
}

impl RefusedCalls {
    /// Of a process that was started with [`Launch::calls_pass_by`](super::agent::Launch).
    pub fn of(process: &Process, fault: Option<Fault>) -> Result<Self> {
        let pid = process.pid();
        let listener = Listener::of(pid).with_context(|| {
            let lines = process.lines().into_iter().map(|line| line.text);
            format!("it wrote {:?}", lines.collect::<Vec<_>>())
        })?;
        let memory = Memory::of(pid).context("cannot look at the agent's memory")?;
        let shared = Arc::new(Shared::default());
        shared.progress().fault = fault;
        let told = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Some(call) = listener.next() {
                let error = verdict(&told, &call, &memory);
                listener.answer(&call, error);
            }
        });
        Ok(Self(shared))
    }

    /// From here on this fails.
    pub fn refuse(&self, fault: Fault) {
        *self.0.progress() = Progress {
            fault: Some(fault),
            ..Progress::default()
        };
    }

    /// Nothing fails any more; how many requests have.
    pub fn carry_out_all(&self) -> u32 {
        std::mem::take(&mut *self.0.progress()).refused
    }

    /// How many have failed.
    pub fn refused(&self) -> u32 {
        self.0.progress().refused
    }

    /// Waits until one has failed; whether one has within that time.
    pub fn wait_refused(&self, within: Duration) -> bool {
        let waited = self
            .0
            .refused
            .wait_timeout_while(self.0.progress(), within, |it| it.refused == 0);
        let (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        progress.refused > 0
    }
}

/// The error that a call fails with, if it is to.
fn verdict(shared: &Shared, call: &Call, memory: &Memory) -> Option<i32> {
    let mut progress = shared.progress();
    let fault = progress.fault?;
    let mut error = None;
    for (kind, at) in asked_for(call, memory) {
        if kind != fault.kind || !progress.fails(fault) {
            continue;
        }
        if !fault.alone {
            error = Some(libc::ENOMEM);
        } else if memory.spoil(at).is_err() {
            continue;
        }
        progress.refused += 1;
        shared.refused.notify_all();
        if error.is_some() {
            break;
        }
    }
    error
}

impl Progress {
    /// Whether the next request of the kind fails.
    fn fails(&mut self, fault: Fault) -> bool {
        self.seen += 1;
        if self.seen <= fault.after {
            return false;
        }
        match self.first {
            None => {
                self.first = Some(Instant::now());
                true
            }
            Some(first) => first.elapsed() < fault.lasting,
        }
    }
}
