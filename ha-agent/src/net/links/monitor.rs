//! Following the kernel: link and address notifications into the table, the table into events.
//!
//! [`Monitor::run`] is one task. It keeps the newest state and, beside it, the one that was told;
//! when the event queue has room, the difference is told. So a slow listener costs no memory and
//! never gets a stale picture: what cancelled out meanwhile is left out. When the kernel's
//! notifications overflow the socket, the table is read anew, which is the same path.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{FutureExt, Stream, StreamExt};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{AsyncSocket, SocketAddr};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::JoinSet;

use super::{LinkEvent, LinkTable, diff, link_from_message};
use crate::net::interface;
use crate::net::netlink::NetlinkError;
use crate::net::present::Present;

/// Events that may wait for the listener. A burst that is larger waits in the monitor, as one
/// difference of two states.
const QUEUE: usize = 256;

/// Room for some thousand notifications while the runtime is busy; beyond that, a resync.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// Notifications taken in before events are told, so that a flood cannot keep them back for ever.
const DRAIN: usize = 1024;

/// The interfaces cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The notification socket cannot be opened.
    #[error("cannot watch the interfaces: {0}")]
    Open(#[source] io::Error),
    /// The table cannot be read.
    #[error("cannot read the interfaces: {0}")]
    Read(#[source] NetlinkError),
    /// The notification socket failed.
    #[error("the interfaces' notifications have ended")]
    Ended,
}

/// The listener's half.
#[derive(Debug)]
pub struct Watch {
    /// The newest state; always at least as new as the last event received.
    pub table: tokio_watch::Receiver<Arc<LinkTable>>,
    /// What changed since the table as it was when the watch began.
    pub events: mpsc::Receiver<LinkEvent>,
    resyncs: Arc<AtomicU64>,
}

impl Watch {
    /// How often the notifications overflowed and the table was read anew.
    pub fn resyncs(&self) -> u64 {
        self.resyncs.load(Ordering::Relaxed)
    }
}

/// The working half: `run` it.
pub struct Monitor<S> {
    messages: S,
    current: LinkTable,
    told: Arc<LinkTable>,
    pending: VecDeque<LinkEvent>,
    table: tokio_watch::Sender<Arc<LinkTable>>,
    events: mpsc::Sender<LinkEvent>,
    resyncs: Arc<AtomicU64>,
    overrun: bool,
    // Drives the socket, and stops when the monitor is dropped.
    _connection: JoinSet<()>,
    // The connection ends with its last handle.
    _handle: rtnetlink::Handle,
}

/// Opens the watch, inside a tokio runtime, in the calling thread's network namespace, and reads the
/// table. The events begin where this table ends.
pub fn watch() -> Result<(Watch, Monitor<impl Stream<Item = Notification> + Unpin>), MonitorError> {
    watch_with_buffer(RECEIVE_BUFFER)
}

/// A message of the kernel's and its sender.
pub type Notification = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr);

