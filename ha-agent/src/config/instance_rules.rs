//! What the keys of one instance must be to each other.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use ha_common::units::{Centiseconds, Family, Priority, Version};

use super::address;
use super::advert_size;
use super::held::Held;
use super::model::{Auth, Carrier, ChecksumFlavour, Hmac, Subject, Track};
use super::reader::{At, Field};
use super::report::Report;
use super::virtual_address::VirtualAddress;

/// The parts of an instance that could be read.
pub(super) struct Parts<'p> {
    pub(super) report: &'p Report<'p>,
    pub(super) version: Option<&'p At<Version>>,
    pub(super) priority: Option<&'p At<Priority>>,
    pub(super) down_multiplier: Option<&'p At<u8>>,
    pub(super) held: &'p Held,
    pub(super) preempt: Option<&'p At<bool>>,
    pub(super) preempt_delay: Option<&'p At<Duration>>,
    pub(super) auth: Option<&'p At<Auth>>,
    pub(super) hmac: Option<&'p At<Option<Hmac>>>,
    pub(super) checksum: Option<&'p At<ChecksumFlavour>>,
    pub(super) interface: Option<&'p At<String>>,
    pub(super) carrier: Option<&'p At<Carrier>>,
    pub(super) track: &'p [At<Track>],
}

/// `advert_interval`: its range and step are the version's.
pub(super) fn advert_interval(field: &Field<'_>, version: Version) -> Option<Centiseconds> {
    let (expected, step, most) = match version {
        // RFC 9568 section 5.2.7: 12 bits of centiseconds.
        Version::V3 => (
            "a duration from 10ms to 40.95s in steps of 10ms",
            Duration::from_millis(10),
            4095,
        ),
        // RFC 3768 section 5.3.7: one byte of seconds.
        Version::V2 => (
            "a duration of whole seconds from 1s to 255s, because version = 2",
            Duration::from_secs(1),
            255,
        ),
    };
    let duration = field.any_duration(expected)?;
    let steps = duration.as_nanos() / step.as_nanos();
    let centiseconds = u16::try_from(duration.as_millis() / 10);
    let whole = duration.as_nanos() % step.as_nanos() == 0;
    match centiseconds {
        Ok(value) if whole && (1..=most).contains(&steps) => Some(Centiseconds(value)),
        _ => field.wrong(expected),
    }
}

/// Reports what does not go together.
pub(super) fn check(parts: &Parts<'_>) {
    versions(parts);
    addresses(parts);
    advert_size::check(parts);
    tracked_once(parts);
    timers(parts);
    own_interface(parts);
    if parts.priority.is_some_and(|it| it.get_ref().is_owner()) {
        owner(parts);
    }
}

fn versions(parts: &Parts<'_>) {
    let report = parts.report;
    let family = parts.held.family;
    let Some(version) = parts.version else {
        return;
    };
    let v2 = *version.get_ref() == Version::V2;
    if v2 && family == Some(Family::V6) {
        let message = "`version` must be 3 for IPv6 addresses: VRRPv2 knows only IPv4";
        report.error(&version.span(), message);
    }
    if let Some(auth) = parts.auth
        && *auth.get_ref() != Auth::None
        && !v2
    {
        let message = "`auth` must be { type = \"none\" } because version = 3 has no \
                       authentication; only version = 2 has passwords";
        report.error(&auth.span(), message);
    }
    if let (Some(auth), Some(hmac)) = (parts.auth, parts.hmac)
        && *auth.get_ref() != Auth::None
        && hmac.get_ref().is_some()
    {
        let message = "`auth` must be { type = \"none\" } beside `hmac`: the password would be sent in clear \
                       text and prove nothing";
        report.error(&auth.span(), message);
    }
    if let Some(checksum) = parts.checksum
        && *checksum.get_ref() == ChecksumFlavour::Payload
        && (v2 || family == Some(Family::V6))
    {
        let message = "`checksum` has no effect here: only version 3 over IPv4 leaves a choice";
        report.warn(&checksum.span(), message);
    }
}

