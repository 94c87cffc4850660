//! What the receive path decides by itself about a valid advert: the same in the BPF programs, in
//! the plain-socket datapath and in the simulation.
//!
//! A backup follows the best master it hears. An advert that changes nothing re-arms the timer and
//! wakes nobody; everything else re-arms by the same rules and is told to the agent besides. A master that it is to
//! preempt is noted and told of likewise, and leaves the timer alone.

use core::cmp::Ordering;

use crate::address::RawAddress;
use crate::address::same;
use crate::layout::{Slot, flags, state};
use crate::timing::{has_ended, master_down, skew};
use crate::units::{Centiseconds, Instant, Nanos, Priority, Version};
use crate::wire::vrrp::Advert;

/// Events that one slot may put into the ring in a window; the rest is counted.
const WINDOW_EVENTS: u32 = 16;
/// Events of claims of its addresses, likewise.
const CLAIM_EVENTS: u32 = 8;
/// Length of the windows: 100 ms.
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

/// RFC 9568 section 6.4.2 (released, follow, learn, ignore),
/// RFC 3768 section 6.4.2 (released, follow, ignore).
#[inline(always)]
fn as_backup(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    let followed = same(slot.master_address, advert.source);
    if advert.priority.is_release() {
        // Somebody who was not master leaves: the master that we follow is still there.
        if !followed && slot.master_address != [0; 16] {
            return Outcome::default();
        }
        slot.last_heard = now;
        // Whose adverts do not count teaches no interval.
        let interval = if is_preempted(slot, slot.master_priority) {
            slot.own_interval
        } else {
            learned_interval(slot)
        };
        slot.master_priority = 0;
        let interval = Centiseconds(interval);
        return Outcome {
            arm_for: Some(skew(version(slot), Priority(slot.own_priority), interval)),
            notify: true,
        };
    }
    let changed = !followed || differs(slot, advert);
    let noted = followed || beats_followed(slot, advert) || is_silent(slot, now);
    if noted {
        note_master(slot, advert, now);
    }
    // A lower priority does not count for a backup that may preempt: its own timer will run out.
    if is_preempted(slot, advert.priority.0) {
        return Outcome {
            arm_for: None,
            notify: noted && changed,
        };
    }
    Outcome {
        arm_for: Some(down_interval(slot)),
        notify: changed,
    }
}

/// Whether the slot follows, or has noted, another one than the sender of this advert, which it has just taken in: then the
/// advert is no news of its master, but what is overheard beside it. That is the slot's to say at this moment: when the
/// agent reads the event, the slot may follow yet another one.
#[inline(always)]
pub fn follows_another(slot: &Slot, advert: &Advert) -> bool {
    !advert.priority.is_release()
        && slot.master_address != [0; 16]
        && !same(slot.master_address, advert.source)
}

/// Whether a backup leaves its timer alone for a master of this priority.
#[inline(always)]
fn is_preempted(slot: &Slot, priority: u8) -> bool {
    slot.flags & flags::PREEMPT != 0 && priority < slot.own_priority
}

/// Whether the master that a backup has noted is one that it is about to replace: its adverts do not count.
#[inline(always)]
pub fn awaits_preemption(slot: &Slot) -> bool {
    slot.master_priority != 0
        && slot.master_address != [0; 16]
        && is_preempted(slot, slot.master_priority)
}

/// When a backup will replace the master of lower priority that it hears, if it does.
pub fn preempts_at(slot: &Slot, now: Instant) -> Option<Instant> {
    let is_alive = was_heard_lately(slot, now.0) && slot.deadline > now.0;
    (slot.state == state::BACKUP && is_alive && awaits_preemption(slot))
        .then_some(Instant(slot.deadline))
}

