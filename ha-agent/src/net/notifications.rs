//! What the kernel tells by itself of changes in its network tables (rtnetlink(7), `RTNLGRP_*`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::netlink::{NetlinkError, for_each_message};

/// Notifications of a link carry all that is known of it, of some cards that is much.
const READ_BUFFER: usize = 64 << 10;

/// Groups of linux/rtnetlink.h.
pub(super) mod group {
    pub(in crate::net) const LINK: u32 = 1;
    pub(in crate::net) const IPV4_ADDRESS: u32 = 5;
    pub(in crate::net) const IPV4_ROUTE: u32 = 7;
    pub(in crate::net) const IPV4_RULE: u32 = 8;
    pub(in crate::net) const IPV6_ADDRESS: u32 = 9;
    pub(in crate::net) const IPV6_ROUTE: u32 = 11;
    pub(in crate::net) const IPV6_RULE: u32 = 19;
    pub(in crate::net) const IPV6_NETCONF: u32 = 25;
}

/// What came of asking for the next datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// There was one.
    Heard,
    /// Notifications were lost: nobody has read them for too long, or one cannot be read.
    Lost,
    /// Nothing waits.
    Nothing,
}

/// A socket that is a member of groups. It never blocks; poll its descriptor.
pub(super) struct Notifications {
    socket: Socket,
    incoming: Vec<u8>,
}

impl Notifications {
    /// Opens it in the calling thread's network namespace, with this much room, in bytes, for what nobody has read
    /// yet. Without `CAP_NET_ADMIN` it is at most the system's limit (sysctl `net.core.rmem_max`).
    pub(super) fn open(groups: &[u32], receive_buffer: usize) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &receive_buffer).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &receive_buffer)?;
        }
        socket.bind_auto()?;
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self {
            socket,
            incoming: Vec::with_capacity(READ_BUFFER),
        })
    }

    /// Reads a datagram, and hands out the type and the payload of each message in it.
    pub(super) fn next(&mut self, mut each: impl FnMut(u16, &[u8])) -> io::Result<Next> {
        self.incoming.clear();
        let received = self.socket.recv_from(&mut self.incoming, libc::MSG_TRUNC);
        let (length, sender) = match received {
            Ok(received) => received,
            Err(error) => return without_datagram(error),
        };
        if !is_from_kernel(&sender) {
            return Ok(Next::Heard);
        }
        if length > self.incoming.len() {
            return Ok(Next::Lost);
        }
        let walked = for_each_message(
            &self.incoming,
            |header, payload| -> Result<(), NetlinkError> {
                each(header.message_type, payload);
                Ok(())
            },
        );
        Ok(walked.map_or(Next::Lost, |()| Next::Heard))
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Another process could send what it likes.
fn is_from_kernel(sender: &SocketAddr) -> bool {
    sender.port_number() == 0
}

fn without_datagram(error: io::Error) -> io::Result<Next> {
    match error.raw_os_error().map(Errno::from_raw) {
        // The receive buffer was full.
        Some(Errno::ENOBUFS) => Ok(Next::Lost),
        Some(Errno::EAGAIN | Errno::EINTR) => Ok(Next::Nothing),
        _ => Err(error),
    }
}
