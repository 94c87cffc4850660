//! Who listens on an address: so that the death of a service behind an `http` or `tcp` check is
//! noticed at once although the configuration names no process.
//!
//! The listening sockets of the address come from `/proc/net/tcp{,6}`, their holders from the file
//! descriptors under `/proc`. Of a prefork server's many holders, the one that matters is the one that
//! all others descend from. Reading the descriptors of other users' processes takes `CAP_SYS_PTRACE`
//! (and `CAP_DAC_READ_SEARCH` for those that do not belong to root).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};

use procfs::FromBufReadSI;
use procfs::net::{TcpNetEntries, TcpState};
use procfs::process::{FDTarget, Process, all_processes};
use thiserror::Error;

/// Why no owner can be named; deaths are then noticed by polling.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum NoOwner {
    /// Another host's.
    #[error("the address is not local")]
    Remote,
    /// Forwarded somewhere else, or in another network namespace.
    #[error("no process of this network namespace listens there")]
    NoListener,
    /// Its descriptors cannot be read, or only init holds the socket.
    #[error("cannot find the listening process (this requires CAP_SYS_PTRACE)")]
    Hidden,
}

/// The process whose end is the end of the service at `address`. It blocks: not for a runtime's thread.
pub(super) fn owner(address: SocketAddr) -> Result<u32, NoOwner> {
    if !is_local(address.ip()) {
        return Err(NoOwner::Remote);
    }
    let mut listeners = listening("/proc/thread-self/net/tcp");
    listeners.extend(listening("/proc/thread-self/net/tcp6"));
    let sockets = sockets_for(address, &listeners);
    if sockets.is_empty() {
        return Err(NoOwner::NoListener);
    }
    eldest(&holders(&sockets)).ok_or(NoOwner::Hidden)
}

fn is_local(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return false;
    };
    interfaces
        .filter_map(|interface| interface.address)
        .any(|own| match address {
            IpAddr::V4(v4) => own.as_sockaddr_in().is_some_and(|own| own.ip() == v4),
            IpAddr::V6(v6) => own.as_sockaddr_in6().is_some_and(|own| own.ip() == v6),
        })
}

/// Listening sockets with their inodes. The kernel lists them before all others, so reading stops at
/// the first other one: a busy host has a hundred thousand of those.
fn listening(path: &str) -> Vec<(SocketAddr, u64)> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let mut text = String::new();
    for (number, line) in BufReader::new(file)
        .lines()
        .map_while(Result::ok)
        .enumerate()
    {
        let listens = line.split_whitespace().nth(3) == Some("0A");
        if number > 0 && !listens {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    let entries = TcpNetEntries::from_buf_read(text.as_bytes(), procfs::current_system_info());
    entries
        .map(|entries| entries.0)
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| (entry.local_address, entry.inode))
        .collect()
}

/// The sockets that a connection to `address` ends at: the kernel prefers one bound to the very
/// address, then a wildcard of the family, then IPv6's wildcard for IPv4.
fn sockets_for(address: SocketAddr, listeners: &[(SocketAddr, u64)]) -> HashSet<u64> {
    let rank = |local: IpAddr| {
        if local.to_canonical() == address.ip() {
            Some(0)
        } else if local.is_unspecified() && local.is_ipv4() == address.is_ipv4() {
            Some(1)
        } else if local.is_unspecified() && local.is_ipv6() {
            Some(2)
        } else {
            None
        }
    };
    let ranked: Vec<(u8, u64)> = listeners
        .iter()
        .filter(|(local, _)| local.port() == address.port())
        .filter_map(|(local, inode)| Some((rank(local.ip())?, *inode)))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    ranked
        .into_iter()
        .filter(|(rank, _)| Some(*rank) == best)
        .map(|(_, inode)| inode)
        .collect()
}

/// A process that holds one of the sockets.
#[derive(Clone, Copy, Debug)]
struct Holder {
    pid: i32,
    parent: i32,
    started: u64,
}

fn holders(sockets: &HashSet<u64>) -> Vec<Holder> {
    let Ok(processes) = all_processes() else {
        return Vec::new();
    };
    processes
        .filter_map(Result::ok)
        .filter(|process| holds(process, sockets))
        .filter_map(|process| process.stat().ok())
        .map(|stat| Holder {
            pid: stat.pid,
            parent: stat.ppid,
            started: stat.starttime,
        })
        .collect()
}

fn holds(process: &Process, sockets: &HashSet<u64>) -> bool {
    process.fd().is_ok_and(|fds| {
        fds.filter_map(Result::ok)
            .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
    })
}

/// The oldest holder whose parent is none. Init does not count: it keeps sockets for services that it
/// starts on demand, and never dies.
fn eldest(holders: &[Holder]) -> Option<u32> {
    let holders: HashMap<i32, Holder> = holders
        .iter()
        .filter(|holder| holder.pid > 1)
        .map(|holder| (holder.pid, *holder))
        .collect();
    holders
        .values()
        .filter(|holder| !holders.contains_key(&holder.parent))
        .min_by_key(|holder| (holder.started, holder.pid))
        .and_then(|holder| u32::try_from(holder.pid).ok())
}

/// The text of a small file, at most `limit` bytes of it.
pub(super) fn read_bounded(path: &std::path::Path, limit: u64) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_owner_of_a_listener_of_either_family_is_found() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            assert_eq!(owner(address), Ok(std::process::id()), "{bind}");
        }
    }

    #[test]
    fn an_address_of_another_host_and_a_free_port_have_no_owner() {
        assert_eq!(owner("192.0.2.1:80".parse().unwrap()), Err(NoOwner::Remote));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(owner(address), Err(NoOwner::NoListener));
    }

    #[test]
    fn a_socket_bound_to_the_address_beats_the_wildcards() {
        let listeners: Vec<(SocketAddr, u64)> = [
            ("[::]:80", 1),
            ("0.0.0.0:80", 2),
            ("127.0.0.1:80", 3),
            ("127.0.0.1:80", 4),
            ("10.0.0.1:80", 5),
            ("127.0.0.1:81", 6),
        ]
        .into_iter()
        .map(|(address, inode)| (address.parse().unwrap(), inode))
        .collect();
        let found = |address: &str, from: usize| {
            let mut found: Vec<u64> = sockets_for(address.parse().unwrap(), &listeners[..from])
                .into_iter()
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found("127.0.0.1:80", 6), [3, 4]);
        assert_eq!(found("127.0.0.1:80", 2), [2]);
        assert_eq!(found("127.0.0.1:80", 1), [1]);
        assert_eq!(found("[::1]:80", 6), [1]);
        assert_eq!(found("127.0.0.1:82", 6), [0_u64; 0]);
    }

    #[test]
    fn of_a_family_of_holders_the_one_that_the_others_descend_from_counts() {
        let holder = |pid, parent, started| Holder {
            pid,
            parent,
            started,
        };
        let init = holder(1, 0, 0);
        let (master, worker) = (holder(700, 1, 50), holder(20, 700, 60));
        assert_eq!(eldest(&[worker, init, master]), Some(700));
        assert_eq!(eldest(&[init]), None);
        // A master that was killed leaves workers of equal rank.
        assert_eq!(eldest(&[holder(30, 1, 70), holder(31, 1, 60)]), Some(31));
    }
}
