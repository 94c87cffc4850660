//! VRRP frames: valid ones, and each way to be wrong.

use std::net::{IpAddr, Ipv4Addr};

use ha_common::reject::Reject;

use super::address::link_local;
use super::build::{Checksum, Frame, Tag};
use super::receiver::{PASSWORD, Receiver};
use super::vector::{Expected, Vector, accepted, expecting, rejected};

const V3: [Receiver; 5] = [
    Receiver::V3Ipv4,
    Receiver::V3Ipv6,
    Receiver::UnicastIpv4,
    Receiver::UnicastIpv6,
    Receiver::OtherGroup,
];
const V2: [Receiver; 2] = [Receiver::V2Plain, Receiver::V2Password];
const IPV4: [Receiver; 6] = [
    Receiver::V3Ipv4,
    Receiver::V2Plain,
    Receiver::V2Password,
    Receiver::UnicastIpv4,
    Receiver::UnicastAnybody,
    Receiver::OtherGroup,
];
const ALL: [Receiver; 8] = Receiver::ALL;

/// Frames that must be accepted.
pub fn valid() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in ALL {
        for priority in [0, 1, 100, 254, 255] {
            out.push(accepted(receiver, &format!("priority {priority}"), |f| {
                f.message.priority = priority;
            }));
        }
        out.push(accepted(receiver, "two addresses", |f| {
            f.message.addresses.push(next_address(f.source, 7));
        }));
    }
    out.push(accepted(Receiver::V3Ipv4, "RFC 9568 checksum", |f| {
        f.message.checksum = Checksum::Payload;
    }));
    for receiver in V3 {
        for interval in [1_u16, 4095] {
            out.push(accepted(
                receiver,
                &format!("learned interval {interval}"),
                |f| f.message.word = interval.to_be_bytes(),
            ));
        }
        // RFC 9568 section 5.2.6: ignored on receive.
        out.push(accepted(receiver, "reserved nibble set", |f| {
            f.message.word[0] |= 0xf0;
        }));
        // As keepalived's HMAC trailer does.
        out.push(accepted(receiver, "28 bytes behind the list", |f| {
            f.message.trailer = vec![0xa5; 28];
        }));
        for odd in 1..4 {
            out.push(accepted(
                receiver,
                &format!("{odd} bytes behind the list"),
                |f| f.message.trailer = vec![0xff; odd],
            ));
        }
        out.push(accepted(receiver, "counts fewer than it lists", |f| {
            f.message.addresses.push(next_address(f.source, 7));
            f.message.count = Some(1);
        }));
    }
    out.push(accepted(
        Receiver::V2Plain,
        "unused v2 authentication data is not looked at",
        |f| f.message.trailer = vec![0x5a; 8],
    ));
    out
}

/// A valid frame of each kind, cut at every length.
pub fn cut() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in ALL {
        let frame = receiver.valid();
        let bytes = frame.bytes();
        let (told, readable) = match frame.source {
            // The fixed IPv4 header tells the protocol, the first eight bytes behind it the router.
            IpAddr::V4(_) => (14 + 20, 14 + 20 + 8),
            IpAddr::V6(_) => (14 + 8, 14 + 40 + 8),
        };
        for length in 0..bytes.len() {
            let expected = if length < told {
                Expected::Other
            } else if length < readable {
                Expected::Unreadable
            } else {
                Expected::Rejected(Reject::Truncated)
            };
            out.push(Vector {
                name: format!("{receiver:?} cut to {length} bytes"),
                receiver,
                frame: bytes[..length].to_vec(),
                expected,
            });
        }
    }
    out
}

/// One field wrong at a time, in the order of the checks.
pub fn wrong() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in ALL {
        out.extend(wrong_lengths(receiver));
        out.extend(wrong_fields(receiver));
        out.extend(wrong_senders(receiver));
    }
    out.extend(wrong_checksums_and_auth());
    out.extend(wrong_counts_and_intervals());
    out
}

fn wrong_lengths(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    for length in 0..8 {
        out.push(rejected(
            receiver,
            Reject::Truncated,
            &format!("IP says {length} bytes"),
            |f| f.length = Some(length),
        ));
    }
    out.push(rejected(
        receiver,
        Reject::Truncated,
        "IP says one byte more than there is",
        |f| f.length = Some(u16::try_from(f.message_length() + 1).expect("short")),
    ));
    out
}

