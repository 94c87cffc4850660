//! Many take-overs at once: the addresses of all of them are one request to the kernel.

use ha_common::units::Instant;

use super::detector::SlotBackend;
use super::instance::Instance;
use super::thread::Driver;
use crate::net::address::AddressSpec;

impl Driver {
    /// Puts in place the addresses of the routers that have become master while that was deferred.
    pub(super) fn take_deferred(&mut self, now: Instant) {
        let waits: Vec<usize> = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| instance.is_to_take())
            .map(|(index, _)| index)
            .collect();
        let instances = waits.iter().filter_map(|index| self.instances.get(*index));
        let places: Vec<AddressSpec> = instances.flat_map(Instance::places).copied().collect();
        if !places.is_empty() {
            self.take_places(&waits, &places, now);
        }
        for index in waits {
            if let Some(instance) = self.instances.get_mut(index) {
                instance.carry_out_after_taking(&mut self.system, now);
            }
        }
    }

    /// Adds the addresses of these, and tells each what became of its own: its first announcement follows, and comes
    /// before anything else of anybody.
    fn take_places(&mut self, waits: &[usize], places: &[AddressSpec], now: Instant) {
        for index in waits {
            if let Some(instance) = self.instances.get_mut(*index) {
                self.system.renew();
                instance.list_for_fence(&mut self.system, now);
            }
        }
        let added = self.system.addresses.add(places);
        let mut outcomes = added.map(Vec::into_iter);
        for index in waits {
            let Some(instance) = self.instances.get_mut(*index) else {
                continue;
            };
            self.system.renew();
            let count = instance.places().len();
            let own = match &mut outcomes {
                Ok(outcomes) => Ok(outcomes.by_ref().take(count).collect()),
                Err(error) => Err(error.to_string()),
            };
            instance.took(own, &mut self.system, now);
        }
    }

    /// The instance that has a slot in the kernel.
    pub(super) fn instance_at(&mut self, slot: u32) -> Option<usize> {
        let has_it = |instance: &Instance| {
            instance.port.as_ref().is_some_and(
                |port| matches!(port.detector.backend, SlotBackend::KernelMap(own) if own == slot),
            )
        };
        let known = self.by_slot.get(&slot).copied();
        if let Some(index) = known
            && self.instances.get(index).is_some_and(has_it)
        {
            return Some(index);
        }
        // A reload or a port that was opened anew moves them.
        let index = self.instances.iter().position(has_it)?;
        self.by_slot.insert(slot, index);
        Some(index)
    }
}
