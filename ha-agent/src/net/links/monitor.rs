//! Following the kernel: link and address notifications into the table.
//!
//! [`Monitor::run`] is one task. It shows the newest table to whoever watches, and only that: a slow
//! listener costs no memory and never gets a stale picture. When the kernel's notifications overflow the
//! socket, the table is read anew.

use std::io;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{AsyncSocket, SocketAddr};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::sync::watch as tokio_watch;
use tokio::task::JoinSet;

use super::message::link_from_message;
use super::table::{Link, LinkTable};
use crate::net::interface;
use crate::net::netlink::NetlinkError;
use crate::net::observed::ObservedAddress;

/// Room for some thousand notifications while the runtime is busy; beyond that, a resync.
const RECEIVE_BUFFER: u32 = 1 << 20;

/// Notifications taken in before the table is shown, so that a flood cannot keep it back for ever.
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
    /// The newest state.
    pub table: tokio_watch::Receiver<Arc<LinkTable>>,
}

/// The working half: `run` it.
pub struct Monitor<S> {
    messages: S,
    current: LinkTable,
    table: tokio_watch::Sender<Arc<LinkTable>>,
    overrun: bool,
    // Drives the socket, and stops when the monitor is dropped.
    _connection: JoinSet<()>,
    // The connection ends with its last handle.
    _handle: rtnetlink::Handle,
}

/// Opens the watch, inside a tokio runtime, in the calling thread's network namespace, and reads the
/// table.
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
    let mut current = LinkTable::default();
    current.replace(read_links()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let (table_sender, table) = tokio_watch::channel(Arc::new(current.clone()));
    let watch = Watch { table };
    let monitor = Monitor {
        messages,
        current,
        table: table_sender,
        overrun: false,
        _connection: tasks,
        _handle: handle,
    };
    Ok((watch, monitor))
}

impl<S: Stream<Item = Notification> + Unpin> Monitor<S> {
    /// Follows the kernel until nobody watches any more, which is `Ok`. Cancelling it ends the watch.
    pub async fn run(mut self) -> Result<(), MonitorError> {
        loop {
            tokio::select! {
                message = self.messages.next() => {
                    self.apply(message.ok_or(MonitorError::Ended)?);
                    self.drain()?;
                    self.show();
                }
                () = self.table.closed() => return Ok(()),
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
            // Blocks for as long as the kernel's system call takes. Notifications that are still
            // queued are older than this table, but each tells a whole state, and the last one of
            // each object is right again.
            self.current.replace(read_links()?);
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
                if let Some((index, present)) = ObservedAddress::from_message(&message) {
                    self.current.put_address(index, present);
                }
            }
            RouteNetlinkMessage::DelAddress(message) => {
                if let Some((index, present)) = ObservedAddress::from_message(&message) {
                    self.current.remove_address(index, &present);
                }
            }
            _ => {}
        }
    }

    fn show(&self) {
        self.table.send_if_modified(|shown| {
            let is_new = **shown != self.current;
            if is_new {
                *shown = Arc::new(self.current.clone());
            }
            is_new
        });
    }
}