fn wrong_fields(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    for ttl in [0, 1, 64, 249, nearest_wrong_ttl(receiver)] {
        out.push(rejected(
            receiver,
            Reject::Ttl,
            &format!("ttl {ttl}"),
            |f| {
                f.ttl = ttl;
            },
        ));
    }
    let version = receiver.version();
    for other in (0..16).filter(|other| *other != version) {
        out.push(rejected(
            receiver,
            Reject::Version,
            &format!("version {other}"),
            |f| f.message.version = other,
        ));
    }
    for kind in (0..16).filter(|kind| *kind != 1) {
        out.push(rejected(
            receiver,
            Reject::Type,
            &format!("type {kind}"),
            |f| f.message.kind = kind,
        ));
    }
    for offset in [1, 0x0100, 0x8000, 0xfffe] {
        out.push(rejected(
            receiver,
            Reject::Checksum,
            &format!("checksum off by {offset}"),
            |f| f.message.checksum = Checksum::OffBy(offset),
        ));
    }
    out
}

/// From ourselves, or for another virtual router.
fn wrong_senders(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    let own_source = if receiver.checks_source() {
        Reject::UnknownPeer
    } else {
        Reject::OwnSource
    };
    out.push(rejected(receiver, own_source, "our own source", |f| {
        f.source = receiver.own_address();
    }));
    out.push(expecting(
        receiver,
        "another VRID",
        Expected::NotOurs,
        |f| {
            f.message.vrid = 52;
        },
    ));
    out.push(expecting(receiver, "VRID 0", Expected::NotOurs, |f| {
        f.message.vrid = 0;
    }));
    out
}

/// One hop too many, or, where the sender is to be a router away, one too few.
fn nearest_wrong_ttl(receiver: Receiver) -> u8 {
    if receiver.ttl() == 255 { 254 } else { 255 }
}

fn wrong_checksums_and_auth() -> Vec<Vector> {
    let mut out = vec![rejected(
        Receiver::V3Ipv6,
        Reject::Checksum,
        "no pseudo-header over IPv6",
        |f| f.message.checksum = Checksum::Payload,
    )];
    for receiver in V2 {
        out.push(rejected(
            receiver,
            Reject::Checksum,
            "a pseudo-header in v2",
            |f| f.message.checksum = Checksum::PseudoHeader,
        ));
        for auth in (0..4).filter(|auth| *auth != receiver.slot().auth_type) {
            out.push(rejected(
                receiver,
                Reject::AuthType,
                &format!("authentication type {auth}"),
                |f| f.message.word[0] = auth,
            ));
        }
    }
    for byte in 0..8 {
        out.push(rejected(
            Receiver::V2Password,
            Reject::AuthData,
            &format!("byte {byte} of the password"),
            |f| f.message.trailer[byte] ^= 1,
        ));
    }
    out.push(rejected(
        Receiver::V2Password,
        Reject::Truncated,
        "no password",
        |f| f.message.trailer.clear(),
    ));
    // The password is right, but half of it lies in the padding, outside the message.
    out.push(rejected(
        Receiver::V2Password,
        Reject::AddressCount,
        "the count puts the password behind the message",
        |f| {
            f.message.count = Some(2);
            f.message.trailer = vec![0; 4];
            f.message.trailer.extend(PASSWORD);
            f.length = Some(20);
            f.message.checksum = Checksum::PayloadOf(20);
        },
    ));
    out
}

fn wrong_counts_and_intervals() -> Vec<Vector> {
    let mut out = Vec::new();
    for receiver in ALL {
        if receiver != Receiver::V2Password {
            // With a password a wrong count makes the password stand elsewhere.
            for count in [2, 3, 128, 255] {
                out.push(rejected(
                    receiver,
                    Reject::AddressCount,
                    &format!("count {count} of one"),
                    |f| f.message.count = Some(count),
                ));
            }
            out.push(rejected(
                receiver,
                Reject::AddressCount,
                "count 0 of one",
                |f| f.message.count = Some(0),
            ));
        }
        out.push(rejected(
            receiver,
            Reject::AddressCount,
            "an empty list",
            |f| f.message.addresses.clear(),
        ));
    }
    for receiver in V2 {
        for seconds in [0, 2, 255] {
            out.push(rejected(
                receiver,
                Reject::Interval,
                &format!("interval {seconds} s"),
                |f| f.message.word[1] = seconds,
            ));
        }
    }
    for receiver in V3 {
        out.push(rejected(receiver, Reject::Interval, "interval 0", |f| {
            f.message.word = [0, 0];
        }));
        out.push(rejected(
            receiver,
            Reject::Interval,
            "interval 0 with the reserved nibble set",
            |f| f.message.word = [0xf0, 0],
        ));
    }
    out
}

