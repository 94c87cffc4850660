//! A new configuration, and the end: instances that stay are kept, the others leave properly.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ha_common::units::Instant;

use super::instance::Instance;
use super::observed_links::tracked_links;
use super::thread::Driver;
use crate::config::model::{Config, Instance as InstanceConfig, Track};

impl Driver {
    pub(super) fn reload(&mut self, config: &Arc<Config>, now: Instant) {
        let mut kept: HashMap<_, Instance> = HashMap::new();
        for mut instance in std::mem::take(&mut self.instances) {
            let key = identity(instance.config());
            let stays = config
                .instances
                .iter()
                .any(|new| identity(new) == key && carries_on(instance.config(), new));
            if stays {
                kept.insert(key, instance);
            } else {
                instance.shut_down(&mut self.system, now);
                if let Some(port) = instance.close_port(&mut self.system, now) {
                    self.release(&port);
                }
            }
        }
        self.health
            .retain(|(name, _)| config.checks.iter().any(|check| check.name == *name));
        self.system.checks = names(config);
        let observed = tracked_links(config, &self.system.links);
        // An address or a route may move from one instance to another: it is let go before it is taken.
        for new in &config.instances {
            if let Some(instance) = kept.get_mut(&identity(new)) {
                instance.drop_routing(new, &mut self.system);
                instance.drop_addresses(new, &mut self.system);
            }
        }
        let old = Arc::clone(&self.config);
        let mut next_id = kept
            .values()
            .map(|instance| instance.id + 1)
            .max()
            .unwrap_or(0);
        for new in &config.instances {
            let new = Arc::new(new.clone());
            let instance = if let Some(mut instance) = kept.remove(&identity(&new)) {
                if *instance.config() != new {
                    let known = (self.health.as_slice(), &observed);
                    instance.reconfigure(new, known, &mut self.system, now);
                }
                instance
            } else {
                next_id += 1;
                let names = Arc::clone(&self.system.checks);
                Instance::new(next_id - 1, new, names, now, &self.system.recorder)
            };
            self.instances.push(instance);
        }
        self.config = Arc::clone(config);
        let before = |new: &InstanceConfig| {
            let mut instances = old.instances.iter();
            instances.find(|old| identity(old) == identity(new))
        };
        self.end_overruled_switches(|new| {
            before(new).is_none_or(|old| old.datapath != new.datapath)
        });
        self.form_groups(now);
        for (name, health) in self.health.clone() {
            self.on_check(&name, health, now);
        }
        self.follow_links(now);
    }

    /// Priority 0, addresses away, slots free, programs off.
    pub(super) fn leave(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.shut_down(&mut self.system, now);
        }
        self.show();
        let ports: Vec<_> = self
            .instances
            .iter_mut()
            .filter_map(|instance| instance.close_port(&mut self.system, now))
            .collect();
        for port in &ports {
            self.release(port);
        }
        self.receivers.keep_only(|_, _| None);
        if let Some(thread) = self.hooks.leave() {
            // It has taken the programs off that may go. A panic of it was logged.
            let _ = thread.join();
        }
    }
}

/// The checks' names, and behind them what is said when something else that is tracked without weight
/// fails.
pub(super) fn names(config: &Config) -> Arc<[String]> {
    let tracks = config.instances.iter().flat_map(|instance| &instance.track);
    let complaints: BTreeSet<String> = tracks
        .filter(|track| track.weight.is_none())
        .filter(|track| track.reverse || track.check_name().is_none())
        .map(Track::complaint)
        .collect();
    let checks = config.checks.iter().map(|check| check.name.clone());
    checks.chain(complaints).collect()
}

/// Whether an instance can take on a new configuration where it is.
fn carries_on(old: &InstanceConfig, new: &InstanceConfig) -> bool {
    // Its device has IPv6 or has it not from the beginning.
    old.virtual_mac == new.virtual_mac
        && (new.virtual_mac.is_none() || old.holds_ipv6() == new.holds_ipv6())
}

/// What makes two configured instances the same virtual router.
fn identity(config: &InstanceConfig) -> (String, u8, u8, u8) {
    let version = config.version as u8;
    (
        config.interface.clone(),
        config.family as u8,
        config.vrid.get(),
        version,
    )
}
