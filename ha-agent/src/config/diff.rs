//! What a reload changes, from the running configuration to the new one.
//!
//! Instances are the same if interface, family and VRID are the same, checks if the name is. An
//! address may move from one instance to another in one reload, so apply removals and changes that
//! take addresses away before additions.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use ha_common::units::{Family, Vrid};

use super::model::{Check, Config, Group, Instance, Node};

/// What makes an instance the same virtual router before and after a reload.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct InstanceKey {
    /// The interface's name.
    pub interface: String,
    /// The family of the addresses.
    pub family: Family,
    /// The VRID.
    pub vrid: Vrid,
}

impl Instance {
    /// What makes it the same virtual router before and after a reload.
    pub fn key(&self) -> InstanceKey {
        InstanceKey {
            interface: self.interface.clone(),
            family: self.family,
            vrid: self.vrid,
        }
    }
}

/// A key of an instance that is not part of its identity.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name in the model"
)]
pub enum InstanceField {
    Name,
    Version,
    Priority,
    AdvertInterval,
    DownMultiplier,
    Addresses,
    Source,
    Transport,
    Excluded,
    Routes,
    Rules,
    Preempt,
    PreemptDelay,
    Auth,
    Hmac,
    Track,
    Carrier,
    Datapath,
    Consume,
    Checksum,
    Garp,
    StartDelay,
    VirtualMac,
}

impl InstanceField {
    /// False where the instance has to be stopped and started anew.
    pub const fn applies_live(self) -> bool {
        match self {
            Self::Version | Self::VirtualMac => false,
            Self::Name
            | Self::Priority
            | Self::AdvertInterval
            | Self::DownMultiplier
            | Self::Addresses
            | Self::Source
            | Self::Transport
            | Self::Excluded
            | Self::Routes
            | Self::Rules
            | Self::Preempt
            | Self::PreemptDelay
            | Self::Auth
            | Self::Hmac
            | Self::Track
            | Self::Carrier
            | Self::Datapath
            | Self::Consume
            | Self::Checksum
            | Self::Garp
            | Self::StartDelay => true,
        }
    }
}

/// A key of a check that is not part of its identity.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name in the model"
)]
pub enum CheckField {
    Probe,
    Interval,
    Timeout,
    Fall,
    Rise,
    Restart,
}

impl CheckField {
    /// False where the results so far say nothing about the new check.
    pub const fn applies_live(self) -> bool {
        match self {
            Self::Probe => false,
            Self::Interval | Self::Timeout | Self::Fall | Self::Rise | Self::Restart => true,
        }
    }
}

/// A key of a group that is not part of its identity.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GroupField {
    /// `instances`.
    Instances,
}

/// A key of `[node]`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    missing_docs,
    reason = "each is the field of the same name in the model"
)]
pub enum NodeField {
    Name,
    LogFormat,
    MaxSlots,
}

/// One thing that is in both configurations, and what of it differs (never nothing).
#[derive(Debug, Eq, PartialEq)]
pub struct Change<'c, T, F> {
    /// As it runs.
    pub old: &'c T,
    /// As it shall be.
    pub new: &'c T,
    /// What differs, in the order of the model.
    pub fields: Vec<F>,
}

/// A changed instance.
pub type InstanceChange<'c> = Change<'c, Instance, InstanceField>;
/// A changed check.
pub type CheckChange<'c> = Change<'c, Check, CheckField>;

impl InstanceChange<'_> {
    /// True if the running instance can take the new values and keep its state.
    pub fn applies_live(&self) -> bool {
        self.fields.iter().all(|field| field.applies_live())
    }
}

impl CheckChange<'_> {
    /// True if the running check can take the new values and keep its results.
    pub fn applies_live(&self) -> bool {
        self.fields.iter().all(|field| field.applies_live())
    }
}

/// What of one kind is to be added, removed and changed.
#[derive(Debug, Eq, PartialEq)]
pub struct Changes<'c, T, F> {
    /// Only in the new configuration, in its order.
    pub added: Vec<&'c T>,
    /// Only in the old one, in its order.
    pub removed: Vec<&'c T>,
    /// In both and different, in the new order.
    pub changed: Vec<Change<'c, T, F>>,
}

impl<T, F> Changes<'_, T, F> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What a reload changes. The order of sections and the warnings do not count.
#[derive(Debug, Eq, PartialEq)]
pub struct Diff<'c> {
    /// Instances.
    pub instances: Changes<'c, Instance, InstanceField>,
    /// Checks.
    pub checks: Changes<'c, Check, CheckField>,
    /// Groups.
    pub groups: Changes<'c, Group, GroupField>,
    /// What differs in `[node]`: none of it is applied before the agent is restarted.
    pub node_needs_restart: Vec<NodeField>,
}

