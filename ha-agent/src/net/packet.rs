//! Packets of one kind that come in on an interface, for who listens to them for a moment.
//!
//! A filter lets only protocol 112 through, so that whatever else comes in wakes nobody. A packet socket is given them
//! before the programs at tc, which may end adverts; those in XDP come before it.

use std::io;
use std::os::fd::OwnedFd;

use ha_common::units::Family;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::multicast::IPPROTO_VRRP;
use crate::os::async_fd;

/// The Ethernet types of IPv4 and IPv6: `ETH_P_IP` and `ETH_P_IPV6` of `linux/if_ether.h`.
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

/// The largest packet of all: v3 over IPv6 with 255 addresses and a signature.
const LARGEST: usize = 60 + 8 + 255 * 16 + 64;

/// Where the protocol is in a header of IPv4, and in one of IPv6.
const PROTOCOL_AT: u32 = 9;
const NEXT_HEADER_AT: u32 = 6;

/// What hears adverts of one family on one interface, from its header on, whomever they are for.
pub struct AdvertListener(AsyncFd<OwnedFd>);

impl AdvertListener {
    /// Listens from now on, in the calling thread's network namespace and within a tokio runtime.
    pub fn open(ifindex: u32, family: Family) -> io::Result<Self> {
        let (ethertype, at) = match family {
            Family::V4 => (ETH_P_IP, PROTOCOL_AT),
            Family::V6 => (ETH_P_IPV6, NEXT_HEADER_AT),
        };
        // Protocol 0: nothing comes before the filter and the interface are set.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&filter(at))?;
        socket.bind(&packet_address(ifindex, ethertype)?)?;
        async_fd::watch(OwnedFd::from(socket)).map(Self)
    }

    /// The next packet, with its IP header. Cancel-safe.
    pub async fn next(&self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; LARGEST];
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|fd| Ok(nix::unistd::read(fd.get_ref(), &mut packet)?));
            if let Ok(length) = read {
                packet.truncate(length?);
                return Ok(packet);
            }
        }
    }
}

/// A classic BPF program (bpf(4)); offsets are from the IP header on.
fn filter(protocol_at: u32) -> [SockFilter; 4] {
    const LOAD_8: u16 = 0x30;
    const IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_8, 0, 0, protocol_at),
        SockFilter::new(IF_EQUAL, 0, 1, u32::from(IPPROTO_VRRP)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// `sockaddr_ll` for packets of an `EtherType` on an interface.
fn packet_address(ifindex: u32, ethertype: u16) -> io::Result<SockAddr> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let raw = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(invalid)?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(ifindex).map_err(invalid)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let size = libc::socklen_t::try_from(size_of_val(&raw)).map_err(invalid)?;
    // SAFETY: the storage is at least as large and as aligned as any socket address, and
    // `length` is set to the size of what is written into it.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage.cast::<libc::sockaddr_ll>().write(raw);
            *length = size;
            Ok(())
        })
    }?;
    Ok(address)
}
