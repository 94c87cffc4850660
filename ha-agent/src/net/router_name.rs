//! A name for a virtual router on this host, by which two agents find out that they run the same one.
//!
//! It is that of an abstract Unix socket (unix(7)): such names belong to the network namespace, whatever directories an
//! agent uses, and go with the process that holds them, however that ends. Who finds a name taken asks its holder who it
//! is by connecting, and so tells it the same.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use ha_common::units::Family;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    socket, sockopt,
};
use nix::unistd::geteuid;

/// Those who ask and are not seen yet; more need not be.
const BACKLOG: i32 = 16;

/// A virtual router on an interface.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RouterName {
    pub ifindex: u32,
    pub family: Family,
    /// 1 to 255.
    pub vrid: u8,
}

/// Who has a name.
#[derive(Debug)]
pub enum Taken {
    /// We, for as long as this is there.
    Ours(HeldName),
    /// Another process: its pid, if it can be had.
    Theirs(Option<u32>),
}

/// A name that is ours.
#[derive(Debug)]
pub struct HeldName(UnixListener);

impl RouterName {
    fn address(self) -> nix::Result<UnixAddr> {
        let Self {
            ifindex,
            family,
            vrid,
        } = self;
        UnixAddr::new_abstract(format!("ha-agent/{ifindex}/{}/{vrid}", family as u8).as_bytes())
    }

    /// Takes it, if nobody has it.
    pub fn take(self) -> io::Result<Taken> {
        let address = self.address()?;
        let socket = open()?;
        match bind(socket.as_raw_fd(), &address) {
            Ok(()) => {
                listen(&socket, Backlog::new(BACKLOG)?)?;
                Ok(Taken::Ours(HeldName(socket.into())))
            }
            Err(Errno::EADDRINUSE) => Ok(Taken::Theirs(holder(&address))),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl HeldName {
    /// The pid of another agent that has found the name taken since this was asked last. Who is neither root nor of our own
    /// user runs none.
    pub fn visitor(&self) -> Option<u32> {
        let mut found = None;
        for _ in 0..=BACKLOG {
            let Ok((visitor, _)) = self.0.accept() else {
                break;
            };
            let Ok(credentials) = getsockopt(&visitor, sockopt::PeerCredentials) else {
                continue;
            };
            if credentials.uid() == 0 || credentials.uid() == geteuid().as_raw() {
                found = u32::try_from(credentials.pid()).ok();
            }
        }
        found
    }
}

fn open() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

fn holder(address: &UnixAddr) -> Option<u32> {
    let socket = open().ok()?;
    connect(socket.as_raw_fd(), address).ok()?;
    let credentials = getsockopt(&socket, sockopt::PeerCredentials).ok()?;
    u32::try_from(credentials.pid())
        .ok()
        .filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_who_hears_of_others_and_it_is_free_when_that_is_gone() {
        // No host has so many interfaces.
        let name = RouterName {
            ifindex: u32::MAX,
            family: Family::V4,
            vrid: 51,
        };
        let Taken::Ours(held) = name.take().unwrap() else {
            panic!("taken by somebody");
        };
        assert_eq!(held.visitor(), None);
        let Taken::Theirs(holder) = name.take().unwrap() else {
            panic!("taken twice");
        };
        assert_eq!(holder, Some(std::process::id()));
        assert_eq!(held.visitor(), Some(std::process::id()));
        assert_eq!(held.visitor(), None);
        let other = RouterName { vrid: 52, ..name };
        assert!(matches!(other.take().unwrap(), Taken::Ours(_)));
        drop(held);
        assert!(matches!(name.take().unwrap(), Taken::Ours(_)));
    }
}
