//! What came of a frame, seen from both targets in the same words.

use std::collections::HashMap;

use ha_common::layout::{Counter, PeerKey, PeerStats, Slot, SlotKey};
use ha_common::reject::Reject;
use ha_common::wire::cursor::SliceCursor;
use ha_common::wire::frame::{Kind, ParsedFrame, parse_frame};
use ha_common::wire::vrrp::{self, Advert, ChecksumScope};
use ha_tests::vectors::{Accepted, Expected, Receiver, VRID};

use super::harness::{LOOPBACK, Lab, PASS};

type Peers = HashMap<PeerKey, PeerStats>;

/// What a target made of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Observed {
    Other,
    Tagged,
    Unreadable,
    NotOurs,
    Rejected(Evidence),
    Accepted(Accepted, u64),
}

impl Observed {
    /// The same without what the corpus does not foretell.
    pub(crate) fn expected(self) -> Expected {
        match self {
            Self::Other => Expected::Other,
            Self::Tagged => Expected::Tagged,
            Self::Unreadable => Expected::Unreadable,
            Self::NotOurs => Expected::NotOurs,
            Self::Rejected(evidence) => Expected::Rejected(evidence.reason),
            Self::Accepted(accepted, _) => Expected::Accepted(accepted),
        }
    }
}

/// What is kept of a rejected advert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Evidence {
    reason: Reject,
    source: [u8; 16],
    destination: [u8; 16],
    header: [u8; 8],
    ttl: u8,
    length: u16,
}

/// Runs the parser here.
pub(crate) fn in_userspace(receiver: Receiver, frame: &[u8]) -> Observed {
    let ParsedFrame {
        kind,
        envelope,
        header,
        body,
    } = parse_frame(SliceCursor::new(frame));
    match kind {
        Kind::Other => return Observed::Other,
        Kind::Tagged => return Observed::Tagged,
        Kind::Unreadable => return Observed::Unreadable,
        Kind::Vrrp => {}
    }
    if envelope.family != receiver.family() || vrrp::vrid(header) != VRID {
        return Observed::NotOurs;
    }
    match vrrp::check(&envelope, header, body, &receiver.expect(envelope.source)) {
        Ok(advert) => Observed::Accepted(accepted(&advert), advert.hash),
        Err(reason) => Observed::Rejected(Evidence {
            reason,
            source: envelope.source,
            destination: envelope.destination,
            header,
            ttl: envelope.ttl,
            length: envelope.length,
        }),
    }
}

fn accepted(advert: &Advert) -> Accepted {
    Accepted {
        source: advert.source,
        priority: advert.priority.0,
        interval: advert.interval.0,
        count: advert.count,
        pseudo_header: advert.flavour == ChecksumScope::PseudoHeader,
        length: advert.length,
    }
}

/// Runs the program in the kernel over a fresh idle slot, and reads from the maps what it made of the
/// frame. Whatever moved that should not have is a panic.
pub(crate) fn in_kernel(lab: &mut Lab, receiver: Receiver, frame: &[u8]) -> Observed {
    lab.receive_as(receiver);
    let before = lab.counters();
    assert_eq!(lab.send(frame), PASS, "an idle slot passes frames on");
    let after = lab.counters();
    let moved: Vec<&str> = after
        .iter()
        .zip(before)
        .zip(Counter::NAMES)
        .filter(|((after, before), _)| *after != before)
        .map(|((after, before), name)| {
            assert_eq!(after - before, 1, "{name} moved by more than one");
            name
        })
        .collect();
    let observed = match read(lab, receiver, &lab.slot()) {
        Some(observed) => {
            assert_eq!(moved, ["vrrp"], "{observed:?}");
            observed
        }
        None => untraced(&moved),
    };
    lab.forget(receiver);
    observed
}

/// A frame that left no trace in slot and peers: the counter that moved tells why.
fn untraced(moved: &[&str]) -> Observed {
    match moved {
        [] | ["authenticated"] => Observed::Other,
        ["tagged"] => Observed::Tagged,
        ["unreadable"] => Observed::Unreadable,
        ["vrrp", "not_ours"] => Observed::NotOurs,
        other => panic!("no such combination of counters: {other:?}"),
    }
}

fn read(lab: &Lab, receiver: Receiver, slot: &Slot) -> Option<Observed> {
    let peers = lab.peers();
    assert_eq!(slot.events, 0, "an idle slot makes no events");
    assert_eq!(slot.rearms, 0, "an idle slot arms nothing");
    match (slot.adverts, slot.rejects.iter().sum()) {
        (0, 0) => {
            assert_eq!(peers.len(), 0, "a frame that is not for us leaves no peer");
            assert_eq!(slot.last_reject.at, 0);
            None
        }
        (0, 1) => Some(rejected(&peers, receiver, slot)),
        (1, 0) => Some(heard(&peers, receiver, slot)),
        other => panic!("one frame counted as {other:?} adverts and rejects"),
    }
}

fn rejected(peers: &Peers, receiver: Receiver, slot: &Slot) -> Observed {
    let last = &slot.last_reject;
    let (key, peer) = only(peers);
    assert_eq!(key.slot, slot_key(receiver));
    assert_eq!(key.address, last.source);
    assert_eq!((peer.adverts, peer.bytes, peer.last_advert), (0, 0, 0));
    assert_eq!(peer.last_seen, last.at);
    let reason = Reject::from_index(usize::from(last.reason)).expect("a reason");
    for other in Reject::ALL {
        let count = u64::from(other == reason);
        assert_eq!(peer.rejects[other as usize], count, "{}", other.name());
        assert_eq!(slot.rejects[other as usize], count, "{}", other.name());
    }
    Observed::Rejected(Evidence {
        reason,
        source: last.source,
        destination: last.destination,
        header: last.header,
        ttl: last.ttl,
        length: last.length,
    })
}

fn heard(peers: &Peers, receiver: Receiver, slot: &Slot) -> Observed {
    let (key, peer) = only(peers);
    assert_eq!(key.slot, slot_key(receiver));
    assert_eq!(key.address, slot.master_address);
    assert_eq!(peer.adverts, 1);
    assert_eq!(peer.rejects, [0; Reject::COUNT]);
    assert_eq!(peer.releases, u64::from(slot.master_priority == 0));
    assert_eq!(peer.last_advert, slot.last_heard);
    assert_eq!(peer.first_seen, peer.last_seen);
    assert_eq!(peer.priority, slot.master_priority);
    assert_eq!(peer.interval, slot.master_interval);
    assert_eq!(peer.count, slot.master_count);
    assert_eq!(peer.checksum, slot.master_checksum);
    assert_eq!(peer.version, receiver.version());
    assert_eq!(slot.last_reject.at, 0);
    let accepted = Accepted {
        source: key.address,
        priority: peer.priority,
        interval: peer.interval,
        count: peer.count,
        pseudo_header: peer.checksum == ChecksumScope::PseudoHeader as u8,
        length: u16::try_from(peer.bytes).expect("one message"),
    };
    Observed::Accepted(accepted, slot.master_hash)
}

fn only(peers: &Peers) -> (PeerKey, PeerStats) {
    assert_eq!(peers.len(), 1, "one frame, one peer");
    peers
        .iter()
        .next()
        .map(|(key, peer)| (*key, *peer))
        .expect("one peer")
}

fn slot_key(receiver: Receiver) -> SlotKey {
    SlotKey::new(LOOPBACK, receiver.family(), VRID)
}
