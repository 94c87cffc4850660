//! What the detector says, what it is told, and what its slot shows when an event was lost.

use std::sync::Arc;

use ha_common::address::known_ip;
use ha_common::election::{Advert, Detector as Part, Input, Role, Rules};
use ha_common::layout::{Event, Slot, state};
use ha_common::units::{Centiseconds, Family, Instant, Nanos, Priority};
use ha_common::{follow, lateness};

use super::{Edges, Instance};
use crate::config::virtual_address::VirtualAddress;
use crate::datapath::error::KernelError;
use crate::datapath::soft::Heard;
use crate::driver::detector::{Place, list_hash};
use crate::driver::port::Port;
use crate::driver::report::Report;
use crate::net::receive::Received;

/// For how long after an event more of them may have been left out: the slot's limit of events has a window
/// of a tenth of this, and rounds of the watchdog that pass slots over are less than half of it apart.
const RESTLESS: Nanos = Nanos::from_millis(1000);

impl Instance {
    /// One more turn of the driver was for this instance.
    pub(crate) fn count_wakeup(&mut self, now: Instant) {
        self.wakeups += 1;
        self.restless_until = now + RESTLESS;
    }

    /// Whether its slot may hold something that no event told: not if this is a backup whose deadline the
    /// kernel keeps and of which nothing was heard for a while.
    pub(crate) fn is_restless(&self, now: Instant) -> bool {
        let in_kernel = |port: &Port| port.detector.has_kernel_timer();
        self.role() != Role::Backup
            || !self.port.as_ref().is_some_and(in_kernel)
            || now < self.restless_until
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

    /// An event of the detector. RFC 9568 section 7.1 (list), RFC 3768 section 7.1 (list): its address list
    /// is compared with ours.
    pub(crate) fn heard(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        if event.hash != list_hash(&self.config) {
            self.list_differs(event, edges, now);
        }
        let Some(source) = known_ip(self.config.family, event.source) else {
            return;
        };
        let advert = Advert {
            source,
            priority: Priority(event.priority),
            interval: Centiseconds(event.interval),
        };
        self.hint_at_start_delay(&advert, edges, now);
        self.feed(now, Input::Advert(advert), edges);
        self.watch_deadline(edges, now);
    }

    /// Another one is heard while we are master, which may say something of our port.
    fn hint_at_start_delay(&mut self, other: &Advert, edges: &mut Edges<'_>, now: Instant) {
        let own = self.rules().priority;
        if self.role() == Role::Master
            && let Some(hint) = self.unheard.hint(other.source, other.priority, own, now)
        {
            self.warn(now, hint, edges);
        }
    }

    /// A deadline that is looked at from here and has come nearer must be looked at earlier: priority 0 leaves
    /// the skew only.
    fn watch_deadline(&mut self, edges: &Edges<'_>, now: Instant) {
        if self.has_kernel_timer() && self.look_at.is_none() {
            return;
        }
        if let Some(slot) = self.slot(edges)
            && slot.state == state::BACKUP
            && slot.deadline != 0
            && let Some(next) = self.next_look(&slot, now)
        {
            self.look_at = Some(self.look_at.map_or(next, |at| at.min(next)));
        }
    }

    fn has_kernel_timer(&self) -> bool {
        let in_kernel = |port: &Port| port.detector.has_kernel_timer();
        self.port.as_ref().is_some_and(in_kernel)
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
        // In a group it is not this router's own deadline that makes a master of it.
        if self.seat.is_none() && !self.takes_over(&slot, edges) {
            return false;
        }
        self.deadline = Some(deadline);
        let last_heard = (slot.last_heard != 0).then_some(Instant(slot.last_heard));
        self.feed(now, Input::MasterDown { last_heard }, edges);
        let expired = self.election.expired_since();
        self.ran_out_at = expired.map(|_| deadline);
        self.give_back(edges, now);
        true
    }

    /// Has the kernel half make a master of the slot if nothing was heard since: an advert that comes between this
    /// host's looking and its acting is not forgotten.
    fn takes_over(&mut self, slot: &Slot, edges: &Edges<'_>) -> bool {
        let rules = self.election.detector_rules();
        let Some(port) = &mut self.port else {
            return false;
        };
        let taken = port
            .detector
            .take_over(edges.kernel.as_deref(), &rules, slot.last_heard);
        match taken {
            Ok(taken) => taken,
            Err(error) => {
                // Without an answer it is taken over the ordinary way.
                self.say_if_failed(Err(error), edges);
                true
            }
        }
    }

    /// The election made no master of it after all: the slot is a backup's again.
    fn give_back(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let early = |port: &Port| port.detector.taken_over;
        if self.role() == Role::Master || !self.port.as_ref().is_some_and(early) {
            return;
        }
        let rules = self.election.detector_rules();
        let role = match self.role() {
            Role::Backup => Part::Backup {
                arm_for: rules.initial_down(),
            },
            Role::Initialize | Role::Hold | Role::Master | Role::Fault | Role::Stopped => {
                Part::Idle
            }
        };
        self.detect(role, &rules, edges, now);
    }

    /// Looks at the slot, in case an event was lost; for slots without a kernel timer this is the
    /// timer, and where the kernel's was late it is what stands behind it.
    pub(crate) fn look(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let Some(slot) = self.slot(edges) else {
            return;
        };
        self.report_reject(&slot, edges, now);
        self.report_fence(&slot, edges);
        self.answer_untold_claims(&slot, edges, now);
        let lost = slot.dropped.saturating_add(slot.suppressed);
        let missed = lost > std::mem::replace(&mut self.lost, lost);
        match (slot.state, self.role()) {
            (state::BACKUP, Role::Backup) if slot.deadline != 0 => {
                if self.acts_at(&slot, now) <= now {
                    self.expired(Instant(slot.deadline), edges, now);
                    return;
                }
                self.look_at = self.next_look(&slot, now);
                if missed {
                    // What it follows now is all that counts of what was missed.
                    self.catch_up(&slot, edges, now);
                }
            }
            (state::MASTER, Role::Master) => {
                if slot.contested_since != 0 && follow::is_claimed(&slot, now.0) {
                    self.catch_up(&slot, edges, now);
                }
                if missed {
                    self.feed(now, Input::EventsLost, edges);
                }
            }
            _ => {}
        }
    }

    /// When the deadline of a slot is to be acted on from here: when it is there, if nobody else looks.
    fn acts_at(&self, slot: &Slot, now: Instant) -> Instant {
        let deadline = Instant(slot.deadline);
        if self.has_kernel_timer() {
            deadline + lateness::grace(slot, now)
        } else {
            deadline
        }
    }

    /// When it is to be looked at from here: then, unless that is left to the kernel. One that has passed is not left
    /// to it any more.
    fn next_look(&self, slot: &Slot, now: Instant) -> Option<Instant> {
        if self.has_kernel_timer() && slot.deadline > now.0 {
            lateness::look_at(slot, now)
        } else {
            Some(self.acts_at(slot, now))
        }
    }

    /// If the sender stopped by itself, or is about to, somebody else may have been master meanwhile:
    /// the slot is asked before anything is sent. True if it was so.
    pub(crate) fn look_before_sending(&mut self, edges: &mut Edges<'_>, now: Instant) -> bool {
        if self.role() != Role::Master {
            return false;
        }
        let Some(silent_since) = edges.sender.take_stopped(self.id, now) else {
            return false;
        };
        if let Some(slot) = self.slot(edges)
            && follow::is_claimed(&slot, now.0)
            // Whoever spoke before has yielded since, or never was the master.
            && slot.last_heard >= silent_since.0
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
            Part::Backup { .. } => self
                .slot(edges)
                .and_then(|slot| lateness::look_at(&slot, now)),
            Part::Idle | Part::Master => None,
        };
        self.say_if_failed(done, edges);
        self.list_for_fence(role == Part::Master, edges);
    }

