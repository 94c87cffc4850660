//! What the keys of one instance must be to each other.

use std::collections::HashSet;

use ha_common::units::{Family, Version};

use super::{addresses, advert_size, transport};
use crate::config::diagnostics::Report;
use crate::config::model::{Auth, Carrier, ChecksumFlavour, Subject, Track};
use crate::config::read::RawInstance;

/// Reports what does not go together.
pub(crate) fn check(report: &Report<'_>, raw: &RawInstance) {
    versions(report, raw);
    addresses::check(report, raw);
    advert_size::check(report, raw);
    transport::check(report, raw);
    tracked_once(report, raw);
    timers(report, raw);
    own_interface(report, raw);
    last_resort(report, raw);
    if raw
        .priority
        .as_ref()
        .is_some_and(|it| it.get_ref().is_owner())
    {
        owner(report, raw);
    }
}

fn versions(report: &Report<'_>, raw: &RawInstance) {
    let family = raw.owned.family;
    let Some(version) = raw.version.as_ref() else {
        return;
    };
    let v2 = *version.get_ref() == Version::V2;
    if v2 && family == Some(Family::V6) {
        let message = "`version` must be 3 for IPv6 addresses: VRRPv2 knows only IPv4";
        report.error(&version.span(), message);
    }
    if let Some(auth) = raw.auth.as_ref()
        && *auth.get_ref() != Auth::None
        && !v2
    {
        let message = "`auth` must be { type = \"none\" } because version = 3 has no \
                       authentication; only version = 2 has passwords";
        report.error(&auth.span(), message);
    }
    if let (Some(auth), Some(hmac)) = (raw.auth.as_ref(), raw.hmac.as_ref())
        && *auth.get_ref() != Auth::None
        && hmac.get_ref().is_some()
    {
        let message = "`auth` must be { type = \"none\" } beside `hmac`: the password would be sent in clear \
                       text and prove nothing";
        report.error(&auth.span(), message);
    }
    if let Some(checksum) = raw.checksum.as_ref()
        && *checksum.get_ref() == ChecksumFlavour::Payload
        && (v2 || family == Some(Family::V6))
    {
        let message = "`checksum` has no effect here: only version 3 over IPv4 leaves a choice";
        report.warn(&checksum.span(), message);
    }
}

fn tracked_once(report: &Report<'_>, raw: &RawInstance) {
    let mut seen = HashSet::new();
    for at in &raw.track {
        let (kind, name) = match &at.get_ref().subject {
            Subject::Check(name) => ("check", name),
            Subject::Interface { name, .. } => ("interface", name),
        };
        if !seen.insert((kind, name)) {
            let message = format!("{kind} `{name}` is in this list already");
            report.error(&at.span(), message);
        }
    }
}

fn timers(report: &Report<'_>, raw: &RawInstance) {
    if let Some(multiplier) = raw.down_multiplier.as_ref()
        && *multiplier.get_ref() == 1
    {
        let message =
            "with `down_multiplier` = 1, a single advert that is late or lost causes a failover";
        report.warn(&multiplier.span(), message);
    }
    if let (Some(preempt), Some(delay)) = (raw.preempt.as_ref(), raw.preempt_delay.as_ref())
        && !preempt.get_ref()
        && !delay.get_ref().is_zero()
    {
        let message = "`preempt_delay` goes with preempt = true: with preempt = false there is nothing \
                       to delay; leave one of them out";
        report.error(&delay.span(), message);
    }
}

/// Without its own interface an instance is in FAULT, whatever else it tracks.
fn own_interface(report: &Report<'_>, raw: &RawInstance) {
    let (Some(interface), Some(own)) = (raw.interface.as_ref(), raw.carrier.as_ref()) else {
        return;
    };
    for at in &raw.track {
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
            report.warn(&at.span(), message);
        }
    }
}

/// It is for a failure that would be a fault, and only a host that preempts takes the addresses from one that is on it.
fn last_resort(report: &Report<'_>, raw: &RawInstance) {
    let Some(at) = raw.last_resort.as_ref() else {
        return;
    };
    let Some(last_resort) = *at.get_ref() else {
        return;
    };
    let priority = raw.priority.as_ref().map(|it| *it.get_ref());
    if priority.is_some_and(|it| it.is_owner() || last_resort >= it) {
        let message = "`last_resort` must be lower than `priority`, and goes with none of 255: an owner's priority \
                       never changes";
        report.error(&at.span(), message);
    }
    if raw.preempt.as_ref().is_some_and(|it| !it.get_ref()) {
        let message = "`last_resort` goes with preempt = true: with preempt = false, a host that is well again would \
                       leave the addresses to one that is not";
        report.error(&at.span(), message);
    }
    let decides = |track: &Track| track.weight.is_none();
    if raw.all_track && !raw.track.iter().any(|track| decides(track.get_ref())) {
        let message = "`last_resort` changes nothing: nothing is tracked without weight";
        report.warn(&at.span(), message);
    }
}

/// RFC 9568 section 6.1 (owner-preempts): the owner of the addresses is always 255 and always preempts.
fn owner(report: &Report<'_>, raw: &RawInstance) {
    for at in &raw.track {
        if at.get_ref().weight.is_some() {
            let message = "this weight is ignored: priority = 255 makes this host the owner of \
                           the addresses, and an owner's priority never changes";
            report.warn(&at.span(), message);
        }
    }
    if let Some(preempt) = raw.preempt.as_ref()
        && !preempt.get_ref()
    {
        let message = "preempt = false is ignored: priority = 255 makes this host the owner of \
                       the addresses, and an owner always preempts";
        report.warn(&preempt.span(), message);
    }
    if let Some(delay) = raw.preempt_delay.as_ref()
        && !delay.get_ref().is_zero()
    {
        let message = "`preempt_delay` is ignored: priority = 255 makes this host the owner of the \
                       addresses, and an owner preempts at once";
        report.warn(&delay.span(), message);
    }
}
