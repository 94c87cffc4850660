//! Gratuitous ARP and unsolicited Neighbor Advertisements, out of one packet socket.
//!
//! The socket is opened once, before it is needed, and receives nothing. One system call carries
//! up to [`BATCH`] frames; nothing is allocated. Packet sockets pass by the host's firewall, which
//! is right here: a VIP that is held but not announced is an outage.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use ha_common::wire::{arp, ndp};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Frames for one system call.
pub const BATCH: usize = 32;

const FRAME: usize = if arp::GRATUITOUS_LEN > ndp::UNSOLICITED_NA_LEN {
    arp::GRATUITOUS_LEN
} else {
    ndp::UNSOLICITED_NA_LEN
};

/// An announcement that did not leave.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The packet socket cannot be opened.
    #[error("cannot open a packet socket for announcements: {0}; the agent needs CAP_NET_RAW")]
    Open(#[source] io::Error),
    /// The kernel or the driver refuses frames. Those before `sent` are out.
    #[error("announced {sent} of {wanted} addresses on interface {ifindex}: {source}")]
    Send {
        ifindex: u32,
        /// How many frames left.
        sent: usize,
        /// How many were to leave.
        wanted: usize,
        /// Why the next one did not: `ENETDOWN`, `ENXIO` if the interface is gone, `ENOBUFS` or
        /// `EAGAIN` if its queue is full.
        source: io::Error,
    },
}

impl AnnounceError {
    /// How many frames left all the same.
    pub fn sent(&self) -> usize {
        match self {
            Self::Open(_) => 0,
            Self::Send { sent, .. } => *sent,
        }
    }

    /// True if only the queue of the socket or of the interface had no room, which passes.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Open(_) => false,
            Self::Send { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS))
            }
        }
    }
}

/// The socket.
pub struct Announcer {
    socket: OwnedFd,
}

