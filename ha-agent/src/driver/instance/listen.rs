//! What the detector says, what it is told, and what its slot shows when an event was lost.

use std::sync::Arc;

use ha_common::election::{Advert, Detector as Part, Input, Role, Rules};
use ha_common::layout::{Event, Slot, state};
use ha_common::units::{Centiseconds, Family, Instant, Priority};

use super::{Edges, Instance};
use crate::datapath::soft::Heard;
use crate::driver::detector::{Place, list_hash};
use crate::driver::report::Report;
use crate::driver::{address_of, raw_address};
use crate::net::receive::Received;

impl Instance {
    /// One more turn of the driver was for this instance.
    pub(crate) fn count_wakeup(&mut self) {
        self.wakeups += 1;
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
    pub(crate) fn receive(&mut self, received: &Received<'_>, now: Instant) -> Option<Event> {
        self.dirty = true;
        match &mut self.port.as_mut()?.detector.place {
            Place::Kernel(_) => None,
            Place::Soft(soft) => match soft.receive(received, now.0) {
                Heard::Nothing => None,
                Heard::Event(event) => Some(event),
            },
        }
    }

    /// An event of the detector.
    pub(crate) fn heard(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        if event.hash != list_hash(&self.config) {
            self.list_differs(event, edges, now);
        }
        let Some(source) = address_of(self.config.family, event.source) else {
            return;
        };
        let advert = Advert {
            source,
            priority: Priority(event.priority),
            interval: Centiseconds(event.interval),
        };
        self.feed(now, Input::Advert(advert), edges);
    }

    /// The deadline passed, says the detector; asks the slot before it is believed. True if it was.
    pub(crate) fn expired(
        &mut self,
        deadline: Instant,
        edges: &mut Edges<'_>,
        now: Instant,
    ) -> bool {
        let Some(slot) = self.slot(edges) else {
            return false;
        };
        // The kernel's veto: a master was heard since, or the slot plays another part already.
        if slot.state != state::BACKUP || slot.deadline == 0 || slot.deadline > now.0 {
            return false;
        }
        self.deadline = Some(deadline);
        let last_heard = (slot.last_heard != 0).then_some(Instant(slot.last_heard));
        self.feed(now, Input::MasterDown { last_heard }, edges);
        true
    }

    /// Looks at the slot, in case an event was lost; for slots without a kernel timer this is the
    /// timer. Returns when to look again at the latest, if the slot itself demands it.
    pub(crate) fn look(&mut self, edges: &mut Edges<'_>, now: Instant) -> Option<Instant> {
        let slot = self.slot(edges)?;
        self.report_reject(&slot, edges, now);
        if slot.state == state::BACKUP && slot.deadline != 0 {
            if slot.deadline <= now.0 {
                self.expired(Instant(slot.deadline), edges, now);
                return None;
            }
            let kernel_timer = self
                .port
                .as_ref()
                .is_some_and(|port| port.detector.has_kernel_timer());
            return (!kernel_timer).then_some(Instant(slot.deadline));
        }
        let lost = slot.dropped.saturating_add(slot.suppressed);
        if slot.state == state::MASTER && self.role() == Role::Master {
            if slot.contested_since != 0 {
                self.catch_up(&slot, edges, now);
            }
            if lost > self.lost {
                self.feed(now, Input::EventsLost, edges);
            }
        }
        self.lost = lost;
        None
    }

    /// If the sender stopped by itself, or is about to, somebody else may have been master meanwhile:
    /// the slot is asked before anything is sent. True if it was so.
    pub(crate) fn look_before_sending(&mut self, edges: &mut Edges<'_>, now: Instant) -> bool {
        if self.role() != Role::Master || !edges.sender.take_stopped(self.id, now) {
            return false;
        }
        if let Some(slot) = self.slot(edges)
            && slot.contested_since != 0
            && let Some(advert) = contender(self.config.family, &slot)
        {
            self.feed(now, Input::TakenOver(advert), edges);
        }
        self.feed(now, Input::SenderStopped, edges);
        true
    }

    pub(super) fn slot(&self, edges: &Edges<'_>) -> Option<Slot> {
        self.port.as_ref()?.detector.slot(edges.kernel.as_deref())
    }

    /// The election was told of a contender by nobody: the event was lost.
    pub(super) fn catch_up(&mut self, slot: &Slot, edges: &mut Edges<'_>, now: Instant) {
        if let Some(advert) = contender(self.config.family, slot) {
            self.feed(now, Input::Advert(advert), edges);
        }
    }

    pub(super) fn detect(
        &mut self,
        role: Part,
        rules: &Rules,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        let Some(port) = &mut self.port else { return };
        let done = port.detector.set(edges.kernel.as_deref(), role, rules, now);
        self.look_at = match role {
            Part::Backup { arm_for } if !port.detector.has_kernel_timer() => Some(now + arm_for),
            Part::Idle | Part::Backup { .. } | Part::Master => None,
        };
        let done = done.and_then(|()| {
            let addresses = self.config.virtual_addresses().map(raw_address);
            port.detector
                .fence(edges.kernel.as_deref_mut(), role, addresses)
        });
        if let Err(error) = done {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    pub(super) fn reconfigure_detector(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let rules = *self.election.rules();
        let Some(port) = &mut self.port else { return };
        let sequence = port.detector.sequence;
        let done = port.detector.configure(
            edges.kernel.as_deref(),
            &self.config,
            &rules,
            self.consume,
            now,
        );
        port.detector.sequence = sequence;
        if let Err(error) = done {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    /// Whether adverts are to end in the XDP program.
    pub(crate) fn set_consume(&mut self, consume: bool, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        if self.consume != consume {
            self.consume = consume;
            self.reconfigure_detector(edges, now);
        }
    }
}

/// The router in the slot that claims to be master beside us.
fn contender(family: Family, slot: &Slot) -> Option<Advert> {
    Some(Advert {
        source: address_of(family, slot.master_address)?,
        priority: Priority(slot.master_priority),
        interval: Centiseconds(slot.master_interval),
    })
}
