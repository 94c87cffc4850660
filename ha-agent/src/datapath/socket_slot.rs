//! The plain-socket datapath: the same slot, the same checks and the same following rule as the BPF
//! programs', fed from a raw socket.

use std::collections::HashMap;

use ha_common::accept::TtlRange;
use ha_common::address::RawAddress;
use ha_common::hmac::Key;
use ha_common::layout::{
    Command, Event, LastReject, PeerKey, PeerStats, Slot, SlotKey, event, flags, op, state,
};
use ha_common::master_tracking;
use ha_common::peer;
use ha_common::reject::Reject;
use ha_common::slot as rules;
use ha_common::units::Family;
use ha_common::wire::cursor::SliceCursor;
use ha_common::wire::frame::{IpHeader, Kind, ParsedFrame, is_possible_source, parse_ipv4};
use ha_common::wire::vrrp::{self, Expect};

use super::hmac_verifier::HmacVerifier;
use crate::net::receive::Received;

/// Peers that one slot keeps; the one not seen for longest goes first.
const MAX_PEERS: usize = 256;
/// How often a new peer may appear, as in the kernel half: forged sources must not wash the real ones out.
/// By adverts 5 ms, by rejected packets 100 ms.
const NEW_PEER_GAP: u64 = 5_000_000;
const NEW_REJECTED_PEER_GAP: u64 = 100_000_000;

/// A slot in the agent's own memory.
#[derive(Debug)]
pub struct SocketSlot {
    slot: Slot,
    key: SlotKey,
    peers: HashMap<RawAddress, PeerStats>,
    /// Whom a unicast slot hears.
    listed: HashMap<RawAddress, TtlRange>,
    gate: HmacVerifier,
}

/// What came of a packet, for the driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// Nothing that the driver needs to know.
    Nothing,
    /// As the ring's record of the same.
    Event(Event),
}

impl SocketSlot {
    /// A slot for a virtual router.
    pub fn new(key: SlotKey) -> Self {
        Self {
            slot: Slot::default(),
            key,
            peers: HashMap::new(),
            listed: HashMap::new(),
            gate: HmacVerifier::default(),
        }
    }

    /// The slot as it stands.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

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

    /// Makes the list of unicast peers this one.
    pub fn list_peers(&mut self, peers: &[(RawAddress, TtlRange)]) {
        self.listed = peers.iter().copied().collect();
    }

    /// Makes the HMAC keys these, by their numbers.
    pub fn set_keys(&mut self, keys: &[(u8, Key)]) {
        self.gate.set_keys(keys);
    }

    /// Runs a command as the kernel's command program does.
    pub fn command(&mut self, command: &Command, now: u64) {
        // There is no timer here, and nothing to end: the packet is the host's anyway.
        let command = &Command {
            flags: command.flags & !flags::CONSUME,
            ..*command
        };
        let slot = &mut self.slot;
        match command.op {
            op::CONFIGURE => rules::configure(slot, command),
            op::TUNE => rules::tune(slot, command),
            op::SET_STATE if rules::set_state(slot, command) => {
                let armed = command.state == state::BACKUP;
                slot.deadline = if armed { now + command.arm_for } else { 0 };
            }
            op::RELEASE => {
                rules::release(slot, command);
                self.gate = HmacVerifier::default();
            }
            _ => {}
        }
    }

