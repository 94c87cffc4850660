//! The last rejected advert, field by field.

use ha_common::accept::TtlRange;
use ha_common::hmac::TRAILER;
use ha_common::layout::Slot;
use ha_common::reject::Reject;
use ha_common::units::{Family, Instant, Version};

use super::now::Now;
use super::transport::{accepted_ttl, destination, wanted_source};
use crate::agent::peers::address;
use crate::config::model::Instance;
use crate::driver::published::InstanceStatus;
use crate::status::instance::{Difference, Rejected};

/// Bytes before the list (RFC 9568 section 5.1).
const HEADER: usize = 8;

pub(super) fn rejected(view: &InstanceStatus, slot: &Slot, now: Now) -> Option<Rejected> {
    let last = slot.last_reject;
    if last.at == 0 {
        return None;
    }
    let reject = Reject::from_index(usize::from(last.reason))?;
    Some(Rejected {
        reason: reject.name().to_owned(),
        source: address(slot.family, last.source),
        at: now.moment(Instant(last.at)),
        differences: differences(view, slot),
    })
}

/// Field by field, what the rejected message says and what it should.
fn differences(view: &InstanceStatus, slot: &Slot) -> Vec<Difference> {
    let last = slot.last_reject;
    let [version_type, _, _, count, fourth, fifth, _, _] = last.header;
    let config = &view.config;
    let mut found = Differences::default();
    let mut compare = |field: &str, expected: String, got: String| {
        found.compare(field, expected, got);
    };
    let source = address(slot.family, last.source);
    let ttl = accepted_ttl(config, source);
    if !ttl.contains(last.ttl) {
        compare("ttl", span_of(ttl), last.ttl.to_string());
    }
    compare(
        "destination",
        destination(slot).to_string(),
        address(slot.family, last.destination).to_string(),
    );
    if let Some(peers) = wanted_source(config, source) {
        compare("source", peers, source.to_string());
    }
    compare(
        "version",
        slot.version.to_string(),
        (version_type >> 4).to_string(),
    );
    compare("type", "1".to_owned(), (version_type & 0x0f).to_string());
    // What follows means something else in another version.
    if slot.version != version_type >> 4 {
        return found.0;
    }
    compare(
        "address count",
        config.addresses.len().to_string(),
        count.to_string(),
    );
    for (field, expected, got) in fields_of_version(config, slot, fourth, fifth) {
        compare(field, expected, got);
    }
    compare_trust(view, slot, &mut found);
    found.0
}

/// What differs so far.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn compare(&mut self, field: &str, expected: String, got: String) {
        if expected != got {
            self.0.push(Difference {
                field: field.to_owned(),
                expected,
                got,
            });
        }
    }
}

/// Checksum, signature and password.
fn compare_trust(view: &InstanceStatus, slot: &Slot, found: &mut Differences) {
    let (config, last) = (&view.config, slot.last_reject);
    let [_, _, _, count, ..] = last.header;
    let mut compare = |field: &str, expected: String, got: String| {
        found.compare(field, expected, got);
    };
    if config.hmac.is_none() && is_signed(config, count, last.length) {
        compare(
            "hmac",
            "no signature: `hmac` is not configured here".to_owned(),
            "a message that is 28 bytes longer than its list: it is signed".to_owned(),
        );
    } else if last.reason == Reject::Checksum as u8 {
        compare(
            "checksum",
            "a correct one".to_owned(),
            "a wrong one".to_owned(),
        );
    }
    if let Some((expected, got)) = signature(view, last.reason) {
        compare("hmac", expected, got.to_owned());
    }
    if last.reason == Reject::AuthData as u8 {
        compare(
            "password",
            "the configured one".to_owned(),
            "a different one".to_owned(),
        );
    }
}

/// What bytes four and five mean in the router's version: field, expected, got.
fn fields_of_version(
    config: &Instance,
    slot: &Slot,
    fourth: u8,
    fifth: u8,
) -> Vec<(&'static str, String, String)> {
    if config.version == Version::V2 {
        let seconds = |centis: u16| format!("{} s", centis / 100);
        let interval = (seconds(slot.own_interval), format!("{fifth} s"));
        return vec![
            ("auth type", slot.auth_type.to_string(), fourth.to_string()),
            ("interval", interval.0, interval.1),
        ];
    }
    let theirs = u16::from_be_bytes([fourth & 0x0f, fifth]);
    let millis = |centis: u16| format!("{} ms", u32::from(centis) * 10);
    vec![("interval", millis(slot.own_interval), millis(theirs))]
}

