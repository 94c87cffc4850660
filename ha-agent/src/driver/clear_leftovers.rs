//! What an earlier agent has left and no virtual router of this one wants: slots, addresses, routes, rules, devices.
//! It is looked for at the start, and again for as long as something of it cannot be removed.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use bytemuck::Zeroable as _;
use ha_common::layout::{Command, SlotKey, flags, op, state};
use ha_common::units::Instant;

use super::instance::Instance;
use super::thread::Driver;
use crate::datapath::kernel::Kernel;
use crate::datapath::reader::group_of;
use crate::net::links::LinkTable;
use crate::net::virtual_mac::Left;
use crate::os::clock;
use crate::reconcile::configured_routing::routing_of;
use crate::reconcile::leftovers::{self, Removed};
use crate::router::notice::Notice;

/// Whose what was removed was.
const GONE_INSTANCE: &str = "an instance that is no longer configured";

impl Driver {
    /// Removes them, whatever of it can be.
    pub(super) fn clear_leftovers(&mut self, now: Instant) {
        let steps = [
            ("routes and rules of an earlier run", self.clear_routing()),
            (
                "addresses that no instance has any more",
                self.clear_owed_addresses(),
            ),
            ("slots of an earlier run", self.clear_orphans()),
            ("devices of an earlier run", self.clear_devices()),
        ];
        let failed = steps
            .into_iter()
            .filter_map(|(what, done)| Some((what, done.err()?)))
            .collect();
        for (what, why) in self.leftovers.looked(failed, now) {
            self.system.reporter.say_of(what, Notice::Failed(why));
        }
    }

    /// Those that could not be removed before; true if it was time to.
    pub(super) fn clear_leftovers_again(&mut self, now: Instant) -> bool {
        let due = self.leftovers.next_deadline().is_some_and(|at| at <= now);
        if due {
            self.clear_leftovers(now);
        }
        due
    }

    fn clear_routing(&mut self) -> Result<(), String> {
        let wanted: HashSet<_> = self
            .instances
            .iter()
            .flat_map(|instance| routing_of(instance.config(), &self.system.links))
            .collect();
        let is_wanted = |entry: &_| wanted.contains(entry);
        let removed = leftovers::remove_routing(&mut self.system.routing, is_wanted)
            .map_err(|error| error.to_string())?;
        self.told(removed, |entry| {
            Notice::Info(format!("removed {entry}, left behind by an earlier run"))
        })
    }

    /// Addresses of virtual routers that have left, unless one that is there by now has them configured: it sees to
    /// them itself.
    fn clear_owed_addresses(&mut self) -> Result<(), String> {
        let mut done = Ok(());
        for (ifindex, mut addresses) in self.leftovers.take_owed() {
            for instance in &self.instances {
                for place in instance.may_hold(&self.system) {
                    if place.ifindex == ifindex {
                        addresses.remove(&place.net.addr());
                    }
                }
            }
            let held: Vec<IpAddr> = addresses.into_iter().collect();
            if held.is_empty() {
                continue;
            }
            if let Err(why) = self.remove_held(ifindex, &held) {
                self.leftovers.owe(ifindex, held);
                done = done.and(Err(why));
            }
        }
        done
    }

    /// Takes down what a virtual router that leaves has to leave behind, to be called before its port is closed.
    pub(super) fn owe_for(&mut self, instance: &Instance) {
        if instance.has_failed_to_leave() {
            for place in instance.may_hold(&self.system) {
                self.leftovers.owe(place.ifindex, [place.net.addr()]);
            }
        }
    }

    /// The devices that an earlier agent made and that no instance of this one wants as they are.
    fn clear_devices(&mut self) -> Result<(), String> {
        let (instances, links) = (&self.instances, &self.system.links);
        let (sender, published) = (&self.system.sender, &self.system.published);
        let is_wanted = |device: &Left| {
            // Each that goes is waited for.
            sender.renew(clock::now());
            published.turned();
            let mut instances = instances.iter();
            instances.any(|instance| instance.wants_device(device, links))
        };
        let removed = leftovers::remove_devices(&mut self.system.devices, is_wanted)
            .map_err(|error| error.to_string())?;
        self.told(removed, |device| {
            Notice::Info(format!(
                "removed {}, left behind by an earlier run",
                device.name
            ))
        })
    }

