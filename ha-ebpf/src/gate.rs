//! The gate of slots with HMAC keys: who does not prove himself here was not heard.

use aya_ebpf::bindings::BPF_ANY;
use ha_common::hmac::freshness::Mark;
use ha_common::hmac::trailer::key_id;
use ha_common::hmac::{Gate, Keyed};
use ha_common::layout::{PeerKey, Slot, SlotKey};
use ha_common::reject::Reject;
use ha_common::wire::vrrp::Advert;

use crate::digest;
use crate::frame::Message;
use crate::maps::{HA_KEYS, HA_MARKS};

/// Judges a valid advert by what stands behind it. `body` stands behind the message's first eight bytes.
///
/// Two CPUs can judge one advert at once, before either has left its mark: then it counts twice, in the same
/// microsecond, which arms one timer twice. A recorded one has no such chance: its mark was left long ago.
#[inline(always)]
pub(crate) fn admit<M: Message>(
    slot: *mut Slot,
    key: SlotKey,
    advert: &Advert,
    body: M,
    now: u64,
) -> Result<(), Reject> {
    // SAFETY: `slot` is a live map value; a command on another CPU may change it meanwhile, and then the
    // advert is judged by a mixture, as one that came a moment earlier or later.
    let (gate, version) = unsafe { ((*slot).gate, (*slot).version) };
    if !advert.signed {
        return bare(&gate);
    }
    let bench = digest::bench().ok_or(Reject::HmacTrailer)?;
    let length = usize::from(advert.length);
    let trailer = digest::load(body, length, bench);
    let (head, stamp) = trailer.ok_or(Reject::Truncated)?;
    let keyed = Keyed::new(key, key_id(head)?);
    let secret = HA_KEYS.get_ptr(keyed).ok_or(Reject::HmacKey)?;
    let sender = PeerKey {
        slot: key,
        address: advert.source,
    };
    // SAFETY: the mark is copied out at once.
    let mark = unsafe { HA_MARKS.get(sender) }.copied();
    gate.freshness.judge(stamp, mark, now)?;
    if !digest::proves(bench, secret, key, version, advert) {
        return Err(Reject::HmacDigest);
    }
    let mark = Mark {
        stamp: stamp.0,
        at: now,
    };
    // A full table gives up the sender that was not heard for longest; that one begins anew by our clock.
    let _ = HA_MARKS.insert(sender, mark, u64::from(BPF_ANY));
    Ok(())
}

#[inline(always)]
fn bare(gate: &Gate) -> Result<(), Reject> {
    if gate.takes_bare() {
        Ok(())
    } else {
        Err(Reject::HmacMissing)
    }
}
