//! Sending advertisements by raw IP sockets.
//!
//! Raw IP and not packet sockets, so that the host's firewall applies: operators test a fail-over
//! by `iptables -I OUTPUT -p vrrp -j DROP`. The IP header is ours (`IPPROTO_RAW`), for three
//! reasons: the kernel delivers no received advert to such a socket, however many virtual routers
//! have one; an IPv4 identification that moves is under our control; and a primary address that a
//! network manager takes away for a moment does not stop the adverts and start a fail-over.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, MsgHdr, Protocol, SockAddr, Socket, Type};

use super::multicast::{IPPROTO_VRRP, receive_nothing};

/// Internetwork control, as routers mark their own traffic.
const TRAFFIC_CLASS: u8 = 0xc0;

/// `TC_PRIO_CONTROL`: the first band of the default queueing disciplines.
const QUEUE_PRIORITY: u32 = 7;

/// What may wait in a socket's queue: the adverts of a thousand virtual routers that leave together are about 1 MB to
/// the kernel, which counts a frame's whole memory and doubles what is asked for.
const SEND_BUFFER: usize = 1 << 20;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// An advert that did not leave.
#[derive(Debug, thiserror::Error)]
pub enum AdvertError {
    /// The socket cannot be opened or set up.
    #[error(
        "cannot open a raw socket for adverts on {interface}: {source}{}",
        advice(source)
    )]
    Open {
        /// The interface's name.
        interface: String,
        /// `EPERM` without `CAP_NET_RAW`, `ENODEV` if there is no such interface.
        source: io::Error,
    },
    /// The message does not fit the header's length field.
    #[error("an advert of {0} bytes does not fit an IP packet")]
    TooLong(usize),
    /// The message is larger than the interface's MTU; adverts are never fragmented.
    #[error(
        "an advert of {0} bytes is larger than the interface's MTU: use fewer addresses or a larger MTU"
    )]
    ExceedsMtu(usize),
    /// The host's firewall dropped it.
    #[error("the host's firewall (OUTPUT chain) drops the adverts")]
    Filtered,
    /// The interface is down or gone.
    #[error("the interface is down or gone: {0}")]
    LinkDown(#[source] io::Error),
    /// The queue of the interface, or the socket's buffer, is full.
    #[error("the interface's queue is full")]
    QueueFull,
    /// Anything else.
    #[error("cannot send an advert: {0}")]
    Send(#[source] io::Error),
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "; the agent needs CAP_NET_RAW",
        _ => "",
    }
}

/// A raw socket that sends one family's packets out of one interface; over IPv6, from one source address. All virtual
/// routers there share it.
#[derive(Debug)]
pub struct RawSocket(Socket);

impl RawSocket {
    /// Opens it in the calling thread's network namespace, for packets from `source`.
    pub fn open(interface: &str, source: IpAddr) -> Result<Self, AdvertError> {
        let socket = open_socket(interface, source).map_err(|source| AdvertError::Open {
            interface: interface.to_owned(),
            source,
        })?;
        Ok(Self(socket))
    }
}

/// What sends one virtual router's adverts out of one interface, from one source address, to a group or
/// to some peers.
#[derive(Debug)]
pub struct AdvertSocket {
    socket: Arc<RawSocket>,
    header: Header,
    destinations: Vec<Destination>,
    /// The next IPv4 identification.
    identification: AtomicU16,
}

/// A group or a peer, as the kernel and as the IP header want it.
#[derive(Debug)]
pub struct Destination {
    pub address: IpAddr,
    socket_address: SockAddr,
}

/// The IP header as it is before length and identification are known.
#[derive(Clone, Copy, Debug)]
enum Header {
    V4([u8; IPV4_HEADER]),
    V6([u8; IPV6_HEADER]),
}

impl AdvertSocket {
    /// Sends by a socket that was opened for the interface and, over IPv6, for this source. `source` is the interface's
    /// primary address, or its link-local one for IPv6 (RFC 9568 sections 5.1.1.1, 5.1.2.1,
    /// 7.2 (source); RFC 3768 section 7.2 (source)), unless configured otherwise. `hops` is 255 to a
    /// group. The `destinations` are of the source's family.
    pub fn by(
        socket: Arc<RawSocket>,
        ifindex: u32,
        source: IpAddr,
        hops: u8,
        destinations: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let header = match source {
            IpAddr::V4(source) => Header::V4(header_v4(source, hops)),
            IpAddr::V6(source) => Header::V6(header_v6(source, hops)),
        };
        let destination = |address| Destination::new(address, ifindex);
        Self {
            socket,
            header,
            destinations: destinations.into_iter().map(destination).collect(),
            identification: AtomicU16::new(1),
        }
    }

