//! The fence: neither a host that is not master nor a stalled one must answer for an address that somebody else holds, or
//! speak in its name.
//!
//! The agent lists in `HA_FENCE` the addresses that it puts on interfaces, for as long as they may be there. What becomes of
//! frames for such an address is `ha_common::fence::passage`; here it is found out which address a frame is about.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use ha_common::address::RawAddress;
use ha_common::address::same;
use ha_common::fence::{self, Passage};
use ha_common::layout::{FenceKey, Slot};
use ha_common::units::Family;
use ha_common::wire::cursor::Cursor;
use ha_common::wire::frame::Network;

use crate::frame::Frame;
use crate::maps::{HA_FENCE, HA_META, HA_SLOTS};
use crate::neighbour::{self, Neighbour, glance, ipv4};
use crate::{contest, count};

/// Which of a packet's addresses counts.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Way {
    In,
    Out,
}

/// What becomes of a frame that leaves.
#[inline(always)]
pub(crate) fn egress<F: Frame>(frame: F) -> F::Verdict {
    if contest::is_possible() && is_fenced_out(frame) {
        F::DROP
    } else {
        F::PASS
    }
}

/// Whether an address that neighbours are asked for is fenced.
#[inline(always)]
pub(crate) fn is_question_fenced(ifindex: u32, neighbour: &Neighbour) -> bool {
    contest::is_possible() && judge(ifindex, neighbour.family, neighbour.asked, Way::In)
}

/// Whether the address that a packet is for is fenced.
#[inline(always)]
pub(crate) fn is_fenced_in<F: Frame>(frame: F, network: Network<F::Cursor>) -> bool {
    if !contest::is_possible() {
        return false;
    }
    let (family, address) = match u16::from_ne_bytes(network.ethertype) {
        glance::IPV4 => (Family::V4, address_v4(network.cursor, Way::In)),
        glance::IPV6 => (Family::V6, address_v6(network, Way::In)),
        _ => return false,
    };
    judge(frame.ifindex(), family, address, Way::In)
}

/// Whether the address that a packet is from, or speaks of as its sender's, is fenced. A tagged frame passes: it
/// belongs to the VLAN's own device.
#[inline(always)]
fn is_fenced_out<F: Frame>(frame: F) -> bool {
    let Some(network) = frame.network() else {
        return false;
    };
    if network.tagged {
        return false;
    }
    let (family, address) = match u16::from_ne_bytes(network.ethertype) {
        glance::IPV4 => (Family::V4, address_v4(network.cursor, Way::Out)),
        glance::IPV6 => (Family::V6, address_v6(network, Way::Out)),
        glance::ARP => (Family::V4, neighbour::read(network).claimed),
        _ => return false,
    };
    judge(frame.ifindex(), family, address, Way::Out)
}

#[inline(always)]
fn address_v4<C: Cursor>(mut cursor: C, way: Way) -> RawAddress {
    cursor.skip(if way == Way::In { 16 } else { 12 });
    cursor.take::<4>().map_or([0; 16], ipv4)
}

/// What a host says of itself by neighbour discovery counts when it leaves, besides its source.
#[inline(always)]
fn address_v6<C: Cursor>(network: Network<C>, way: Way) -> RawAddress {
    if way == Way::Out {
        let claimed = neighbour::read(network).claimed;
        if !same(claimed, [0; 16]) {
            return claimed;
        }
    }
    let mut cursor = network.cursor;
    cursor.skip(if way == Way::In { 24 } else { 8 });
    cursor.take::<16>().unwrap_or([0; 16])
}

/// Whether the address is fenced; counts it if so.
#[inline(always)]
fn judge(ifindex: u32, family: Family, address: RawAddress, way: Way) -> bool {
    let Some((_, slot)) = holder(ifindex, family, address) else {
        return false;
    };
    // SAFETY: a helper without conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: `slot` is a live map value; fields that change meanwhile give a verdict that was right
    // a moment ago or will be.
    unsafe {
        match fence::passage(&*slot, turned_at(), now) {
            Passage::Open => {
                contest::expire(now);
                return false;
            }
            Passage::Closed => {
                count::bump(match way {
                    Way::In => &raw mut (*slot).closed,
                    Way::Out => &raw mut (*slot).closed_out,
                });
                (*slot).closed_at = now;
            }
            Passage::Fenced => {
                count::bump(match way {
                    Way::In => &raw mut (*slot).fenced,
                    Way::Out => &raw mut (*slot).fenced_out,
                });
                if (*slot).fenced_since < (*slot).unanswered_since {
                    (*slot).fenced_since = now;
                }
                (*slot).fenced_at = now;
            }
        }
    }
    true
}

/// The slot that an address on an interface is listed for, and its index.
#[inline(always)]
pub(crate) fn holder(
    ifindex: u32,
    family: Family,
    address: RawAddress,
) -> Option<(u32, *mut Slot)> {
    let key = FenceKey {
        ifindex,
        family: family as u8,
        pad: [0; 3],
        address,
    };
    // SAFETY: the index is copied out at once; entries are made and removed by the agent only.
    let index = unsafe { HA_FENCE.get(key) }.copied()?;
    Some((index, HA_SLOTS.get_ptr_mut(index)?))
}

/// When the driver last turned.
#[inline(always)]
pub(crate) fn turned_at() -> u64 {
    // SAFETY: a live map value; the agent writes it as one word.
    HA_META
        .get_ptr(0)
        .map_or(0, |meta| unsafe { (*meta).turned_at })
}
