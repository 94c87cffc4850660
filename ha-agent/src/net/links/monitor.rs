//! Following the kernel: link and address notifications into the table.
//!
//! It has a thread of its own, since reading the whole table waits for the kernel's lock of all network
//! configuration. It shows the newest table to whoever watches, and only that: a slow listener costs no memory and
//! never gets a stale picture. When notifications are lost the table is read anew, and when that fails the old one
//! stays, kept up by what is still heard, until it succeeds ([`Upkeep`]).

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::link::Link;
use super::message::link_from_message;
use super::table::LinkTable;
use super::upkeep::Upkeep;
use crate::net::interface;
use crate::net::netconf::{NEW_NETCONF, forwarding};
use crate::net::netlink::NetlinkError;
use crate::net::notifications::{Next, Notifications, group};
use crate::net::observed::{DEL_ADDRESS, NEW_ADDRESS, ObservedAddress};
use crate::net::raw_link::{DEL_LINK, NEW_LINK, RawLink};
use crate::net::retry::Trouble;
use crate::os::clock;
use crate::os::latest::{self, Latest, Publisher};
use crate::os::notifier::Notifier;

/// Room for some ten thousand notifications, in bytes; beyond that, the table is read.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Notifications taken in before the table is shown, so that a flood cannot keep it back for ever.
const DRAIN: usize = 1024;

/// For how long the first table is waited for.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The interfaces cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Its thread cannot be started.
    #[error("cannot watch the interfaces: {0}")]
    Start(#[source] io::Error),
    /// No table could be read within the limit, though it was tried again and again.
    #[error("cannot read the interfaces: {0}")]
    Read(String),
}

/// A watch that runs for as long as this lives.
#[derive(Debug)]
pub struct Watch {
    /// The newest state.
    pub table: Latest<Arc<LinkTable>>,
    /// Why that may be an old one.
    pub trouble: Latest<Option<Trouble>>,
    stop: Arc<Notifier>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.notify();
        // A thread that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Starts the watch in the calling thread's network namespace, and waits for the first table.
pub fn watch() -> Result<Watch, MonitorError> {
    watch_with(RECEIVE_BUFFER, interface::all)
}

/// What reads the whole table.
trait Read: FnMut() -> Result<Vec<Link>, NetlinkError> + Send + 'static {}

impl<F: FnMut() -> Result<Vec<Link>, NetlinkError> + Send + 'static> Read for F {}

fn watch_with(receive_buffer: usize, read: impl Read) -> Result<Watch, MonitorError> {
    let stop = Arc::new(Notifier::new().map_err(MonitorError::Start)?);
    let (table_sender, table) = latest::channel(Arc::default());
    let (trouble_sender, trouble) = latest::channel(None);
    let (first, is_read) = sync_channel(1);
    let mut monitor = Monitor {
        receive_buffer,
        read,
        notifications: None,
        upkeep: Upkeep::new(),
        current: LinkTable::default(),
        table: table_sender,
        trouble: trouble_sender,
        first: Some(first),
        stop: Arc::clone(&stop),
    };
    let thread = std::thread::Builder::new()
        .name("ha-links".to_owned())
        .spawn(move || monitor.run())
        .map_err(MonitorError::Start)?;
    let watch = Watch {
        table,
        trouble,
        stop,
        thread: Some(thread),
    };
    match is_read.recv_timeout(START_LIMIT) {
        Ok(()) => Ok(watch),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let trouble = watch.trouble.get();
            let why = trouble.map_or_else(|| "the kernel does not answer".to_owned(), |it| it.why);
            Err(MonitorError::Read(why))
        }
    }
}

/// The thread's own.
struct Monitor<R> {
    receive_buffer: usize,
    read: R,
    /// None before they are opened, and after they have failed.
    notifications: Option<Notifications>,
    upkeep: Upkeep,
    current: LinkTable,
    table: Publisher<Arc<LinkTable>>,
    trouble: Publisher<Option<Trouble>>,
    /// Told when there is a table; then gone.
    first: Option<SyncSender<()>>,
    stop: Arc<Notifier>,
}

