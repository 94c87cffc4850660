//! Statistics by peer.

use aya_ebpf::bindings::BPF_NOEXIST;
use ha_common::layout::{Counter, GAP_BUCKETS, PeerKey, PeerStats, Slot, SlotKey};
use ha_common::reject::Reject;
use ha_common::wire::frame::IpHeader;
use ha_common::wire::vrrp::Advert;

use crate::maps::{HA_PEERS, HA_ZERO_PEER};
use crate::{atomic, count};

/// A new peer may appear this often per slot by rejected frames: forged sources must not wash the
/// real peers out of the table. 100 ms.
const NEW_REJECTED_PEER_GAP: u64 = 100_000_000;
/// The same for valid adverts: 5 ms.
const NEW_PEER_GAP: u64 = 5_000_000;

/// Counts a valid advert.
#[inline(always)]
pub(crate) fn count_advert(slot: *mut Slot, key: SlotKey, advert: &Advert, version: u8, now: u64) {
    let Some(peer) = find(slot, key, advert.source, now, NEW_PEER_GAP) else {
        return;
    };
    // SAFETY: `peer` is a live map value.
    unsafe {
        count::bump(&raw mut (*peer).adverts);
        atomic::add(&raw mut (*peer).bytes, u64::from(advert.length));
        if advert.priority.is_release() {
            count::bump(&raw mut (*peer).releases);
        }
        note_gap(peer, now);
        (*peer).last_seen = now;
        (*peer).last_advert = now;
        (*peer).priority = advert.priority.0;
        (*peer).version = version;
        (*peer).checksum = advert.flavour as u8;
        (*peer).count = advert.count;
        (*peer).interval = advert.interval.0;
    }
}

/// Counts a rejected one.
#[inline(always)]
pub(crate) fn count_reject(
    slot: *mut Slot,
    key: SlotKey,
    envelope: &IpHeader,
    reject: Reject,
    now: u64,
) {
    let Some(peer) = find(slot, key, envelope.source, now, NEW_REJECTED_PEER_GAP) else {
        return;
    };
    // SAFETY: `peer` is a live map value and the index a discriminant below the array's length.
    unsafe {
        count::bump(
            (&raw mut (*peer).rejects)
                .cast::<u64>()
                .add(reject as usize),
        );
        (*peer).last_seen = now;
    }
}

#[inline(always)]
unsafe fn note_gap(peer: *mut PeerStats, now: u64) {
    // SAFETY: the caller's peer is a live map value; the bucket is masked below the array's length.
    unsafe {
        let last = (*peer).last_advert;
        if last == 0 || now < last {
            return;
        }
        let gap = now - last;
        if (*peer).gap_min == 0 || gap < (*peer).gap_min {
            (*peer).gap_min = gap;
        }
        if gap > (*peer).gap_max {
            (*peer).gap_max = gap;
        }
        let mut bucket = 0;
        let mut millis = gap / 1_000_000;
        for _ in 0..GAP_BUCKETS - 1 {
            if millis == 0 {
                break;
            }
            millis >>= 1;
            bucket += 1;
        }
        if bucket < GAP_BUCKETS {
            count::bump((&raw mut (*peer).gaps).cast::<u64>().add(bucket));
        }
    }
}

#[inline(always)]
fn find(
    slot: *mut Slot,
    key: SlotKey,
    address: [u8; 16],
    now: u64,
    gap: u64,
) -> Option<*mut PeerStats> {
    let key = PeerKey { slot: key, address };
    if let Some(peer) = HA_PEERS.get_ptr_mut(key) {
        return Some(peer);
    }
    // SAFETY: `slot` is a live map value.
    unsafe {
        if now - (*slot).last_new_peer < gap {
            count::host(Counter::PeersRefused);
            return None;
        }
        (*slot).last_new_peer = now;
    }
    let zero = HA_ZERO_PEER.get(0)?;
    // Another CPU may have been quicker: then its entry is found below.
    let _ = HA_PEERS.insert(key, zero, u64::from(BPF_NOEXIST));
    let peer = HA_PEERS.get_ptr_mut(key)?;
    // SAFETY: `peer` is a live map value.
    unsafe {
        if (*peer).first_seen == 0 {
            (*peer).first_seen = now;
        }
    }
    Some(peer)
}