    /// Tells the kernel half which addresses we hold: those that are ours, and only while we are master.
    pub(super) fn list_for_fence(&mut self, is_master: bool, edges: &mut Edges<'_>) {
        let Some(port) = &mut self.port else { return };
        let ours = self
            .config
            .held()
            .map(VirtualAddress::addr)
            .filter(|address| !self.foreign.contains(address));
        let kernel = edges.kernel.as_deref_mut();
        let done = port.detector.fence(kernel, is_master, ours);
        self.say_if_failed(done, edges);
    }

    /// Configures the slot anew, by these rules: the detector's, which are not always the election's.
    pub(super) fn reconfigure_detector(
        &mut self,
        rules: &Rules,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        let Some(port) = &mut self.port else { return };
        let sequence = port.detector.sequence;
        let kernel = edges.kernel.as_deref_mut();
        let done = port.detector.configure(kernel, &self.config, rules, now);
        port.detector.sequence = sequence;
        self.say_if_failed(done, edges);
    }

    fn say_if_failed(&self, done: Result<(), KernelError>, edges: &Edges<'_>) {
        if let Err(error) = done {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what: error.to_string(),
            });
        }
    }

    /// The wall clock was set: the gate of signed adverts reckons with it from here on.
    pub(crate) fn reset_gate(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let rules = self.election.detector_rules();
        self.reconfigure_detector(&rules, edges, now);
    }

    /// Whether adverts are to end in the BPF program.
    pub(crate) fn set_consume(&mut self, consume: bool, edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &mut self.port else { return };
        if std::mem::replace(&mut port.detector.consume, consume) == consume {
            return;
        }
        self.dirty = true;
        let rules = self.election.detector_rules();
        self.reconfigure_detector(&rules, edges, now);
    }
}

/// The router in the slot that claims to be master beside us.
fn contender(family: Family, slot: &Slot) -> Option<Advert> {
    Some(Advert {
        source: known_ip(family, slot.master_address)?,
        priority: Priority(slot.master_priority),
        interval: Centiseconds(slot.master_interval),
    })
}
