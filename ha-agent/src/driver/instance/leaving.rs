//! What a virtual router lets go of when it leaves or its configuration changes, and what it may have to leave behind.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::units::Instant;

use super::Instance;
use crate::config::model::Instance as Config;
use crate::driver::system::System;
use crate::net::address::AddressSpec;
use crate::router::Wanted;

impl Instance {
    /// Whether something of its is still there that was to be gone.
    pub(crate) fn has_failed_to_leave(&self) -> bool {
        self.addresses.failure().is_some()
    }

    /// What it may have put on interfaces: where the kernel keeps no marks, only what this life has.
    pub(crate) fn may_hold(&self, system: &System) -> Vec<AddressSpec> {
        let mut places = self.addresses.placed();
        if system.addresses.supports_ifa_proto() {
            let interfaces = self.address_interfaces(system).into_iter();
            places.extend(interfaces.flat_map(|index| {
                let held = self.config().held();
                held.map(move |it| AddressSpec::of(index, it))
            }));
        }
        places
    }

    /// Whether it has put this address on an interface, or found it there and taken it for its own.
    pub(crate) fn has_placed(&self, ifindex: u32, address: IpAddr) -> bool {
        self.addresses.has_placed(ifindex, address)
    }

    /// Lets go of what the coming configuration no longer has here, or not in the same form.
    pub(crate) fn drop_addresses(&mut self, coming: &Config, system: &mut System, now: Instant) {
        let Some(port) = self
            .port
            .as_ref()
            .filter(|_| self.router.wanted() == Wanted::Everything)
        else {
            return;
        };
        let stays: HashSet<AddressSpec> = coming.held().map(|it| port.place(it)).collect();
        let mut dropped = self.addresses.placed();
        dropped.retain(|place| !stays.contains(place));
        if dropped.is_empty() {
            return;
        }
        let failure = self.remove(&dropped, system, now);
        self.settle(failure, system, now);
    }
}
