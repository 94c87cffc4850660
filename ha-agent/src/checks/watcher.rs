//! Holds the process behind a check, so that its death is an event and not the next poll's finding.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::future::select_all;
use ha_common::units::{Instant, Nanos};

use super::listener;
use super::pidfd::{Held, ProcessId};
use super::probe::Finder;
use crate::config::model::{Check, Probe};

/// How often the owner of a listener is looked up again, in case it was handed over.
const REFRESH: Nanos = Nanos::from_millis(30_000);
/// How soon after a look the next one may come: /proc is not free.
const PAUSE: Nanos = Nanos::from_millis(1_000);

type Look = Pin<Box<dyn Future<Output = Result<Held, String>> + Send>>;

/// The watched processes of one check, and how to find them. There is one, but where processes are counted.
pub(super) struct Watcher {
    source: Source,
    held: Vec<Held>,
    look: Option<Look>,
    looked: Option<Instant>,
}

enum Source {
    /// The probe itself finds the process.
    Probe,
    /// The probe counts processes.
    Counted,
    /// Who listens there.
    Listener(SocketAddr),
    /// The configuration names it.
    Named(Finder),
    /// There is no process to watch.
    Nobody,
}

/// What a watcher has to say.
pub(super) enum Sight {
    /// The watched process has died.
    Died(ProcessId),
    /// Another process is watched now.
    Watching(ProcessId),
    /// None can be watched, and why.
    Blind(String),
}

impl Watcher {
    pub(super) fn new(check: &Check) -> Self {
        let source = match &check.probe {
            Probe::Http(http) => match &http.process {
                Some(process) => Source::Named(Finder::new(process)),
                None => Source::Listener(http.address),
            },
            Probe::Tcp(address) => Source::Listener(*address),
            Probe::Process(_) => Source::Probe,
            Probe::ProcessCount(_) => Source::Counted,
            Probe::Command(_) | Probe::File(_) => Source::Nobody,
        };
        Self {
            source,
            held: Vec::new(),
            look: None,
            looked: None,
        }
    }

    /// The probe is about a process, and that process lives: there is nothing to ask.
    pub(super) fn answers_for_the_probe(&self) -> Option<ProcessId> {
        match self.source {
            Source::Probe => self.held.first().map(Held::id),
            Source::Counted | Source::Listener(_) | Source::Named(_) | Source::Nobody => None,
        }
    }

    /// The probe found these; if it is not about processes, or found none, those held before stay.
    pub(super) fn hold(&mut self, held: Vec<Held>) -> Option<ProcessId> {
        let id = held.first().map(Held::id);
        if id.is_some() {
            self.held = held;
        }
        id
    }

    /// A probe passed: a good moment to see who serves, if that is not known or was long ago.
    pub(super) fn passed(&mut self, now: Instant) {
        let wait = if self.held.is_empty() { PAUSE } else { REFRESH };
        let due = self.looked.is_none_or(|at| now >= at + wait);
        if self.look.is_some() || !due {
            return;
        }
        let look: Look = match &self.source {
            Source::Probe | Source::Counted | Source::Nobody => return,
            Source::Listener(address) => Box::pin(by_listener(*address)),
            Source::Named(finder) => {
                let finder = finder.clone();
                Box::pin(async move { finder.find().await })
            }
        };
        self.looked = Some(now);
        self.look = Some(look);
    }

    /// A restart is under way: whoever was watched is not the one to come.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        self.look = None;
        self.looked = None;
    }

    /// Waits for something to happen. May be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Sight {
        tokio::select! {
            biased;
            id = died(&self.held) => {
                self.held.clear();
                self.look = None;
                // Who serves from now on is to be found out with the next pass.
                self.looked = None;
                Sight::Died(id)
            }
            found = finished(&mut self.look) => {
                self.look = None;
                match found {
                    Ok(held) => {
                        let id = held.id();
                        self.held = vec![held];
                        Sight::Watching(id)
                    }
                    // A process that is held stays held: it lives, or its death is still to be told.
                    Err(why) => match self.held.first() {
                        Some(held) => Sight::Watching(held.id()),
                        None => Sight::Blind(why),
                    },
                }
            }
        }
    }
}

/// The first of them that dies.
async fn died(held: &[Held]) -> ProcessId {
    if held.is_empty() {
        return std::future::pending().await;
    }
    let end = |held| {
        Box::pin(async move {
            Held::died(held).await;
            Held::id(held)
        })
    };
    let (id, _, _) = select_all(held.iter().map(end)).await;
    id
}

async fn finished(look: &mut Option<Look>) -> Result<Held, String> {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

async fn by_listener(address: SocketAddr) -> Result<Held, String> {
    let look = tokio::task::spawn_blocking(move || {
        let pid = listener::owner(address).map_err(|why| why.to_string())?;
        Held::open(pid).map_err(|error: io::Error| format!("pid {pid}: {error}"))
    });
    look.await.unwrap_or_else(|error| Err(error.to_string()))
}
