//! The parser of the receive path: no frame makes it panic, whatever it is told to expect, and a message
//! that our own builder wrote is accepted as it was meant.
#![no_main]

use ha_common::accept::TtlRange;
use ha_common::units::{Centiseconds, Family, Priority, Version, Vrid};
use ha_common::wire::build::{MAX_MESSAGE, Message, write};
use ha_common::wire::checksum::Sum;
use ha_common::wire::cursor::SliceCursor;
use ha_common::wire::frame::{
    IpHeader, Kind, Network, ParsedFrame, parse_frame, parse_in, parse_ipv4,
};
use ha_common::wire::message_sum::AddressHash;
use ha_common::wire::numbers;
use ha_common::wire::vrrp::{self, ChecksumScope, Expect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((options, frame)) = data.split_first_chunk::<4>() else {
        return;
    };
    let expect = Expect {
        version: 2 + (options[0] & 1),
        auth_type: options[0] >> 1 & 1,
        auth_data: *b"password",
        own_interval: u16::from(options[1]) * 100,
        own_address: [0; 16],
        // Unicast, to our own address; `read` sets the family's group otherwise.
        group: [0; 16],
        ttl: if options[0] & 0x10 == 0 {
            TtlRange::LINK
        } else {
            TtlRange {
                min: options[2],
                max: options[3],
            }
        },
        known: options[0] & 0x20 == 0,
        gated: options[0] & 0x80 != 0,
    };
    let unicast = options[0] & 0x40 != 0;
    read(parse_frame(SliceCursor::new(frame)), expect, unicast);
    read(
        parse_frame(SliceCursor::new(&summed(frame, 14))),
        expect,
        unicast,
    );
    read(
        parse_ipv4(SliceCursor::new(&summed(frame, 0))),
        expect,
        unicast,
    );
    let ipv6 = Network {
        ethertype: [0x86, 0xdd],
        tagged: false,
        cursor: SliceCursor::new(frame),
    };
    read(parse_in(ipv6), expect, unicast);
    round_trip(*options, frame);
});

/// With the right checksum in an IPv4 header at this place, which chance would hardly ever find.
fn summed(frame: &[u8], at: usize) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let words = frame.get(at).map_or(0, |first| usize::from(first & 0x0f));
    if words >= 5
        && let Some(header) = frame.get_mut(at..at + words * 4)
    {
        header[10..12].fill(0);
        let sum = Sum::ZERO.bytes(header).finish();
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn read(parsed: ParsedFrame<SliceCursor<'_>>, mut expect: Expect, unicast: bool) {
    if parsed.kind != Kind::Vrrp {
        return;
    }
    if !unicast {
        expect.group = vrrp::group(parsed.envelope.family);
    }
    if let Ok(advert) = vrrp::check(&parsed.envelope, parsed.header, parsed.body, &expect) {
        assert!(expect.ttl.contains(parsed.envelope.ttl));
        assert!(!unicast || expect.known);
        assert!(advert.count > 0 && advert.interval.0 > 0);
        assert!(advert.length >= 8 + u16::from(advert.count) * 4);
    }
}

/// What we write, we read.
fn round_trip(options: [u8; 4], bytes: &[u8]) {
    let addresses = addresses(family(options), bytes);
    let Some(message) = message(options, &addresses) else {
        return;
    };
    let mut out = [0; MAX_MESSAGE];
    let Some(length) = write(&message, &mut out) else {
        panic!("{message:?} has room");
    };
    let Some((header, body)) = out[..length].split_first_chunk::<8>() else {
        panic!("a message has eight bytes");
    };
    let (envelope, expect) = (envelope(&message, length), expected(&message));
    match vrrp::check(&envelope, *header, SliceCursor::new(body), &expect) {
        Ok(advert) => {
            assert_eq!(advert.priority, message.priority);
            assert_eq!(advert.interval, message.interval);
            assert_eq!(usize::from(advert.count), addresses.len());
            let list = AddressHash::of(message.family, addresses.iter().copied());
            assert_eq!(advert.hash, list.0);
        }
        Err(reject) => panic!("{message:?} is refused: {reject:?}"),
    }
}

fn family(options: [u8; 4]) -> Family {
    if options[0] & 4 == 0 {
        Family::V4
    } else {
        Family::V6
    }
}

/// As many as a message has room for.
fn addresses(family: Family, bytes: &[u8]) -> Vec<[u8; 16]> {
    let most = match family {
        Family::V4 => 255,
        Family::V6 => 90,
    };
    let (addresses, _) = bytes.as_chunks::<16>();
    let addresses = addresses.iter().take(most);
    addresses.map(|raw| plain(family, *raw)).collect()
}

/// `None` if there is no such message.
fn message(options: [u8; 4], addresses: &[[u8; 16]]) -> Option<Message<'_>> {
    let family = family(options);
    let version = match (options[0] & 1, family) {
        (0, Family::V4) => Version::V2,
        _ => Version::V3,
    };
    let interval = Centiseconds(u16::from(options[1]).max(1) * 100 & 0x0fff);
    let vrid = Vrid::new(options[2])?;
    if addresses.is_empty() || interval.0 == 0 {
        return None;
    }
    let interval = match version {
        Version::V2 => Centiseconds(u16::from(options[1]).max(1) * 100),
        Version::V3 => interval,
    };
    Some(Message {
        version,
        family,
        vrid,
        priority: Priority(options[3]),
        interval,
        addresses,
        password: None,
        source: plain(family, [9; 16]),
        destination: vrrp::group(family),
        flavour: if options[0] & 8 == 0 {
            ChecksumScope::PseudoHeader
        } else {
            ChecksumScope::Payload
        },
    })
}

/// The IP header that such a message has on a link.
fn envelope(message: &Message<'_>, length: usize) -> IpHeader {
    IpHeader {
        source: message.source,
        destination: message.destination,
        length: u16::try_from(length).unwrap_or(u16::MAX),
        ttl: numbers::TTL,
        family: message.family,
        fragment: false,
    }
}

/// What takes such a message.
fn expected(message: &Message<'_>) -> Expect {
    Expect {
        version: message.version as u8,
        auth_type: numbers::AUTH_NONE,
        auth_data: [0; 8],
        own_interval: message.interval.0,
        own_address: [1; 16],
        group: message.destination,
        ttl: TtlRange::LINK,
        known: false,
        gated: false,
    }
}

fn plain(family: Family, mut raw: [u8; 16]) -> [u8; 16] {
    if family == Family::V4 {
        raw[4..].fill(0);
    }
    raw
}
