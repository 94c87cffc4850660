//! The virtual addresses on the interface: what the router wants is compared with what is there, and the kernel is
//! asked for the difference.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::ops::Range;

use ha_common::units::Instant;

use super::Instance;
use crate::config::model::Instance as Config;
use crate::config::model::virtual_address::VirtualAddress;
use crate::driver::port::Port;
use crate::driver::system::System;
use crate::net::address::{AddressSpec, Outcomes};
use crate::net::links::LinkTable;
use crate::net::netlink::NetlinkError;
use crate::reconcile::addresses::{Added, Addresses, Difference, Look, Present};
use crate::router::notice::Notice;
use crate::router::{Effects, Event, Wanted};

/// Why the addresses are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Occasion {
    /// The interfaces' table has changed, and may be behind what was done here.
    Table,
    /// It is time to: the kernel itself is asked.
    Time,
}

impl Instance {
    /// What is wanted has changed. True if anything changed that is shown.
    pub(super) fn want(&mut self, wanted: Wanted, system: &mut System, now: Instant) -> bool {
        match wanted {
            Wanted::Undecided => false,
            Wanted::Everything if system.defers_addresses => {
                self.is_to_take = true;
                true
            }
            Wanted::Everything => self.take_addresses(system, now),
            Wanted::Nothing => {
                self.is_to_take = false;
                self.give_up_addresses(system, now);
                true
            }
        }
    }

    /// From here on the kernel answers for them and takes what comes to them:
    /// RFC 9568 section 6.4.3 (arp, accept), RFC 3768 section 6.4.3 (arp, accept).
    /// True if anything changed that is shown.
    fn take_addresses(&mut self, system: &mut System, now: Instant) -> bool {
        if self.port.is_none() {
            return false;
        }
        self.list_for_fence(system, now);
        let outcomes = system.addresses.add(self.places());
        self.took(outcomes.map_err(|error| error.to_string()), system, now);
        true
    }

    /// Whether its addresses are to be put in place, once that is not deferred any more.
    pub(crate) fn is_to_take(&self) -> bool {
        self.is_to_take
    }

    /// Where its addresses belong.
    pub(crate) fn places(&self) -> &[AddressSpec] {
        self.port.as_ref().map_or(&[], |port| &port.places)
    }

    /// The kernel was asked to add all of them.
    pub(crate) fn took(
        &mut self,
        outcomes: Result<Outcomes, String>,
        system: &mut System,
        now: Instant,
    ) {
        self.is_to_take = false;
        self.dirty = true;
        let places = self.places().to_vec();
        let added = match outcomes {
            Ok(outcomes) => self.addresses.added(&places, outcomes, now),
            Err(error) => return self.unknown_outcome(error, system, now),
        };
        self.tell_foreign(&added.was_there, system, now);
        let was_in_place = self.addresses.is_in_place();
        if self.is_refused(&added, was_in_place, system, now) {
            return;
        }
        self.addresses.set_in_place();
        // What a reload takes away may still be there.
        let failure = self.addresses.failure();
        self.addresses.settle(None, failure, now);
        self.add_routing(system, now);
        self.tell(Event::AddressesHeld, system, now);
        if self.has_more_than_configured() {
            // A master that carries on from an earlier life may see no change that makes it look.
            self.compare_with_kernel(system, now);
        }
    }

    /// What a master cannot be without is a fault, and told as one. An address that is not in the adverts, or one that
    /// a reload has brought, is gone without: no other host would have it either, and all would lose the others.
    fn is_refused(
        &mut self,
        added: &Added,
        was_in_place: bool,
        system: &mut System,
        now: Instant,
    ) -> bool {
        if added.refused.is_empty() {
            return false;
        }
        let advertised: HashSet<IpAddr> = self.config().virtual_addresses().collect();
        let is_advertised = |place: &AddressSpec| advertised.contains(&place.net.addr());
        let lacks_all = {
            let refused = added.refused.iter();
            refused.filter(|(place, _)| is_advertised(place)).count() == advertised.len()
        };
        let can_do_without = |place: &AddressSpec| {
            let is_late = was_in_place || self.addresses.goes_without(place);
            !is_advertised(place) || is_late && !lacks_all
        };
        let mut refused = added.refused.iter();
        let fatal = refused.find(|(place, _)| !can_do_without(place));
        if let Some((_, why)) = fatal {
            self.tell(Event::AddressesRefused(why.clone()), system, now);
            return true;
        }
        for (place, why) in &added.refused {
            if self.addresses.go_without(*place, why, now) {
                self.say(
                    Notice::Warning(format!("{why}; it will be tried again")),
                    system,
                );
            }
        }
        false
    }

    /// Nothing is known of what the kernel did: what a master needs it does not count on; the next look tells.
    fn unknown_outcome(&mut self, error: String, system: &mut System, now: Instant) {
        self.addresses.lost_track();
        self.addresses.settle(None, Some(error.clone()), now);
        if self.addresses.is_in_place() {
            self.say(Notice::Failed(error), system);
        } else {
            self.tell(Event::AddressesRefused(error), system, now);
        }
    }

