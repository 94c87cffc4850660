//! The headers around a message: each of their fields, with values that do not matter and values that are
//! wrong. What the corpus says of their lengths, fragments, TTL and destination stands in [`super::adverts`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::build::{Frame, sum_header_again};
use super::receiver::Receiver;
use super::vector::{Expected, Vector, understood};

const IPV4: [Receiver; 3] = [Receiver::V3Ipv4, Receiver::V2Plain, Receiver::V2Password];
const IPV6: Receiver = Receiver::V3Ipv6;

/// Where the IP header begins.
const IP: usize = 14;
/// Length of an IPv4 header without options.
const IPV4_HEADER: usize = 20;

/// Every field of the headers.
pub fn fields() -> Vec<Vector> {
    let mut out = ethernet();
    for receiver in IPV4 {
        out.extend(ipv4_that_does_not_matter(receiver));
        out.extend(ipv4_that_is_wrong(receiver));
        out.extend(impossible_sources(receiver));
    }
    out.extend(ipv6());
    out.extend(impossible_sources(IPV6));
    out
}

fn ethernet() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in Receiver::ALL {
        for (name, to) in [
            ("to all stations", [0xff; 6]),
            ("to the receiver's own station", [0x02, 0x99, 0, 0, 0, 1]),
            ("to another station", [0x02, 0x99, 0, 0, 0, 0x77]),
        ] {
            out.push(accepted(receiver, name, |frame| put(frame, 0, &to)));
        }
        let virtual_router = [0x00, 0x00, 0x5e, 0x00, 0x01, super::VRID];
        out.push(accepted(
            receiver,
            "from the virtual router's station",
            |frame| put(frame, 6, &virtual_router),
        ));
    }
    out
}

fn ipv4_that_does_not_matter(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    for service in [0x00, 0xff] {
        out.push(accepted(
            receiver,
            &format!("type of service {service:#04x}"),
            |frame| with_sum(frame, |frame| put(frame, IP + 1, &[service])),
        ));
    }
    for identification in [0x0000, 0xffff_u16] {
        out.push(accepted(
            receiver,
            &format!("identification {identification:#06x}"),
            |frame| {
                with_sum(frame, |frame| {
                    put(frame, IP + 4, &identification.to_be_bytes());
                });
            },
        ));
    }
    out.push(accepted(receiver, "the reserved flag", |frame| {
        with_sum(frame, |frame| put(frame, IP + 6, &[0x80, 0]));
    }));
    out
}

fn ipv4_that_is_wrong(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    for version in [0, 5, 6, 15] {
        out.push(vector(
            receiver,
            &format!("IP version {version}"),
            Expected::Other,
            |frame| with_sum(frame, |frame| put(frame, IP, &[version << 4 | 5])),
        ));
    }
    // Shorter than a header, or longer than the whole frame.
    for words in [0, 1, 4, 15] {
        out.push(vector(
            receiver,
            &format!("a header of {words} words"),
            Expected::Unreadable,
            |frame| with_sum(frame, |frame| put(frame, IP, &[0x40 | words])),
        ));
    }
    // RFC 1122 section 3.2.1.2: a host discards what has a wrong header checksum.
    for offset in [0x0001, 0x0100, 0x8000_u16] {
        out.push(vector(
            receiver,
            &format!("header checksum off by {offset:#06x}"),
            Expected::Unreadable,
            |frame| {
                let sum = u16::from_be_bytes([frame[IP + 10], frame[IP + 11]]);
                put(frame, IP + 10, &sum.wrapping_add(offset).to_be_bytes());
            },
        ));
    }
    out.push(vector(
        receiver,
        "no header checksum",
        Expected::Unreadable,
        |frame| put(frame, IP + 10, &[0, 0]),
    ));
    for byte in [1, 4, 8, 12, 15, 16] {
        out.push(vector(
            receiver,
            &format!("a flipped bit in byte {byte} of the header"),
            Expected::Unreadable,
            |frame| frame[IP + byte] ^= 0x10,
        ));
    }
    let options = |frame: &mut Frame| frame.options = vec![1; 8];
    out.push(built(
        receiver,
        "a flipped bit in the options",
        options,
        Expected::Unreadable,
        |frame| frame[IP + IPV4_HEADER + 5] ^= 0x10,
    ));
    out
}

fn ipv6() -> Vec<Vector> {
    let mut out = Vec::new();
    for (name, first) in [
        ("traffic class 0", [0x60, 0x00]),
        ("traffic class 0xff", [0x6f, 0xf0]),
    ] {
        out.push(accepted(IPV6, name, |frame| put(frame, IP, &first)));
    }
    out.push(accepted(IPV6, "a flow label", |frame| {
        put(frame, IP + 1, &[0xcf, 0xff, 0xff]);
    }));
    for version in [0, 4, 5, 15] {
        out.push(vector(
            IPV6,
            &format!("IP version {version}"),
            Expected::Other,
            |frame| put(frame, IP, &[version << 4 | 0x0c]),
        ));
    }
    for next in [59, 111, 113] {
        out.push(vector(
            IPV6,
            &format!("next header {next}"),
            Expected::Other,
            |frame| put(frame, IP + 6, &[next]),
        ));
    }
    let global = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2);
    let mut frame = IPV6.valid();
    frame.source = global.into();
    out.push(built(
        IPV6,
        "a global source",
        |frame| frame.source = global.into(),
        Expected::Accepted(understood(IPV6, &frame)),
        |_| {},
    ));
    out
}

/// Sources that no host has (RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5.2, 2.5.3 and 2.7).
fn impossible_sources(receiver: Receiver) -> Vec<Vector> {
    let sources: Vec<IpAddr> = match receiver.valid().source {
        IpAddr::V4(_) => [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [127, 9, 9, 9],
            [224, 0, 0, 18],
            [239, 255, 255, 255],
            [255, 255, 255, 255],
        ]
        .map(|octets| Ipv4Addr::from(octets).into())
        .to_vec(),
        IpAddr::V6(_) => [
            Ipv6Addr::UNSPECIFIED,
            Ipv6Addr::LOCALHOST,
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 1),
        ]
        .map(IpAddr::from)
        .to_vec(),
    };
    let from = |source: IpAddr| {
        built(
            receiver,
            &format!("impossible source {source}"),
            |frame| frame.source = source,
            Expected::Unreadable,
            |_| {},
        )
    };
    sources.into_iter().map(from).collect()
}

fn accepted(receiver: Receiver, name: &str, edit: impl FnOnce(&mut [u8])) -> Vector {
    let expected = Expected::Accepted(understood(receiver, &receiver.valid()));
    vector(receiver, name, expected, edit)
}

/// A valid frame, bytes of which are changed.
fn vector(
    receiver: Receiver,
    name: &str,
    expected: Expected,
    edit: impl FnOnce(&mut [u8]),
) -> Vector {
    built(receiver, name, |_| {}, expected, edit)
}

/// The same, changed before it is built as well.
fn built(
    receiver: Receiver,
    name: &str,
    change: impl FnOnce(&mut Frame),
    expected: Expected,
    edit: impl FnOnce(&mut [u8]),
) -> Vector {
    let mut frame = receiver.valid();
    change(&mut frame);
    let mut bytes = frame.bytes();
    edit(&mut bytes);
    Vector {
        name: format!("{receiver:?}: {name}"),
        receiver,
        frame: bytes,
        expected,
    }
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Edits an IPv4 header without options, and sums it again.
fn with_sum(frame: &mut [u8], edit: impl FnOnce(&mut [u8])) {
    edit(frame);
    sum_header_again(frame);
}
