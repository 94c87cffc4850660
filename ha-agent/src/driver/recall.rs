//! What an earlier agent may have put on interfaces: by the kernel's lists of its slots, and by what it has left in writing.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::layout::SlotKey;

use super::instance::Instance;
use super::thread::Driver;
use crate::config::model::virtual_address::VirtualAddress;

impl Driver {
    /// Recalls what the slot of an instance lists, if an earlier agent has left one there. To be called before its port is
    /// opened, which changes what the kernel half knows, also if it fails; and where none can be, lest the addresses stay for
    /// as long as that lasts.
    pub(super) fn recall_held(&mut self, index: usize, ifindex: u32) {
        let (Some(instance), Some(kernel)) = (self.instances.get_mut(index), &self.system.kernel)
        else {
            return;
        };
        let config = instance.config();
        let key = SlotKey::new(ifindex, config.family, config.vrid.get());
        // What cannot be read is asked for again.
        let Ok(slot) = kernel.find(key) else { return };
        instance.has_recalled = true;
        let held = slot.map_or_else(Vec::new, |slot| kernel.fenced(slot));
        if !held.is_empty() {
            self.recall(ifindex, held, Some(index));
        }
    }

    /// What an earlier agent has left in writing: index of an interface, and addresses.
    pub(super) fn recall_placed(&mut self, placed: Vec<(u32, Vec<IpAddr>)>) {
        for (ifindex, addresses) in placed {
            self.recall(ifindex, addresses, None);
        }
    }

    /// Tells the instances on an interface which addresses an earlier agent may have put there. What none of them has is
    /// for that one to remove which had it (`of`), or for the first; on an interface without any it is removed as a leftover.
    fn recall(&mut self, ifindex: u32, addresses: Vec<IpAddr>, of: Option<usize>) {
        let mut rest: HashSet<IpAddr> = addresses.into_iter().collect();
        if let Some(instance) = of.and_then(|index| self.instances.get_mut(index)) {
            recall_configured(instance, &mut rest);
        }
        if rest.is_empty() {
            return;
        }
        let links = &self.system.links;
        let is_here = |instance: &Instance| {
            let link = links.by_name(&instance.config().interface);
            link.is_some_and(|link| link.index == ifindex)
        };
        for instance in self.instances.iter_mut().filter(|it| is_here(it)) {
            recall_configured(instance, &mut rest);
        }
        let heir = of.or_else(|| self.instances.iter().position(is_here));
        match heir.and_then(|index| self.instances.get_mut(index)) {
            Some(instance) => instance.recall(rest),
            None => self.leftovers.owe(ifindex, rest),
        }
    }
}

/// Recalls those of them that an instance has configured, and takes them out.
fn recall_configured(instance: &mut Instance, addresses: &mut HashSet<IpAddr>) {
    let held = instance.config().held().map(VirtualAddress::addr);
    let recalled: Vec<IpAddr> = held.filter(|it| addresses.remove(it)).collect();
    instance.recall(recalled);
}
