//! The VRRP message: the ladder of checks on receive, and the builder for sending.
//!
//! v3: RFC 9568 section 5.1. v2: RFC 3768 section 5.1.

use super::checksum::Sum;
use super::cursor::Cursor;
use super::frame::IpHeader;
use super::message_sum::{AddressHash, Body, MessageSum, words_per_address};
use super::numbers::{ADVERTISEMENT, AUTH_PASS, GROUP_V4, GROUP_V6, MAX_LENGTH, PROTOCOL};
use crate::accept::TtlRange;
use crate::address::{RawAddress, same};
use crate::hmac::trailer;
use crate::layout::Slot;
use crate::reject::Reject;
use crate::units::{Centiseconds, Family, Priority, Version};

/// How the checksum of an advert was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ChecksumScope {
    /// v3 with the pseudo-header: always for IPv6; keepalived and FRR for IPv4 too.
    PseudoHeader = 1,
    /// The message alone: v2, and v3 over IPv4 by RFC 9568 section 5.2.8.
    Payload = 2,
}

/// What a receiver is configured to accept.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The configured version.
    pub version: u8,
    /// v2: the configured authentication type.
    pub auth_type: u8,
    /// v2: the configured password.
    pub auth_data: [u8; 8],
    /// v2: the interval that the sender must have, centiseconds.
    pub own_interval: u16,
    /// Our own address on the link.
    pub own_address: RawAddress,
    /// The group that it must have been sent to; zero: by unicast, to our own address.
    pub group: RawAddress,
    /// The TTLs that this sender may have.
    pub ttl: TtlRange,
    /// Unicast: whether this sender may send adverts to us.
    pub known: bool,
    /// Whether an HMAC trailer may stand behind the message.
    pub gated: bool,
}

impl Expect {
    /// What a slot accepts from one sender. `listed` is its entry in the slot's list of unicast peers, if
    /// it has one.
    #[inline(always)]
    pub fn of(slot: &Slot, listed: Option<TtlRange>) -> Self {
        Self {
            version: slot.version,
            auth_type: slot.auth_type,
            auth_data: slot.auth_data,
            own_interval: slot.own_interval,
            own_address: slot.own_address,
            group: slot.channel.group,
            ttl: listed.unwrap_or(slot.channel.ttl),
            known: listed.is_some() || slot.channel.any_source != 0,
            gated: slot.gate.is_on(),
        }
    }
}

/// An advert that passed every check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advert {
    /// Who sent it.
    pub source: RawAddress,
    /// Its address list, in any order ([`AddressHash`]).
    pub hash: u64,
    /// Its interval.
    pub interval: Centiseconds,
    /// Its priority.
    pub priority: Priority,
    /// How many addresses it lists.
    pub count: u8,
    /// How its checksum was made.
    pub flavour: ChecksumScope,
    /// Message length in bytes, with the trailer.
    pub length: u16,
    /// Whether an HMAC trailer stands behind it, which is still to be judged.
    pub signed: bool,
}

/// The virtual router identifier in a message's first eight bytes.
#[inline(always)]
pub const fn vrid(header: [u8; 8]) -> u8 {
    header[1]
}

/// The ladder of checks; `header` is the message's first eight bytes, `body` stands behind them.
///
/// The caller has already found that the VRID is configured on the interface.
///
/// RFC 9568 sections 5.1.1.3 (ttl-heard), 5.1.2.3 (hops-heard), 5.2.2 (type), 5.2.5 (no-addresses),
/// 7.1 (ttl, version, type, complete, discard);
/// RFC 3768 sections 5.2.3 (ttl-heard), 5.3.2 (type), 7.1 (ttl, version, complete, discard).
#[inline(always)]
pub fn check<C: Cursor>(
    envelope: &IpHeader,
    header: [u8; 8],
    body: C,
    expect: &Expect,
) -> Result<Advert, Reject> {
    // First, since it is the cheapest, and since an advert for somebody else is nobody's mistake.
    check_addresses(envelope, expect)?;
    if envelope.length < 8 {
        return Err(Reject::Truncated);
    }
    if envelope.length > MAX_LENGTH {
        return Err(Reject::Oversized);
    }
    if envelope.fragment {
        return Err(Reject::Fragment);
    }
    if !expect.ttl.contains(envelope.ttl) {
        return Err(Reject::Ttl);
    }
    if header[0] >> 4 != expect.version {
        return Err(Reject::Version);
    }
    if header[0] & 0x0f != ADVERTISEMENT {
        return Err(Reject::Type);
    }
    let is_v2 = expect.version == Version::V2 as u8;
    let count = header[3];
    if is_v2 {
        check_auth(header, body, expect)?;
    }
    let address_words = u32::from(count) * words_per_address(envelope.family);
    let auth = if is_v2 { 8 } else { 0 };
    let needed = 8 + address_words * 4 + auth;
    let signed = expect.gated && u32::from(envelope.length) == needed + u32::from(trailer::LENGTH);
    let summed = summed(envelope, signed);
    let (sum, hash) = walk(&summed, header, body, address_words)?;
    let flavour = check_sum(&summed, sum, is_v2)?;
    if count == 0 || needed > u32::from(envelope.length) {
        return Err(Reject::AddressCount);
    }
    let interval = check_interval(header, expect, is_v2)?;
    Ok(Advert {
        source: envelope.source,
        hash: hash.0,
        interval,
        priority: Priority(header[2]),
        count,
        flavour,
        length: envelope.length,
        signed,
    })
}