/// RFC 9568 section 6.4.3, (700) to (770): every advert is news, for the election to weigh.
///
/// Whoever else claims to be master is noted, so that an agent that was away finds it in the slot; one
/// that outranks us is not forgotten for one that does not, unless it leaves or falls silent.
#[inline(always)]
fn as_master(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
    let leaves = advert.priority.is_release();
    if leaves && same(slot.master_address, advert.source) || !was_heard_lately(slot, now) {
        slot.master_address = [0; 16];
        slot.contested_since = 0;
        slot.claimed_since = 0;
    }
    if !leaves && slot.claimed_since == 0 {
        slot.claimed_since = now;
    }
    let better = outranks(advert, slot);
    if better && slot.contested_since == 0 {
        slot.contested_since = now;
    }
    if !leaves && (better || slot.contested_since == 0) {
        note_master(slot, advert, now);
    }
    Outcome {
        arm_for: None,
        notify: true,
    }
}

/// True if the sender must be master rather than we: higher priority, or equal and the higher
/// address (RFC 9568 section 6.4.3 (yield)).
#[inline(always)]
fn outranks(advert: &Advert, slot: &Slot) -> bool {
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
    u128::from_be_bytes(a).cmp(&u128::from_be_bytes(b))
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

/// The master beside us: whoever was noted while we are master, unless it has been silent for longer than
/// any master may be.
#[inline(always)]
pub fn is_claimed(slot: &Slot, now: u64) -> bool {
    slot.master_address != [0; 16] && was_heard_lately(slot, now)
}

/// Whether somebody else has taken over from a master whose agent died: a better router claims to be master, or a
/// worse one that began to after the agent's silence must have been noticed.
///
/// A worse one that was heard while the agent lived, or right after, has yielded since: that was its last advert.
/// `turned_at` is [`crate::layout::Meta::turned_at`] as the dead agent left it.
#[inline(always)]
pub fn is_taken_over(slot: &Slot, turned_at: u64, now: u64) -> bool {
    let interval = Centiseconds(slot.own_interval).nanos();
    is_claimed(slot, now)
        && (slot.contested_since != 0 || slot.last_heard > turned_at.saturating_add(interval.0))
}

/// Whether this event still fits the slot's limit: no sender can turn the ring into a firehose.
#[inline(always)]
pub fn may_notify(slot: &mut Slot, now: u64) -> bool {
    if has_ended(slot.window_start, WINDOW, now) {
        slot.window_start = now;
        slot.window_events = 0;
    }
    slot.window_events = slot.window_events.saturating_add(1);
    slot.window_events <= WINDOW_EVENTS
}

/// Whether an event of a claim of our addresses still fits the slot's limit of these, which is its own: claims must
/// not keep adverts from being told. What does not fit is counted in the slot, where the agent finds it.
#[inline(always)]
pub fn may_tell_claim(slot: &mut Slot, now: u64) -> bool {
    if has_ended(slot.claim_window_start, WINDOW, now) {
        slot.claim_window_start = now;
        slot.claim_window_events = 0;
    }
    slot.claim_window_events = slot.claim_window_events.saturating_add(1);
    slot.claim_window_events <= CLAIM_EVENTS
}

/// Whether the noted master has missed so many adverts that the next one may have taken over.
///
/// The skew is left out: a better-placed backup's own skew has passed by the time it advertises, and
/// its adverts must make us follow it rather than hold our timer for a master that is dead.
#[inline(always)]
fn is_silent(slot: &Slot, now: u64) -> bool {
    let interval = Centiseconds(learned_interval(slot)).nanos();
    now.saturating_sub(slot.last_heard) > u64::from(slot.down_multiplier) * interval.0
}

/// Whether the noted master was heard within its down interval.
#[inline(always)]
pub(crate) fn was_heard_lately(slot: &Slot, now: u64) -> bool {
    now.saturating_sub(slot.last_heard) <= down_interval(slot).0
}

/// v3 takes the master's interval (RFC 9568 section 6.4.2 (learn)), v2 its own.
#[inline(always)]
fn learned_interval(slot: &Slot) -> u16 {
    if slot.version == Version::V3 as u8 && slot.master_interval != 0 {
        slot.master_interval
    } else {
        slot.own_interval
    }
}

#[inline(always)]
pub(crate) fn version(slot: &Slot) -> Version {
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

#[cfg(test)]
pub(crate) mod tests;
