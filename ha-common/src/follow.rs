//! What the receive path decides by itself about a valid advert: the same in the XDP program, in
//! the plain-socket datapath and in the simulation.
//!
//! A backup follows the best master it hears. An advert that changes nothing re-arms the timer and
//! wakes nobody; everything else re-arms by the same rules and is told to the agent besides.

use core::cmp::Ordering;

use crate::layout::{RawAddress, Slot, flags, state};
use crate::timing::{master_down, skew};
use crate::units::{Centiseconds, Nanos, Priority, Version};
use crate::wire::vrrp::{Advert, same};

/// Events that one slot may put into the ring in a window; the rest is counted.
const WINDOW_EVENTS: u32 = 16;
/// Length of the window: 100 ms.
const WINDOW: u64 = 100_000_000;

/// What is to be done about an advert.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Arm the timer for this long from now.
    pub arm_for: Option<Nanos>,
    /// Tell the agent.
    pub notify: bool,
}

/// Takes a valid advert into the slot.
#[inline(always)]
pub fn on_advert(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    match slot.state {
        state::BACKUP => as_backup(slot, advert, now),
        state::MASTER => as_master(slot, advert, now),
        state::IDLE => {
            note_master(slot, advert, now);
            Outcome::default()
        }
        _ => Outcome::default(),
    }
}

/// RFC 9568 section 6.4.2, (420) to (475).
#[inline(always)]
fn as_backup(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    let followed = same(slot.master_address, advert.source);
    if advert.priority.is_release() {
        // Somebody who was not master leaves: the master that we follow is still there.
        if !followed && slot.master_address != [0; 16] {
            return Outcome::default();
        }
        slot.last_heard = now;
        slot.master_priority = 0;
        let interval = Centiseconds(learned_interval(slot));
        return Outcome {
            arm_for: Some(skew(version(slot), Priority(slot.own_priority), interval)),
            notify: true,
        };
    }
    // A lower priority is ignored by a backup that may preempt: its own timer will run out.
    if slot.flags & flags::PREEMPT != 0 && advert.priority.0 < slot.own_priority {
        return Outcome::default();
    }
    let changed = !followed || differs(slot, advert);
    if followed || beats_followed(slot, advert) || is_silent(slot, now) {
        note_master(slot, advert, now);
    }
    Outcome {
        arm_for: Some(down_interval(slot)),
        notify: changed,
    }
}

/// RFC 9568 section 6.4.3, (700) to (770): every advert is news, for the election to weigh.
///
/// Whoever else claims to be master is noted, so that an agent that was away finds it in the slot; one
/// that outranks us is not forgotten for one that does not.
#[inline(always)]
fn as_master(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    let better = outranks(advert, slot);
    if better && slot.contested_since == 0 {
        slot.contested_since = now;
    }
    if !advert.priority.is_release() && (better || slot.contested_since == 0) {
        note_master(slot, advert, now);
    }
    Outcome {
        arm_for: None,
        notify: true,
    }
}

/// True if the sender must be master rather than we: higher priority, or equal and the higher
/// address (RFC 9568 section 6.4.3).
#[inline(always)]
pub fn outranks(advert: &Advert, slot: &Slot) -> bool {
    rank(
        advert.priority.0,
        advert.source,
        slot.own_priority,
        slot.own_address,
    ) == Ordering::Greater
}

/// Orders two routers by priority, then by address as an unsigned number in network order.
#[inline(always)]
pub fn rank(priority_a: u8, a: RawAddress, priority_b: u8, b: RawAddress) -> Ordering {
    if priority_a != priority_b {
        return if priority_a > priority_b {
            Ordering::Greater
        } else {
            Ordering::Less
        };
    }
    let (a, b) = (u128::from_be_bytes(a), u128::from_be_bytes(b));
    if a > b {
        Ordering::Greater
    } else if a < b {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

/// How long a master may be silent until it counts as dead, by what we learned of it.
#[inline(always)]
pub fn down_interval(slot: &Slot) -> Nanos {
    master_down(
        version(slot),
        Priority(slot.own_priority),
        Centiseconds(learned_interval(slot)),
        slot.down_multiplier,
    )
}

/// Whether this event still fits the slot's limit: no sender can turn the ring into a firehose.
#[inline(always)]
pub fn may_notify(slot: &mut Slot, now: u64) -> bool {
    if now.wrapping_sub(slot.window_start) > WINDOW {
        slot.window_start = now;
        slot.window_events = 0;
    }
    slot.window_events = slot.window_events.saturating_add(1);
    slot.window_events <= WINDOW_EVENTS
}

/// v3 takes the master's interval (RFC 9568 section 6.1), v2 its own.
#[inline(always)]
fn learned_interval(slot: &Slot) -> u16 {
    if slot.version == Version::V3 as u8 && slot.master_interval != 0 {
        slot.master_interval
    } else {
        slot.own_interval
    }
}

#[inline(always)]
fn version(slot: &Slot) -> Version {
    if slot.version == Version::V2 as u8 {
        Version::V2
    } else {
        Version::V3
    }
}

#[inline(always)]
fn differs(slot: &Slot, advert: &Advert) -> bool {
    slot.master_priority != advert.priority.0
        || slot.master_interval != advert.interval.0
        || slot.master_hash != advert.hash
        || slot.master_checksum != advert.flavour as u8
}

#[inline(always)]
fn beats_followed(slot: &Slot, advert: &Advert) -> bool {
    rank(
        advert.priority.0,
        advert.source,
        slot.master_priority,
        slot.master_address,
    ) == Ordering::Greater
}

/// True if the master that we follow has missed its adverts: whoever re-arms the timer now took its
/// place, though it may rank below it.
#[inline(always)]
fn is_silent(slot: &Slot, now: u64) -> bool {
    let intervals = slot.down_multiplier as u64 * Centiseconds(learned_interval(slot)).nanos().0;
    now.saturating_sub(slot.last_heard) > intervals
}

#[inline(always)]
fn note_master(slot: &mut Slot, advert: &Advert, now: u64) {
    slot.master_address = advert.source;
    slot.master_priority = advert.priority.0;
    slot.master_interval = advert.interval.0;
    slot.master_hash = advert.hash;
    slot.master_count = advert.count;
    slot.master_checksum = advert.flavour as u8;
    slot.last_heard = now;
}
