//! What the driver is told, and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender as Queue, SyncSender};

use arc_swap::ArcSwapOption;
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
    /// Another program is to carry on from here: each master says that it is there, and this driver does nothing more.
    HandOver(oneshot::Sender<()>),
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

/// What the driver is told of which only the newest counts: it takes the room of one, however long nobody looks.
#[derive(Debug, Default)]
pub(super) struct News {
    links: ArcSwapOption<LinkTable>,
    routes_removed: AtomicBool,
}

impl News {
    /// The interfaces, if they were told since the last time.
    pub(super) fn take_links(&self) -> Option<Arc<LinkTable>> {
        self.links.swap(None)
    }

    /// Whether somebody has removed routes or rules since the last time, perhaps ours.
    pub(super) fn take_routes_removed(&self) -> bool {
        self.routes_removed.swap(false, Ordering::AcqRel)
    }
}

/// How the rest of the agent talks to the driver.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: Queue<Command>,
    pub(super) news: Arc<News>,
    bell: Arc<Notifier>,
}

impl Handle {
    pub(super) fn new(queue: Queue<Command>, bell: Arc<Notifier>) -> Self {
        Self {
            queue,
            news: Arc::default(),
            bell,
        }
    }

    /// Tells the driver of the interfaces, in place of those that it has not looked at yet.
    pub(crate) fn tell_links(&self, links: Arc<LinkTable>) {
        self.news.links.store(Some(links));
        self.bell.notify();
    }

    /// Tells the driver that somebody removed routes or rules.
    pub(crate) fn tell_routes_removed(&self) {
        self.news.routes_removed.store(true, Ordering::Release);
        self.bell.notify();
    }

    /// Tells the driver; false if it is gone.
    pub(crate) fn tell(&self, command: Command) -> bool {
        let told = self.queue.send(command).is_ok();
        self.bell.notify();
        told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn of_many_tables_that_nobody_looked_at_only_the_newest_is_kept() {
        let (queue, commands) = mpsc::channel();
        let handle = Handle::new(queue, Arc::new(Notifier::new().unwrap()));
        let tables: Vec<Arc<LinkTable>> = (0..100).map(|_| Arc::default()).collect();
        for table in &tables {
            handle.tell_links(Arc::clone(table));
            handle.tell_routes_removed();
        }
        let waiting = tables.iter().filter(|it| Arc::strong_count(it) > 1);
        assert_eq!(waiting.count(), 1);
        assert!(commands.try_recv().is_err(), "nothing is queued");
        let newest = handle.news.take_links().unwrap();
        assert!(tables.last().is_some_and(|last| Arc::ptr_eq(last, &newest)));
        assert!(handle.news.take_links().is_none());
        assert!(handle.news.take_routes_removed());
        assert!(!handle.news.take_routes_removed());
    }
}
