//! A segment for tests: two network namespaces joined by a veth pair, private to one thread.
//!
//! The namespaces have no names and vanish with the thread and its sockets. Tests that use it are
//! called `root_...` and fail without root rather than pass unseen.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ha_common::units::Family;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::AddressTable;
use ha_common::wire::numbers::TTL;

use super::advert::{AdvertError, AdvertSocket, RawSocket};
use super::multicast;
use super::observed::ObservedAddress;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The two ends: the test's thread is in the namespace of `near`.
pub(crate) struct Lab {
    here: File,
    there: File,
    /// Index of the interface `near`.
    pub(crate) near: u32,
    /// Index of the interface `far` in its own namespace.
    pub(crate) far: u32,
}

/// The Ethernet address of `near`.
pub(crate) const NEAR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// Runs a test in a fresh pair of namespaces, both ends up, without duplicate address detection.
pub(crate) fn run(test: impl FnOnce(&Lab) + Send) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test makes network namespaces and needs root; `cargo xtask test` runs it"
    );
    std::thread::scope(|scope| {
        let body = scope.spawn(|| test(&Lab::new()));
        if let Err(panic) = body.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Lab {
    fn new() -> Self {
        let there = fresh_namespace();
        let here = fresh_namespace();
        let mut lab = Self {
            here,
            there,
            near: 0,
            far: 0,
        };
        lab.ip("link set lo up");
        // Different indices, or the kernel takes the pair for ordinary interfaces, whose carrier it
        // looks at once a second.
        lab.ip(&format!(
            "link add near index 10 address 02:00:00:00:00:01 type veth peer name far index 11 address 02:00:00:00:00:02 netns /proc/{}/fd/{}",
            std::process::id(),
            lab.there.as_raw_fd()
        ));
        lab.ip("link set near up");
        lab.far(|| ip(&["link", "set", "far", "up"], ""));
        lab.near = nix::net::if_::if_nametoindex("near").unwrap();
        lab.far = lab.far(|| nix::net::if_::if_nametoindex("far").unwrap());
        lab.settle();
        lab
    }

    /// Waits until IPv6 works on both ends; the kernel sets it up some time after the carrier.
    pub(crate) fn settle(&self) {
        wait_for_link_local(self.near);
        self.far(|| wait_for_link_local(self.far));
    }

    /// Runs `ip` in the near namespace with these words.
    #[expect(
        clippy::unused_self,
        reason = "only a thread that has a lab is in a namespace of its own"
    )]
    pub(crate) fn ip(&self, words: &str) {
        ip(&words.split(' ').collect::<Vec<_>>(), "");
    }

    /// Runs many `ip` commands in the near namespace, by one process.
    #[expect(
        clippy::unused_self,
        reason = "only a thread that has a lab is in a namespace of its own"
    )]
    pub(crate) fn ip_batch(&self, commands: impl Iterator<Item = String>) {
        let lines: Vec<_> = commands.collect();
        ip(&["-batch", "-"], &lines.join("\n"));
    }

    /// Runs something in the far namespace; sockets opened there stay there.
    pub(crate) fn far<T>(&self, body: impl FnOnce() -> T) -> T {
        setns(&self.there, CloneFlags::CLONE_NEWNET).unwrap();
        let result = body();
        setns(&self.here, CloneFlags::CLONE_NEWNET).unwrap();
        result
    }
}

/// Makes a folder read-only for the calling thread alone, as it is in a container.
pub(crate) fn make_read_only(folder: &str) {
    // A mount namespace of its own needs its own idea of the current folder.
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some(folder), folder, none, MsFlags::MS_BIND, none).unwrap();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(none, folder, none, flags, none).unwrap();
}

/// Moves the calling thread into a new namespace and returns a handle of it.
fn fresh_namespace() -> File {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").unwrap();
    }
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Waits until IPv6 works on an interface of the namespace that the thread is in.
pub(crate) fn wait_for_link_local(ifindex: u32) {
    const RTMGRP_IPV6_IFADDR: u32 = 0x100;
    let mut changes = netlink_sys::Socket::new(NETLINK_ROUTE).unwrap();
    changes
        .bind(&SocketAddr::new(0, RTMGRP_IPV6_IFADDR))
        .unwrap();
    SockRef::from(&changes)
        .set_read_timeout(Some(PATIENCE))
        .unwrap();
    let mut book = AddressTable::open().unwrap();
    let is_there = |present: &ObservedAddress| present.net.addr().is_ipv6() && present.usable();
    while !book.list(ifindex).unwrap().iter().any(is_there) {
        changes.recv_from_full().expect("no IPv6 address came up");
    }
}

/// Runs `ip` in the namespace that the thread is in, and returns what it prints.
pub(crate) fn ip_here(words: &str) -> String {
    ip(&words.split(' ').collect::<Vec<_>>(), "")
}

fn ip(words: &[&str], input: &str) -> String {
    run_command("ip", words, input)
}

/// Runs a program in the namespace that the thread is in.
pub(crate) fn command(program: &str, words: &[&str]) {
    run_command(program, words, "");
}

fn run_command(program: &str, words: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    assert!(
        status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).unwrap()
}

/// A sender of adverts to the group of its source's family, in the namespace that the thread is in.
pub(crate) fn advert_socket(interface: &str, ifindex: u32, source: IpAddr) -> AdvertSocket {
    let family = if source.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    };
    let socket = Arc::new(RawSocket::open(interface, source).unwrap());
    AdvertSocket::by(socket, ifindex, source, TTL, [multicast::group(family)])
}

/// Sends to the first of a sender's destinations.
pub(crate) fn send(sender: &AdvertSocket, message: &[u8]) -> Result<(), AdvertError> {
    sender.send(sender.destinations().first().unwrap(), message)
}

/// Whole frames of one `EtherType` that arrive at an interface.
pub(crate) struct Capture(Socket);

impl Capture {
    /// Captures from now on, in the namespace that the thread is in.
    pub(crate) fn open(ifindex: u32, ethertype: u16) -> Self {
        let protocol = i32::from(ethertype.to_be());
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(protocol))).unwrap();
        socket.bind(&packet_address(ifindex, ethertype)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next frame.
    pub(crate) fn next(&self) -> Vec<u8> {
        let mut frame = vec![0; 9000];
        let length = (&self.0).read(&mut frame).expect("no frame arrived");
        frame.truncate(length);
        frame
    }

    /// The next frame of a kind.
    pub(crate) fn next_where(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            let frame = self.next();
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

/// `sockaddr_ll` for an interface.
fn packet_address(ifindex: u32, ethertype: u16) -> SockAddr {
    const SIZE: libc::socklen_t = 20;
    assert_eq!(size_of::<libc::sockaddr_ll>(), 20);
    let raw = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap(),
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(ifindex).unwrap(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the storage is at least as large and as aligned as any socket address, and
    // `length` is set to the size of what is written into it.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage.cast::<libc::sockaddr_ll>().write(raw);
            *length = SIZE;
            Ok(())
        })
    }
    .unwrap();
    address
}
