//! Taking unicast adverts off the host's hands.
//!
//! A multicast packet that nobody wants is dropped in silence. A unicast packet of a protocol that no socket
//! listens to is answered with an ICMP error (RFC 1122 section 3.2.2.1, RFC 4443 section 3.4), and each advert
//! that the BPF program passes on would be one. So a socket listens, and keeps nothing.

use std::io;

use ha_common::units::Family;
use socket2::{Domain, Protocol, Socket, Type};

use super::multicast::{IPPROTO_VRRP, receive_nothing};

/// The unicast adverts of one family on one interface end here, for as long as this lives.
#[derive(Debug)]
pub struct IcmpGuard {
    _socket: Socket,
}

impl IcmpGuard {
    /// Opens it in the calling thread's network namespace. `EPERM` without `CAP_NET_RAW`, `ENODEV` if there
    /// is no such interface.
    pub fn open(interface: &str, family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let protocol = Protocol::from(i32::from(IPPROTO_VRRP));
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        receive_nothing(&socket)?;
        socket.bind_device(Some(interface.as_bytes()))?;
        // Else it is shown every other socket's multicast, too.
        match family {
            Family::V4 => socket.set_multicast_all_v4(false)?,
            Family::V6 => socket.set_multicast_all_v6(false)?,
        }
        Ok(Self { _socket: socket })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, UdpSocket};
    use std::sync::Arc;

    use super::*;
    use crate::net::advert::{AdvertSocket, RawSocket};
    use crate::net::lab::{self, Capture};
    use ha_common::wire::numbers::TTL;

    const MESSAGE: [u8; 12] = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 99, 0, 100];

    /// Type and code of the next ICMP message that comes back to the far end after an advert and, behind it, a
    /// datagram to a port that nobody has.
    fn next_answer(lab: &lab::Lab, sender: &AdvertSocket, capture: &Capture) -> [u8; 2] {
        lab::send(sender, &MESSAGE).unwrap();
        lab.far(|| {
            let datagram = UdpSocket::bind("10.99.0.2:0").unwrap();
            datagram.send_to(&[0], "10.99.0.1:9").unwrap();
        });
        next_icmp(capture)
    }

    fn next_icmp(capture: &Capture) -> [u8; 2] {
        let frame = capture.next_where(|frame| frame[23] == 1);
        [frame[34], frame[35]]
    }

    #[test]
    fn root_a_unicast_advert_is_not_answered_with_an_icmp_error() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            lab.far(|| lab.ip("address add 10.99.0.2/24 dev far"));
            let (near, far): (IpAddr, IpAddr) =
                ("10.99.0.1".parse().unwrap(), "10.99.0.2".parse().unwrap());
            let (sender, capture) = lab.far(|| {
                let socket = Arc::new(RawSocket::open("far", far).unwrap());
                let sender = AdvertSocket::by(socket, lab.far, far, TTL, [near]);
                (sender, Capture::open(lab.far, 0x0800))
            });
            // RFC 792: the protocol is unreachable, and then the port.
            assert_eq!(next_answer(lab, &sender, &capture), [3, 2]);
            assert_eq!(next_icmp(&capture), [3, 3]);
            let icmp_guard = IcmpGuard::open("near", Family::V4).unwrap();
            assert_eq!(next_answer(lab, &sender, &capture), [3, 3]);
            drop(icmp_guard);
        });
    }

    #[test]
    fn root_an_interface_that_does_not_exist_is_an_error() {
        lab::run(|_| {
            let error = IcmpGuard::open("nowhere0", Family::V6).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        });
    }
}
