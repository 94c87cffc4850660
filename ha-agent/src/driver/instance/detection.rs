//! The detector: what it passes on, and what it is told.

use std::net::IpAddr;

use ha_common::address::known_ip;
use ha_common::election::{Advert, Detector as Part, Role, Rules};
use ha_common::layout::{Event as Pushed, Slot};
use ha_common::units::{Centiseconds, Instant, Priority};

use super::Instance;
use crate::config::model::virtual_address::VirtualAddress;
use crate::datapath::error::KernelError;
use crate::datapath::socket_slot::Heard;
use crate::driver::detector::{SlotBackend, list_hash};
use crate::driver::system::System;
use crate::net::receive::Received;
use crate::reconcile::retry::Retry;
use crate::router::Event;
use crate::router::notice::Notice;

impl Instance {
    /// One more turn of the driver was for this instance.
    pub(crate) fn count_wakeup(&mut self, now: Instant) {
        self.wakeups += 1;
        self.router.stir(now);
    }

    /// True if something happened before this use of the slot began: an earlier agent left its event in the
    /// ring, or the slot was another virtual router's.
    pub(crate) fn is_before(&self, at: Instant) -> bool {
        self.port
            .as_ref()
            .is_none_or(|port| at < port.detector.since)
    }

    /// Takes the sequence of an event in; true if events before it were lost.
    pub(crate) fn follow_sequence(&mut self, sequence: u64) -> bool {
        let Some(port) = &mut self.port else {
            return false;
        };
        let lost = sequence > port.detector.sequence;
        port.detector.sequence = sequence + 1;
        lost
    }

    /// Takes a packet of the plain socket in; an event comes back if it is news.
    pub(crate) fn receive(&mut self, received: &Received<'_>, now: Instant) -> Option<Pushed> {
        self.dirty = true;
        match &mut self.port.as_mut()?.detector.backend {
            SlotBackend::KernelMap(_) => None,
            SlotBackend::Socket(soft) => match soft.receive(received, now.0) {
                Heard::Nothing => None,
                Heard::Event(event) => Some(event),
            },
        }
    }

    /// The detector passed an advert on.
    pub(crate) fn heard(&mut self, event: &Pushed, system: &mut System, now: Instant) {
        let Some(source) = known_ip(self.config().family, event.source) else {
            return;
        };
        let advert = Advert {
            source,
            priority: Priority(event.priority),
            interval: Centiseconds(event.interval),
        };
        let differs = event.hash != list_hash(self.config());
        let other_list = differs.then_some(event.count);
        let event = Event::Advert {
            advert,
            other_list,
            is_overheard: event.is_overheard != 0,
        };
        self.tell(event, system, now);
    }

    /// The deadline passed, says the detector. True if anything changed that is shown.
    pub(crate) fn expired(&mut self, deadline: Instant, system: &mut System, now: Instant) -> bool {
        let Some(slot) = self.slot(system) else {
            return false;
        };
        let event = Event::Expired {
            deadline,
            slot: &slot,
        };
        self.tell(event, system, now)
    }

    /// Has the kernel half make a master of the slot if nothing was heard since.
    pub(super) fn promote(&mut self, rules: &Rules, last_heard: u64, system: &System) -> bool {
        let Some(port) = &mut self.port else {
            return false;
        };
        let kernel = system.kernel.as_ref();
        match port.detector.take_over(kernel, rules, last_heard) {
            Ok(promoted) => promoted,
            Err(error) => {
                // Without an answer it is taken over the ordinary way.
                self.say_if_failed(Err(error), system);
                true
            }
        }
    }

    /// Reads the slot, in case an event was lost. True if anything changed that is shown.
    pub(crate) fn look(&mut self, system: &mut System, now: Instant) -> bool {
        let Some(slot) = self.slot(system) else {
            return false;
        };
        let detector = self.port.as_ref().map(|port| &port.detector);
        if detector.is_some_and(|it| it.is_overwritten(&slot))
            && self.detector_retry.since().is_none()
        {
            self.slot_restored += 1;
            let parts = vec!["its configuration"];
            self.tell(Event::Overwritten { parts, slot: true }, system, now);
        }
        self.tell(Event::Slot(&slot), system, now)
    }

    /// Compares what the slot needs beside it with the kernel's maps. True if anything changed that is shown.
    pub(crate) fn audit(&mut self, turn: usize, system: &mut System, now: Instant) -> bool {
        let Some(port) = &self.port else { return false };
        match port.detector.audit(system.kernel.as_mut(), turn) {
            Ok(parts) if parts.is_empty() => self.tell(Event::AsWritten, system, now),
            Ok(parts) => {
                self.slot_restored += 1;
                self.tell(Event::Overwritten { parts, slot: false }, system, now)
            }
            Err(error) => {
                self.say_if_failed(Err(error), system);
                true
            }
        }
    }

    /// If the sender stopped by itself, or is about to, the slot is asked before anything is sent. True if it was so.
    pub(crate) fn look_before_sending(&mut self, system: &mut System, now: Instant) -> bool {
        if self.role() != Role::Master {
            return false;
        }
        let Some(since) = system.sender.take_stopped(self.id, now) else {
            return false;
        };
        let slot = self.slot(system);
        let event = Event::SenderStopped {
            since,
            slot: slot.as_ref(),
        };
        self.tell(event, system, now);
        true
    }

