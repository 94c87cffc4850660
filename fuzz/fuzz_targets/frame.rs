//! The parser of the receive path: no frame makes it panic, whatever it is told to expect, and a message
//! that our own builder wrote is accepted as it was meant.
#![no_main]

use ha_common::accept::TtlRange;
use ha_common::units::{Centiseconds, Family, Priority, Version, Vrid};
use ha_common::wire::build::{MAX_MESSAGE, Message, write};
use ha_common::wire::checksum::Sum;
use ha_common::wire::cursor::SliceCursor;
use ha_common::wire::frame::{IpHeader, Kind, ParsedFrame, parse_frame, locate_ipv4, locate_ipv6};
use ha_common::wire::vrrp::{self, Expect, ChecksumScope};
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
        locate_ipv4(SliceCursor::new(&summed(frame, 0))),
        expect,
        unicast,
    );
    read(locate_ipv6(SliceCursor::new(frame)), expect, unicast);
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

fn read(located: ParsedFrame<SliceCursor<'_>>, mut expect: Expect, unicast: bool) {
    if located.kind != Kind::Vrrp {
        return;
    }
    if !unicast {
        expect.group = vrrp::group(located.envelope.family);
    }
    if let Ok(advert) = vrrp::check(&located.envelope, located.header, located.body, &expect) {
        assert!(expect.ttl.contains(located.envelope.ttl));
        assert!(!unicast || expect.known);
        assert!(advert.count > 0 && advert.interval.0 > 0);
        assert!(advert.length >= 8 + u16::from(advert.count) * 4);
    }
}

/// What we write, we read.
fn round_trip(options: [u8; 4], bytes: &[u8]) {
    let (addresses, _) = bytes.as_chunks::<16>();
    let family = if options[0] & 4 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let version = match (options[0] & 1, family) {
        (0, Family::V4) => Version::V2,
        _ => Version::V3,
    };
    let most = match family {
        Family::V4 => 255,
        Family::V6 => 90,
    };
    let addresses: Vec<[u8; 16]> = addresses
        .iter()
        .take(most)
        .map(|raw| plain(family, *raw))
        .collect();
    let interval = Centiseconds(u16::from(options[1]).max(1) * 100 & 0x0fff);
    let (Some(vrid), false) = (
        Vrid::new(options[2]),
        addresses.is_empty() || interval.0 == 0,
    ) else {
        return;
    };
    let interval = match version {
        Version::V2 => Centiseconds(u16::from(options[1]).max(1) * 100),
        Version::V3 => interval,
    };
    let source = plain(family, [9; 16]);
    let message = Message {
        version,
        family,
        vrid,
        priority: Priority(options[3]),
        interval,
        addresses: &addresses,
        password: None,
        source,
        destination: vrrp::group(family),
        flavour: if options[0] & 8 == 0 {
            ChecksumScope::PseudoHeader
        } else {
            ChecksumScope::Payload
        },
    };
    let mut out = [0; MAX_MESSAGE];
    let Some(length) = write(&message, &mut out) else {
        panic!("{message:?} has room");
    };
    let envelope = IpHeader {
        source,
        destination: vrrp::group(family),
        length: u16::try_from(length).unwrap_or(u16::MAX),
        ttl: numbers::TTL,
        family,
        fragment: false,
    };
    let expect = Expect {
        version: version as u8,
        auth_type: numbers::AUTH_NONE,
        auth_data: [0; 8],
        own_interval: interval.0,
        own_address: [1; 16],
        group: vrrp::group(family),
        ttl: TtlRange::LINK,
        known: false,
        gated: false,
    };
    let Some((header, body)) = out[..length].split_first_chunk::<8>() else {
        panic!("a message has eight bytes");
    };
    match vrrp::check(&envelope, *header, SliceCursor::new(body), &expect) {
        Ok(advert) => {
            assert_eq!(advert.priority, message.priority);
            assert_eq!(advert.interval, interval);
            assert_eq!(usize::from(advert.count), addresses.len());
            let list = message_sum::AddressHash::of(family, addresses.iter().copied());
            assert_eq!(advert.hash, list.0);
        }
        Err(reject) => panic!("{message:?} is refused: {reject:?}"),
    }
}

fn plain(family: Family, mut raw: [u8; 16]) -> [u8; 16] {
    if family == Family::V4 {
        raw[4..].fill(0);
    }
    raw
}
