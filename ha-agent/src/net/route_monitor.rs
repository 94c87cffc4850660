//! Hearing that routes of ours are removed, or rules of anybody.
//!
//! A router's tables change all the time. A filter on the socket lets only removals through, and of routes
//! only those that carry our protocol: whatever else happens there wakes nobody.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use ha_common::units::Instant;
use socket2::{SockFilter, SockRef};
use tokio::io::unix::AsyncFd;

use super::notifications::{Next, Notifications, group};
use super::retry::Trouble;
use super::routing::RTPROT_HA_AGENT;
use crate::os::latest::{self, Latest, Publisher};
use crate::os::{async_fd, clock};

/// Removals taken in before they are told, so that a flood is one piece of news.
const DRAIN: usize = 1024;

/// Room, in bytes, for removals that nobody has read; when it is full they count as one.
const RECEIVE_BUFFER: usize = 1 << 20;

/// `RTM_DELROUTE` and `RTM_DELRULE` of linux/rtnetlink.h.
const DELROUTE: u16 = 25;
const DELRULE: u16 = 33;

/// Where `nlmsg_type` is in a message, and where `rtm_protocol` is in one about a route: `struct nlmsghdr` is
/// 16 bytes long.
const TYPE_AT: u32 = 4;
const PROTOCOL_AT: u32 = 16 + 5;

/// The watch. It never ends: what fails is tried again.
pub struct RouteMonitor {
    open: Option<(Notifications, AsyncFd<OwnedFd>)>,
    trouble: Publisher<Option<Trouble>>,
}

impl RouteMonitor {
    /// One that opens itself when it is first listened to, inside a tokio runtime, in the network namespace of the
    /// thread that does; and why it hears nothing, if it does not.
    pub fn new() -> (Self, Latest<Option<Trouble>>) {
        let (trouble, shown) = latest::channel(None);
        (
            Self {
                open: None,
                trouble,
            },
            shown,
        )
    }

    /// Waits for removals; those that are there at once are one. News that were lost, because nobody listened for long
    /// or could, count as removals.
    pub async fn next(&mut self) {
        loop {
            let Some((notifications, readable)) = &mut self.open else {
                self.reopen().await;
                return;
            };
            let Ok(mut ready) = readable.readable().await else {
                self.open = None;
                continue;
            };
            let heard = drain(notifications);
            ready.clear_ready();
            match heard {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => self.fail(&error),
            }
        }
    }

    async fn reopen(&mut self) {
        loop {
            let next = self.trouble.get().map_or(Instant(0), |it| it.next);
            tokio::time::sleep(next.since(clock::now()).to_duration()).await;
            match open() {
                Ok(open) => {
                    self.open = Some(open);
                    self.trouble.set(None);
                    return;
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.open = None;
        let why = format!("cannot hear of removed routes: {error}");
        let trouble = Trouble::after(self.trouble.get(), why, clock::now());
        self.trouble.set(Some(trouble));
    }
}

fn open() -> io::Result<(Notifications, AsyncFd<OwnedFd>)> {
    let groups = [
        group::IPV4_ROUTE,
        group::IPV6_ROUTE,
        group::IPV4_RULE,
        group::IPV6_RULE,
    ];
    let notifications = Notifications::open(&groups, RECEIVE_BUFFER)?;
    // What came before the filter only makes us look once in vain.
    SockRef::from(&notifications).attach_filter(&filter())?;
    let readable = notifications
        .as_fd()
        .try_clone_to_owned()
        .and_then(async_fd::watch)?;
    Ok((notifications, readable))
}

/// Takes in what is there; false if that is nothing.
fn drain(notifications: &mut Notifications) -> io::Result<bool> {
    let mut heard = false;
    for _ in 0..DRAIN {
        match notifications.next(|_, _| {})? {
            Next::Heard | Next::Lost => heard = true,
            Next::Nothing => break,
        }
    }
    Ok(heard)
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