/// What may stand around a message: tags, options, fragments, extension headers, padding.
pub fn wrapped() -> Vec<Vector> {
    let mut out: Vec<Vector> = ALL.into_iter().flat_map(wrapped_by_ethernet).collect();
    out.extend(IPV4.into_iter().flat_map(wrapped_by_ipv4));
    for number in [0, 43, 44, 60] {
        out.push(expecting(
            Receiver::V3Ipv6,
            &format!("extension header {number}"),
            Expected::Other,
            |f| f.extension = Some((number, vec![112, 0, 0, 0, 0, 0, 0, 0])),
        ));
    }
    out
}

/// Tags and padding.
fn wrapped_by_ethernet(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    let inner = [Tag::dot1q(10)];
    let both = [
        Tag {
            protocol: 0x88a8,
            control: 20,
        },
        Tag::dot1q(10),
    ];
    for (name, tags) in [("one tag", &inner[..]), ("two tags", &both)] {
        out.push(expecting(receiver, name, Expected::Tagged, |f| {
            f.tags = tags.to_vec();
        }));
    }
    out.push(expecting(
        receiver,
        "a priority tag in a tag",
        Expected::Tagged,
        |f| f.tags = vec![Tag::dot1q(10), Tag::dot1q(0xe000)],
    ));
    for control in [0, 0xe000, 0xf000] {
        out.push(accepted(
            receiver,
            &format!("priority tag {control:#06x}"),
            |f| f.tags = vec![Tag::dot1q(control)],
        ));
    }
    out.push(expecting(receiver, "three tags", Expected::Other, |f| {
        f.tags = vec![Tag::dot1q(0); 3];
    }));
    for padding in [1, 6, 40] {
        out.push(accepted(
            receiver,
            &format!("{padding} bytes of Ethernet padding"),
            |f| f.padding = padding,
        ));
    }
    out
}

/// Options and fragments.
fn wrapped_by_ipv4(receiver: Receiver) -> Vec<Vector> {
    let mut out = Vec::new();
    for words in [1, 5, 10] {
        out.push(accepted(
            receiver,
            &format!("{words} words of IPv4 options"),
            |f| f.options = vec![1; words * 4],
        ));
    }
    out.push(rejected(
        receiver,
        Reject::Fragment,
        "a first fragment",
        |f| f.fragment = 0x2000,
    ));
    for fragment in [0x2001, 0x0001, 0x1fff] {
        out.push(expecting(
            receiver,
            &format!("a later fragment {fragment:#06x}"),
            Expected::Unreadable,
            |f| f.fragment = fragment,
        ));
    }
    out.push(accepted(receiver, "must not be fragmented", |f| {
        f.fragment = 0x4000;
    }));
    out
}

/// Long lists and long messages.
pub fn large() -> Vec<Vector> {
    let mut out = vec![
        accepted(Receiver::V3Ipv4, "255 addresses", |f| fill(f, 255)),
        accepted(Receiver::V2Plain, "255 addresses", |f| fill(f, 255)),
        accepted(Receiver::V2Password, "255 addresses", |f| fill(f, 255)),
        accepted(Receiver::V3Ipv6, "90 addresses", |f| fill(f, 90)),
        rejected(
            Receiver::V3Ipv6,
            Reject::Oversized,
            "93 addresses: longer than a frame",
            |f| fill(f, 93),
        ),
    ];
    for receiver in ALL {
        let plain = receiver.valid().message_length();
        out.push(accepted(receiver, "1480 bytes", |f| {
            f.message
                .trailer
                .resize(f.message.trailer.len() + 1480 - plain, 3);
        }));
        for length in [1481, 1483, 1484, 2500] {
            out.push(rejected(
                receiver,
                Reject::Oversized,
                &format!("{length} bytes"),
                |f| {
                    f.message
                        .trailer
                        .resize(f.message.trailer.len() + length - plain, 3);
                },
            ));
        }
        out.push(rejected(
            receiver,
            Reject::Oversized,
            "IP says 60000 bytes",
            |f| f.length = Some(60_000),
        ));
    }
    out
}

fn fill(frame: &mut Frame, count: u16) {
    frame.message.addresses = (0..count)
        .map(|host| next_address(frame.source, host))
        .collect();
}

fn next_address(like: IpAddr, host: u16) -> IpAddr {
    let [high, low] = host.to_be_bytes();
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(10, 99, 100 + high, low).into(),
        IpAddr::V6(_) => link_local(0x1000 + host).into(),
    }
}