impl Announcer {
    /// Opens the socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, AnnounceError> {
        // Protocol 0: no frame is ever delivered to this socket.
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(|errno| AnnounceError::Open(errno.into()))?;
        Ok(Self { socket })
    }

    /// Says once, for each address, that it lives at `mac` on this interface. `router` is the
    /// router flag of Neighbor Advertisements: set it if the host forwards IPv6
    /// ([`Link::forwards_ipv6`](super::links::Link::forwards_ipv6)). RFC 9568 section 6.4.1
    /// (router-flag) sets it always,
    /// because it speaks of routers; a host that claims to be one would be asked to route.
    pub fn announce(
        &self,
        ifindex: u32,
        mac: [u8; 6],
        router: bool,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), AnnounceError> {
        let mut addresses = addresses.into_iter();
        let mut frames = [[0; FRAME]; BATCH];
        let mut sent = 0;
        loop {
            let mut lengths = [0; BATCH];
            let mut count = 0;
            for ((frame, length), address) in frames
                .iter_mut()
                .zip(&mut lengths)
                .zip(addresses.by_ref().take(BATCH))
            {
                *length = write_frame(frame, mac, router, address);
                count += 1;
            }
            let batch = frames
                .iter()
                .zip(lengths)
                .take(count)
                .map(|(frame, length)| &frame[..length]);
            match self.send_all(ifindex, batch) {
                Ok(()) => sent += count,
                Err((out, source)) => {
                    return Err(AnnounceError::Send {
                        ifindex,
                        sent: sent + out,
                        wanted: sent + count + addresses.count(),
                        source,
                    });
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    /// Sends at most [`BATCH`] frames; on failure says how many are out.
    fn send_all<'a>(
        &self,
        ifindex: u32,
        frames: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), (usize, io::Error)> {
        let mut to = link_address(ifindex).map_err(|error| (0, error))?;
        // SAFETY: all-zero bytes are a valid value of these plain C structs: null pointers and
        // lengths of zero.
        let (mut parts, mut messages): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        let mut count = 0;
        for ((frame, part), message) in frames.zip(&mut parts).zip(&mut messages) {
            part.iov_base = frame.as_ptr().cast_mut().cast();
            part.iov_len = frame.len();
            message.msg_hdr.msg_name = (&raw mut to).cast();
            message.msg_hdr.msg_namelen = LINK_ADDRESS_LEN;
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            let rest = &mut messages[sent..count];
            // SAFETY: `rest` is a slice of initialised headers and its length is passed with it.
            // Each header points to one iovec of `parts` and to `to`, both alive until the end of
            // this function; each iovec points into a frame that the caller keeps borrowed, and
            // the kernel only reads frames, although iovec has no const pointer.
            let result = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    // At most BATCH.
                    u32::try_from(rest.len()).unwrap_or(0),
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(result) {
                // The kernel reports an error only when it concerns the first message.
                Ok(0) => return Err((sent, io::ErrorKind::WriteZero.into())),
                Ok(out) => sent += out,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err((sent, error)),
                },
            }
        }
        Ok(())
    }
}

const LINK_ADDRESS_LEN: libc::socklen_t = {
    let length = size_of::<libc::sockaddr_ll>();
    assert!(length == 20);
    20
};

/// Where a frame leaves. The frame carries its own Ethernet header, so nothing else is needed.
fn link_address(ifindex: u32) -> io::Result<libc::sockaddr_ll> {
    // SAFETY: all-zero bytes are a valid sockaddr_ll, a plain C struct of integers.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family =
        libc::sa_family_t::try_from(libc::AF_PACKET).map_err(|_| io::ErrorKind::InvalidInput)?;
    address.sll_ifindex =
        libc::c_int::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(address)
}

/// Writes the frame for one address and returns its length.
fn write_frame(frame: &mut [u8; FRAME], mac: [u8; 6], router: bool, address: IpAddr) -> usize {
    match address {
        IpAddr::V4(v4) => {
            if let Some(frame) = frame.first_chunk_mut() {
                arp::write_gratuitous(frame, mac, v4);
            }
            arp::GRATUITOUS_LEN
        }
        IpAddr::V6(v6) => {
            if let Some(frame) = frame.first_chunk_mut() {
                ndp::write_unsolicited(frame, mac, v6, router);
            }
            ndp::UNSOLICITED_NA_LEN
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;
    use crate::net::lab::{self, Capture, NEAR_MAC};

    #[test]
    fn root_both_families_arrive_at_the_other_end_byte_by_byte() {
        lab::run(|lab| {
            let arps = lab.far(|| Capture::open(lab.far, arp::ETHERTYPE));
            let nas = lab.far(|| Capture::open(lab.far, ndp::ETHERTYPE));
            let announcer = Announcer::open().unwrap();
            let addresses = ["10.99.0.100".parse().unwrap(), "fd00::64".parse().unwrap()];
            announcer
                .announce(lab.near, NEAR_MAC, false, addresses)
                .unwrap();

            #[rustfmt::skip]
            let garp = [
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x08, 0x06,
                0, 1, 8, 0, 6, 4, 0, 1,
                0x02, 0, 0, 0, 0, 1, 10, 99, 0, 100,
                0, 0, 0, 0, 0, 0, 10, 99, 0, 100,
            ];
            assert_eq!(arps.next(), garp);
            #[rustfmt::skip]
            let na = [
                0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x86, 0xdd,
                0x60, 0, 0, 0, 0, 32, 58, 255,
                0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64,
                0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                136, 0, 0x59, 0xd5, 0x20, 0, 0, 0,
                0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64,
                2, 1, 0x02, 0, 0, 0, 0, 1,
            ];
            // The kernel announces multicast memberships over IPv6 of its own accord.
            let frame =
                nas.next_where(|frame| frame.get(20) == Some(&58) && frame.get(54) == Some(&136));
            assert_eq!(frame, na);
        });
    }

    #[test]
    fn root_the_other_ends_caches_follow_both_announcements() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.ip("address add fd00::1/64 dev near nodad");
            lab.far(|| {
                lab::ip_here("address add 10.99.0.2/24 dev far");
                lab::ip_here("address add fd00::2/64 dev far nodad");
                // Somebody else held the addresses so far.
                lab::ip_here("neigh add 10.99.0.100 lladdr 02:00:00:00:00:99 dev far nud stale");
                lab::ip_here("neigh add fd00::64 lladdr 02:00:00:00:00:99 dev far nud stale");
            });
            let announcer = Announcer::open().unwrap();
            let addresses = ["10.99.0.100".parse().unwrap(), "fd00::64".parse().unwrap()];
            announcer
                .announce(lab.near, NEAR_MAC, false, addresses)
                .unwrap();
            // Veth hands frames to the other end's stack in softirq, before or soon after the
            // send returns; the neighbour table is asked until it has them.
            let deadline = Instant::now() + lab::PATIENCE;
            loop {
                let table = lab.far(|| lab::ip_here("neigh show dev far"));
                let moved = |address: &str| {
                    table.lines().any(|line| {
                        line.starts_with(&format!("{address} "))
                            && line.contains("02:00:00:00:00:01")
                    })
                };
                if moved("10.99.0.100") && moved("fd00::64") {
                    break;
                }
                assert!(Instant::now() < deadline, "{table}");
            }
        });
    }

    #[test]
    fn root_more_addresses_than_fit_a_batch_all_leave_in_order() {
        lab::run(|lab| {
            let capture = lab.far(|| Capture::open(lab.far, arp::ETHERTYPE));
            let announcer = Announcer::open().unwrap();
            let wanted: Vec<_> = (0..100).map(|n| Ipv4Addr::new(10, 99, 0, n)).collect();
            let started = Instant::now();
            announcer
                .announce(
                    lab.near,
                    NEAR_MAC,
                    false,
                    wanted.iter().copied().map(IpAddr::V4),
                )
                .unwrap();
            println!("100 gratuitous ARPs left in {:?}", started.elapsed());
            for address in wanted {
                assert_eq!(capture.next()[28..32], address.octets());
            }
        });
    }

    #[test]
    fn root_a_queue_without_room_is_told_from_an_interface_that_does_not_work() {
        lab::run(|lab| {
            let announcer = Announcer::open().unwrap();
            // One that sends a hundred bytes a second, and so keeps what comes after the first frames.
            lab::command(
                "tc",
                &[
                    "qdisc", "add", "dev", "near", "root", "tbf", "rate", "800bit", "burst", "100",
                    "limit", "1000000",
                ],
            );
            let thousand = (0..1000).map(|n| IpAddr::V4(Ipv4Addr::from(0x0a63_0000 + n)));
            let full = announcer
                .announce(lab.near, NEAR_MAC, false, thousand)
                .unwrap_err();
            assert!(full.is_full(), "{full}");
            assert!(full.sent() > 0 && full.sent() < 1000, "{full}");
        });
    }

    #[test]
    fn root_an_interface_that_is_down_or_gone_is_said_so() {
        lab::run(|lab| {
            let announcer = Announcer::open().unwrap();
            let address = || [IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100))];
            lab.ip("link set near down");
            let down = announcer
                .announce(lab.near, NEAR_MAC, false, address())
                .unwrap_err();
            assert!(
                matches!(down, AnnounceError::Send { sent: 0, wanted: 1, ref source, .. }
                if source.raw_os_error() == Some(libc::ENETDOWN)),
                "{down}"
            );
            lab.ip("link delete near");
            let gone = announcer
                .announce(lab.near, NEAR_MAC, false, address())
                .unwrap_err();
            assert!(
                matches!(gone, AnnounceError::Send { ref source, .. }
                if source.raw_os_error() == Some(libc::ENXIO)),
                "{gone}"
            );
        });
    }
}
