//! The gate of slots with HMAC keys: who does not prove himself here was not heard.

use ha_common::hmac::replay::ReplayState;
use ha_common::hmac::trailer::key_id;
use ha_common::hmac::{HmacPolicy, Keyed, Timing};
use ha_common::layout::{PeerKey, Slot, SlotKey};
use ha_common::reject::Reject;
use ha_common::wire::vrrp::Advert;

use crate::frame::Message;
use crate::maps::HA_KEYS;
use crate::{budget, digest, marks, proven};

/// Judges a valid advert by what stands behind it. `body` stands behind the message's first eight bytes, `mac` is the
/// Ethernet address that it came from.
#[inline(always)]
pub(crate) fn admit<M: Message>(
    (index, slot): (u32, *mut Slot),
    key: SlotKey,
    advert: &Advert,
    body: M,
    mac: u64,
    now: u64,
) -> Result<(), Reject> {
    // SAFETY: `slot` is a live map value; a command on another CPU may change it meanwhile, and then the
    // advert is judged by a mixture, as one that came a moment earlier or later.
    let (gate, version) = unsafe { ((*slot).gate, (*slot).version) };
    if !advert.signed {
        return bare(&gate);
    }
    let scratch = digest::scratch().ok_or(Reject::HmacTrailer)?;
    let length = usize::from(advert.length);
    let trailer = digest::load(body, length, scratch);
    let (head, stamp) = trailer.ok_or(Reject::Truncated)?;
    let keyed = Keyed::new(key, key_id(head)?);
    let secret = HA_KEYS.get_ptr(keyed).ok_or(Reject::HmacKey)?;
    // SAFETY: the scratch is a live map value of this CPU alone.
    let sender = unsafe {
        (*scratch).sender = PeerKey {
            slot: key,
            address: advert.source,
        };
        (*scratch).mark = ReplayState {
            stamp: stamp.0,
            at: now,
            mac,
        };
        (*scratch).priority = advert.priority;
        (*scratch).interval = advert.interval;
        (*scratch).length = advert.length;
        &(*scratch).sender
    };
    let there = marks::find(sender);
    // A value in any case: what was never written must not be read, says the verifier of kernels before 6.3.
    let last = there.map_or(ReplayState::default(), marks::read);
    let found = there.map(|_| last);
    let timing = gate.judge_time(stamp, found, now)?;
    // One of a wrong time has no claim to a digest that others of its station spent.
    let known = if timing == Timing::Right { found } else { None };
    if budget::refuses(slot, mac, known, now) {
        return Err(Reject::HmacLimit);
    }
    if !digest::proves(scratch, secret, key, version, advert) {
        budget::note(slot, mac, advert.length, now);
        return Err(Reject::HmacDigest);
    }
    proven::verdict(index)
}

#[inline(always)]
fn bare(gate: &HmacPolicy) -> Result<(), Reject> {
    if gate.takes_bare() {
        Ok(())
    } else {
        Err(Reject::HmacMissing)
    }
}
