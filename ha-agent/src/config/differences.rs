//! What differs between two sections of one kind, key by key, in the words of the file.

use std::fmt;
use std::time::Duration;

use ha_common::units::Centiseconds;

use super::model::virtual_address::VirtualAddress;
use super::model::{
    Carrier, Check, ChecksumFlavour, Consume, Group, Hmac, Instance, LogFormat, Node, Probe, Track,
    Transport,
};

/// How many entries of a list that came or went are named.
const MOST_ENTRIES: usize = 6;

/// A key whose values differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The key's name in the file.
    pub key: &'static str,
    /// Both values in words. Of lists, tables and whatever may be secret it only says that they changed.
    pub words: String,
}

/// Collects what differs.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    /// A key whose values are short enough to be told.
    fn value<T: PartialEq, S: fmt::Display>(
        &mut self,
        key: &'static str,
        (old, new): (&T, &T),
        shown: impl Fn(&T) -> S,
    ) {
        if old != new {
            let words = format!("{key} {} -> {}", shown(old), shown(new));
            self.0.push(Difference { key, words });
        }
    }

    /// A list: what came and what went.
    fn entries<T: PartialEq>(
        &mut self,
        key: &'static str,
        (old, new): (&[T], &[T]),
        shown: impl Fn(&T) -> String,
    ) {
        if old != new {
            let words = entries(key, old, new, shown);
            self.0.push(Difference { key, words });
        }
    }

    /// The same of one that is told as it is.
    fn shown<T: PartialEq + Copy + fmt::Display>(&mut self, key: &'static str, pair: (&T, &T)) {
        self.value(key, pair, |it| *it);
    }

    /// One that may not be there.
    fn optional<T: PartialEq + fmt::Display>(
        &mut self,
        key: &'static str,
        pair: (&Option<T>, &Option<T>),
    ) {
        self.value(key, pair, |it| {
            it.as_ref().map_or("none".to_owned(), ToString::to_string)
        });
    }

    /// A time.
    fn span(&mut self, key: &'static str, pair: (&Duration, &Duration)) {
        self.value(key, pair, |it| span(*it));
    }

    /// A key of which it is only told that it has changed.
    fn list<T: PartialEq>(&mut self, key: &'static str, (old, new): (&T, &T)) {
        if old != new {
            let words = format!("{key} changed");
            self.0.push(Difference { key, words });
        }
    }
}

// The models are taken apart without `..`, so that a new key cannot be forgotten here.

pub(super) fn router(old: &Instance, new: &Instance) -> Vec<Difference> {
    let Instance {
        name,
        interface,
        vrid,
        family: _, // It shows in the addresses.
        version,
        priority,
        advert_interval,
        down_multiplier,
        addresses,
        source,
        transport,
        virtual_mac,
        excluded,
        routes,
        rules,
        preempt,
        preempt_delay,
        auth,
        hmac,
        track,
        last_resort,
        carrier,
        carrier_delay,
        address_delay,
        datapath,
        consume,
        checksum,
        garp,
        start_delay,
    } = old;
    let mut it = Differences::default();
    it.value("name", (name, &new.name), String::clone);
    it.value("interface", (interface, &new.interface), String::clone);
    it.value("vrid", (vrid, &new.vrid), |it| it.get());
    it.value("version", (version, &new.version), |it| *it as u8);
    it.shown("priority", (priority, &new.priority));
    let pair = (advert_interval, &new.advert_interval);
    it.value("advert_interval", pair, |it| interval(*it));
    it.shown("down_multiplier", (down_multiplier, &new.down_multiplier));
    it.entries("addresses", (addresses, &new.addresses), address);
    it.optional("source", (source, &new.source));
    it.0.extend(transport_difference(transport, &new.transport));
    it.entries("excluded", (excluded, &new.excluded), address);
    it.entries("routes", (routes, &new.routes), ToString::to_string);
    it.entries("rules", (rules, &new.rules), ToString::to_string);
    it.shown("preempt", (preempt, &new.preempt));
    it.span("preempt_delay", (preempt_delay, &new.preempt_delay));
    it.list("auth", (auth, &new.auth));
    it.0.extend(hmac_difference(hmac.as_ref(), new.hmac.as_ref()));
    it.entries("track", (track, &new.track), tracked);
    it.optional("last_resort", (last_resort, &new.last_resort));
    it.value("carrier", (carrier, &new.carrier), |it| carrier_name(*it));
    it.span("carrier_delay", (carrier_delay, &new.carrier_delay));
    it.span("address_delay", (address_delay, &new.address_delay));
    it.value("datapath", (datapath, &new.datapath), |it| it.name());
    it.value("consume", (consume, &new.consume), |it| consume_name(*it));
    let pair = (checksum, &new.checksum);
    it.value("checksum", pair, |it| checksum_name(*it));
    it.list("garp", (garp, &new.garp));
    it.span("start_delay", (start_delay, &new.start_delay));
    it.value("virtual_mac", (virtual_mac, &new.virtual_mac), |it| {
        it.as_ref()
            .map_or("false".to_owned(), |mac| mac.device.clone())
    });
    it.0
}

