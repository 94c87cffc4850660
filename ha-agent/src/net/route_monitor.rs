//! Hearing that routes of ours are removed, or rules of anybody.
//!
//! A router's tables change all the time. A filter on the socket lets only removals through, and of routes
//! only those that carry our protocol: whatever else happens there wakes nobody.

use std::io;

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use netlink_sys::AsyncSocket as _;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use socket2::{SockFilter, SockRef};
use tokio::task::JoinSet;

use super::links::monitor::Notification;
use super::routing::RTPROT_HA_AGENT;

/// Removals taken in before they are told, so that a flood is one piece of news.
const DRAIN: usize = 1024;

/// `RTM_DELROUTE` and `RTM_DELRULE` of linux/rtnetlink.h.
const DELROUTE: u16 = 25;
const DELRULE: u16 = 33;

/// Where `nlmsg_type` is in a message, and where `rtm_protocol` is in one about a route: `struct nlmsghdr` is
/// 16 bytes long.
const TYPE_AT: u32 = 4;
const PROTOCOL_AT: u32 = 16 + 5;

/// The watch.
pub struct RouteMonitor<S> {
    messages: S,
    // Drives the socket, and stops when the watch is dropped.
    _connection: JoinSet<()>,
    // The connection ends with its last handle.
    _handle: rtnetlink::Handle,
}

/// Opens the watch, inside a tokio runtime, in the calling thread's network namespace.
pub fn watch() -> io::Result<RouteMonitor<impl Stream<Item = Notification> + Unpin>> {
    let (mut connection, handle, messages) = new_multicast_connection(&[
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
        MulticastGroup::Ipv4Rule,
        MulticastGroup::Ipv6Rule,
    ])?;
    // What came before the filter only makes us look once in vain.
    let socket = connection.socket_mut().socket_mut();
    SockRef::from(&*socket).attach_filter(&filter())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    Ok(RouteMonitor {
        messages,
        _connection: tasks,
        _handle: handle,
    })
}

impl<S: Stream<Item = Notification> + Unpin> RouteMonitor<S> {
    /// Waits for removals; those that are there at once are one. `None` if the kernel tells no more. News
    /// that were lost, because nobody listened for long, count as removals.
    pub async fn next(&mut self) -> Option<()> {
        self.messages.next().await?;
        for _ in 0..DRAIN {
            match self.messages.next().now_or_never() {
                Some(message) => {
                    message?;
                }
                None => break,
            }
        }
        Some(())
    }
}

/// A classic BPF program (bpf(4)): it loads in network order what the kernel wrote in its own.
fn filter() -> [SockFilter; 7] {
    // BPF_LD | BPF_H | BPF_ABS and so on, of linux/bpf_common.h.
    const LOAD_16: u16 = 0x28;
    const LOAD_8: u16 = 0x30;
    const IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    [
        SockFilter::new(LOAD_16, 0, 0, TYPE_AT),
        SockFilter::new(IF_EQUAL, 3, 0, kind(DELRULE)),
        SockFilter::new(IF_EQUAL, 0, 3, kind(DELROUTE)),
        SockFilter::new(LOAD_8, 0, 0, PROTOCOL_AT),
        SockFilter::new(IF_EQUAL, 0, 1, u32::from(RTPROT_HA_AGENT)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
