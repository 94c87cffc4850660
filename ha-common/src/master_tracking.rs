//! What the receive path decides by itself about a valid advert: the same in the BPF programs, in
//! the plain-socket datapath and in the simulation.
//!
//! A backup follows the best master it hears. An advert that changes nothing re-arms the timer and
//! wakes nobody; everything else re-arms by the same rules and is told to the agent besides.

use core::cmp::Ordering;

use crate::address::RawAddress;
use crate::address::same;
use crate::layout::{Slot, flags, state};
use crate::timing::{has_ended, master_down, skew};
use crate::units::{Centiseconds, Nanos, Priority, Version};
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
pub(crate) mod tests {
    use super::*;
    use crate::wire::vrrp::ChecksumScope;

    pub(crate) const MS: u64 = 1_000_000;
    /// 10 ms intervals and priority 90: down after 36.484375 ms.
    pub(crate) const INTERVAL: u16 = 1;
    pub(crate) const START: u64 = 1_000_000 * MS;

    pub(crate) fn host(last: u8) -> RawAddress {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[10, 99, 0, last]);
        address
    }

    pub(crate) fn slot(state: u8) -> Slot {
        Slot {
            state,
            version: 3,
            flags: flags::PREEMPT | flags::FENCE,
            own_priority: 90,
            own_interval: INTERVAL,
            own_address: host(9),
            down_multiplier: 3,
            ..Slot::default()
        }
    }

    pub(crate) fn advert(last: u8, priority: u8) -> Advert {
        Advert {
            source: host(last),
            hash: 1,
            interval: Centiseconds(INTERVAL),
            priority: Priority(priority),
            count: 1,
            flavour: ChecksumScope::PseudoHeader,
            length: 12,
            signed: false,
        }
    }

    pub(crate) fn hear(slot: &mut Slot, advert: &Advert, now: u64) -> Outcome {
        let outcome = on_advert(slot, advert, now);
        if let Some(span) = outcome.arm_for {
            slot.deadline = now + span.0;
        }
        outcome
    }

    const REARM: Option<Nanos> = Some(Nanos(36_484_375));

    /// RFC 9568 section 6.4.2 (follow).
    #[test]
    fn an_unchanged_advert_rearms_in_silence() {
        let mut slot = slot(state::BACKUP);
        let first = hear(&mut slot, &advert(1, 200), START);
        assert_eq!((first.arm_for, first.notify), (REARM, true));
        let next = hear(&mut slot, &advert(1, 200), START + 10 * MS);
        assert_eq!((next.arm_for, next.notify), (REARM, false));
    }

    #[test]
    fn the_backup_that_takes_over_is_followed_though_it_speaks_before_our_deadline() {
        let mut slot = slot(state::BACKUP);
        hear(&mut slot, &advert(1, 200), START);
        // The other backup has priority 150: its skew is 4.14 ms, ours 6.48 ms.
        let takes_over = START + 34_140_625;
        assert!(takes_over < slot.deadline);
        assert!(hear(&mut slot, &advert(2, 150), takes_over).notify);
        assert_eq!(slot.master_address, host(2));
        for beat in 1..100 {
            let outcome = hear(&mut slot, &advert(2, 150), takes_over + beat * 10 * MS);
            assert_eq!((outcome.arm_for, outcome.notify), (REARM, false));
        }
    }

    #[test]
    fn of_two_masters_that_both_speak_the_better_one_is_followed() {
        let mut slot = slot(state::BACKUP);
        hear(&mut slot, &advert(1, 150), START);
        hear(&mut slot, &advert(2, 150), START + MS);
        assert_eq!(
            slot.master_address,
            host(2),
            "the higher address wins a tie"
        );
        hear(&mut slot, &advert(3, 200), START + 2 * MS);
        for beat in 0..20 {
            let now = START + 3 * MS + beat * 10 * MS;
            let outcome = hear(&mut slot, &advert(2, 150), now);
            assert_eq!((outcome.arm_for, outcome.notify), (REARM, true));
            assert_eq!(slot.master_address, host(3));
            assert!(!hear(&mut slot, &advert(3, 200), now + MS).notify);
        }
    }

    #[test]
    fn the_first_master_is_followed_whatever_stood_in_the_slot_before() {
        let mut slot = slot(state::BACKUP);
        slot.master_priority = 250;
        slot.deadline = START + 1000 * MS;
        hear(&mut slot, &advert(1, 100), START);
        assert_eq!((slot.master_address, slot.master_priority), (host(1), 100));
    }

    /// RFC 9568 section 6.4.2 (released), RFC 3768 section 6.4.2 (released).
    #[test]
    fn a_release_shortens_the_wait_to_the_skew_and_the_next_master_is_news() {
        let mut slot = slot(state::BACKUP);
        hear(&mut slot, &advert(1, 200), START);
        let release = hear(&mut slot, &advert(1, 0), START + MS);
        assert_eq!(
            (release.arm_for, release.notify),
            (Some(Nanos(6_484_375)), true)
        );
        let next = hear(&mut slot, &advert(2, 100), START + 2 * MS);
        assert!(next.notify);
        assert_eq!(slot.master_address, host(2));
    }

    /// RFC 3768 section 6.4.2 (follow).
    #[test]
    fn v2_does_not_learn_the_interval() {
        let mut slot = slot(state::BACKUP);
        slot.version = 2;
        slot.own_interval = 100;
        let mut advert = advert(1, 100);
        advert.interval = Centiseconds(100);
        let outcome = hear(&mut slot, &advert, START);
        // 3 s and (256 - 90) / 256 s.
        assert_eq!(outcome.arm_for, Some(Nanos(3_648_437_500)));
    }

    #[test]
    fn a_contest_begins_with_the_first_better_advert_and_ends_with_silence_or_a_release() {
        let mut slot = slot(state::MASTER);
        hear(&mut slot, &advert(1, 89), START);
        assert_eq!(slot.contested_since, 0, "a worse master contests nothing");
        assert_eq!(slot.master_address, host(1), "but is noted");
        for beat in 1..10 {
            hear(&mut slot, &advert(2, 100), START + beat * 10 * MS);
            hear(&mut slot, &advert(1, 89), START + beat * 10 * MS + MS);
            assert_eq!(slot.contested_since, START + 10 * MS);
            assert_eq!(
                slot.master_address,
                host(2),
                "is not forgotten for a worse one"
            );
        }
        hear(&mut slot, &advert(1, 89), START + 200 * MS);
        assert_eq!(
            slot.contested_since, 0,
            "silent for longer than its down interval"
        );
        hear(&mut slot, &advert(2, 100), START + 300 * MS);
        assert_eq!(slot.contested_since, START + 300 * MS);
        hear(&mut slot, &advert(1, 0), START + 301 * MS);
        assert_ne!(
            slot.contested_since, 0,
            "somebody else's release changes nothing"
        );
        hear(&mut slot, &advert(2, 0), START + 302 * MS);
        assert_eq!(slot.contested_since, 0);
    }

    #[test]
    fn a_claim_begins_with_the_first_advert_of_anybody_and_ends_with_his_silence_or_release() {
        let mut slot = slot(state::MASTER);
        assert!(!is_claimed(&slot, START));
        for beat in 0..5 {
            hear(&mut slot, &advert(1, 89), START + beat * 10 * MS);
            assert_eq!(slot.claimed_since, START);
        }
        assert!(is_claimed(&slot, START + 41 * MS));
        assert!(!is_claimed(&slot, START + 100 * MS), "silent");
        hear(&mut slot, &advert(1, 89), START + 100 * MS);
        assert_eq!(slot.claimed_since, START + 100 * MS);
        hear(&mut slot, &advert(1, 0), START + 101 * MS);
        assert_eq!(slot.claimed_since, 0);
        assert!(!is_claimed(&slot, START + 101 * MS), "it left");
    }

    #[test]
    fn a_dead_agents_router_was_taken_over_unless_the_other_has_yielded_to_it() {
        let master = || slot(state::MASTER);
        let mut slot = master();
        assert!(!is_taken_over(&slot, START, START + MS), "nobody spoke");
        // The last advert of one that yields, while the agent still turned.
        hear(&mut slot, &advert(1, 89), START);
        assert!(!is_taken_over(&slot, START + MS, START + 2 * MS));
        // It speaks again, an interval and more after the agent died.
        hear(&mut slot, &advert(1, 89), START + 12 * MS);
        assert!(is_taken_over(&slot, START + MS, START + 13 * MS));
        // A better one needs no silence of ours.
        let mut contested = master();
        hear(&mut contested, &advert(2, 100), START);
        assert!(is_taken_over(&contested, START + MS, START + 2 * MS));
    }

    #[test]
    fn sixteen_events_fit_into_a_window() {
        let mut slot = slot(state::MASTER);
        let burst = |slot: &mut Slot, now| (0..40).filter(|_| may_notify(slot, now)).count();
        assert_eq!(burst(&mut slot, START), 16);
        assert_eq!(burst(&mut slot, START + 100 * MS), 0);
        // By a CPU that has read its clock before another one began the window.
        assert_eq!(burst(&mut slot, START - 1), 0);
        assert_eq!(burst(&mut slot, START + 100 * MS + 1), 16);
    }

    proptest::proptest! {
        #[test]
        fn ranks_are_a_total_order(a: (u8, [u8; 16]), b: (u8, [u8; 16])) {
            let forth = rank(a.0, a.1, b.0, b.1);
            proptest::prop_assert_eq!(forth, a.cmp(&b));
            proptest::prop_assert_eq!(rank(b.0, b.1, a.0, a.1), forth.reverse());
        }

        /// RFC 9568 section 6.4.2 (follow, ignore), RFC 3768 section 6.4.2 (ignore).
        #[test]
        fn a_backup_is_never_left_without_a_deadline_by_an_advert_that_it_heeds(
            last: u8, priority: u8, preempt: bool, now in START..START * 2,
        ) {
            let mut slot = slot(state::BACKUP);
            slot.flags = if preempt { flags::PREEMPT } else { 0 };
            hear(&mut slot, &advert(1, 200), START);
            let outcome = hear(&mut slot, &advert(last, priority), now);
            let heeded = priority >= 90 || priority != 0 && !preempt || priority == 0 && last == 1;
            proptest::prop_assert_eq!(outcome.arm_for.is_some(), heeded);
        }
    }
}
