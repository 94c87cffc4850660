//! The plain-socket datapath: the same slot, the same checks and the same following rule as the XDP
//! program's, fed from a raw socket.

use std::collections::HashMap;

use ha_common::follow;
use ha_common::layout::{
    Command, Event, LastReject, PeerKey, PeerStats, RawAddress, Slot, SlotKey, event, flags, op,
    state,
};
use ha_common::peer;
use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_common::wire::cursor::SliceCursor;
use ha_common::wire::frame::{Envelope, Kind, Located, locate_ipv4};
use ha_common::wire::vrrp::{self, Expect};

use crate::net::receive::Received;

/// Peers that one slot keeps; further ones are not counted, as in the kernel's table under a flood.
const MAX_PEERS: usize = 256;

/// A slot in the agent's own memory.
#[derive(Debug)]
pub struct SoftSlot {
    slot: Slot,
    key: SlotKey,
    peers: HashMap<RawAddress, PeerStats>,
}

/// What came of a packet, for the driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// Nothing that the driver needs to know.
    Nothing,
    /// As the ring's record of the same.
    Event(Event),
}

impl SoftSlot {
    /// A slot for a virtual router.
    pub fn new(key: SlotKey) -> Self {
        Self {
            slot: Slot::default(),
            key,
            peers: HashMap::new(),
        }
    }

    /// The slot as it stands.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The peers.
    pub fn peers(&self) -> impl Iterator<Item = (PeerKey, PeerStats)> + '_ {
        self.peers.iter().map(|(address, stats)| {
            (
                PeerKey {
                    slot: self.key,
                    address: *address,
                },
                *stats,
            )
        })
    }

    /// Runs a command as the kernel's command program does.
    pub fn command(&mut self, command: &Command, now: u64) {
        let slot = &mut self.slot;
        match command.op {
            op::CONFIGURE => {
                slot.ifindex = command.ifindex;
                slot.vrid = command.vrid;
                slot.family = command.family;
                slot.version = command.version;
                slot.own_interval = command.own_interval;
                slot.own_hash = command.own_hash;
                slot.own_address = command.own_address;
                slot.own_count = command.own_count;
                slot.auth_type = command.auth_type;
                slot.auth_data = command.auth_data;
                slot.down_multiplier = command.down_multiplier;
                self.tune(command);
                if self.slot.state == state::FREE {
                    self.slot.state = state::IDLE;
                }
            }
            op::TUNE => self.tune(command),
            op::SET_STATE => {
                slot.generation = command.generation;
                slot.own_priority = command.own_priority;
                slot.contested_since = 0;
                slot.state = command.state;
                slot.deadline = if command.state == state::BACKUP {
                    now + command.arm_for
                } else {
                    0
                };
                if command.state == state::MASTER {
                    slot.master_address = [0; 16];
                    slot.master_priority = 0;
                }
            }
            _ => {}
        }
    }

    fn tune(&mut self, command: &Command) {
        self.slot.generation = command.generation;
        self.slot.own_priority = command.own_priority;
        self.slot.flags = command.flags & !(flags::TIMER | flags::CONSUME);
    }

    /// Takes a packet in.
    pub fn receive(&mut self, received: &Received<'_>, now: u64) -> Heard {
        match received {
            Received::V4 { packet } => {
                let located = locate_ipv4(SliceCursor::new(packet));
                self.located(located, now)
            }
            Received::V6 {
                source,
                destination,
                hop_limit,
                payload,
            } => {
                let envelope = Envelope {
                    source: source.octets(),
                    destination: destination.octets(),
                    length: u16::try_from(payload.len()).unwrap_or(u16::MAX),
                    ttl: *hop_limit,
                    family: Family::V6,
                    fragment: false,
                };
                let Some((header, body)) = payload.split_first_chunk::<8>() else {
                    return Heard::Nothing;
                };
                let body = SliceCursor::new(body);
                self.located(
                    Located {
                        kind: Kind::Vrrp,
                        envelope,
                        header: *header,
                        body,
                    },
                    now,
                )
            }
        }
    }

    fn located(&mut self, located: Located<SliceCursor<'_>>, now: u64) -> Heard {
        let Located {
            kind,
            envelope,
            header,
            body,
        } = located;
        if kind != Kind::Vrrp || vrrp::vrid(header) != self.slot.vrid {
            return Heard::Nothing;
        }
        let expect = Expect {
            version: self.slot.version,
            auth_type: self.slot.auth_type,
            auth_data: self.slot.auth_data,
            own_interval: self.slot.own_interval,
            own_address: self.slot.own_address,
        };
        match vrrp::check(&envelope, header, body, &expect) {
            Ok(advert) => self.accept(&advert, now),
            Err(reject) => {
                self.reject(&envelope, header, reject, now);
                Heard::Nothing
            }
        }
    }

    fn accept(&mut self, advert: &vrrp::Advert, now: u64) -> Heard {
        let version = self.slot.version;
        self.slot.adverts += 1;
        if let Some(stats) = self.peer(advert.source, now) {
            peer::note_advert(stats, advert, version, now);
        }
        let slot = &mut self.slot;
        let outcome = follow::on_advert(slot, advert, now);
        if let Some(span) = outcome.arm_for {
            slot.deadline = now + span.0;
            slot.rearms += 1;
        }
        if !outcome.notify {
            return Heard::Nothing;
        }
        if !follow::may_notify(slot, now) {
            slot.suppressed += 1;
            return Heard::Nothing;
        }
        let sequence = slot.events;
        slot.events += 1;
        Heard::Event(Event {
            kind: event::ADVERT,
            generation: slot.generation,
            sequence,
            at: now,
            source: advert.source,
            hash: advert.hash,
            interval: advert.interval.0,
            priority: advert.priority.0,
            count: advert.count,
            checksum: advert.flavour as u8,
            ..Event::default()
        })
    }

    fn reject(&mut self, envelope: &Envelope, header: [u8; 8], reject: Reject, now: u64) {
        self.slot.rejects += 1;
        self.slot.last_reject = LastReject {
            at: now,
            source: envelope.source,
            header,
            reason: reject as u8,
            ttl: envelope.ttl,
            length: envelope.length,
            pad: 0,
        };
        if let Some(stats) = self.peer(envelope.source, now) {
            peer::note_reject(stats, reject, now);
        }
    }

    fn peer(&mut self, address: RawAddress, now: u64) -> Option<&mut PeerStats> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&address) {
            return None;
        }
        let blank = PeerStats {
            first_seen: now,
            ..PeerStats::default()
        };
        Some(self.peers.entry(address).or_insert(blank))
    }
}
