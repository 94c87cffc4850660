//! What a router hears: packets into the slot, and the slot's news into the router, if they get there.

use ha_agent::datapath::socket_slot::Heard as News;
use ha_agent::router::Event;
use ha_common::address::known_ip;
use ha_common::election::{Advert, Role};
use ha_common::layout::state;
use ha_common::reject::Reject;
use ha_common::units::{Centiseconds, Instant, Nanos, Priority};

use super::super::events::Heard;
use super::super::packet::Packet;
use super::{Record, Router, SENDER, Turn};

/// Bounds of the driver's coarse look at a slot, as in the agent.
const WATCHDOG_MIN: Nanos = Nanos::from_millis(100);
const WATCHDOG_MAX: Nanos = Nanos::from_millis(1000);

impl Router {
    /// A packet arrives. False if there can be no such packet.
    pub(in crate::golden) fn hear(&mut self, heard: &Heard, turn: &mut Turn<'_>) -> bool {
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
            turn.transcript.refused(&self.config.name, turn.now, &what);
        }
        if self.slot.slot().suppressed != suppressed {
            self.look_soon(turn.now);
        }
        match news {
            News::Nothing => {}
            News::Event(event) => self.push(Record::Advert(event), turn),
        }
        true
    }

    /// The kernel's timer, if it is due.
    pub(super) fn timer(&mut self, turn: &mut Turn<'_>) {
        let slot = self.slot.slot();
        let due = slot.state == state::BACKUP && slot.deadline <= turn.now.0;
        if due && slot.deadline > self.fired {
            self.fired = slot.deadline;
            self.push(Record::MasterDown(Instant(slot.deadline)), turn);
        }
    }

    pub(super) fn push(&mut self, record: Record, turn: &mut Turn<'_>) {
        if self.logic.is_none() {
            // What an earlier agent was told is not believed by a later one.
        } else if self.deaf {
            self.dropped += 1;
            self.look_soon(turn.now);
        } else if self.stalled {
            self.ring.push_back(record);
        } else {
            self.take(record, turn);
        }
    }

    /// The driver reads a record.
    pub(super) fn take(&mut self, record: Record, turn: &mut Turn<'_>) {
        match record {
            Record::Advert(event) => {
                self.look_before_sending(turn);
                if let Some(source) = known_ip(self.config.family, event.source) {
                    let advert = Advert {
                        source,
                        priority: Priority(event.priority),
                        interval: Centiseconds(event.interval),
                    };
                    let event = Event::Advert {
                        advert,
                        other_list: None,
                        is_overheard: event.is_overheard != 0,
                    };
                    self.tell(event, turn);
                }
            }
            Record::MasterDown(deadline) => {
                let slot = self.slot();
                let event = Event::Expired {
                    deadline,
                    slot: &slot,
                };
                self.tell(event, turn);
            }
        }
    }

    /// Events of the kernel half get lost, or no longer.
    pub(in crate::golden) fn set_deaf(&mut self, deaf: bool, now: Instant) {
        self.deaf = deaf;
        if deaf {
            self.look_soon(now);
        }
    }

    pub(super) fn look_soon(&mut self, now: Instant) {
        let span = self
            .logic
            .as_ref()
            .map(|logic| logic.election().rules().initial_down());
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
        self.read_slot(turn);
    }

    /// A sender that stopped by itself may have left the addresses to somebody: the slot is asked before
    /// anything is sent.
    pub(in crate::golden) fn look_before_sending(&mut self, turn: &mut Turn<'_>) {
        if self.role() != Some(Role::Master) {
            return;
        }
        self.keep_sending(turn.now);
        let Some(since) = self.sender.schedule.take_stopped(SENDER, turn.now) else {
            return;
        };
        let slot = self.slot();
        let event = Event::SenderStopped {
            since,
            slot: Some(&slot),
        };
        self.tell(event, turn);
    }
}
