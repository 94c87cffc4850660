//! The receive path: from a frame to a counted, followed, reported or rejected advert.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_log_ebpf::debug;
use ha_common::accept::TtlRange;
use ha_common::address::RawAddress;
use ha_common::fence as fence_rules;
use ha_common::layout::{Counter, Event, LastReject, PeerKey, Slot, SlotKey, event, flags, state};
use ha_common::master_tracking;
use ha_common::reject::Reject;
use ha_common::wire::frame::{IpHeader, Kind, ParsedFrame, parse_in};
use ha_common::wire::vrrp::{self, Advert, Expect};

use crate::frame::{Frame, Glance};
use crate::maps::{HA_INDEX, HA_SLOTS, HA_UNICAST};
use crate::{contest, count, events, fence, peers, timer, verify};

/// The verdict on a frame. All the host's traffic comes through here: while nobody contests a master of this host, what
/// is neither VRRP nor about neighbours costs the first look and one load.
#[inline(always)]
pub(crate) fn receive<F: Frame>(frame: F) -> F::Verdict {
    let glance = frame.glance();
    if glance == Glance::Authenticated {
        count::host(Counter::Authenticated);
    }
    let ends_here = match glance {
        Glance::Vrrp => frame.vrrp_ends_here(),
        Glance::Neighbour => frame.is_dropped_beside(),
        Glance::Traffic | Glance::Authenticated => {
            contest::is_possible() && frame.is_dropped_beside()
        }
    };
    if ends_here { F::DROP } else { F::PASS }
}

/// Takes an advert in, if it is one; whether the frame ends here. `sender` is [`Frame::sender`].
#[inline(always)]
pub(crate) fn ends_here<F: Frame>(frame: F, sender: u64) -> bool {
    let Some(network) = frame.network() else {
        return false;
    };
    let ParsedFrame {
        kind,
        envelope,
        header,
        body,
    } = parse_in(network);
    match kind {
        Kind::Other => return false,
        Kind::Tagged => {
            count::host(Counter::Tagged);
            return false;
        }
        Kind::Unreadable => {
            count::host(Counter::Unreadable);
            return false;
        }
        Kind::Vrrp => {}
    }
    count::host(Counter::Vrrp);
    let key = SlotKey::new(frame.ifindex(), envelope.family, vrrp::vrid(header));
    let Some((index, slot)) = find_slot(key) else {
        count::host(Counter::NotOurs);
        return false;
    };
    // SAFETY: a helper without conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let expect = expect(slot, key, envelope.source);
    let judged = vrrp::check(&envelope, header, body, &expect).and_then(|advert| {
        if expect.gated {
            // Last, since it is the dearest: what is wrong in itself costs no digest.
            verify::admit((index, slot), key, &advert, body, sender, now)?;
        }
        on_advert(index, slot, key, &advert, now);
        Ok(())
    });
    if let Err(reject) = judged {
        on_reject(slot, key, &envelope, header, reject, now);
        debug!(
            &frame.context(),
            "vrid {}: rejected, reason {}", key.vrid, reject as u8
        );
        if matches!(reject, Reject::Destination) {
            return false;
        }
    }
    is_consumed(slot)
}

/// RFC 9568 section 7.1 (vrid), RFC 3768 section 7.1 (vrid).
#[inline(always)]
fn find_slot(key: SlotKey) -> Option<(u32, *mut Slot)> {
    // SAFETY: the index is copied out at once; entries are made and removed by the agent only.
    let index = *unsafe { HA_INDEX.get(key) }?;
    let slot = HA_SLOTS.get_ptr_mut(index)?;
    // SAFETY: `slot` is a live map value.
    if unsafe { (*slot).state } == state::FREE {
        return None;
    }
    Some((index, slot))
}

#[inline(always)]
fn expect(slot: *mut Slot, key: SlotKey, source: RawAddress) -> Expect {
    // SAFETY: `slot` is a live map value; a command on another CPU may change it meanwhile, and then the
    // advert is judged by a mixture, as one that came a moment earlier or later.
    let slot = unsafe { &*slot };
    Expect::of(slot, listed(slot, key, source))
}

/// The sender's entry in the list of unicast peers. A multicast slot has none.
#[inline(always)]
fn listed(slot: &Slot, key: SlotKey, source: RawAddress) -> Option<TtlRange> {
    if !slot.channel.is_unicast() {
        return None;
    }
    let peer = PeerKey {
        slot: key,
        address: source,
    };
    // SAFETY: the range is copied out at once; entries are made and removed by the agent only.
    unsafe { HA_UNICAST.get(peer) }.copied()
}

#[inline(always)]
fn on_advert(index: u32, slot: *mut Slot, key: SlotKey, advert: &Advert, now: u64) {
    // SAFETY: `slot` is a live map value. Another CPU may change it at the same time; each field
    // is a word or less, and whatever mixture results is corrected by the next advert.
    let version = unsafe {
        count::bump(&raw mut (*slot).adverts);
        (*slot).version
    };
    peers::count_advert(slot, key, advert, version, now);
    // SAFETY: as above.
    let outcome = master_tracking::on_advert(unsafe { &mut *slot }, advert, now);
    if let Some(span) = outcome.arm_for {
        timer::arm(slot, now, span.0);
        // SAFETY: as above.
        unsafe { count::bump(&raw mut (*slot).rearms) };
    }
    contest::note(slot);
    if outcome.notify && may_notify(slot, now) {
        // SAFETY: as above.
        fence_rules::note_event(unsafe { &mut *slot }, fence::turned_at(), now);
        events::push(
            slot,
            index,
            Event {
                kind: event::ADVERT,
                at: now,
                source: advert.source,
                hash: advert.hash,
                interval: advert.interval.0,
                priority: advert.priority.0,
                count: advert.count,
                checksum: advert.flavour as u8,
                // SAFETY: as above.
                is_overheard: master_tracking::follows_another(unsafe { &*slot }, advert).into(),
                ..Event::default()
            },
        );
    }
}

/// Counts a refusal and keeps it. The agent reads it from the slot when somebody asks: a flood of
/// bad frames wakes nobody. RFC 9568 section 7.1 (report), RFC 3768 section 7.1 (report).
#[inline(always)]
fn on_reject(
    slot: *mut Slot,
    key: SlotKey,
    envelope: &IpHeader,
    header: [u8; 8],
    reject: Reject,
    now: u64,
) {
    // SAFETY: `slot` is a live map value and the index a discriminant below the array's length.
    unsafe {
        count::bump(
            (&raw mut (*slot).rejects)
                .cast::<u64>()
                .add(reject as usize),
        );
        (*slot).last_reject = LastReject {
            at: now,
            source: envelope.source,
            destination: envelope.destination,
            header,
            reason: reject as u8,
            ttl: envelope.ttl,
            length: envelope.length,
            pad: 0,
        };
    }
    peers::count_reject(slot, key, envelope, reject, now);
}

#[inline(always)]
fn may_notify(slot: *mut Slot, now: u64) -> bool {
    // SAFETY: `slot` is a live map value.
    unsafe {
        let may = master_tracking::may_notify(&mut *slot, now);
        if !may {
            count::bump(&raw mut (*slot).suppressed);
        }
        may
    }
}

#[inline(always)]
fn is_consumed(slot: *mut Slot) -> bool {
    // SAFETY: `slot` is a live map value.
    let consumes = unsafe { (*slot).flags } & flags::CONSUME != 0;
    if consumes {
        count::host(Counter::Consumed);
    }
    consumes
}
