//! Packet sockets: the one place where the lab speaks to them in C.
#![expect(
    clippy::cast_possible_truncation,
    reason = "C declares these constants and sizes wider than the fields they go into"
)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike as _, bind, setsockopt,
    socket, sockopt,
};

/// Every ethertype.
const ALL: u16 = libc::ETH_P_ALL as u16;
/// Room for several seconds of a storm.
const RECEIVE_BUFFER: usize = 64 << 20;

/// A packet socket that sends on one interface and receives nothing.
pub(super) fn open_sender(interface: u32) -> io::Result<OwnedFd> {
    // Protocol 0: bound to no ethertype, so the kernel queues nothing for us.
    let socket = open(None)?;
    bind_to(&socket, interface, 0)?;
    Ok(socket)
}

/// A packet socket that receives VRRP, ARP and `ICMPv6` from all interfaces of the namespace of the
/// calling thread, in both directions, with the kernel's time stamps.
pub(super) fn open_receiver() -> io::Result<OwnedFd> {
    let socket = open(None)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    filter(&socket)?;
    // Bound last, so that nothing arrives before the filter and the stamps are in place.
    bind_to(&socket, 0, ALL)?;
    Ok(socket)
}

/// How many packets the kernel had no room for since the last call.
pub(super) fn dropped(socket: &OwnedFd) -> io::Result<u32> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: `stats` and `length` live across the call and the kernel writes at most `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(stats.tp_drops)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn open(protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?)
}

fn bind_to(socket: &OwnedFd, interface: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain data for which all bits zero are a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface.cast_signed();
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a sockaddr_ll whose family says so, and `length` is its size.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    let address = address.ok_or_else(|| io::Error::other("not a link-layer address"))?;
    Ok(bind(socket.as_raw_fd(), &address)?)
}

/// Lets only ARP, VRRP over IPv4 and IPv6, and `ICMPv6` in, so that the client's traffic costs the
/// capturing thread nothing. VLAN tags are stripped before packet sockets see a frame.
fn filter(socket: &OwnedFd) -> io::Result<()> {
    const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        op(LOAD_HALF, 12, 0, 0),
        op(JUMP_EQUAL, 0x0806, 7, 0),
        op(JUMP_EQUAL, 0x86dd, 3, 0),
        op(JUMP_EQUAL, 0x0800, 0, 6),
        op(LOAD_BYTE, 23, 0, 0),
        op(JUMP_EQUAL, 112, 3, 4),
        op(LOAD_BYTE, 20, 0, 0),
        op(JUMP_EQUAL, 112, 1, 0),
        op(JUMP_EQUAL, 58, 0, 1),
        op(RETURN, u32::MAX, 0, 0),
        op(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program during the call; `program` and its array outlive it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