/// The part that the checksum covers. Over IPv4 it was made before the trailer; over IPv6 the sender's
/// kernel makes it of all that follows the IP header.
#[inline(always)]
fn summed(envelope: &IpHeader, signed: bool) -> IpHeader {
    let beyond = match envelope.family {
        Family::V4 if signed => trailer::LENGTH,
        Family::V4 | Family::V6 => 0,
    };
    IpHeader {
        length: envelope.length.wrapping_sub(beyond),
        ..*envelope
    }
}

/// v2: the authentication type and, for a password, its eight bytes behind the address list
/// (RFC 3768 sections 5.3.6 (auth-type), 5.3.10 (unused), 7.1 (auth)).
#[inline(always)]
fn check_auth<C: Cursor>(header: [u8; 8], mut body: C, expect: &Expect) -> Result<(), Reject> {
    if header[4] != expect.auth_type {
        return Err(Reject::AuthType);
    }
    if expect.auth_type == AUTH_PASS {
        body.skip(usize::from(header[3]) * 4);
        let data = body.take::<8>().ok_or(Reject::Truncated)?;
        // One comparison of the whole, so that the time does not tell how many bytes were right.
        if u64::from_ne_bytes(data) ^ u64::from_ne_bytes(expect.auth_data) != 0 {
            return Err(Reject::AuthData);
        }
    }
    Ok(())
}

/// Sums the message and hashes its address list in one pass.
#[inline(always)]
fn walk<C: Cursor>(
    envelope: &IpHeader,
    h: [u8; 8],
    body: C,
    address_words: u32,
) -> Result<(Sum, AddressHash), Reject> {
    let made = body.sum(&Body {
        length: u32::from(envelope.length) - 8,
        address_words,
        words_per_address: words_per_address(envelope.family),
    });
    let MessageSum { sum, hash } = made.ok_or(Reject::Truncated)?;
    let sum = sum
        .word([h[0], h[1], h[2], h[3]])
        .word([h[4], h[5], h[6], h[7]]);
    Ok((sum, hash))
}

/// Which flavour of checksum the message carries, if any is right
/// (RFC 9568 section 7.1 (checksum), RFC 3768 section 7.1 (checksum)).
#[inline(always)]
fn check_sum(envelope: &IpHeader, sum: Sum, is_v2: bool) -> Result<ChecksumScope, Reject> {
    let (s, d) = (envelope.source, envelope.destination);
    let with_header = match envelope.family {
        Family::V4 => sum.pseudo_v4(
            [s[0], s[1], s[2], s[3]],
            [d[0], d[1], d[2], d[3]],
            envelope.length,
        ),
        Family::V6 => sum.pseudo_v6(s, d, PROTOCOL, u32::from(envelope.length)),
    };
    if !is_v2 && with_header.is_valid() {
        return Ok(ChecksumScope::PseudoHeader);
    }
    let may_lack_header = matches!(envelope.family, Family::V4);
    if may_lack_header && sum.is_valid() {
        return Ok(ChecksumScope::Payload);
    }
    Err(Reject::Checksum)
}

#[inline(always)]
fn check_addresses(envelope: &IpHeader, expect: &Expect) -> Result<(), Reject> {
    let unicast = same(expect.group, [0; 16]);
    // A frame may pass by that was sent to another host; only what was sent to us is ours to hear.
    let ours = if unicast {
        expect.own_address
    } else {
        expect.group
    };
    if !same(envelope.destination, ours) {
        return Err(Reject::Destination);
    }
    if unicast && !expect.known {
        return Err(Reject::UnknownPeer);
    }
    if same(envelope.source, expect.own_address) {
        return Err(Reject::OwnSource);
    }
    Ok(())
}

/// v2: a different interval is discarded (RFC 3768 section 7.1 (interval)).
/// v3: learned, but zero means nothing (RFC 9568 section 7.1 (interval)).
#[inline(always)]
fn check_interval(header: [u8; 8], expect: &Expect, is_v2: bool) -> Result<Centiseconds, Reject> {
    let interval = if is_v2 {
        u16::from(header[5]) * 100
    } else {
        // The high nibble is reserved and ignored on receive: RFC 9568 section 5.2.6 (reserve-heard).
        u16::from_be_bytes([header[4] & 0x0f, header[5]])
    };
    if interval == 0 || is_v2 && interval != expect.own_interval {
        return Err(Reject::Interval);
    }
    Ok(Centiseconds(interval))
}