/// Whether a message is longer than its header and its list of so many addresses by just what a signature takes.
fn is_signed(config: &Instance, count: u8, length: u16) -> bool {
    let address = match config.family {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    let password = if config.version == Version::V2 { 8 } else { 0 };
    usize::from(length) == HEADER + usize::from(count) * address + password + TRAILER
}

fn span_of(ttl: TtlRange) -> String {
    if ttl.min == ttl.max {
        ttl.min.to_string()
    } else {
        format!("{} to {}", ttl.min, ttl.max)
    }
}

/// What the gate expected of a trailer, and what it found.
fn signature(view: &InstanceStatus, reason: u8) -> Option<(String, &'static str)> {
    let hmac = view.config.hmac.as_ref()?;
    let known: Vec<String> = hmac.keys.iter().map(|it| it.id.to_string()).collect();
    let window = hmac.window.map_or(0, |window| window.as_secs());
    Some(match Reject::from_index(usize::from(reason))? {
        Reject::HmacMissing => (
            "a signature".to_owned(),
            "none, or a message of the wrong length",
        ),
        Reject::HmacTrailer => ("HMAC-SHA256".to_owned(), "an unknown scheme"),
        Reject::HmacKey => (
            format!("one of the keys {}", known.join(", ")),
            "a different key",
        ),
        Reject::HmacStale => (
            format!("a time within {window} s of now"),
            "a time outside it: check both clocks",
        ),
        Reject::HmacReplay => (
            "a later time than the sender's last".to_owned(),
            "an earlier or equal time: a replayed advert, or two senders with one address",
        ),
        Reject::HmacDigest => (
            "the digest made with our key of that number".to_owned(),
            "a different one: a different secret, or a forgery",
        ),
        Reject::HmacLimit => (
            "a recently verified sender".to_owned(),
            "an unverified one, ignored because of too many forgeries or senders",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ha_common::layout::LastReject;

    use super::*;
    use crate::config::parse;

    /// What is said of a message with this header, length in bytes and reason, at a router of version 3 with one address.
    fn said(header: [u8; 8], length: u16, reason: Reject) -> Vec<String> {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.1\"]\n";
        let config = parse("test.toml", text).unwrap().instances.remove(0);
        let view = InstanceStatus::new(Arc::new(config));
        let mut slot = Slot {
            version: 3,
            own_interval: 100,
            ..Slot::default()
        };
        let destination = match destination(&slot) {
            std::net::IpAddr::V4(it) => it.octets(),
            std::net::IpAddr::V6(_) => panic!("IPv4"),
        };
        let mut raw = [0; 16];
        raw[..4].copy_from_slice(&destination);
        slot.last_reject = LastReject {
            at: 1,
            destination: raw,
            header,
            reason: reason as u8,
            ttl: 255,
            length,
            ..LastReject::default()
        };
        let found = differences(&view, &slot);
        let line = |it: &Difference| format!("{}: {} / {}", it.field, it.expected, it.got);
        found.iter().map(line).collect()
    }

    #[test]
    fn of_another_version_nothing_is_said_that_means_something_else_in_it() {
        // Version 2 with an interval of 1 s: the byte that is half an interval of version 3.
        assert_eq!(
            said([0x21, 51, 100, 1, 0, 1, 0, 0], 20, Reject::Version),
            ["version: 3 / 2"]
        );
        assert_eq!(
            said([0x31, 51, 100, 1, 0, 200, 0, 0], 12, Reject::Interval),
            ["interval: 1000 ms / 2000 ms"]
        );
    }

    #[test]
    fn a_signed_advert_where_nothing_is_signed_is_called_so() {
        let header = [0x31, 51, 100, 1, 0, 100, 0, 0];
        assert_eq!(
            said(header, 8 + 4 + 28, Reject::Checksum),
            [
                "hmac: no signature: `hmac` is not configured here / a message that is 28 bytes longer than its list: it \
              is signed"
            ]
        );
        assert_eq!(
            said(header, 8 + 4, Reject::Checksum),
            ["checksum: a correct one / a wrong one"]
        );
    }
}