fn watch_with_buffer(
    receive_buffer: u32,
) -> Result<(Watch, Monitor<impl Stream<Item = Notification> + Unpin>), MonitorError> {
    let (mut connection, handle, messages) = new_multicast_connection(&[
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ])
    .map_err(MonitorError::Open)?;
    let socket = connection.socket_mut().socket_mut();
    socket
        .set_rx_buf_sz(receive_buffer)
        .map_err(MonitorError::Open)?;
    // After the subscription: what changes from here on is both read and notified.
    let current = read_table()?;
    let told = Arc::new(current.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let (table_sender, table) = tokio_watch::channel(Arc::clone(&told));
    let (event_sender, events) = mpsc::channel(QUEUE);
    let resyncs = Arc::new(AtomicU64::new(0));
    let watch = Watch {
        table,
        events,
        resyncs: Arc::clone(&resyncs),
    };
    let monitor = Monitor {
        messages,
        current,
        told,
        pending: VecDeque::new(),
        table: table_sender,
        events: event_sender,
        resyncs,
        overrun: false,
        _connection: tasks,
        _handle: handle,
    };
    Ok((watch, monitor))
}

impl<S: Stream<Item = Notification> + Unpin> Monitor<S> {
    /// Follows the kernel until the listener is gone, which is `Ok`. Cancelling it ends the watch.
    pub async fn run(mut self) -> Result<(), MonitorError> {
        let events = self.events.clone();
        loop {
            if self.pending.is_empty() {
                self.tell();
            }
            tokio::select! {
                biased;
                permit = events.reserve(), if !self.pending.is_empty() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some(event) = self.pending.pop_front() {
                        permit.send(event);
                    }
                }
                message = self.messages.next() => {
                    self.apply(message.ok_or(MonitorError::Ended)?);
                    self.drain()?;
                }
                () = events.closed() => return Ok(()),
            }
        }
    }

    /// Takes in what is there already, so that states that lasted for moments are not told.
    fn drain(&mut self) -> Result<(), MonitorError> {
        for _ in 0..DRAIN {
            match self.messages.next().now_or_never() {
                Some(message) => self.apply(message.ok_or(MonitorError::Ended)?),
                None => break,
            }
        }
        if std::mem::take(&mut self.overrun) {
            self.resyncs.fetch_add(1, Ordering::Relaxed);
            // Blocks for as long as the kernel's system call takes. Notifications that are still
            // queued are older than this table, but each tells a whole state, and the last one of
            // each object is right again.
            self.current = read_table()?;
        }
        Ok(())
    }

    fn apply(&mut self, (message, sender): Notification) {
        if sender.port_number() != 0 {
            return;
        }
        let message = match message.payload {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => {
                self.overrun = true;
                return;
            }
            _ => return,
        };
        match message {
            RouteNetlinkMessage::NewLink(message) => {
                if let Some(link) = link_from_message(&message) {
                    self.current.put_link(link);
                }
            }
            RouteNetlinkMessage::DelLink(message) => {
                if let Some(link) = link_from_message(&message) {
                    self.current.remove_link(link.index);
                }
            }
            RouteNetlinkMessage::NewAddress(message) => {
                if let Some((index, present)) = Present::from_message(&message) {
                    self.current.put_address(index, present);
                }
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let Some((index, present)) = Present::from_message(&message) {
                    self.current.remove_address(index, &present);
                }
            }
            _ => {}
        }
    }

    /// Makes the current state the told one, and the difference pending.
    fn tell(&mut self) {
        if self.current == *self.told {
            return;
        }
        let now = Arc::new(self.current.clone());
        self.pending = diff::events(&self.told, &now).into();
        self.told = Arc::clone(&now);
        // Before the events, so that whoever hears one finds at least this state.
        self.table.send_replace(now);
    }
}