    /// Where adverts go, in the order in which they were given.
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// Sends a ready VRRP message, with the checksum for this destination. Never waits, never allocates.
    pub fn send(&self, to: &Destination, message: &[u8]) -> Result<(), AdvertError> {
        let too_long = |_| AdvertError::TooLong(message.len());
        match (self.header, to.address) {
            (Header::V4(mut header), IpAddr::V4(address)) => {
                let total = u16::try_from(IPV4_HEADER + message.len()).map_err(too_long)?;
                header[2..4].copy_from_slice(&total.to_be_bytes());
                header[4..6].copy_from_slice(&self.next_identification().to_be_bytes());
                header[16..20].copy_from_slice(&address.octets());
                self.send_parts(to, &header, message)
            }
            (Header::V6(mut header), IpAddr::V6(address)) => {
                let length = u16::try_from(message.len()).map_err(too_long)?;
                header[4..6].copy_from_slice(&length.to_be_bytes());
                header[24..40].copy_from_slice(&address.octets());
                self.send_parts(to, &header, message)
            }
            (Header::V4(_), IpAddr::V6(_)) | (Header::V6(_), IpAddr::V4(_)) => Err(
                AdvertError::Send(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            ),
        }
    }

    /// Zero would make the kernel choose one.
    fn next_identification(&self) -> u16 {
        let next = |id: u16| Some(id.checked_add(1).unwrap_or(1));
        self.identification
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or(1)
    }

    fn send_parts(
        &self,
        to: &Destination,
        header: &[u8],
        message: &[u8],
    ) -> Result<(), AdvertError> {
        let parts = [IoSlice::new(header), IoSlice::new(message)];
        let packet = MsgHdr::new()
            .with_addr(&to.socket_address)
            .with_buffers(&parts);
        match self.socket.0.sendmsg(&packet, libc::MSG_DONTWAIT) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::EMSGSIZE) => AdvertError::ExceedsMtu(message.len()),
                Some(libc::EPERM) => AdvertError::Filtered,
                Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO | libc::ENETUNREACH) => {
                    AdvertError::LinkDown(error)
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => AdvertError::QueueFull,
                _ => AdvertError::Send(error),
            }),
        }
    }
}

impl Destination {
    /// A link-local address means something only together with its interface.
    pub(crate) fn new(address: IpAddr, ifindex: u32) -> Self {
        let socket_address = match address {
            IpAddr::V4(address) => SocketAddr::V4(SocketAddrV4::new(address, 0)),
            IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, 0, 0, ifindex)),
        };
        Self {
            address,
            socket_address: socket_address.into(),
        }
    }
}

