//! What may stand in the address list. Another list than the configured one is reported and not refused, so
//! no address in it is ever wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::receiver::Receiver;
use super::vector::{Expected, Vector, understood};

/// Lists that nobody configures.
pub fn odd() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in Receiver::ALL {
        let valid = receiver.valid();
        let (nobody, everybody): (IpAddr, IpAddr) = match valid.source {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
            IpAddr::V6(_) => (
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::from_bits(u128::MAX).into(),
            ),
        };
        let own = receiver.own_address();
        let lists = [
            ("nobody's address", vec![nobody]),
            ("everybody's address", vec![everybody]),
            ("a group", vec![valid.destination]),
            ("the sender's own address", vec![valid.source]),
            ("the receiver's own address", vec![own]),
            ("an address three times", vec![own; 3]),
        ];
        for (name, list) in lists {
            let mut frame = receiver.valid();
            frame.message.addresses = list;
            out.push(Vector {
                name: format!("{receiver:?}: lists {name}"),
                receiver,
                frame: frame.bytes(),
                expected: Expected::Accepted(understood(receiver, &frame)),
            });
        }
    }
    out
}
