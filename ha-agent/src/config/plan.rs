//! What a reload does: one plan from the running configuration to the new one. The driver carries it out, and
//! the answer to `ha-agent reload` prints it.
//!
//! A virtual router is the same before and after if its interface, family and VRID are, a check or a group if
//! its name is. An address may move from one router to another in one reload, so what leaves and what changes
//! lets go of its addresses before anything takes them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use ha_common::units::{Centiseconds, Family, Vrid};

use super::key_table::{self, Reload, Section};
use super::model::{
    Carrier, Check, ChecksumFlavour, Config, Consume, Group, Instance, LogFormat, Node, Probe,
    Transport,
};

/// What makes an instance the same virtual router before and after a reload.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RouterId {
    /// The interface's name.
    pub interface: String,
    /// The family of the addresses.
    pub family: Family,
    /// The VRID.
    pub vrid: Vrid,
}

impl RouterId {
    /// The identity of a configured instance.
    pub fn of(instance: &Instance) -> Self {
        Self {
            interface: instance.interface.clone(),
            family: instance.family,
            vrid: instance.vrid,
        }
    }
}

/// A whole reload. The order of sections and the warnings of a file do not count.
#[derive(Debug, Eq, PartialEq)]
pub struct Plan<'c> {
    /// `[[instance]]`.
    pub routers: Sections<'c, Instance>,
    /// `[[check]]`.
    pub checks: Sections<'c, Check>,
    /// `[[group]]`. All groups are formed anew at each reload; what their members know stays.
    pub groups: Sections<'c, Group>,
    /// What differs in `[node]`: it takes effect when the agent is started anew.
    pub node: Vec<Difference>,
}

/// What becomes of the sections of one kind.
#[derive(Debug, Eq, PartialEq)]
pub struct Sections<'c, T> {
    /// Those that only the running configuration has, in its order.
    pub leaving: Vec<&'c T>,
    /// One step for each section of the new configuration, in its order.
    pub steps: Vec<Step<'c, T>>,
}

/// What becomes of one section of the new configuration.
#[derive(Debug, Eq, PartialEq)]
pub enum Step<'c, T> {
    /// It comes.
    Start(&'c T),
    /// It is as before.
    Keep(&'c T),
    /// It is there already, and differs.
    Change(Change<'c, T>),
}

/// A section that is in both configurations and differs.
#[derive(Debug, Eq, PartialEq)]
pub struct Change<'c, T> {
    /// As it runs.
    pub old: &'c T,
    /// As it shall be.
    pub new: &'c T,
    /// What differs, in the order of the model; never nothing.
    pub differences: Vec<Difference>,
    /// Why it is stopped and started anew; `None`: it is changed while it runs.
    pub restart: Option<Restart>,
}

/// A key whose values differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The key's name in the file.
    pub key: &'static str,
    /// Both values in words. Of lists, tables and whatever may be secret it only says that they changed.
    pub words: String,
}

/// Why something cannot be changed while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// This key is fixed while it runs.
    Key(&'static str),
    /// The device of its virtual MAC is made with IPv6 or without, and the addresses now need the other.
    Ipv6OfDevice,
}

impl<'c, T> Step<'c, T> {
    /// The section of the new configuration.
    pub fn section(&self) -> &'c T {
        match self {
            Self::Start(new) | Self::Keep(new) => new,
            Self::Change(change) => change.new,
        }
    }

    /// Whether what runs goes on with it, changed or not.
    pub fn carries_on(&self) -> bool {
        match self {
            Self::Start(_) => false,
            Self::Keep(_) => true,
            Self::Change(change) => change.restart.is_none(),
        }
    }

    /// The change, if it is one.
    pub fn change(&self) -> Option<&Change<'c, T>> {
        match self {
            Self::Change(change) => Some(change),
            Self::Start(_) | Self::Keep(_) => None,
        }
    }
}

impl Plan<'_> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.routers.is_empty()
            && self.checks.is_empty()
            && self.groups.is_empty()
            && self.node.is_empty()
    }
}

impl<'c, T> Sections<'c, T> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty() && self.steps.iter().all(|step| matches!(step, Step::Keep(_)))
    }

    /// Those that come, in the new order.
    pub fn starting(&self) -> impl Iterator<Item = &'c T> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Start(new) => Some(*new),
            Step::Keep(_) | Step::Change(_) => None,
        })
    }

    /// Those that differ, in the new order.
    pub fn changes(&self) -> impl Iterator<Item = &Change<'c, T>> + '_ {
        self.steps.iter().filter_map(Step::change)
    }
}

/// What makes the running configuration the new one.
pub fn plan<'c>(old: &'c Config, new: &'c Config) -> Plan<'c> {
    let name = |check: &Check| check.name.clone();
    let group_name = |group: &Group| group.name.clone();
    Plan {
        routers: sections(&old.instances, &new.instances, RouterId::of, router),
        checks: sections(&old.checks, &new.checks, name, check),
        groups: sections(&old.groups, &new.groups, group_name, group),
        node: node(&old.node, &new.node),
    }
}

type Judged = (Vec<Difference>, Option<Restart>);

