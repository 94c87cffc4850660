//! The gate of a slot with HMAC keys where adverts come by a plain socket: the same as the kernel half's.

use std::collections::HashMap;

use ha_common::address::RawAddress;
use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::trailer::same_tag;
use ha_common::hmac::{Key, Stamp, TRAILER, Timing, Trailer};
use ha_common::hold_off;
use ha_common::layout::Slot;
use ha_common::reject::Reject;
use ha_common::units::Family;
use ha_common::wire::cursor::{Cursor as _, SliceCursor};
use ha_common::wire::vrrp::Advert;

/// Senders that are remembered; whoever was not heard for longest goes first.
const MAX_SENDERS: usize = 256;
/// A raw socket shows no Ethernet addresses: whoever claims the address of a sender that has proved itself is judged.
const NO_MAC: u64 = 0;

/// A slot's keys, and who has proved himself by one.
#[derive(Debug, Default)]
pub(super) struct HmacVerifier {
    keys: HashMap<u8, Key>,
    marks: HashMap<RawAddress, ReplayState>,
}

impl HmacVerifier {
    /// Makes the keys these.
    pub(super) fn set_keys(&mut self, keys: &[(u8, Key)]) {
        self.keys = keys.iter().copied().collect();
    }

    /// Judges a valid advert by what stands behind it. `body` stands behind the message's first eight bytes.
    pub(super) fn admit(
        &mut self,
        slot: &mut Slot,
        advert: Advert,
        header: [u8; 8],
        body: SliceCursor<'_>,
        now: u64,
    ) -> Result<Advert, Reject> {
        if !advert.signed {
            let may_be_bare = !slot.gate.is_on() || slot.gate.takes_bare();
            return may_be_bare.then_some(advert).ok_or(Reject::HmacMissing);
        }
        let whole = message(header, body, usize::from(advert.length)).ok_or(Reject::Truncated)?;
        let (message, trailer) = whole
            .split_last_chunk::<TRAILER>()
            .ok_or(Reject::Truncated)?;
        let trailer = Trailer::read(*trailer)?;
        let key = self.keys.get(&trailer.key_id).ok_or(Reject::HmacKey)?;
        let mark = self.marks.get(&advert.source).copied();
        let timing = slot.gate.judge_time(trailer.stamp, mark, now)?;
        let right = timing == Timing::Right;
        // One of a wrong time has no claim to a digest that others of its station spent.
        let known = mark.filter(|_| right).map(|mark| mark.mac);
        if slot.budget.refuses(NO_MAC, known, now) {
            return Err(Reject::HmacLimit);
        }
        let family = if slot.family == Family::V6 as u8 {
            Family::V6
        } else {
            Family::V4
        };
        let signed = Trailer::signed(trailer.key_id, trailer.stamp);
        let tag = key.tag(family, advert.source, message, signed);
        if !same_tag(tag, trailer.tag) {
            slot.budget.note(NO_MAC, advert.length, now);
            return Err(Reject::HmacDigest);
        }
        if !right {
            // A recording has a right digest, and must not cost more than a forgery.
            slot.budget.note(NO_MAC, advert.length, now);
        }
        let window = slot.gate.freshness;
        if !right || !window.is_ours(trailer.stamp, now) {
            slot.untimely.note(advert.source, trailer.stamp, now);
        }
        if timing == Timing::Doubted {
            let leapt = mark.is_some_and(|mark| window.has_leapt(trailer.stamp, mark, now));
            let (priority, interval) = (advert.priority, advert.interval);
            let span = hold_off::arm_for(slot, priority, interval, leapt, now);
            if let Some(span) = span {
                slot.deadline = now + span.0;
            }
            return Err(Reject::HmacStale);
        }
        if mark.is_none_or(|mark| right || trailer.stamp.is_after(Stamp(mark.stamp))) {
            self.leave_mark(advert.source, trailer.stamp, now);
        }
        if right {
            slot.untimely.held_since = 0;
        }
        Ok(advert)
    }

    /// Only who has a key comes this far: forged senders wash nobody out.
    fn leave_mark(&mut self, source: RawAddress, stamp: Stamp, now: u64) {
        if self.marks.len() >= MAX_SENDERS && !self.marks.contains_key(&source) {
            let oldest = self.marks.iter().min_by_key(|(_, mark)| mark.at);
            if let Some(oldest) = oldest.map(|(source, _)| *source) {
                self.marks.remove(&oldest);
            }
        }
        let mark = ReplayState {
            stamp: stamp.0,
            at: now,
            mac: NO_MAC,
        };
        self.marks.insert(source, mark);
    }
}

fn message(header: [u8; 8], mut body: SliceCursor<'_>, length: usize) -> Option<Vec<u8>> {
    let mut bytes = header.to_vec();
    while bytes.len() < length {
        let [byte] = body.take::<1>()?;
        bytes.push(byte);
    }
    Some(bytes)
}
