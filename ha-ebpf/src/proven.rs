//! What becomes of an advert whose digest is right: a function of its own, so that the program that calls it has stack
//! left for the digest. What it works on is in the scratch area.

use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::{Stamp, Timing};
use ha_common::hold_off;
use ha_common::layout::Slot;
use ha_common::reject::Reject;

use crate::digest::{Scratch, scratch};
use crate::maps::HA_SLOTS;
use crate::marks::Left;
use crate::{budget, marks, timer};

/// It counts.
const COUNTS: u32 = u32::MAX;

/// Whether the advert in the scratch area counts for the slot with this index.
#[inline(always)]
pub(crate) fn verdict(index: u32) -> Result<(), Reject> {
    let verdict = ha_proven(index);
    if verdict == COUNTS {
        return Ok(());
    }
    // The three that there are: no table of all.
    Err(if verdict == Reject::HmacStale as u32 {
        Reject::HmacStale
    } else if verdict == Reject::HmacReplay as u32 {
        Reject::HmacReplay
    } else {
        Reject::HmacLimit
    })
}

/// [`COUNTS`], or the reason why not.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_proven(index: u32) -> u32 {
    let (Some(scratch), Some(slot)) = (scratch(), HA_SLOTS.get_ptr_mut(index)) else {
        return Reject::HmacLimit as u32;
    };
    match judge(slot, scratch) {
        Ok(()) => COUNTS,
        Err(reject) => reject as u32,
    }
}

#[inline(always)]
fn judge(slot: *mut Slot, scratch: *mut Scratch) -> Result<(), Reject> {
    // SAFETY: both are live map values. The scratch is this CPU's alone; what another CPU changes in the slot meanwhile
    // is of the same moment.
    let (sender, mark, gate) = unsafe { (&(*scratch).sender, &(*scratch).mark, &(*slot).gate) };
    let (stamp, now) = (Stamp(mark.stamp), mark.at);
    let there = marks::find(sender);
    // A value in any case: what was never written must not be read, says the verifier of kernels before 6.3.
    let last = there.map_or(ReplayState::default(), marks::read);
    let timing = gate.judge_time(stamp, there.map(|_| last), now)?;
    if timing != Timing::Right {
        // A recording has a right digest, and must not cost more than a forgery.
        // SAFETY: as above.
        budget::note(slot, mark.mac, unsafe { (*scratch).length }, now);
    }
    if timing != Timing::Right || !gate.freshness.is_ours(stamp, now) {
        // SAFETY: as above.
        unsafe { (*slot).untimely.note(sender.address, stamp, now) };
    }
    if timing == Timing::Doubted {
        let leapt = there.is_some() && gate.freshness.has_leapt(stamp, last, now);
        wait(slot, scratch, leapt, now);
        return Err(Reject::HmacStale);
    }
    let left = match there {
        Some(there) => marks::advance(there, last.stamp, mark),
        None => marks::begin(sender, mark),
    };
    // What could be played again does not count where signatures are required.
    if !gate.takes_bare() && left? == Left::Nowhere {
        return Err(Reject::HmacLimit);
    }
    if timing == Timing::Right {
        // SAFETY: as above.
        unsafe { (*slot).untimely.held_since = 0 };
    }
    Ok(())
}

#[inline(always)]
fn wait(slot: *mut Slot, scratch: *mut Scratch, leapt: bool, now: u64) {
    // SAFETY: as in `judge`.
    let span = unsafe {
        let (priority, interval) = ((*scratch).priority, (*scratch).interval);
        hold_off::arm_for(&mut *slot, priority, interval, leapt, now)
    };
    if let Some(span) = span {
        timer::arm(slot, now, span.0);
    }
}
