//! Receiving adverts by raw sockets: the plain-socket datapath, where no BPF program can run or one is not wanted.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ha_common::units::Family;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::multicast::{self, IPPROTO_VRRP};

/// The largest message of all: v3 over IPv6 with 255 addresses. What is longer is no advert.
const LARGEST: usize = 60 + 8 + 255 * 16 + 64;

/// Room for a second of 255 virtual routers at 10 ms, at about 0.8 KiB of kernel memory each, before
/// adverts are lost; the kernel allocates only what waits.
const RECEIVE_BUFFER: usize = 20 << 20;

/// The receiver cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot receive adverts on {interface} by a raw socket: {source}{}",
    advice(source)
)]
pub struct ReceiveError {
    /// The interface's name.
    pub interface: String,
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` if there is no such interface.
    #[source]
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "; the agent needs CAP_NET_RAW",
        // Of all groups of the instances on the interface, on one socket.
        Some(libc::ENOBUFS) => "; raise net.ipv4.igmp_max_memberships",
        _ => "",
    }
}

/// A packet of protocol 112, as the kernel hands it over. Nothing about it has been checked but
/// the IP header itself; fragments have been put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<'a> {
    /// The whole packet with its IPv4 header.
    V4 {
        /// Header and payload.
        packet: &'a [u8],
    },
    /// The payload, and what the IPv6 header said.
    V6 {
        /// The sender.
        source: Ipv6Addr,
        /// `ff02::12`, or an address of this host.
        destination: Ipv6Addr,
        /// 255 from this link.
        hop_limit: u8,
        /// What follows the headers.
        payload: &'a [u8],
    },
}

/// A raw socket that receives one family's adverts on one interface: those sent to this host, and those to
/// the groups that it has joined.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    ifindex: u32,
    family: Family,
    groups: Vec<IpAddr>,
    buffer: Box<[u8]>,
    control: Vec<u8>,
    dropped: u32,
}

impl Receiver {
    /// Opens the socket, in the calling thread's network namespace.
    pub fn open(interface: &str, ifindex: u32, family: Family) -> Result<Self, ReceiveError> {
        let socket = open_socket(interface, family).map_err(|source| ReceiveError {
            interface: interface.to_owned(),
            source,
        })?;
        Ok(Self {
            socket,
            ifindex,
            family,
            groups: Vec::new(),
            buffer: vec![0; LARGEST].into_boxed_slice(),
            control: cmsg_space!(libc::in6_pktinfo, libc::c_int, u32),
            dropped: 0,
        })
    }

    /// Joins a group, unless it has already.
    pub fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if !self.groups.contains(&group) {
            multicast::join_group(&self.socket, group, self.ifindex)?;
            self.groups.push(group);
        }
        Ok(())
    }

    /// True if the group was joined and not left, whatever the kernel has made of it since.
    pub fn has_joined(&self, group: IpAddr) -> bool {
        self.groups.contains(&group)
    }

    /// Leaves a group, also one that the kernel has forgotten with the interface's memberships.
    pub fn leave(&mut self, group: IpAddr) {
        self.leave_others(|joined| joined != group);
    }

    /// Leaves the groups that nobody wants any more.
    pub fn leave_others(&mut self, wanted: impl Fn(IpAddr) -> bool) {
        for group in self.groups.extract_if(.., |group| !wanted(*group)) {
            // The membership of an interface that is gone is gone.
            let _ = multicast::leave_group(&self.socket, group, self.ifindex);
        }
    }

    /// The next packet; `None` when there is none for now. Packets longer than any advert are cut
    /// to a length at which they cannot be valid.
    pub fn receive(&mut self) -> io::Result<Option<Received<'_>>> {
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let received = loop {
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmsg::<SockaddrIn6>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut self.control),
                flags,
            ) {
                Ok(received) => break received,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        };
        let (mut destination, mut hop_limit) = (None, None);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                ControlMessageOwned::RxqOvfl(dropped) => self.dropped = dropped,
                _ => {}
            }
        }
        let (length, source) = (received.bytes, received.address);
        let data = self.buffer.get(..length).unwrap_or_default();
        Ok(Some(match (self.family, source, destination, hop_limit) {
            (Family::V4, ..) => Received::V4 { packet: data },
            (Family::V6, Some(source), Some(destination), Some(hop_limit)) => Received::V6 {
                source: source.ip(),
                destination,
                hop_limit,
                payload: data,
            },
            (Family::V6, ..) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the kernel gave no source for an IPv6 packet",
                ));
            }
        }))
    }

    /// How many packets the kernel had to drop since the socket was opened because nobody read
    /// them in time, as of the last packet read.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open_socket(interface: &str, family: Family) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let protocol = Protocol::from(i32::from(IPPROTO_VRRP));
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    // Bound first: between the two calls the other interfaces' adverts would come in.
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_nonblocking(true)?;
    match family {
        Family::V4 => socket.set_multicast_all_v4(false)?,
        Family::V6 => {
            socket.set_multicast_all_v6(false)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        }
    }
    setsockopt(&socket, sockopt::RxqOvfl, &1)?;
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        // Without CAP_NET_ADMIN, what the system allows.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::net::advert::{AdvertSocket, RawSocket};
    use crate::net::lab;
    use ha_common::wire::numbers::TTL;

    const MESSAGE: [u8; 12] = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 99, 0, 100];

    fn wait(receiver: &Receiver) {
        let timeout = PollTimeout::try_from(lab::PATIENCE).unwrap();
        let mut fds = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, timeout).unwrap(), 1, "nothing arrived");
    }

    fn far_sender(lab: &lab::Lab, source: &str) -> AdvertSocket {
        lab.far(|| lab::advert_socket("far", lab.far, source.parse().unwrap()))
    }

    /// A receiver on `near` that has joined the family's group.
    fn receiver(lab: &lab::Lab, family: Family) -> Receiver {
        let mut receiver = Receiver::open("near", lab.near, family).unwrap();
        receiver.join(multicast::group(family)).unwrap();
        receiver
    }

    #[test]
    fn root_an_ipv4_advert_arrives_with_its_header() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            let mut receiver = receiver(lab, Family::V4);
            assert_eq!(receiver.receive().unwrap(), None);
            lab::send(&far_sender(lab, "10.99.0.2"), &MESSAGE).unwrap();
            wait(&receiver);
            let Some(Received::V4 { packet }) = receiver.receive().unwrap() else {
                panic!()
            };
            assert_eq!(packet[..4], [0x45, 0xc0, 0, 32]);
            assert_eq!(packet[8..10], [255, 112]);
            assert_eq!(packet[12..20], [10, 99, 0, 2, 224, 0, 0, 18]);
            assert_eq!(packet[20..], MESSAGE);
            assert_eq!(receiver.receive().unwrap(), None);
            assert_eq!(receiver.dropped(), 0);
        });
    }

    #[test]
    fn root_an_ipv6_advert_arrives_with_what_its_header_said() {
        lab::run(|lab| {
            let mut receiver = receiver(lab, Family::V6);
            lab::send(&far_sender(lab, "fe80::ff:fe00:2"), &MESSAGE).unwrap();
            wait(&receiver);
            let expected = Received::V6 {
                source: "fe80::ff:fe00:2".parse().unwrap(),
                destination: multicast::GROUP_V6,
                hop_limit: 255,
                payload: &MESSAGE,
            };
            assert_eq!(receiver.receive().unwrap(), Some(expected));
        });
    }

    #[test]
    fn root_own_adverts_and_other_interfaces_are_not_heard() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.ip("link add other type veth peer name another");
            lab.ip("link set other up");
            lab.ip("link set another up");
            let index = |name| nix::net::if_::if_nametoindex(name).unwrap();
            lab::wait_for_link_local(index("another"));
            for (family, own, far) in [
                (Family::V4, "10.99.0.1", "10.99.0.2"),
                (Family::V6, "fe80::ff:fe00:1", "fe80::ff:fe00:2"),
            ] {
                let mut receiver = receiver(lab, family);
                let own: IpAddr = own.parse().unwrap();
                lab::send(&lab::advert_socket("near", lab.near, own), &[1; 12]).unwrap();
                let another = index("another");
                let another = lab::advert_socket("another", another, far.parse().unwrap());
                lab::send(&another, &[2; 12]).unwrap();
                // The last one sent is the first and only one heard.
                lab::send(&far_sender(lab, far), &MESSAGE).unwrap();
                wait(&receiver);
                match receiver.receive().unwrap().unwrap() {
                    Received::V4 { packet } => assert_eq!(packet[20..], MESSAGE),
                    Received::V6 { payload, .. } => assert_eq!(payload, MESSAGE),
                }
                assert_eq!(receiver.receive().unwrap(), None);
            }
        });
    }

    #[test]
    fn root_a_group_is_heard_from_its_joining_to_its_leaving_and_unicast_always() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.far(|| lab.ip("address add 10.99.0.2/24 dev far"));
            let other: IpAddr = "224.0.0.77".parse().unwrap();
            let own: IpAddr = "10.99.0.1".parse().unwrap();
            let source: IpAddr = "10.99.0.2".parse().unwrap();
            let socket = lab.far(|| RawSocket::open("far", source)).unwrap();
            let sender = AdvertSocket::by(Arc::new(socket), lab.far, source, TTL, [other, own]);
            let mut receiver = Receiver::open("near", lab.near, Family::V4).unwrap();
            // What went to the group before is not heard, or it would come first.
            let hear = |receiver: &mut Receiver| {
                for to in sender.destinations() {
                    sender.send(to, &MESSAGE).unwrap();
                }
                let mut heard = Vec::new();
                while heard.last() != Some(&own) {
                    wait(receiver);
                    while let Some(Received::V4 { packet }) = receiver.receive().unwrap() {
                        let to = <[u8; 4]>::try_from(&packet[16..20]).unwrap();
                        heard.push(IpAddr::from(to));
                    }
                }
                heard
            };
            assert_eq!(hear(&mut receiver), [own]);
            receiver.join(other).unwrap();
            receiver.join(other).unwrap();
            assert_eq!(hear(&mut receiver), [other, own]);
            receiver.leave_others(|_| false);
            assert_eq!(hear(&mut receiver), [own]);
        });
    }

    #[test]
    fn root_a_flood_that_nobody_reads_is_counted() {
        lab::run(|lab| {
            let mut receiver = receiver(lab, Family::V6);
            // A small buffer stands in for a long flood; the kernel's smallest holds a few.
            receiver.socket.set_recv_buffer_size(0).unwrap();
            let sender = far_sender(lab, "fe80::ff:fe00:2");
            for _ in 0..100 {
                lab::send(&sender, &MESSAGE).unwrap();
            }
            wait(&receiver);
            let mut read = 0;
            while receiver.receive().unwrap().is_some() {
                read += 1;
            }
            lab::send(&sender, &MESSAGE).unwrap();
            wait(&receiver);
            assert!(receiver.receive().unwrap().is_some());
            assert_eq!(read + receiver.dropped(), 100);
            assert!(receiver.dropped() > 0);
        });
    }
}