    /// Frees the slots of virtual routers that an earlier agent ran and this one does not, and removes the addresses
    /// that it held for them.
    fn clear_orphans(&mut self) -> Result<(), String> {
        let links = Arc::clone(&self.system.links);
        let wanted: HashSet<SlotKey> = self
            .instances
            .iter()
            .flat_map(|instance| slot_keys(instance, &links))
            .collect();
        let Some(kernel) = &mut self.system.kernel else {
            return Ok(());
        };
        let entries: Vec<(SlotKey, u32)> = kernel.entries().collect();
        let mut orphans = Vec::new();
        for (key, slot) in entries {
            let group = kernel.slot(slot).ok().and_then(|slot| group_of(&slot));
            if let Some(group) = group {
                self.hooks.filter_entries.adopt((key.ifindex, group));
            }
            if !wanted.contains(&key) {
                orphans.push((key, slot, kernel.fenced(slot)));
            }
        }
        let mut failure = Ok(());
        for (key, slot, mut held) in orphans {
            // Of what could not be removed before, an instance may have made its own meanwhile.
            let is_placed = |address: &IpAddr| {
                let mut instances = self.instances.iter();
                instances.any(|it| it.has_placed(key.ifindex, *address))
            };
            held.retain(|address| !is_placed(address));
            // The addresses go first: the slot knows which they are, and that of a dead master is closed by now.
            if let Some(kernel) = &mut self.system.kernel {
                failure = failure.and(close(kernel, key, slot, &held));
            }
            let done = self.remove_held(key.ifindex, &held).and_then(|()| {
                let Some(kernel) = &mut self.system.kernel else {
                    return Ok(());
                };
                let freed = kernel
                    .unfence(key, slot)
                    .and_then(|()| kernel.release(key, slot));
                freed.map_err(|error| error.to_string())
            });
            failure = failure.and(done);
        }
        failure
    }

    /// Removes addresses that an earlier agent is known to have held, unless they are an administrator's; they are gone
    /// with their interface.
    fn remove_held(&mut self, ifindex: u32, held: &[IpAddr]) -> Result<(), String> {
        let table = &mut self.system.addresses;
        let marks = table.supports_ifa_proto();
        let present = table.list(ifindex).map_err(|error| error.to_string())?;
        let removed = leftovers::remove_addresses(table, ifindex, &present, |found| {
            held.contains(&found.net.addr()) && (found.ours || !marks)
        })
        .map_err(|error| error.to_string())?;
        self.told(removed, |spec| Notice::Leftover(spec.net))
    }

    fn told<T>(&self, removed: Removed<T>, notice: impl Fn(&T) -> Notice) -> Result<(), String> {
        for it in &removed.done {
            self.system.reporter.say_of(GONE_INSTANCE, notice(it));
        }
        removed.failure.map_or(Ok(()), Err)
    }

    /// Switches off the device of one instance that is master no more: the kernel waits for some milliseconds
    /// over each, and the others have their turns in between. The address is gone already.
    pub(super) fn lower_one(&mut self, now: Instant) -> bool {
        let owes = |instance: &&mut Instance| instance.owes_lowering();
        let Some(instance) = self.instances.iter_mut().find(owes) else {
            return false;
        };
        instance.lower_device(&mut self.system, now);
        true
    }
}

/// What an earlier agent has listed does not pass any more.
fn close(kernel: &mut Kernel, key: SlotKey, slot: u32, held: &[IpAddr]) -> Result<(), String> {
    let told = kernel.command(&Command {
        op: op::SET_STATE,
        slot,
        state: state::IDLE,
        flags: flags::FENCE,
        ..Command::zeroed()
    });
    told.and(kernel.fence(key, slot, false, held.iter().copied()))
        .map_err(|error| error.to_string())
}

/// The slot that it has, and the one that it would have.
fn slot_keys(instance: &Instance, links: &LinkTable) -> impl Iterator<Item = SlotKey> {
    let config = instance.config();
    let own = instance.port.as_ref().map(|port| port.detector.key);
    let coming = links
        .by_name(&config.interface)
        .map(|link| SlotKey::new(link.index, config.family, config.vrid.get()));
    own.into_iter().chain(coming)
}