    /// Of addresses that were there when they were to be added, those that no agent added: they stay when we leave.
    fn tell_foreign(&mut self, was_there: &[AddressSpec], system: &mut System, now: Instant) {
        if was_there.is_empty() {
            return;
        }
        let theirs = match self.listed(system) {
            Ok(present) => self.compare(&present, system, |addresses, look| {
                addresses.look_for_foreign(look)
            }),
            // Whose they are, the next look tells: none is removed before.
            Err(error) => {
                self.addresses.lost_track();
                return self.settle(Some(error.to_string()), system, now);
            }
        };
        self.addresses.sort_out(was_there, &theirs);
        // The fence is for ours.
        self.list_for_fence(system, now);
        self.tell_existing(system, now);
    }

    /// Those that are somebody else's are said for as long as they are there.
    fn tell_existing(&mut self, system: &mut System, now: Instant) {
        let mut theirs: BTreeSet<IpAddr> = self.addresses.foreign().iter().copied().collect();
        if self.config().priority.is_owner() {
            theirs.clear();
        }
        let mut fx = Effects::default();
        self.router.find_foreign(&theirs, now, &mut fx);
        self.carry_out(fx, system, now);
    }

    /// From here on the kernel does not know them:
    /// RFC 9568 section 6.4.2 (arp, solicited, accept), RFC 3768 section 6.4.2 (arp, accept).
    fn give_up_addresses(&mut self, system: &mut System, now: Instant) {
        self.addresses.give_up();
        self.remove_routing(system, now);
        let must_look = self.addresses.must_look();
        let placed = self.addresses.placed();
        let failure = self.remove(&placed, system, now);
        self.settle(failure, system, now);
        if must_look {
            // What an earlier life has left.
            self.compare_with_kernel(system, now);
        }
    }

    pub(super) fn settle(&mut self, failure: Option<String>, system: &System, now: Instant) {
        self.addresses.settle(None, failure.clone(), now);
        if let Some(what) = failure {
            self.say(Notice::Failed(what), system);
        }
    }

    /// Removes these, and nothing of anybody else's with them. Why some are still there, if so.
    pub(super) fn remove(
        &mut self,
        specs: &[AddressSpec],
        system: &mut System,
        now: Instant,
    ) -> Option<String> {
        let links = &system.links;
        let present = |index| links.get(index).map_or(&[][..], |link| &link.addresses);
        let failure = match system.addresses.remove_beside(specs, present) {
            Ok(outcomes) => self.addresses.removed(specs, outcomes, now),
            Err(error) => Some(error.to_string()),
        };
        // What is still there stays closed.
        self.list_for_fence(system, now);
        failure
    }

    /// The table has changed in nothing that concerns a router; it may show what was done here.
    pub(crate) fn note_shown(&mut self, system: &System, now: Instant) {
        if self.addresses.awaits_table() {
            let present = self.tabled(system, &system.links);
            self.addresses.is_shown(&present, now);
        }
    }

