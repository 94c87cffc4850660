//! Claims of our addresses: a foreign MAC that says, by ARP or neighbour discovery, to have one.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use ha_common::address::same;
use ha_common::layout::{Event, event, state};
use ha_common::master_tracking;

use crate::frame::{Frame, mac};
use crate::neighbour::Neighbour;
use crate::{count, events, fence};

/// Counts a claim, and tells the agent.
#[inline(always)]
pub(crate) fn note<F: Frame>(frame: F, neighbour: &Neighbour) {
    if same(neighbour.claimed, [0; 16]) {
        return;
    }
    let Some((index, slot)) = fence::holder(frame.ifindex(), neighbour.family, neighbour.claimed)
    else {
        return;
    };
    let claimant = if neighbour.mac == 0 {
        frame.sender()
    } else {
        neighbour.mac
    };
    // SAFETY: `slot` is a live map value; two CPUs at once may tell of two claims instead of one.
    unsafe {
        if (*slot).state != state::MASTER || claimant == mac((*slot).own_mac) {
            return;
        }
        count::bump(&raw mut (*slot).claims);
        let now = bpf_ktime_get_ns();
        if !master_tracking::may_tell_claim(&mut *slot, now) {
            return;
        }
        events::push(
            slot,
            index,
            Event {
                kind: event::CLAIM,
                at: now,
                source: neighbour.claimed,
                hash: claimant,
                count: neighbour.family as u8,
                ..Event::default()
            },
        );
    }
}