/// `addresses +10.99.0.101/24 -10.99.0.100/24`: what came and what went. Of entries that changed in something which is
/// not shown, or only their order, it says `changed`.
fn entries<T: PartialEq>(key: &str, old: &[T], new: &[T], shown: impl Fn(&T) -> String) -> String {
    let all = |list: &[T]| list.iter().map(&shown).collect::<Vec<_>>();
    let (before, after) = (all(old), all(new));
    let came = after
        .iter()
        .filter(|it| !before.contains(it))
        .map(|it| format!("+{it}"));
    let went = before
        .iter()
        .filter(|it| !after.contains(it))
        .map(|it| format!("-{it}"));
    let mut words: Vec<String> = came.chain(went).collect();
    if words.is_empty() {
        return format!("{key} changed");
    }
    let more = words.len().saturating_sub(MOST_ENTRIES);
    words.truncate(MOST_ENTRIES);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    format!("{key} {}", words.join(" "))
}

fn address(address: &VirtualAddress) -> String {
    address.to_string()
}

/// `(check nginx, weight -20)`, with what is not the default.
fn tracked(track: &Track) -> String {
    let Track {
        subject,
        weight,
        reverse,
        delay: _,
    } = track;
    let kind = if subject.check_name().is_some() {
        "check "
    } else {
        ""
    };
    let weight = weight.map_or(String::new(), |weight| format!(", weight {weight}"));
    let reverse = if *reverse { ", reversed" } else { "" };
    format!("({kind}{subject}{weight}{reverse})")
}

/// The step of a roll-out and the numbers of keys; never a key.
fn hmac_difference(old: Option<&Hmac>, new: Option<&Hmac>) -> Option<Difference> {
    let said = |hmac: &Hmac| {
        let keys: Vec<String> = hmac.keys.iter().map(|it| it.id.to_string()).collect();
        format!(
            "{} with key {} of {}",
            hmac.mode.name(),
            hmac.active,
            keys.join(", ")
        )
    };
    let shown = |hmac: Option<&Hmac>| hmac.map_or("none".to_owned(), said);
    let (before, after) = (shown(old), shown(new));
    (old != new).then(|| Difference {
        key: "hmac",
        words: if before == after {
            "hmac changed".to_owned()
        } else {
            format!("hmac {before} -> {after}")
        },
    })
}

fn transport_difference(old: &Transport, new: &Transport) -> Option<Difference> {
    if old == new {
        return None;
    }
    let (key, words) = match (old, new) {
        (Transport::Multicast { group: old }, Transport::Multicast { group: new }) => {
            ("group", format!("group {old} -> {new}"))
        }
        (Transport::Unicast(old), Transport::Unicast(new)) => (
            "peers",
            entries("peers", &old.peers, &new.peers, |it| it.address.to_string()),
        ),
        (Transport::Multicast { .. }, Transport::Unicast(_)) => {
            ("peers", "unicast to peers in place of multicast".to_owned())
        }
        (Transport::Unicast(_), Transport::Multicast { .. }) => {
            ("peers", "multicast in place of unicast to peers".to_owned())
        }
    };
    Some(Difference { key, words })
}

pub(super) fn check(old: &Check, new: &Check) -> Vec<Difference> {
    let Check {
        name: _,
        probe,
        interval,
        timeout,
        fall,
        rise,
        restart,
    } = old;
    let mut it = Differences::default();
    it.0.extend(probe_difference(probe, &new.probe));
    it.value("interval", (interval, &new.interval), |it| span(*it));
    it.value("timeout", (timeout, &new.timeout), |it| span(*it));
    it.value("fall", (fall, &new.fall), |it| *it);
    it.value("rise", (rise, &new.rise), |it| *it);
    it.list("restart", (restart, &new.restart));
    it.0
}

fn probe_difference(old: &Probe, new: &Probe) -> Option<Difference> {
    if old == new {
        return None;
    }
    let (from, key) = (probe_key(old), probe_key(new));
    let words = if from == key {
        format!("{key} changed")
    } else {
        format!("{key} in place of {from}")
    };
    Some(Difference { key, words })
}

pub(super) fn group(old: &Group, new: &Group) -> Vec<Difference> {
    let Group { name: _, instances } = old;
    let mut it = Differences::default();
    let pair = (instances, &new.instances);
    it.value("instances", pair, |it| it.join(", "));
    it.0
}

pub(super) fn node(old: &Node, new: &Node) -> Vec<Difference> {
    let Node {
        name,
        log_format,
        max_slots,
    } = old;
    let mut it = Differences::default();
    it.value("name", (name, &new.name), String::clone);
    let pair = (log_format, &new.log_format);
    it.value("log_format", pair, |it| log_format_name(*it));
    it.value("max_slots", (max_slots, &new.max_slots), |it| *it);
    it.0
}

fn interval(interval: Centiseconds) -> impl fmt::Display {
    span(Duration::from_millis(u64::from(interval.0) * 10))
}

fn span(span: Duration) -> impl fmt::Display {
    humantime::format_duration(span)
}

const fn carrier_name(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Fault => "fault",
        Carrier::Ignore => "ignore",
    }
}

const fn consume_name(consume: Consume) -> &'static str {
    match consume {
        Consume::Auto => "auto",
        Consume::Always => "true",
        Consume::Never => "false",
    }
}

const fn checksum_name(flavour: ChecksumFlavour) -> &'static str {
    match flavour {
        ChecksumFlavour::PseudoHeader => "pseudo-header",
        ChecksumFlavour::Payload => "payload",
    }
}

const fn log_format_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

const fn probe_key(probe: &Probe) -> &'static str {
    match probe {
        Probe::Http(_) => "http",
        Probe::Tcp(_) => "tcp",
        Probe::Process(_) | Probe::ProcessCount(_) => "process",
        Probe::File(_) => "file",
        Probe::Command(_) => "command",
    }
}