impl Diff<'_> {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
            && self.checks.is_empty()
            && self.groups.is_empty()
            && self.node_needs_restart.is_empty()
    }
}

/// Compares the running configuration with a new one.
pub fn diff<'c>(old: &'c Config, new: &'c Config) -> Diff<'c> {
    Diff {
        instances: changes(
            &old.instances,
            &new.instances,
            Instance::key,
            instance_fields,
        ),
        checks: changes(&old.checks, &new.checks, |c| c.name.clone(), check_fields),
        groups: changes(&old.groups, &new.groups, |g| g.name.clone(), group_fields),
        node_needs_restart: node_fields(&old.node, &new.node),
    }
}

fn changes<'c, T, K: Eq + Hash, F>(
    old: &'c [T],
    new: &'c [T],
    key: impl Fn(&T) -> K,
    fields: impl Fn(&T, &T) -> Vec<F>,
) -> Changes<'c, T, F> {
    let before: HashMap<K, &T> = old.iter().map(|item| (key(item), item)).collect();
    let after: HashSet<K> = new.iter().map(&key).collect();
    let mut added = Vec::new();
    let mut changed = Vec::new();
    for item in new {
        match before.get(&key(item)).copied() {
            None => added.push(item),
            Some(old) => {
                let fields = fields(old, item);
                if !fields.is_empty() {
                    changed.push(Change {
                        old,
                        new: item,
                        fields,
                    });
                }
            }
        }
    }
    let removed = old
        .iter()
        .filter(|item| !after.contains(&key(item)))
        .collect();
    Changes {
        added,
        removed,
        changed,
    }
}

fn differing<F>(pairs: impl IntoIterator<Item = (bool, F)>) -> Vec<F> {
    let differ = |(same, field): (bool, F)| (!same).then_some(field);
    pairs.into_iter().filter_map(differ).collect()
}

// The models are taken apart without `..`, so that a new key cannot be forgotten here.

fn instance_fields(old: &Instance, new: &Instance) -> Vec<InstanceField> {
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
        datapath,
        consume,
        checksum,
        garp,
        start_delay,
    } = old;
    differing([
        (*name == new.name, InstanceField::Name),
        (*version == new.version, InstanceField::Version),
        (*priority == new.priority, InstanceField::Priority),
        (
            *advert_interval == new.advert_interval,
            InstanceField::AdvertInterval,
        ),
        (
            *down_multiplier == new.down_multiplier,
            InstanceField::DownMultiplier,
        ),
        (*addresses == new.addresses, InstanceField::Addresses),
        (*source == new.source, InstanceField::Source),
        (*transport == new.transport, InstanceField::Transport),
        (*excluded == new.excluded, InstanceField::Excluded),
        (*routes == new.routes, InstanceField::Routes),
        (*rules == new.rules, InstanceField::Rules),
        (*preempt == new.preempt, InstanceField::Preempt),
        (
            *preempt_delay == new.preempt_delay,
            InstanceField::PreemptDelay,
        ),
        (*auth == new.auth, InstanceField::Auth),
        (*hmac == new.hmac, InstanceField::Hmac),
        (*track == new.track, InstanceField::Track),
        (*carrier == new.carrier, InstanceField::Carrier),
        (*datapath == new.datapath, InstanceField::Datapath),
        (*consume == new.consume, InstanceField::Consume),
        (*checksum == new.checksum, InstanceField::Checksum),
        (*garp == new.garp, InstanceField::Garp),
        (*start_delay == new.start_delay, InstanceField::StartDelay),
        (*virtual_mac == new.virtual_mac, InstanceField::VirtualMac),
    ])
}

fn check_fields(old: &Check, new: &Check) -> Vec<CheckField> {
    let Check {
        name: _,
        probe,
        interval,
        timeout,
        fall,
        rise,
        restart,
    } = old;
    differing([
        (*probe == new.probe, CheckField::Probe),
        (*interval == new.interval, CheckField::Interval),
        (*timeout == new.timeout, CheckField::Timeout),
        (*fall == new.fall, CheckField::Fall),
        (*rise == new.rise, CheckField::Rise),
        (*restart == new.restart, CheckField::Restart),
    ])
}

fn group_fields(old: &Group, new: &Group) -> Vec<GroupField> {
    let Group { name: _, instances } = old;
    differing([(*instances == new.instances, GroupField::Instances)])
}

fn node_fields(old: &Node, new: &Node) -> Vec<NodeField> {
    let Node {
        name,
        log_format,
        max_slots,
    } = old;
    differing([
        (*name == new.name, NodeField::Name),
        (*log_format == new.log_format, NodeField::LogFormat),
        (*max_slots == new.max_slots, NodeField::MaxSlots),
    ])
}