    /// Takes a packet in.
    pub fn receive(&mut self, received: &Received<'_>, now: u64) -> Heard {
        match received {
            Received::V4 { packet } => {
                let parsed = parse_ipv4(SliceCursor::new(packet));
                self.parsed(parsed, now)
            }
            Received::V6 {
                source,
                destination,
                hop_limit,
                payload,
            } => {
                let envelope = IpHeader {
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
                if !is_possible_source(envelope.family, envelope.source) {
                    return Heard::Nothing;
                }
                let body = SliceCursor::new(body);
                self.parsed(
                    ParsedFrame {
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

    fn parsed(&mut self, parsed: ParsedFrame<SliceCursor<'_>>, now: u64) -> Heard {
        let ParsedFrame {
            kind,
            envelope,
            header,
            body,
        } = parsed;
        if kind != Kind::Vrrp || vrrp::vrid(header) != self.slot.vrid {
            return Heard::Nothing;
        }
        let listed = self.listed.get(&envelope.source).copied();
        let expect = Expect::of(&self.slot, listed);
        let checked = vrrp::check(&envelope, header, body, &expect);
        let keeper = &mut self.gate;
        let slot = &mut self.slot;
        match checked.and_then(|advert| keeper.admit(slot, advert, header, body, now)) {
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
        if let Some(stats) = self.peer(advert.source, now, NEW_PEER_GAP) {
            peer::note_advert(stats, advert, version, now);
        }
        let slot = &mut self.slot;
        let outcome = master_tracking::on_advert(slot, advert, now);
        if let Some(span) = outcome.arm_for {
            slot.deadline = now + span.0;
            slot.rearms += 1;
        }
        if !outcome.notify {
            return Heard::Nothing;
        }
        if !master_tracking::may_notify(slot, now) {
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
            is_overheard: master_tracking::follows_another(slot, advert).into(),
            ..Event::default()
        })
    }

    fn reject(&mut self, envelope: &IpHeader, header: [u8; 8], reject: Reject, now: u64) {
        if let Some(count) = self.slot.rejects.get_mut(reject as usize) {
            *count += 1;
        }
        self.slot.last_reject = LastReject {
            at: now,
            source: envelope.source,
            destination: envelope.destination,
            header,
            reason: reject as u8,
            ttl: envelope.ttl,
            length: envelope.length,
            pad: 0,
        };
        if let Some(stats) = self.peer(envelope.source, now, NEW_REJECTED_PEER_GAP) {
            peer::note_reject(stats, reject, now);
        }
    }

    fn peer(&mut self, address: RawAddress, now: u64, gap: u64) -> Option<&mut PeerStats> {
        if !self.peers.contains_key(&address) {
            if now.saturating_sub(self.slot.last_new_peer) < gap {
                return None;
            }
            self.slot.last_new_peer = now;
            self.make_room();
        }
        let blank = PeerStats {
            first_seen: now,
            ..PeerStats::default()
        };
        Some(self.peers.entry(address).or_insert(blank))
    }

    fn make_room(&mut self) {
        if self.peers.len() < MAX_PEERS {
            return;
        }
        let oldest = self
            .peers
            .iter()
            .min_by_key(|(_, stats)| stats.last_seen)
            .map(|(address, _)| *address);
        if let Some(address) = oldest {
            self.peers.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use ha_common::accept::AcceptFrom;
    use ha_common::units::{Priority, Version, Vrid};
    use ha_common::wire::build;
    use ha_common::wire::checksum::Sum;
    use ha_common::wire::vrrp::ChecksumScope;

    use super::*;

    const MS: u64 = 1_000_000;

    fn slot() -> SocketSlot {
        let key = SlotKey::new(7, Family::V4, 51);
        let mut soft = SocketSlot::new(key);
        let command = Command {
            op: op::CONFIGURE,
            ifindex: 7,
            vrid: 51,
            family: 4,
            version: 3,
            own_priority: 90,
            own_interval: 100,
            own_address: [10, 98, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            down_multiplier: 3,
            channel: AcceptFrom::multicast(vrrp::group(Family::V4)),
            ..Command::default()
        };
        soft.command(&command, 0);
        soft
    }

    fn raw(last: u8) -> RawAddress {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 99, 0, last]);
        address
    }

    /// An IPv4 packet with an advert from `10.99.<high>.<low>`.
    fn packet(sender: u16) -> Vec<u8> {
        let [high, low] = sender.to_be_bytes();
        let mut source = raw(0);
        source[2..4].copy_from_slice(&[high, low]);
        let mut message = vec![0; build::MAX_MESSAGE];
        let length = build::write(
            &build::Message {
                version: Version::V3,
                family: Family::V4,
                vrid: Vrid::new(51).unwrap(),
                priority: Priority(100),
                interval: ha_common::units::Centiseconds(100),
                addresses: &[raw(100)],
                password: None,
                source,
                destination: vrrp::group(Family::V4),
                flavour: ChecksumScope::PseudoHeader,
            },
            &mut message,
        )
        .unwrap();
        let total = u16::try_from(20 + length).unwrap().to_be_bytes();
        let mut packet = vec![
            0x45, 0xc0, total[0], total[1], 0, 1, 0x40, 0, 255, 112, 0, 0,
        ];
        packet.extend_from_slice(&source[..4]);
        packet.extend_from_slice(&[224, 0, 0, 18]);
        let sum = Sum::ZERO.bytes(&packet).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&message[..length]);
        packet
    }

    fn hear(soft: &mut SocketSlot, packet: &[u8], now: u64) -> Heard {
        soft.receive(&Received::V4 { packet }, now)
    }

    #[test]
    fn a_reject_is_counted_by_reason_though_its_forged_sender_is_not_remembered() {
        let mut soft = slot();
        let start = 1_000 * MS;
        hear(&mut soft, &packet(1), start);
        for forged in 0..1000 {
            let mut bad = packet(1000 + forged);
            *bad.last_mut().unwrap() ^= 1;
            hear(&mut soft, &bad, start + MS + u64::from(forged));
        }
        assert_eq!(soft.slot().rejects[Reject::Checksum as usize], 1000);
        assert!(soft.peers().any(|(key, _)| key.address == raw(1)));
        assert!(soft.peers().count() <= 2, "at most one in 100 ms");
    }

    #[test]
    fn when_the_table_is_full_the_peer_not_seen_for_longest_goes_first() {
        let mut soft = slot();
        let count = u16::try_from(MAX_PEERS).unwrap();
        for sender in 0..count {
            hear(
                &mut soft,
                &packet(sender + 1),
                u64::from(sender + 1) * 10 * MS,
            );
        }
        // The first one speaks again; then somebody new comes.
        let later = u64::from(count + 1) * 10 * MS;
        hear(&mut soft, &packet(1), later);
        hear(&mut soft, &packet(9999), later + 10 * MS);
        let known = |sender: u16| {
            let [high, low] = sender.to_be_bytes();
            let found = |(key, _): (PeerKey, _)| key.address[2..4] == [high, low];
            soft.peers().any(found)
        };
        assert!(known(1) && known(9999) && !known(2));
        assert_eq!(soft.peers().count(), MAX_PEERS);
    }

    #[test]
    fn a_backups_deadline_is_set_by_the_command_and_gone_with_the_part() {
        let mut soft = slot();
        let part = |state| Command {
            op: op::SET_STATE,
            state,
            arm_for: 5 * MS,
            flags: flags::CONSUME,
            ..Command::default()
        };
        soft.command(&part(state::BACKUP), 100 * MS);
        assert_eq!(soft.slot().deadline, 105 * MS);
        assert_eq!(soft.slot().flags & flags::CONSUME, 0, "nothing ends here");
        soft.command(&part(state::MASTER), 101 * MS);
        assert_eq!(soft.slot().deadline, 0);
    }
}