fn read_links() -> Result<Vec<Link>, MonitorError> {
    interface::all().map_err(MonitorError::Read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::{AddressSpec, AddressTable, Outcome};
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

    /// Waits until the interface is so.
    async fn until(watch: &mut Watch, index: u32, is_so: impl Fn(Option<&Link>) -> bool) {
        let wait = watch.table.wait_for(|table| is_so(table.get(index)));
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.expect("in time").expect("the monitor runs");
    }

    fn has(link: Option<&Link>, net: &str) -> bool {
        let net = net.parse().unwrap();
        link.is_some_and(|link| link.addresses.iter().any(|present| present.net == net))
    }

    #[test]
    fn root_what_happens_to_an_interface_is_shown() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            let near = lab.near;
            assert_eq!(watch.table.borrow().by_name("near").unwrap().index, near);

            lab.ip("link set near mtu 1400");
            until(watch, near, |link| link.is_some_and(|l| l.mtu == 1400)).await;
            lab.ip("link set near down");
            until(watch, near, |link| link.is_some_and(|l| !l.is_up())).await;
            lab.ip("link set near address 02:00:00:00:00:77 name renamed");
            let mac = Some([2, 0, 0, 0, 0, 0x77]);
            until(watch, near, |link| {
                link.is_some_and(|l| l.name == "renamed" && l.mac == mac)
            })
            .await;
            lab.ip("link set renamed up");
            until(watch, near, |link| link.is_some_and(Link::is_up)).await;

            lab.ip("link add extra type veth peer name other");
            let is_there = watch
                .table
                .wait_for(|table| table.by_name("extra").is_some());
            let extra = tokio::time::timeout(PATIENCE, is_there).await.unwrap();
            let extra = extra.unwrap().by_name("extra").unwrap().clone();
            assert!(!extra.is_up());
            lab.ip("link delete extra");
            until(watch, extra.index, |link| link.is_none()).await;
        });
    }

    #[test]
    fn root_the_carrier_of_the_other_end_is_shown() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            lab.far(|| lab::ip_here("link set far down"));
            until(watch, lab.near, |link| {
                link.is_some_and(|l| l.admin_up && !l.is_up())
            })
            .await;
            lab.far(|| lab::ip_here("link set far up"));
            until(watch, lab.near, |link| link.is_some_and(Link::is_up)).await;
        });
    }

    #[test]
    fn root_addresses_are_shown_and_a_vip_does_not_become_the_primary_one() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            let index = lab.near;
            let mut book = AddressTable::open().unwrap();
            let net: ipnet::IpNet = "10.99.0.100/24".parse().unwrap();
            let vip = AddressSpec::of(index, &net.into());
            assert_eq!(book.add(&[vip]).unwrap(), [Ok(Outcome::Done)]);
            let is_vip = |p: &ObservedAddress| p.net == vip.net && p.ours;
            until(watch, index, |link| {
                link.is_some_and(|l| l.addresses.iter().any(is_vip))
            })
            .await;
            let primary = |watch: &Watch| {
                let table = watch.table.borrow();
                table.get(index).unwrap().primary_ipv4(|_| false)
            };
            assert_eq!(primary(watch), None);

            lab.ip("address add 10.99.0.1/24 dev near");
            until(watch, index, |link| has(link, "10.99.0.1/24")).await;
            // A secondary address by then, for the VIP was there first.
            assert_eq!(primary(watch), Some("10.99.0.1".parse().unwrap()));

            lab.ip("address del 10.99.0.100/24 dev near");
            until(watch, index, |link| !has(link, "10.99.0.100/24")).await;
        });
    }

    #[test]
    fn root_lost_notifications_are_made_up_for_by_reading_the_table() {
        with_watch(1, async |lab, watch| {
            // This blocks the only thread, so that nobody reads notifications meanwhile; the
            // smallest buffer the kernel gives holds a few.
            lab.ip_batch((1..=200).map(|n| format!("address add 10.99.0.{n}/24 dev near")));
            until(watch, lab.near, |link| has(link, "10.99.0.200/24")).await;
            let table = watch.table.borrow().clone();
            let found = table.get(lab.near).unwrap().clone();
            let read = interface::interface("near").unwrap();
            assert!(found.address_losses > 0, "what was not heard may be a loss");
            let told = Link {
                life: 0,
                address_losses: 0,
                ..found
            };
            assert_eq!(told, read);
        });
    }

    /// A take-over of some hundred addresses is as many changes; nobody has to look at each.
    #[test]
    fn root_the_table_goes_on_after_any_number_of_changes_that_nobody_looked_at() {
        with_watch(RECEIVE_BUFFER, async |lab, watch| {
            for verb in ["add", "del", "add", "del", "add", "del"] {
                let command = |n| format!("address {verb} 10.99.0.{n}/32 dev near");
                lab.ip_batch((1..=200).map(command));
                tokio::task::yield_now().await;
            }
            lab.ip("address add 10.99.1.1/32 dev near");
            until(watch, lab.near, |link| {
                has(link, "10.99.1.1/32") && !has(link, "10.99.0.200/32")
            })
            .await;
        });
    }
}
