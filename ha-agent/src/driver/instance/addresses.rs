//! Holding the virtual addresses: adding, removing, verifying and announcing them.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::ops::Range;

use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};

use super::Instance;
use super::unseen::{Unseen, addresses_of};
use crate::config::model::Instance as Config;
use crate::driver::system::System;
use crate::net::address::{AddressSpec, Outcome};
use crate::net::observed::ObservedAddress;
use crate::router::notice::Notice;
use crate::router::{Effects, Event, InterfaceState};

/// How soon addresses that could not be removed are tried again.
const REMOVAL_WAIT: Nanos = Nanos::from_millis(1_000);

/// How soon the interfaces' table must show what was added; until then it may be behind.
const SHOWN_WITHIN: Nanos = Nanos::from_millis(1_000);

impl Instance {
    /// The table has had its time to show what was added.
    pub(super) fn verify_unseen(&mut self, system: &mut System, now: Instant) {
        if self.unseen.is_some_and(|it| it.until <= now) {
            self.unseen = None;
            self.verify_addresses(system, now);
        }
    }

    /// While master: puts back what somebody else has removed.
    pub(crate) fn verify_addresses(&mut self, system: &mut System, now: Instant) {
        if self.role() != Role::Master {
            return;
        }
        let Some(port) = &self.port else { return };
        // A device that the table does not show yet has none that it could tell of.
        let shown = system.links.get(port.address_device());
        let present = shown.map_or_else(HashSet::new, |link| addresses_of(&link.addresses));
        if self
            .unseen
            .is_some_and(|it| now < it.until && !present.contains(&it.last))
        {
            return;
        }
        self.unseen = None;
        let missing: Vec<_> = port
            .addresses_wanted
            .iter()
            .filter(|place| !present.contains(&place.net.addr()))
            .copied()
            .collect();
        if missing.is_empty() || self.device_is_gone(system) {
            return;
        }
        let outcomes = match system.addresses.add(&missing) {
            Ok(outcomes) => outcomes,
            Err(error) => return self.refused(&error, system, now),
        };
        let before = self.restored;
        for (place, outcome) in missing.iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Done) => {
                    self.restored += 1;
                    self.say(Notice::Restored(place.net), system);
                }
                // It was added after the table that we were shown was read.
                Ok(Outcome::Already) => {}
                Err(error) => self.refused(&error, system, now),
            }
        }
        if self.restored > before {
            self.tell(Event::AddressesRestored, system, now);
        }
    }

    /// The Ethernet address changed: neighbours must learn the new one.
    pub(crate) fn mac_changed(&mut self, mac: [u8; 6], system: &mut System, now: Instant) {
        if let Some(port) = &mut self.port {
            port.mac = mac;
            if port.virtual_mac_device.is_none() {
                // What claims our addresses with the old one is foreign from now on.
                port.detector.own_mac = mac;
            }
        }
        self.reconfigure_detector(&self.detector_rules(), system, now);
        // The virtual MAC is the same whatever the interface's is.
        let announced = self
            .port
            .as_ref()
            .is_some_and(|port| port.virtual_mac_device.is_none());
        if announced {
            self.tell(Event::AddressesRestored, system, now);
        }
    }

    /// Removes addresses that an earlier life left behind, and that are not ours to hold now: all of them,
    /// or if it `resumes`, those that are no longer configured. Never an administrator's.
    pub(super) fn clear_leftovers(&mut self, resumes: bool, system: &mut System) {
        if !resumes {
            self.clear_left_routing(system);
        }
        let Some(port) = &self.port else { return };
        // Before the instance had a device of its own, they were on the interface.
        let mut present = Vec::new();
        for ifindex in BTreeSet::from([port.ifindex, port.address_device()]) {
            let listed = system.addresses.list(ifindex).unwrap_or_default();
            present.extend(listed.into_iter().map(|found| (ifindex, found)));
        }
        let held: HashSet<IpAddr> = port
            .detector
            .held(system.kernel.as_ref())
            .into_iter()
            .collect();
        let wanted: HashSet<IpAddr> = port
            .addresses_wanted
            .iter()
            .map(|it| it.net.addr())
            .collect();
        let configured = |found: &ObservedAddress| wanted.contains(&found.net.addr());
        // The list may have been another one then; the kernel half knows what was held. Kernels before
        // 5.18 keep no marks, and then its word is all there is.
        let left_behind = |found: &ObservedAddress| {
            let known = held.contains(&found.net.addr());
            if system.addresses.supports_ifa_proto() {
                found.ours && (known || configured(found))
            } else {
                known
            }
        };
        let left: Vec<_> = present
            .iter()
            .filter(|(ifindex, found)| {
                let stays = resumes && *ifindex == port.address_device() && configured(found);
                left_behind(found) && !stays
            })
            .map(|(ifindex, found)| AddressSpec::found(*ifindex, found))
            .collect();
        if left.is_empty() {
            return;
        }
        if let Ok(outcomes) = system.addresses.remove(&left) {
            for (place, _) in left
                .iter()
                .zip(outcomes)
                .filter(|(_, outcome)| outcome.is_ok())
            {
                self.say(Notice::Leftover(place.net), system);
            }
        }
    }

    /// From here on the kernel answers for them and takes what comes to them:
    /// RFC 9568 section 6.4.3 (arp, accept), RFC 3768 section 6.4.3 (arp, accept).
    /// True if anything changed that is shown.
    pub(super) fn add_addresses(&mut self, system: &mut System, now: Instant) -> bool {
        self.removal_due = None;
        let Some(port) = &self.port else { return false };
        let addresses_wanted = port.addresses_wanted.clone();
        let outcomes = match system.addresses.add(&addresses_wanted) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.refused(&error, system, now);
                return true;
            }
        };
        let was_there: Vec<IpAddr> = addresses_wanted
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Already)))
            .map(|(place, _)| place.net.addr())
            .collect();
        let added = addresses_wanted.iter().zip(&outcomes).rev();
        let mut added = added.filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Done)));
        self.unseen = added.next().map(|(place, _)| Unseen {
            last: place.net.addr(),
            until: now + SHOWN_WITHIN,
        });
        self.tell_foreign(&was_there, system, now);
        if self
            .port
            .as_ref()
            .is_some_and(|port| port.detector.is_listed())
        {
            // A master's addresses changed: the fence is told of the new ones.
            self.list_for_fence(true, system);
        }
        if let Some(error) = outcomes.into_iter().find_map(Result::err) {
            self.refused(&error, system, now);
            return true;
        }
        self.add_routing(system, now);
        self.tell(Event::AddressesHeld, system, now);
        true
    }

    /// Of addresses that were there when we came to add them, those that no agent added: they stay when we
    /// leave.
    fn tell_foreign(&mut self, was_there: &[IpAddr], system: &mut System, now: Instant) {
        self.foreign.clear();
        let Some(port) = self.port.as_ref().filter(|_| !was_there.is_empty()) else {
            return;
        };
        // Without marks, the kernel half's word is all there is.
        let ours: HashSet<IpAddr> = if system.addresses.supports_ifa_proto() {
            let present = system
                .addresses
                .list(port.address_device())
                .unwrap_or_default();
            let marked = present.iter().filter(|found| found.ours);
            marked.map(|found| found.net.addr()).collect()
        } else {
            port.detector
                .held(system.kernel.as_ref())
                .into_iter()
                .collect()
        };
        let is_ours = |address: IpAddr| ours.contains(&address);
        self.foreign = was_there.iter().copied().filter(|a| !is_ours(*a)).collect();
        if self.foreign.is_empty() || self.config().priority.is_owner() {
            return;
        }
        let list: Vec<String> = self.foreign.iter().map(IpAddr::to_string).collect();
        let mut fx = Effects::default();
        self.router.warn(
            now,
            format!(
                "{} already existed on the interface; it is left alone and will remain when this host is not \
                 master: remove it from the host's network configuration",
                list.join(", ")
            ),
            &mut fx,
        );
        self.carry_out(fx, system, now);
    }

    fn refused(&mut self, why: &dyn ToString, system: &mut System, now: Instant) {
        self.tell(Event::AddressesRefused(why.to_string()), system, now);
    }

    /// From here on the kernel does not know them:
    /// RFC 9568 section 6.4.2 (arp, solicited, accept), RFC 3768 section 6.4.2 (arp, accept).
    pub(super) fn remove_addresses(&mut self, system: &mut System, now: Instant) {
        self.removal_due = None;
        self.unseen = None;
        if self.port.is_none() {
            return;
        }
        let routing = self.remove_routing(system);
        let Some(port) = &self.port else { return };
        let is_ours = |place: &AddressSpec| !self.foreign.contains(&place.net.addr());
        let ours: Vec<_> = port
            .addresses_wanted
            .iter()
            .copied()
            .filter(is_ours)
            .collect();
        let failure = match system.addresses.remove(&ours) {
            Ok(outcomes) => outcomes
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let failure = failure.or(routing);
        // An interface that is gone has taken its addresses along.
        let interface = self.router.readiness().interface();
        if let Some(what) = failure.filter(|_| interface != InterfaceState::Gone) {
            self.say(Notice::Failed(what), system);
            self.removal_due = Some(now + REMOVAL_WAIT);
        }
    }

    /// Two hosts must not answer for one address.
    pub(super) fn remove_addresses_again(&mut self, system: &mut System, now: Instant) {
        self.removal_due = None;
        if self.role() != Role::Master {
            self.remove_addresses(system, now);
        }
    }

    /// Announces a portion of the addresses. True if anything changed that is shown.
    pub(super) fn announce(
        &mut self,
        portion: Range<usize>,
        system: &mut System,
        now: Instant,
    ) -> bool {
        let Some(port) = &self.port else { return false };
        let batch = port
            .addresses_wanted
            .get(portion.clone())
            .unwrap_or_default();
        let told = system.announcer.announce(
            port.address_device(),
            port.announced_mac(),
            port.router,
            batch.iter().map(|place| place.net.addr()),
        );
        let (sent, full) = match told {
            Ok(()) => (portion.len(), false),
            Err(error) => (error.sent(), error.is_full()),
        };
        self.announced += sent as u64;
        let event = Event::Announced {
            portion,
            sent,
            full,
        };
        self.tell(event, system, now);
        true
    }

    /// Lets go of what the coming configuration no longer has here, or not in the same form.
    pub(crate) fn drop_addresses(&mut self, coming: &Config, system: &mut System) {
        let Some(port) = self.port.as_ref().filter(|_| self.role() == Role::Master) else {
            return;
        };
        let stays: HashSet<AddressSpec> = coming.held().map(|it| port.place(it)).collect();
        let leaves = |place: &AddressSpec| {
            !stays.contains(place) && !self.foreign.contains(&place.net.addr())
        };
        let dropped: Vec<_> = port
            .addresses_wanted
            .iter()
            .copied()
            .filter(leaves)
            .collect();
        if dropped.is_empty() {
            return;
        }
        if let Err(error) = system.addresses.remove(&dropped) {
            self.say(Notice::Failed(error.to_string()), system);
        }
    }

    /// Where the addresses of a new configuration belong, after [`Self::drop_addresses`].
    pub(super) fn place(&mut self, coming: &Config) {
        if let Some(port) = &mut self.port {
            port.addresses_wanted = coming.held().map(|it| port.place(it)).collect();
        }
    }
}