impl<R: Read> Monitor<R> {
    fn run(&mut self) {
        while !self.wait() {
            self.hear();
            if self.upkeep.due() <= clock::now() {
                self.keep_up();
            }
            self.show();
        }
    }

    /// Waits for notifications or for when the table is to be read; true if it is enough.
    fn wait(&self) -> bool {
        let mut fds = vec![PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.notifications
                .iter()
                .map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)),
        );
        let left = self.upkeep.due().since(clock::now());
        // An interrupted or failed wait is a turn with nothing to hear.
        let woken = ppoll(
            &mut fds,
            Some(TimeSpec::from_duration(left.to_duration())),
            None,
        );
        let stop = fds.first().and_then(PollFd::any).unwrap_or(false);
        woken.is_ok() && stop
    }

    /// Takes in what is there already, so that states that lasted for moments are not told.
    fn hear(&mut self) {
        for _ in 0..DRAIN {
            let Some(notifications) = &mut self.notifications else {
                return;
            };
            let current = &mut self.current;
            match notifications.next(|kind, payload| apply(current, kind, payload)) {
                Ok(Next::Heard) => {}
                Ok(Next::Lost) => self.upkeep.lost(),
                Ok(Next::Nothing) => return,
                Err(error) => {
                    self.notifications = None;
                    self.upkeep.failed(unheard(&error), clock::now());
                }
            }
        }
    }

    /// Reads the table, and sees to it before that what changes from here on is heard.
    fn keep_up(&mut self) {
        if self.notifications.is_none() {
            let groups = [
                group::LINK,
                group::IPV4_ADDRESS,
                group::IPV6_ADDRESS,
                group::IPV6_NETCONF,
            ];
            match Notifications::open(&groups, self.receive_buffer) {
                Ok(notifications) => self.notifications = Some(notifications),
                Err(error) => return self.upkeep.failed(unheard(&error), clock::now()),
            }
        }
        let began = clock::now();
        match (self.read)() {
            // Notifications that are still queued are older than this table, but each tells a whole state, and the
            // last one of each object is right again.
            Ok(links) => {
                self.current.replace(links, self.upkeep.has_lost());
                self.upkeep.read(began, clock::now());
            }
            Err(error) => {
                let why = format!("cannot read the interfaces: {error}");
                self.upkeep.failed(why, clock::now());
            }
        }
    }

    fn show(&mut self) {
        if *self.table.get() != self.current {
            self.table.set(Arc::new(self.current.clone()));
        }
        if self.trouble.get().as_ref() != self.upkeep.trouble() {
            self.trouble.set(self.upkeep.trouble().cloned());
        }
        if self.upkeep.trouble().is_none()
            && let Some(first) = self.first.take()
        {
            // Whoever started it may have given up.
            let _ = first.try_send(());
        }
    }
}

fn unheard(error: &io::Error) -> String {
    format!("cannot hear of changes: {error}")
}

fn apply(table: &mut LinkTable, kind: u16, payload: &[u8]) {
    match kind {
        NEW_LINK | DEL_LINK => {
            let Some(link) = RawLink::read(payload).as_ref().and_then(link_from_message) else {
                return;
            };
            if kind == NEW_LINK {
                table.put_link(link);
            } else {
                table.remove_link(link.index);
            }
        }
        NEW_ADDRESS | DEL_ADDRESS => {
            let Some((index, present)) = ObservedAddress::read(payload) else {
                return;
            };
            if kind == NEW_ADDRESS {
                table.put_address(index, present);
            } else {
                table.remove_address(index, &present);
            }
        }
        NEW_NETCONF => {
            if let Some((index, forwards)) = forwarding(payload) {
                table.put_forwarding(index, forwards);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