fn open_socket(interface: &str, source: IpAddr) -> io::Result<Socket> {
    let domain = match source {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    receive_nothing(&socket)?;
    // This also chooses the interface for multicast, without a route for the group.
    socket.bind_device(Some(interface.as_bytes()))?;
    match source {
        IpAddr::V4(_) => socket.set_multicast_loop_v4(false)?,
        IpAddr::V6(source) => {
            socket.set_multicast_loop_v6(false)?;
            // Unbound, the kernel would look for a source although the header has one, and refuse
            // to send where it finds none; a free bind does not insist that the address is there.
            socket.set_freebind_v6(true)?;
            socket.bind(&SocketAddr::V6(SocketAddrV6::new(source, 0, 0, 0)).into())?;
        }
    }
    socket.set_priority(QUEUE_PRIORITY)?;
    if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
        setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// RFC 791, with the protocol by RFC 9568 section 7.2 (protocol) and RFC 3768 section 7.2 (protocol),
/// without a destination. The kernel fills in the checksum.
fn header_v4(source: Ipv4Addr, hops: u8) -> [u8; IPV4_HEADER] {
    let mut header = [0; IPV4_HEADER];
    header[0] = 0x45;
    header[1] = TRAFFIC_CLASS;
    header[8] = hops;
    header[9] = IPPROTO_VRRP;
    header[12..16].copy_from_slice(&source.octets());
    header
}

/// RFC 8200, with the protocol by RFC 9568 section 7.2 (protocol), without a destination. The traffic
/// class straddles the first two octets.
fn header_v6(source: Ipv6Addr, hops: u8) -> [u8; IPV6_HEADER] {
    let mut header = [0; IPV6_HEADER];
    header[0] = 0x60 | (TRAFFIC_CLASS >> 4);
    header[1] = TRAFFIC_CLASS << 4;
    header[6] = IPPROTO_VRRP;
    header[7] = hops;
    header[8..24].copy_from_slice(&source.octets());
    header
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::net::lab::{self, Capture};

    // A VRRPv3 advert of VRID 51, priority 100, one address, 1 s; its checksum is not looked at.
    const MESSAGE: [u8; 12] = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 99, 0, 100];
    const ETHERTYPE_V4: u16 = 0x0800;
    const ETHERTYPE_V6: u16 = 0x86dd;

    fn socket(lab: &lab::Lab, source: &str) -> AdvertSocket {
        lab::advert_socket("near", lab.near, source.parse().unwrap())
    }

    /// RFC 9568 sections 5.1.1.3 (ttl-sent), 7.2 (source, protocol);
    /// RFC 3768 sections 5.2.3 (ttl-sent), 7.2 (source, protocol).
    #[test]
    fn root_an_ipv4_advert_is_right_in_every_byte() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            let capture = lab.far(|| Capture::open(lab.far, ETHERTYPE_V4));
            let sender = socket(lab, "10.99.0.1");
            lab::send(&sender, &MESSAGE).unwrap();
            lab::send(&sender, &MESSAGE).unwrap();
            #[rustfmt::skip]
            let mut expected = vec![
                0x01, 0, 0x5e, 0, 0, 18, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
                0x45, 0xc0, 0, 32, 0, 1, 0, 0, 255, 112, 0xd0, 0x36, 10, 99, 0, 1, 224, 0, 0, 18,
            ];
            expected.extend(MESSAGE);
            let is_vrrp = |frame: &[u8]| frame[23] == 112;
            assert_eq!(capture.next_where(is_vrrp), expected);
            // The identification moves, and the checksum with it.
            expected[19] = 2;
            expected[25] = 0x35;
            assert_eq!(capture.next_where(is_vrrp), expected);
        });
    }

    /// RFC 9568 sections 5.1.2.3 (hops-sent), 7.2 (source, protocol).
    #[test]
    fn root_an_ipv6_advert_is_right_in_every_byte() {
        lab::run(|lab| {
            let capture = lab.far(|| Capture::open(lab.far, ETHERTYPE_V6));
            lab::send(&socket(lab, "fe80::ff:fe00:1"), &MESSAGE).unwrap();
            #[rustfmt::skip]
            let mut expected = vec![
                0x33, 0x33, 0, 0, 0, 0x12, 0x02, 0, 0, 0, 0, 1, 0x86, 0xdd,
                0x6c, 0, 0, 0, 0, 12, 112, 255,
                0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1,
                0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12,
            ];
            expected.extend(MESSAGE);
            assert_eq!(capture.next_where(|frame| frame[20] == 112), expected);
        });
    }

    /// A frame for a neighbour needs no answer from it: its Ethernet address is written down.
    #[test]
    fn root_a_unicast_advert_goes_to_each_peer_with_the_configured_ttl() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.ip("address add fd00::1/64 dev near nodad");
            for (source, peers, ethertype) in [
                ("10.99.0.1", ["10.99.0.2", "10.99.0.3"], ETHERTYPE_V4),
                ("fd00::1", ["fd00::2", "fd00::3"], ETHERTYPE_V6),
                ("fe80::ff:fe00:1", ["fe80::2", "fe80::3"], ETHERTYPE_V6),
            ] {
                let peers = peers.map(|peer| peer.parse::<IpAddr>().unwrap());
                for peer in peers {
                    lab.ip(&format!(
                        "neighbour add {peer} lladdr 02:00:00:00:00:02 dev near nud permanent"
                    ));
                }
                let capture = lab.far(|| Capture::open(lab.far, ethertype));
                let source: IpAddr = source.parse().unwrap();
                let socket = Arc::new(RawSocket::open("near", source).unwrap());
                let sender = AdvertSocket::by(socket, lab.near, source, 64, peers);
                for to in sender.destinations() {
                    sender.send(to, &MESSAGE).unwrap();
                }
                for peer in peers {
                    let (ttl, ends) = match (source, peer) {
                        (IpAddr::V4(a), IpAddr::V4(b)) => (22, [a.octets(), b.octets()].concat()),
                        (IpAddr::V6(a), IpAddr::V6(b)) => (21, [a.octets(), b.octets()].concat()),
                        _ => panic!("two families"),
                    };
                    let message = ends.len() + if ethertype == ETHERTYPE_V4 { 26 } else { 22 };
                    let is_vrrp = |frame: &[u8]| frame[message..] == MESSAGE;
                    let frame = capture.next_where(is_vrrp);
                    assert_eq!(frame[..6], [0x02, 0, 0, 0, 0, 2], "{peer}");
                    assert_eq!(frame[ttl], 64, "{peer}");
                    assert_eq!(frame[message - ends.len()..message], ends, "{peer}");
                }
            }
        });
    }

    #[test]
    fn root_the_hosts_firewall_can_stop_the_adverts() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            let senders = [socket(lab, "10.99.0.1"), socket(lab, "fe80::ff:fe00:1")];
            for (tables, sender) in ["iptables", "ip6tables"].into_iter().zip(&senders) {
                let rule = |verb: &str| {
                    lab::command(tables, &[verb, "OUTPUT", "-p", "112", "-j", "DROP"]);
                };
                lab::send(sender, &MESSAGE).unwrap();
                rule("-I");
                let error = lab::send(sender, &MESSAGE).unwrap_err();
                assert!(matches!(error, AdvertError::Filtered), "{tables}: {error}");
                rule("-D");
                lab::send(sender, &MESSAGE).unwrap();
            }
        });
    }

    #[test]
    fn root_adverts_go_on_while_the_primary_address_is_gone_and_say_when_the_link_is_down() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            let senders = [socket(lab, "10.99.0.1"), socket(lab, "fe80::ff:fe00:1")];
            lab.ip("address flush dev near");
            for sender in &senders {
                lab::send(sender, &MESSAGE).unwrap();
            }
            lab.ip("link set near down");
            for sender in &senders {
                let error = lab::send(sender, &MESSAGE).unwrap_err();
                assert!(matches!(error, AdvertError::LinkDown(_)), "{error}");
            }
            lab.ip("link set near up");
            lab.settle();
            for sender in &senders {
                lab::send(sender, &MESSAGE).unwrap();
            }
            lab.ip("link delete near");
            for sender in &senders {
                let error = lab::send(sender, &MESSAGE).unwrap_err();
                assert!(matches!(error, AdvertError::LinkDown(_)), "{error}");
            }
        });
    }

    #[test]
    fn root_an_advert_larger_than_the_mtu_is_refused_and_not_fragmented() {
        lab::run(|lab| {
            for source in ["10.99.0.1", "fe80::ff:fe00:1"] {
                let error = lab::send(&socket(lab, source), &[0; 1490]).unwrap_err();
                assert!(matches!(error, AdvertError::ExceedsMtu(1490)), "{error}");
                let error = lab::send(&socket(lab, source), &vec![0; 1 << 16]).unwrap_err();
                assert!(matches!(error, AdvertError::TooLong(_)), "{error}");
            }
        });
    }

    #[test]
    fn root_an_interface_that_does_not_exist_is_an_error_with_its_name() {
        lab::run(|_| {
            let source = "10.99.0.1".parse().unwrap();
            let error = RawSocket::open("nowhere0", source).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("cannot open a raw socket for adverts on nowhere0: ")
            );
        });
    }

    #[test]
    fn root_a_send_takes_microseconds() {
        lab::run(|lab| {
            for source in ["10.99.0.1", "fe80::ff:fe00:1"] {
                let sender = socket(lab, source);
                let mut spans: Vec<_> = (0..1000)
                    .map(|_| {
                        let started = Instant::now();
                        lab::send(&sender, &MESSAGE).unwrap();
                        started.elapsed()
                    })
                    .collect();
                spans.sort_unstable();
                println!(
                    "advert from {source}: median {:?}, worst {:?}",
                    spans[500], spans[999]
                );
            }
        });
    }
}
