//! What the driver is told, and how.

use std::sync::Arc;
use std::sync::mpsc::{Sender as Queue, SyncSender};

use tokio::sync::oneshot;

use super::switch;
use crate::config::model::{Config, DatapathChoice};
use crate::net::links::LinkTable;
use crate::os::notifier::Notifier;
use crate::router::health::Health;

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A check has its first result, or has changed.
    Check {
        name: String,
        /// What it says.
        health: Health,
    },
    /// The interfaces are these.
    Links(Arc<LinkTable>),
    /// Somebody removed routes or rules, perhaps ours.
    RoutesRemoved,
    /// A new configuration, already found valid; answered when it has been taken and what came of it is published.
    Reload(Arc<Config>, oneshot::Sender<()>),
    /// Receive the adverts of an instance by another datapath.
    Datapath {
        instance: String,
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

/// How the rest of the agent talks to the driver.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) queue: Queue<Command>,
    pub(super) bell: Arc<Notifier>,
}

impl Handle {
    /// Tells the driver; false if it is gone.
    pub(crate) fn tell(&self, command: Command) -> bool {
        let told = self.queue.send(command).is_ok();
        self.bell.notify();
        told
    }
}
