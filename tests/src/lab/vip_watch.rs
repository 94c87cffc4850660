//! When an address appears on a host and when it goes, told by the kernel.

use std::io::{PipeWriter, pipe};
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ha_common::units::Instant;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, poll};

use super::clock;
use super::host::Host;

/// The multicast groups of address changes: `RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

/// Room for the changes of some thousand addresses at once.
const RECEIVE_BUFFER: usize = 16 << 20;

/// One change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VipEvent {
    /// When the lab was told.
    pub at: Instant,
    /// Whether the address is there from now on.
    pub present: bool,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<VipEvent>,
    // Why the watching ended before it was told to.
    failure: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A watch on one address of one host, from its start until it is dropped.
#[derive(Debug)]
pub struct VipWatch {
    what: String,
    shared: Arc<Shared>,
    // Its closing is what tells the thread to end.
    _stop: PipeWriter,
}

impl Host {
    /// Watches an address of this host from now on.
    pub fn vip_watch(&self, address: IpAddr) -> Result<VipWatch> {
        let mut socket = self
            .ns()
            .inside(|| Socket::new(NETLINK_ROUTE))?
            .context("cannot open a netlink socket")?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .context("cannot make room for address changes")?;
        // Subscribed before the dump is asked for, so that no change falls between the two.
        socket
            .bind(&SocketAddr::new(0, ADDRESS_GROUPS))
            .context("cannot subscribe to address changes")?;
        request_dump(&socket)?;
        let (stopped, stop) = pipe()?;
        let shared = Arc::new(Shared::default());
        let sink = Arc::clone(&shared);
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let result = watch(&socket, &stopped, address, &sink, || {
                // The caller has gone only if it panicked.
                let _ = ready.send(());
            });
            if let Err(error) = result {
                sink.lock().failure = Some(format!("{error:#}"));
                sink.changed.notify_all();
            }
        });
        let what = format!("{address} on {}", self.name());
        if is_ready.recv_timeout(Duration::from_secs(5)).is_err() {
            let failure = shared.lock().failure.take().unwrap_or_default();
            bail!("cannot watch {what}: {failure}");
        }
        Ok(VipWatch {
            what,
            shared,
            _stop: stop,
        })
    }
}

impl VipWatch {
    /// Whether the address is there now.
    pub fn present(&self) -> bool {
        is_present(&self.shared.lock().events)
    }

    /// Every change so far; the first event tells how it was at the start.
    pub fn events(&self) -> Vec<VipEvent> {
        self.shared.lock().events.clone()
    }

    /// The changes at or after `since`.
    pub fn changes_since(&self, since: Instant) -> Vec<VipEvent> {
        let mut events = self.events();
        events.retain(|event| event.at >= since);
        events
    }

    /// Fails if the address came or went at or after `since`.
    pub fn undisturbed_since(&self, since: Instant) -> Result<()> {
        let changes = self.changes_since(since);
        ensure!(changes.is_empty(), "{} has moved: {changes:?}", self.what);
        Ok(())
    }

    /// Waits until the address is there; when it came.
    pub fn wait_present(&self, timeout: Duration) -> Result<Instant> {
        self.wait(true, timeout)
    }

    /// Waits until the address is not there; when it went.
    pub fn wait_absent(&self, timeout: Duration) -> Result<Instant> {
        self.wait(false, timeout)
    }

    fn wait(&self, present: bool, timeout: Duration) -> Result<Instant> {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), timeout, |state| {
                state.failure.is_none() && is_present(&state.events) != present
            })
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &state.failure {
            bail!("cannot watch {}: {failure}", self.what);
        }
        match state.events.last() {
            Some(event) if event.present == present => Ok(event.at),
            _ => {
                let wanted = if present {
                    "has not come"
                } else {
                    "has not gone"
                };
                bail!("{} {wanted} within {timeout:?}", self.what)
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_present(events: &[VipEvent]) -> bool {
    events.last().is_some_and(|event| event.present)
}

fn request_dump(socket: &Socket) -> Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket
        .send_to(&bytes, &SocketAddr::new(0, 0), 0)
        .context("cannot ask for the addresses")?;
    Ok(())
}

/// Reads messages until `stopped` hangs up.
fn watch(
    socket: &Socket,
    stopped: &std::io::PipeReader,
    address: IpAddr,
    shared: &Shared,
    dump_ended: impl Fn(),
) -> Result<()> {
    // SAFETY: `socket` is borrowed for the whole of this function and keeps its descriptor open.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    loop {
        let mut ready = [
            PollFd::new(&fd, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        poll(&mut ready, None).context("cannot wait for netlink")?;
        if !ready[1].revents().is_empty() {
            return Ok(());
        }
        let (datagram, sender) = socket.recv_from_full().context("lost address changes")?;
        let at = clock::now();
        // Other processes may send to us as well; only the kernel has port 0.
        if sender.port_number() != 0 {
            continue;
        }
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .context("the kernel sent a netlink message that cannot be read")?;
            let length = usize::try_from(message.header.length)?.next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            let present = match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(it))
                    if is_about(&it, address) =>
                {
                    true
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(it))
                    if is_about(&it, address) =>
                {
                    false
                }
                NetlinkPayload::Done(_) => {
                    if shared.lock().events.is_empty() {
                        shared.note(at, false);
                    }
                    dump_ended();
                    continue;
                }
                _ => continue,
            };
            shared.note(at, present);
        }
    }
}

impl Shared {
    /// Records a change; the kernel repeats an address whose flags or lifetimes change.
    fn note(&self, at: Instant, present: bool) {
        let mut state = self.lock();
        if state
            .events
            .last()
            .is_none_or(|last| last.present != present)
        {
            state.events.push(VipEvent { at, present });
            self.changed.notify_all();
        }
    }
}

fn is_about(message: &AddressMessage, address: IpAddr) -> bool {
    message.attributes.iter().any(|attribute| {
        matches!(attribute, AddressAttribute::Local(it) | AddressAttribute::Address(it) if *it == address)
    })
}