/// The standard's group of a family, as the layouts hold it.
#[inline(always)]
pub const fn group(family: Family) -> RawAddress {
    let [a, b, c, d] = GROUP_V4;
    match family {
        Family::V4 => [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        Family::V6 => GROUP_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Vrid;
    use crate::wire::build::{self, MAX_MESSAGE, Message};
    use crate::wire::cursor::SliceCursor;
    use crate::wire::numbers::{AUTH_NONE, TTL};
    use proptest::prelude::*;
    use std::vec::Vec;

    const SOURCE: RawAddress = [10, 99, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const OWN: RawAddress = [10, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn envelope(family: Family, length: usize) -> IpHeader {
        IpHeader {
            source: SOURCE,
            destination: group(family),
            length: u16::try_from(length).unwrap(),
            ttl: TTL,
            family,
            fragment: false,
        }
    }

    fn expect(
        family: Family,
        version: Version,
        password: Option<[u8; 8]>,
        own_interval: u16,
    ) -> Expect {
        Expect {
            version: version as u8,
            auth_type: if password.is_some() {
                AUTH_PASS
            } else {
                AUTH_NONE
            },
            auth_data: password.unwrap_or_default(),
            own_interval,
            own_address: OWN,
            group: group(family),
            ttl: TtlRange::LINK,
            known: false,
            gated: false,
        }
    }

    fn run(envelope: &IpHeader, bytes: &[u8], expect: &Expect) -> Result<Advert, Reject> {
        let (header, body) = bytes.split_first_chunk::<8>().unwrap();
        check(envelope, *header, SliceCursor::new(body), expect)
    }

    fn kinds() -> impl Strategy<Value = (Version, Family, ChecksumScope, Option<[u8; 8]>)> {
        prop_oneof![
            Just((Version::V3, Family::V4, ChecksumScope::PseudoHeader, None)),
            Just((Version::V3, Family::V4, ChecksumScope::Payload, None)),
            Just((Version::V3, Family::V6, ChecksumScope::PseudoHeader, None)),
            Just((Version::V2, Family::V4, ChecksumScope::Payload, None)),
            any::<[u8; 8]>().prop_map(|word| (
                Version::V2,
                Family::V4,
                ChecksumScope::Payload,
                Some(word)
            )),
        ]
    }

    fn list(family: Family, seeds: &[[u8; 16]]) -> Vec<RawAddress> {
        seeds
            .iter()
            .map(|seed| match family {
                Family::V6 => *seed,
                Family::V4 => {
                    let mut address = [0; 16];
                    address[..4].copy_from_slice(&seed[..4]);
                    address
                }
            })
            .collect()
    }

    proptest! {
        /// RFC 9568 section 7.2 (fields, checksum).
        #[test]
        fn what_we_send_is_what_a_receiver_understands(
            (version, family, flavour, password) in kinds(),
            vrid in 1_u8..,
            priority: u8,
            seconds in 1_u16..40,
            seeds in prop::collection::vec(any::<[u8; 16]>(), 1..90),
        ) {
            let addresses = list(family, &seeds);
            let interval = Centiseconds(seconds * 100);
            let message = Message {
                version,
                family,
                vrid: Vrid::new(vrid).unwrap(),
                priority: Priority(priority),
                interval,
                addresses: &addresses,
                password,
                source: SOURCE,
                destination: group(family),
                flavour,
            };
            let mut out = [0; MAX_MESSAGE];
            let length = build::write(&message, &mut out).unwrap();
            let heard = run(
                &envelope(family, length),
                &out[..length],
                &expect(family, version, password, interval.0),
            );
            let advert = heard.unwrap();
            prop_assert_eq!((advert.priority, advert.interval), (message.priority, interval));
            prop_assert_eq!(usize::from(advert.count), addresses.len());
            prop_assert_eq!(advert.flavour, flavour);
            prop_assert_eq!(advert.hash, AddressHash::of(family, addresses.into_iter().rev()).0);
        }

        #[test]
        fn any_bytes_get_a_verdict(
            bytes in prop::collection::vec(any::<u8>(), 8..1600),
            claimed: u16,
            v6: bool,
            (version, _, _, password) in kinds(),
        ) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            let mut envelope = envelope(family, 8);
            envelope.length = claimed;
            let heard = run(&envelope, &bytes, &expect(family, version, password, 100));
            if let Ok(advert) = heard {
                prop_assert!(usize::from(advert.length) <= bytes.len());
                prop_assert!(advert.count > 0 && advert.interval.0 > 0);
            }
        }
    }

    #[test]
    fn the_list_hash_knows_position_within_an_address_but_not_order() {
        let (a, b) = ([1; 16], [2; 16]);
        let hash = |list: &[RawAddress]| AddressHash::of(Family::V6, list.iter().copied());
        assert_eq!(hash(&[a, b]), hash(&[b, a]));
        assert_ne!(hash(&[a, b]), hash(&[a, a]));
        assert_ne!(hash(&[a]), hash(&[a, a]));
        let mut turned = [0; 16];
        turned[0] = 7;
        let mut other = [0; 16];
        other[4] = 7;
        assert_ne!(hash(&[turned]), hash(&[other]));
    }
}