    fn tabled<'t>(&self, system: &System, links: &'t LinkTable) -> Present<'t> {
        let mut present = Present::default();
        for index in self.address_interfaces(system) {
            let link = links.get(index);
            present.put(index, link.map_or(&[][..], |link| &link.addresses));
        }
        present
    }

    /// The interfaces' table has changed.
    pub(crate) fn verify_addresses(&mut self, system: &mut System, now: Instant) {
        let links = std::sync::Arc::clone(&system.links);
        let present = self.tabled(system, &links);
        if self.addresses.is_shown(&present, now) {
            self.bring_in_line(&present, Occasion::Table, system, now);
        }
    }

    /// It is time to look again, or nothing is known of what is there.
    pub(super) fn compare_with_kernel(&mut self, system: &mut System, now: Instant) {
        self.addresses.looked();
        match self.listed(system) {
            Ok(present) => self.bring_in_line(&present, Occasion::Time, system, now),
            Err(error) => self.settle(Some(error.to_string()), system, now),
        }
    }

    /// Where addresses of this router may be: on the interface, and on the device of its virtual MAC.
    pub(super) fn address_interfaces(&self, system: &System) -> Vec<u32> {
        let named = || system.links.by_name(&self.config().interface);
        let interface = match &self.port {
            Some(port) => Some(port.ifindex),
            None => named().map(|link| link.index),
        };
        let device = self.port.as_ref().and_then(Port::device);
        interface.into_iter().chain(device).collect()
    }

    fn listed(&self, system: &mut System) -> Result<Present<'static>, NetlinkError> {
        let mut present = Present::default();
        for index in self.address_interfaces(system) {
            present.put(index, system.addresses.list(index)?);
        }
        Ok(present)
    }

    fn compare<T>(
        &self,
        present: &Present<'_>,
        system: &System,
        ask: impl FnOnce(&Addresses, &Look<'_>) -> T,
    ) -> T {
        let unbound: Vec<AddressSpec>;
        let places = if let Some(port) = &self.port {
            &port.places
        } else {
            let held = self.config().held();
            unbound = held.map(|it| AddressSpec::of(0, it)).collect();
            &unbound
        };
        let look = Look {
            wanted: self.router.wanted(),
            places,
            present,
            marks: system.addresses.supports_ifa_proto(),
        };
        ask(&self.addresses, &look)
    }

    fn bring_in_line(
        &mut self,
        present: &Present<'_>,
        occasion: Occasion,
        system: &mut System,
        now: Instant,
    ) {
        if self.router.wanted() == Wanted::Undecided {
            return self.addresses.settle(None, None, now);
        }
        self.addresses.found(present);
        if self.router.wanted() == Wanted::Nothing {
            self.update(present, system, now, |addresses, look| {
                addresses.forget_gone(look)
            });
        } else if self.has_more_than_configured() {
            self.update(present, system, now, |addresses, look| {
                addresses.forget_gone_beside(look)
            });
        }
        let difference = self.compare(present, system, |addresses, look| {
            addresses.difference(look, now)
        });
        let Difference {
            remove,
            add,
            put_off_until,
        } = difference;
        let mut failure = None;
        if !remove.is_empty() {
            self.addresses.keep_track(&remove);
            self.list_for_fence(system, now);
            failure = self.remove(&remove, system, now);
            self.tell_leftovers(&remove, system);
        }
        if !add.is_empty() && !self.device_is_gone(system) {
            match system.addresses.add(&add) {
                Ok(outcomes) => self.put_back(&add, outcomes, system, now),
                Err(error) => failure = Some(error.to_string()),
            }
        }
        let tries = !(remove.is_empty() && add.is_empty() && put_off_until.is_none());
        if tries || occasion == Occasion::Time {
            self.addresses.settle(put_off_until, failure.clone(), now);
        }
        if let Some(what) = failure {
            self.say(Notice::Failed(what), system);
        }
        if !tries {
            self.look_for_foreign(present, system, now);
        }
    }

    /// Whether something of ours may be there that is not configured.
    fn has_more_than_configured(&self) -> bool {
        let held: Vec<IpAddr> = self.config().held().map(VirtualAddress::addr).collect();
        !self.addresses.left_beside(&held).is_empty()
    }

    fn tell_leftovers(&mut self, removed: &[AddressSpec], system: &System) {
        self.dirty = true;
        for place in removed {
            self.say(Notice::Leftover(place.net), system);
        }
    }

    /// What was missing was asked for again.
    fn put_back(
        &mut self,
        asked: &[AddressSpec],
        outcomes: Outcomes,
        system: &mut System,
        now: Instant,
    ) {
        let lacked: HashSet<IpAddr> = asked
            .iter()
            .filter(|place| self.addresses.goes_without(place))
            .map(|place| place.net.addr())
            .collect();
        let added = self.addresses.added(asked, outcomes, now);
        self.dirty = true;
        for place in &added.new {
            if lacked.contains(&place.net.addr()) {
                let text = format!("added {}, which the kernel had refused before", place.net);
                self.say(Notice::Info(text), system);
            } else if self.addresses.put_back(now) {
                self.say(Notice::Restored(place.net), system);
            }
        }
        if !self.is_refused(&added, false, system, now) && !added.new.is_empty() {
            self.tell(Event::AddressesRestored, system, now);
        }
    }

    /// A virtual address that somebody else has put on a host that is not master is an address on two hosts.
    fn look_for_foreign(&mut self, present: &Present<'_>, system: &mut System, now: Instant) {
        if self.router.wanted() == Wanted::Everything {
            self.update(present, system, now, |addresses, look| {
                addresses.take_stock(look)
            });
            return self.tell_existing(system, now);
        }
        let mut theirs = BTreeSet::new();
        if !self.config().priority.is_owner() {
            theirs.extend(self.compare(present, system, |addresses, look| {
                addresses.look_for_foreign(look)
            }));
        }
        let mut fx = Effects::default();
        self.router.find_foreign(&theirs, now, &mut fx);
        self.carry_out(fx, system, now);
    }

    /// What is known of the addresses follows what is there.
    fn update(
        &mut self,
        present: &Present<'_>,
        system: &mut System,
        now: Instant,
        take_in: impl FnOnce(&mut Addresses, &Look<'_>) -> bool,
    ) {
        let mut addresses = std::mem::take(&mut self.addresses);
        let changed = self.compare(present, system, |_, look| take_in(&mut addresses, look));
        self.addresses = addresses;
        if changed {
            // The fence is for ours.
            self.list_for_fence(system, now);
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
        let batch = port.places.get(portion.clone()).unwrap_or_default();
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

    /// Where the addresses of a new configuration belong, after [`Self::drop_addresses`].
    pub(super) fn place(&mut self, coming: &Config) {
        if let Some(port) = &mut self.port {
            port.places = coming.held().map(|it| port.place(it)).collect();
        }
    }

    /// Whether all of them are where they belong, by the kernel's word.
    pub(super) fn has_all_addresses(&self, system: &mut System) -> bool {
        let Some(port) = &self.port else { return false };
        let found = system
            .addresses
            .list(port.address_device())
            .unwrap_or_default();
        let found: HashSet<IpAddr> = found.iter().map(|found| found.net.addr()).collect();
        let mut held = self.config().held().map(VirtualAddress::addr);
        held.all(|address| found.contains(&address))
    }
}
