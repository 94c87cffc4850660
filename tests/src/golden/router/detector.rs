//! What an instance hears: packets into the slot, and the slot's news into the election, if they get there.

use ha_agent::datapath::soft::Heard as News;
use ha_agent::driver::slot_configuration;
use ha_common::election::{Advert, Input, Role, Rules};
use ha_common::follow;
use ha_common::layout::{Command, Event, Slot, SlotKey, flags, op, state};
use ha_common::reject::Reject;
use ha_common::units::{Centiseconds, Family, Instant, Nanos, Priority};

use super::super::events::Heard;
use super::super::packet::{Packet, address_of};
use super::{IFINDEX, Router, Turn};

/// Bounds of the driver's coarse look at a slot, as in the agent.
const WATCHDOG_MIN: Nanos = Nanos::from_millis(100);
const WATCHDOG_MAX: Nanos = Nanos::from_millis(1000);

/// A record of the kernel half, in the ring or on its way to the driver.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pushed {
    Advert(Event),
    MasterDown,
}

impl Router {
    /// A packet arrives. False if there can be no such packet.
    pub(crate) fn hear(&mut self, heard: &Heard, turn: &mut Turn<'_>) -> bool {
        let Some(packet) = Packet::of(&self.config, heard) else {
            return false;
        };
        let before = self.slot.slot().rejects;
        let suppressed = self.slot.slot().suppressed;
        let news = self.slot.receive(&packet.received(), turn.now.0);
        if self.slot.slot().rejects != before {
            let reason = usize::from(self.slot.slot().last_reject.reason);
            let name = Reject::from_index(reason).map_or("unknown", Reject::name);
            let what = format!("advert of {} refused: {name}", heard.source);
            turn.story.refused(&self.config.name, turn.now, &what);
        }
        if self.slot.slot().suppressed != suppressed {
            self.look_soon(turn.now);
        }
        match news {
            News::Nothing => {}
            News::Event(event) => self.push(Pushed::Advert(event), turn),
        }
        true
    }

    /// The kernel's timer, if it is due.
    pub(super) fn timer(&mut self, turn: &mut Turn<'_>) {
        let slot = self.slot.slot();
        let due = slot.state == state::BACKUP && slot.deadline <= turn.now.0;
        if due && slot.deadline > self.fired {
            self.fired = slot.deadline;
            self.push(Pushed::MasterDown, turn);
        }
    }

    fn push(&mut self, pushed: Pushed, turn: &mut Turn<'_>) {
        if self.election.is_none() {
            // What an earlier agent was told is not believed by a later one.
        } else if self.deaf {
            self.dropped += 1;
            self.look_soon(turn.now);
        } else if self.stalled {
            self.ring.push_back(pushed);
        } else {
            self.take(pushed, turn);
        }
    }

    /// The driver reads a record.
    pub(super) fn take(&mut self, pushed: Pushed, turn: &mut Turn<'_>) {
        match pushed {
            Pushed::Advert(event) => {
                self.look_before_sending(turn);
                let advert = address_of(self.config.family, event.source).map(|source| Advert {
                    source,
                    priority: Priority(event.priority),
                    interval: Centiseconds(event.interval),
                });
                if let Some(advert) = advert {
                    self.feed(Input::Advert(advert), turn);
                }
            }
            Pushed::MasterDown => self.expired(turn),
        }
    }

    /// The slot is asked before its timer is believed.
    fn expired(&mut self, turn: &mut Turn<'_>) {
        let slot = self.slot.slot();
        if slot.state != state::BACKUP || slot.deadline == 0 || slot.deadline > turn.now.0 {
            return;
        }
        let last_heard = (slot.last_heard != 0).then_some(Instant(slot.last_heard));
        self.feed(Input::MasterDown { last_heard }, turn);
    }

    /// Events of the kernel half get lost, or no longer.
    pub(crate) fn set_deaf(&mut self, deaf: bool, now: Instant) {
        self.deaf = deaf;
        if deaf {
            self.look_soon(now);
        }
    }

    fn look_soon(&mut self, now: Instant) {
        let span = self.rules().map(|rules| rules.initial_down());
        let span = span.map(|span| span.clamp(WATCHDOG_MIN, WATCHDOG_MAX));
        if let Some(span) = span.filter(|_| self.next_look.is_none()) {
            self.next_look = Some(now + span);
        }
    }

    /// The driver's coarse look, in case an event was lost.
    pub(super) fn look(&mut self, turn: &mut Turn<'_>) {
        self.next_look = None;
        if self.deaf {
            self.look_soon(turn.now);
        }
        let slot = *self.slot.slot();
        let lost = self.dropped + slot.suppressed;
        let missed = lost > std::mem::replace(&mut self.lost, lost);
        match (slot.state, self.role()) {
            (state::BACKUP, Some(Role::Backup)) if slot.deadline != 0 => {
                if slot.deadline <= turn.now.0 {
                    self.expired(turn);
                } else if missed {
                    self.catch_up(&slot, turn);
                }
            }
            (state::MASTER, Some(Role::Master)) => {
                if slot.contested_since != 0 && follow::is_claimed(&slot, turn.now.0) {
                    self.catch_up(&slot, turn);
                }
                if missed {
                    self.feed(Input::EventsLost, turn);
                }
            }
            _ => {}
        }
    }

    /// A sender that stopped by itself may have left the addresses to somebody: the slot is asked before
    /// anything is sent.
    pub(super) fn look_before_sending(&mut self, turn: &mut Turn<'_>) {
        if self.role() != Some(Role::Master) {
            return;
        }
        self.keep_sending(turn.now);
        let Some(silent_since) = self.sender.take_stopped(turn.now) else {
            return;
        };
        let slot = *self.slot.slot();
        if follow::is_claimed(&slot, turn.now.0)
            && slot.last_heard >= silent_since.0
            && let Some(advert) = contender(self.config.family, &slot)
        {
            self.feed(Input::TakenOver(advert), turn);
        }
        self.feed(Input::SenderStopped, turn);
    }

    fn catch_up(&mut self, slot: &Slot, turn: &mut Turn<'_>) {
        if let Some(advert) = contender(self.config.family, slot) {
            self.feed(Input::Advert(advert), turn);
        }
    }

    /// The slot's configuration; its state stays.
    pub(super) fn configure(&mut self, rules: &Rules, now: Instant) {
        let key = SlotKey::new(IFINDEX, self.config.family, self.config.vrid.get());
        let command = Command {
            op: op::CONFIGURE,
            generation: self.generation,
            flags: flags_of(rules),
            ..slot_configuration(key, &self.config, rules)
        };
        self.slot.command(&command, now.0);
    }

    pub(super) fn set_state(&mut self, state: u8, arm_for: Nanos, rules: &Rules, now: Instant) {
        let command = Command {
            op: op::SET_STATE,
            generation: self.generation,
            state,
            arm_for: arm_for.0,
            flags: flags_of(rules),
            own_priority: rules.priority.0,
            ..Command::default()
        };
        self.slot.command(&command, now.0);
    }
}

fn flags_of(rules: &Rules) -> u32 {
    let preempt = if rules.preempt { flags::PREEMPT } else { 0 };
    flags::FENCE | preempt
}

/// The router in the slot that claims to be master beside us.
fn contender(family: Family, slot: &Slot) -> Option<Advert> {
    Some(Advert {
        source: address_of(family, slot.master_address)?,
        priority: Priority(slot.master_priority),
        interval: Centiseconds(slot.master_interval),
    })
}
