//! One line of the corpus: a frame, who receives it, and what must come of it.

use ha_common::address::RawAddress;
use ha_common::reject::Reject;

use super::address::raw;
use super::build::{Checksum, Frame};
use super::receiver::Receiver;

/// An advert that must be accepted, as it must be understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The sender.
    pub source: RawAddress,
    /// Its priority.
    pub priority: u8,
    /// Its interval, centiseconds.
    pub interval: u16,
    /// Addresses in its list.
    pub count: u8,
    /// Whether its checksum covers the pseudo-header.
    pub pseudo_header: bool,
    /// Length of the message in bytes.
    pub length: u16,
}

/// What must come of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Not VRRP: passes, no counter moves.
    Other,
    /// VRRP with a VLAN tag: passes, counted as such.
    Tagged,
    /// VRRP whose virtual router cannot be read: passes, counted as such.
    Unreadable,
    /// VRRP for another virtual router: passes, counted as such.
    NotOurs,
    /// Refused, counted by reason and peer.
    Rejected(Reject),
    /// Accepted.
    Accepted(Accepted),
}

/// One line of the corpus.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What is special about it.
    pub name: String,
    /// Who receives it.
    pub receiver: Receiver,
    /// The frame.
    pub frame: Vec<u8>,
    /// What must come of it.
    pub expected: Expected,
}

/// The receiver's valid advert with a change that it must accept.
pub(super) fn accepted(receiver: Receiver, name: &str, edit: impl FnOnce(&mut Frame)) -> Vector {
    let mut frame = receiver.valid();
    edit(&mut frame);
    let expected = Expected::Accepted(understood(receiver, &frame));
    vector(receiver, name, &frame, expected)
}

/// The receiver's valid advert with a change that it must refuse.
pub(super) fn rejected(
    receiver: Receiver,
    reason: Reject,
    name: &str,
    edit: impl FnOnce(&mut Frame),
) -> Vector {
    expecting(receiver, name, Expected::Rejected(reason), edit)
}

/// The receiver's valid advert with a change of which this must come.
pub(super) fn expecting(
    receiver: Receiver,
    name: &str,
    expected: Expected,
    edit: impl FnOnce(&mut Frame),
) -> Vector {
    let mut frame = receiver.valid();
    edit(&mut frame);
    vector(receiver, name, &frame, expected)
}

fn vector(receiver: Receiver, name: &str, frame: &Frame, expected: Expected) -> Vector {
    Vector {
        name: format!("{receiver:?}: {name}"),
        receiver,
        frame: frame.bytes(),
        expected,
    }
}

/// What a receiver must read from a frame that is right.
pub fn understood(receiver: Receiver, frame: &Frame) -> Accepted {
    let message = &frame.message;
    let is_v2 = receiver.version() == 2;
    let listed = u8::try_from(message.addresses.len()).expect("at most 255 addresses");
    Accepted {
        source: raw(frame.source),
        priority: message.priority,
        interval: if is_v2 {
            u16::from(message.word[1]) * 100
        } else {
            u16::from_be_bytes(message.word) & 0x0fff
        },
        count: message.count.unwrap_or(listed),
        pseudo_header: matches!(message.checksum, Checksum::PseudoHeader),
        length: u16::try_from(frame.message_length()).expect("short"),
    }
}