    /// The sender may have news of adverts that do not leave. True if it has.
    pub(crate) fn look_at_unsent(&mut self, system: &mut System, now: Instant) -> bool {
        if self.role() != Role::Master {
            return false;
        }
        let Some(news) = system.sender.take_news(self.id) else {
            return false;
        };
        self.tell(Event::Sending(news), system, now)
    }

    pub(crate) fn slot(&self, system: &System) -> Option<Slot> {
        self.port.as_ref()?.detector.slot(system.kernel.as_ref())
    }

    pub(super) fn detector_rules(&self) -> Rules {
        self.router.election().detector_rules()
    }

    pub(super) fn detect(
        &mut self,
        detector: Part,
        rules: &Rules,
        system: &mut System,
        now: Instant,
    ) {
        let Some(port) = &mut self.port else { return };
        let done = port
            .detector
            .set(system.kernel.as_ref(), detector, rules, now);
        self.say_if_failed(done, system);
        // Where many take over, their first adverts come before that: they are listed before any address is added.
        let is_deferred = system.defers_addresses && !self.addresses.is_in_place();
        if detector != Part::Master || !is_deferred {
            self.list_for_fence(system, now);
        }
    }

    /// Tells the kernel half which addresses of ours are on the interface, or are about to be: they pass only while the slot
    /// is master. Those of somebody else pass whatever we are.
    pub(crate) fn list_for_fence(&mut self, system: &mut System, now: Instant) {
        let Some(port) = &self.port else {
            // Without a slot there is no list; what is left is looked for as leftovers.
            self.dirty |= self.fence_retry.since().is_some();
            self.fence_retry.clear();
            self.fence_error.clear();
            return;
        };
        let is_master = self.role() == Role::Master;
        let kernel = system.kernel.as_mut();
        let done = if is_master && port.detector.is_master() {
            let held = self.router.config().held().map(VirtualAddress::addr);
            let foreign = self.addresses.foreign();
            let ours = held.filter(|address| !foreign.contains(address));
            port.detector.fence(kernel, ours)
        } else if is_master {
            // Its slot could not be told, and is told again. Until then a master without a fence is better than one that nobody
            // reaches.
            port.detector.fence(kernel, std::iter::empty())
        } else {
            let mut left: Vec<IpAddr> = self.addresses.left().into_iter().collect();
            left.sort_unstable();
            port.detector.fence(kernel, left.into_iter())
        };
        match done {
            Ok(()) => {
                self.fence_retry.clear();
                self.fence_error.clear();
            }
            Err(error) => {
                let why = error.to_string();
                if self.fence_retry.next_deadline().is_none_or(|at| at <= now) {
                    self.fence_retry.failed(now);
                }
                if self.fence_error != why {
                    self.say(Notice::Failed(why.clone()), system);
                }
                self.fence_error = why;
            }
        }
        self.dirty = true;
    }

    /// Whether some of its addresses have no place in the list of the fence, and since when and why.
    pub(super) fn unfenced(&self) -> Option<(Retry, &str)> {
        let failed = self.fence_retry.since().is_some();
        failed.then_some((self.fence_retry, self.fence_error.as_str()))
    }

    /// Configures the slot anew, by these rules: the detector's, which are not always the election's.
    pub(super) fn reconfigure_detector(
        &mut self,
        rules: &Rules,
        system: &mut System,
        now: Instant,
    ) {
        let Some(port) = &mut self.port else { return };
        let sequence = port.detector.sequence;
        let kernel = system.kernel.as_mut();
        let done = port
            .detector
            .configure(kernel, self.router.config(), rules, now);
        port.detector.sequence = sequence;
        if done.is_ok() {
            self.detector_retry.clear();
        } else {
            self.detector_retry.failed(now);
        }
        self.say_if_failed(done, system);
    }

    /// The slot could not be configured, or not wholly.
    pub(super) fn configure_detector_again(&mut self, system: &mut System, now: Instant) {
        if self.port.is_none() {
            return self.detector_retry.clear();
        }
        self.reconfigure_detector(&self.detector_rules(), system, now);
    }

    fn say_if_failed(&self, done: Result<(), KernelError>, system: &System) {
        if let Err(error) = done {
            self.say(Notice::Failed(error.to_string()), system);
        }
    }

    /// The wall clock was set: the gate of signed adverts reckons with it from here on.
    pub(crate) fn reset_gate(&mut self, system: &mut System, now: Instant) {
        self.reconfigure_detector(&self.detector_rules(), system, now);
    }

    /// Whether adverts are to end in the BPF program.
    pub(crate) fn set_consume(&mut self, consume: bool, system: &mut System, now: Instant) {
        let Some(port) = &mut self.port else { return };
        if std::mem::replace(&mut port.detector.consume, consume) == consume {
            return;
        }
        self.dirty = true;
        self.reconfigure_detector(&self.detector_rules(), system, now);
    }
}