/// RFC 9568 section 5.2.9 (family); of its (link-local) we only warn.
fn addresses(parts: &Parts<'_>) {
    let report = parts.report;
    let Some(first) = parts.held.addresses.first() else {
        return;
    };
    let family = address::family(&first.get_ref().net);
    let mut seen = HashSet::new();
    for at in &parts.held.addresses {
        let net = &at.get_ref().net;
        if address::family(net) != family {
            let message = format!(
                "all `addresses` of an instance must be of one family, and the first is {}; \
                 give the other family an instance of its own (the same vrid is fine)",
                first.get_ref()
            );
            report.error(&at.span(), message);
        } else if !seen.insert(net.addr()) {
            let message = format!("{} is in this list already", net.addr());
            report.error(&at.span(), message);
        } else {
            doubts(report, at);
        }
    }
    excluded(parts, &mut seen);
    if family == Family::V6 && !address::is_link_local(first.get_ref().addr()) {
        let message = "the first IPv6 address should be link-local (fe80::...): RFC 9568 \
                       section 5.2.9 wants it, and strict peers discard adverts without it";
        report.warn(&first.span(), message);
    }
}

/// They may be of either family, but no address can be on an interface twice.
fn excluded(parts: &Parts<'_>, seen: &mut HashSet<IpAddr>) {
    for at in &parts.held.excluded {
        let address = at.get_ref().addr();
        if seen.insert(address) {
            doubts(parts.report, at);
        } else {
            let message = format!("{address} is in `addresses` or `excluded` already");
            parts.report.error(&at.span(), message);
        }
    }
}

fn doubts(report: &Report<'_>, at: &At<VirtualAddress>) {
    let VirtualAddress { net, form } = at.get_ref();
    // With a peer the prefix length is the other end's.
    if form.peer.is_none()
        && let Some(what) = address::doubtful(net)
    {
        let message = format!("{net} is {what}; was another address or length meant?");
        report.warn(&at.span(), message);
    }
}

fn tracked_once(parts: &Parts<'_>) {
    let mut seen = HashSet::new();
    for at in parts.track {
        let (kind, name) = match &at.get_ref().subject {
            Subject::Check(name) => ("check", name),
            Subject::Interface { name, .. } => ("interface", name),
        };
        if !seen.insert((kind, name)) {
            let message = format!("{kind} `{name}` is in this list already");
            parts.report.error(&at.span(), message);
        }
    }
}

fn timers(parts: &Parts<'_>) {
    if let Some(multiplier) = parts.down_multiplier
        && *multiplier.get_ref() == 1
    {
        let message =
            "`down_multiplier` = 1 makes a fail-over of a single advert that is late or lost";
        parts.report.warn(&multiplier.span(), message);
    }
    if let (Some(preempt), Some(delay)) = (parts.preempt, parts.preempt_delay)
        && !preempt.get_ref()
        && !delay.get_ref().is_zero()
    {
        let message = "`preempt_delay` goes with preempt = true: with preempt = false there is nothing \
                       to delay; leave one of them out";
        parts.report.error(&delay.span(), message);
    }
}

/// Without its own interface an instance is in FAULT, whatever else it tracks.
fn own_interface(parts: &Parts<'_>) {
    let (Some(interface), Some(own)) = (parts.interface, parts.carrier) else {
        return;
    };
    for at in parts.track {
        let Subject::Interface { name, carrier } = &at.get_ref().subject else {
            continue;
        };
        let carrier_counts = *carrier && *own.get_ref() == Carrier::Ignore;
        if name == interface.get_ref() && !carrier_counts {
            let message = format!(
                "tracking {name} changes nothing: it is the instance's own interface, and without \
                 it the instance is in FAULT anyway; only with carrier = \"ignore\" is its carrier \
                 worth tracking"
            );
            parts.report.warn(&at.span(), message);
        }
    }
}

/// RFC 9568 section 6.1 (owner-preempts): the owner of the addresses is always 255 and always preempts.
fn owner(parts: &Parts<'_>) {
    for at in parts.track {
        if at.get_ref().weight.is_some() {
            let message = "this weight is ignored: priority = 255 makes this host the owner of \
                           the addresses, and an owner's priority never changes";
            parts.report.warn(&at.span(), message);
        }
    }
    if let Some(preempt) = parts.preempt
        && !preempt.get_ref()
    {
        let message = "preempt = false is ignored: priority = 255 makes this host the owner of \
                       the addresses, and an owner always preempts";
        parts.report.warn(&preempt.span(), message);
    }
    if let Some(delay) = parts.preempt_delay
        && !delay.get_ref().is_zero()
    {
        let message = "`preempt_delay` is ignored: priority = 255 makes this host the owner of the \
                       addresses, and an owner preempts at once";
        parts.report.warn(&delay.span(), message);
    }
}