fn read_table() -> Result<LinkTable, MonitorError> {
    let links = interface::all().map_err(MonitorError::Read)?;
    Ok(LinkTable {
        links: links.into_iter().map(|link| (link.index, link)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::{AddressBook, Outcome, Placement};
    use crate::net::lab::{self, Lab, PATIENCE};

    /// Runs a test beside a monitor, in one thread, so that both are in the lab's namespace.
    fn with_watch(receive_buffer: u32, test: impl AsyncFnOnce(&Lab, &mut Watch) + Send) {
        lab::run(|lab| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (mut watch, monitor) = watch_with_buffer(receive_buffer).unwrap();
                let running = tokio::spawn(monitor.run());
                test(lab, &mut watch).await;
                drop(watch);
                running.await.unwrap().unwrap();
            });
        });
    }

    /// Reads events until one fits.
    async fn until(watch: &mut Watch, wanted: impl Fn(&LinkEvent) -> bool) -> LinkEvent {
        let mut seen = Vec::new();
        let search = async {
            loop {
                let event = watch.events.recv().await.unwrap();
                if wanted(&event) {
                    return event;
                }
                seen.push(event);
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("only {seen:?}"))
    }

    #[test]
    fn root_what_happens_to_an_interface_is_told() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            let near = lab.near;
            assert_eq!(watch.table.borrow().by_name("near").unwrap().index, near);

            lab.ip("link set near mtu 1400");
            until(watch, |e| *e == LinkEvent::Reconfigured { index: near }).await;
            assert_eq!(watch.table.borrow().get(near).unwrap().mtu, 1400);

            lab.ip("link set near down");
            until(watch, |e| *e == LinkEvent::Down { index: near }).await;
            lab.ip("link set near address 02:00:00:00:00:77 name renamed");
            let renamed = LinkEvent::Renamed {
                index: near,
                from: "near".into(),
                to: "renamed".into(),
            };
            until(watch, |e| *e == renamed).await;
            let mac = Some([2, 0, 0, 0, 0, 0x77]);
            until(watch, |e| *e == LinkEvent::MacChanged { index: near, mac }).await;
            lab.ip("link set renamed up");
            until(watch, |e| *e == LinkEvent::Up { index: near }).await;

            lab.ip("link add extra type veth peer name other");
            let added = until(
                watch,
                |e| matches!(e, LinkEvent::Added(l) if l.name == "extra"),
            )
            .await;
            let LinkEvent::Added(extra) = added else {
                unreachable!()
            };
            assert!(!extra.is_up());
            lab.ip("link delete extra");
            let gone = LinkEvent::Removed {
                index: extra.index,
                name: "extra".into(),
            };
            until(watch, |e| *e == gone).await;
            assert!(watch.table.borrow().get(extra.index).is_none());
        });
    }

    #[test]
    fn root_the_carrier_of_the_other_end_is_told() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            let index = lab.near;
            lab.far(|| lab::ip_here("link set far down"));
            until(watch, |e| *e == LinkEvent::Down { index }).await;
            assert!(watch.table.borrow().get(index).unwrap().admin_up);
            lab.far(|| lab::ip_here("link set far up"));
            until(watch, |e| *e == LinkEvent::Up { index }).await;
        });
    }

    #[test]
    fn root_addresses_are_told_and_a_vip_does_not_become_the_primary_one() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            let index = lab.near;
            let mut book = AddressBook::open().unwrap();
            let vip = Placement {
                ifindex: index,
                net: "10.99.0.100/24".parse().unwrap(),
            };
            assert_eq!(book.add(&[vip]).unwrap(), [Ok(Outcome::Done)]);
            let is_vip = |p: &Present| p.net == vip.net && p.ours;
            until(
                watch,
                |e| matches!(e, LinkEvent::AddressAdded { address, .. } if is_vip(address)),
            )
            .await;
            let primary = |watch: &Watch| {
                watch
                    .table
                    .borrow()
                    .get(index)
                    .unwrap()
                    .primary_ipv4(|_| false)
            };
            assert_eq!(primary(watch), None);

            lab.ip("address add 10.99.0.1/24 dev near");
            let own = "10.99.0.1/24".parse().unwrap();
            until(
                watch,
                |e| matches!(e, LinkEvent::AddressAdded { address, .. } if address.net == own),
            )
            .await;
            // A secondary address by then, for the VIP was there first.
            assert_eq!(primary(watch), Some("10.99.0.1".parse().unwrap()));

            lab.ip("address del 10.99.0.100/24 dev near");
            until(
                watch,
                |e| matches!(e, LinkEvent::AddressRemoved { address, .. } if is_vip(address)),
            )
            .await;
        });
    }

    #[test]
    fn root_lost_notifications_are_made_up_for_by_reading_the_table() {
        with_watch(1, async |lab, watch| {
            // This blocks the only thread, so that nobody reads notifications meanwhile; the
            // smallest buffer the kernel gives holds a few.
            lab.ip_batch((1..=200).map(|n| format!("address add 10.99.0.{n}/24 dev near")));
            let last = "10.99.0.200/24".parse().unwrap();
            until(
                watch,
                |e| matches!(e, LinkEvent::AddressAdded { address, .. } if address.net == last),
            )
            .await;
            assert!(watch.resyncs() > 0);
            let table = watch.table.borrow().clone();
            assert_eq!(
                *table.get(lab.near).unwrap(),
                interface::interface("near").unwrap()
            );
        });
    }

    #[test]
    fn root_a_listener_that_sleeps_hears_the_difference_and_not_the_history() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            // More events than the queue holds, all of them undone before anybody listens.
            for verb in ["add", "del", "add", "del", "add", "del"] {
                let command = |n| format!("address {verb} 10.99.0.{n}/32 dev near");
                lab.ip_batch((1..=200).map(command));
                tokio::task::yield_now().await;
            }
            lab.ip("address add 10.99.1.1/32 dev near");
            let last = "10.99.1.1/32".parse().unwrap();
            let mut balance = std::collections::BTreeSet::new();
            tokio::time::timeout(PATIENCE, async {
                loop {
                    match watch.events.recv().await.unwrap() {
                        LinkEvent::AddressAdded { address, .. } => {
                            assert!(balance.insert(address.net));
                        }
                        LinkEvent::AddressRemoved { address, .. } => {
                            assert!(balance.remove(&address.net));
                        }
                        other => panic!("{other:?}"),
                    }
                    if balance.contains(&last) && balance.len() == 1 {
                        break;
                    }
                }
            })
            .await
            .expect("the events add up to the last state");
        });
    }
}