fn sections<'c, T, K: Eq + Hash>(
    old: &'c [T],
    new: &'c [T],
    id: impl Fn(&T) -> K,
    compare: impl Fn(&T, &T) -> Judged,
) -> Sections<'c, T> {
    let before: HashMap<K, &T> = old.iter().map(|section| (id(section), section)).collect();
    let after: HashSet<K> = new.iter().map(&id).collect();
    let step = |new: &'c T| {
        let Some(old) = before.get(&id(new)).copied() else {
            return Step::Start(new);
        };
        let (differences, restart) = compare(old, new);
        if differences.is_empty() {
            return Step::Keep(new);
        }
        Step::Change(Change {
            old,
            new,
            differences,
            restart,
        })
    };
    let stays = |section: &&T| after.contains(&id(section));
    Sections {
        leaving: old.iter().filter(|section| !stays(section)).collect(),
        steps: new.iter().map(step).collect(),
    }
}

/// The first of these keys of a section that does not apply to what runs.
fn fixed(section: &Section, differences: &[Difference]) -> Option<Restart> {
    let keys = differences.iter().filter_map(|it| section.key(it.key));
    let mut fixed = keys.filter(|key| key.reload == Reload::Anew);
    fixed.next().map(|key| Restart::Key(key.name))
}

fn router(old: &Instance, new: &Instance) -> Judged {
    let differences = router_differences(old, new);
    let device = || {
        let other = old.holds_ipv6() != new.holds_ipv6();
        (new.virtual_mac.is_some() && other).then_some(Restart::Ipv6OfDevice)
    };
    let restart = fixed(&key_table::INSTANCE, &differences).or_else(device);
    (differences, restart)
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

    /// A key of which it is only told that it has changed.
    fn list<T: PartialEq>(&mut self, key: &'static str, (old, new): (&T, &T)) {
        if old != new {
            let words = format!("{key} changed");
            self.0.push(Difference { key, words });
        }
    }
}

// The models are taken apart without `..`, so that a new key cannot be forgotten here.

fn router_differences(old: &Instance, new: &Instance) -> Vec<Difference> {
    let Instance {
        name,
        interface: _,
        vrid: _,
        family: _,
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
    it.value("version", (version, &new.version), |it| *it as u8);
    it.value("priority", (priority, &new.priority), |it| *it);
    let pair = (advert_interval, &new.advert_interval);
    it.value("advert_interval", pair, |it| interval(*it));
    let pair = (down_multiplier, &new.down_multiplier);
    it.value("down_multiplier", pair, |it| *it);
    it.list("addresses", (addresses, &new.addresses));
    it.list("source", (source, &new.source));
    it.0.extend(transport_difference(transport, &new.transport));
    it.list("excluded", (excluded, &new.excluded));
    it.list("routes", (routes, &new.routes));
    it.list("rules", (rules, &new.rules));
    it.value("preempt", (preempt, &new.preempt), |it| *it);
    let pair = (preempt_delay, &new.preempt_delay);
    it.value("preempt_delay", pair, |it| span(*it));
    it.list("auth", (auth, &new.auth));
    it.list("hmac", (hmac, &new.hmac));
    it.list("track", (track, &new.track));
    it.value("carrier", (carrier, &new.carrier), |it| carrier_name(*it));
    let pair = (carrier_delay, &new.carrier_delay);
    it.value("carrier_delay", pair, |it| span(*it));
    let pair = (address_delay, &new.address_delay);
    it.value("address_delay", pair, |it| span(*it));
    it.value("datapath", (datapath, &new.datapath), |it| it.name());
    it.value("consume", (consume, &new.consume), |it| consume_name(*it));
    let pair = (checksum, &new.checksum);
    it.value("checksum", pair, |it| checksum_name(*it));
    it.list("garp", (garp, &new.garp));
    let pair = (start_delay, &new.start_delay);
    it.value("start_delay", pair, |it| span(*it));
    it.value("virtual_mac", (virtual_mac, &new.virtual_mac), |it| {
        it.as_ref()
            .map_or("false".to_owned(), |mac| mac.device.clone())
    });
    it.0
}

fn transport_difference(old: &Transport, new: &Transport) -> Option<Difference> {
    if old == new {
        return None;
    }
    let (key, words) = match (old, new) {
        (Transport::Multicast { group: old }, Transport::Multicast { group: new }) => {
            ("group", format!("group {old} -> {new}"))
        }
        (Transport::Unicast(_), Transport::Unicast(_)) => ("peers", "peers changed".to_owned()),
        (Transport::Multicast { .. }, Transport::Unicast(_)) => {
            ("peers", "unicast to peers in place of multicast".to_owned())
        }
        (Transport::Unicast(_), Transport::Multicast { .. }) => {
            ("peers", "multicast in place of unicast to peers".to_owned())
        }
    };
    Some(Difference { key, words })
}

/// A check that differs in anything starts anew: what it has found so far may say nothing about the new one. To
/// those that track it the old result counts until there is a new one.
fn check(old: &Check, new: &Check) -> Judged {
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
    let restart = fixed(&key_table::CHECK, &it.0);
    (it.0, restart)
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

fn group(old: &Group, new: &Group) -> Judged {
    let Group { name: _, instances } = old;
    let mut it = Differences::default();
    let pair = (instances, &new.instances);
    it.value("instances", pair, |it| it.join(", "));
    (it.0, None)
}

fn node(old: &Node, new: &Node) -> Vec<Difference> {
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
