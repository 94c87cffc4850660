//! The fence: a stalled master must not answer for an address that somebody else holds.
//!
//! The agent lists the addresses of its masters in `HA_FENCE`, and how many there are in `HA_META`.
//! Whether the fence of such an address is up is `ha_common::fence::is_up`; here it is found out which
//! address a frame is for.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::programs::XdpContext;
use ha_common::fence;
use ha_common::layout::{FenceKey, RawAddress};
use ha_common::units::Family;
use ha_common::wire::cursor::Cursor as _;

use crate::count;
use crate::maps::{HA_FENCE, HA_META, HA_SLOTS};
use crate::packet::{self, PacketCursor};

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// An ARP request for an IPv4 address over Ethernet, as it begins (RFC 826).
const ARP_REQUEST: [u8; 8] = [0, 1, 0x08, 0x00, 6, 4, 0, 1];
/// The next header of `ICMPv6` (RFC 4443 section 1).
const ICMPV6: u8 = 58;
/// The type of a neighbour solicitation (RFC 4861 section 4.3).
const NEIGHBOUR_SOLICITATION: u8 = 135;

/// What becomes of a frame that is not VRRP.
///
/// All the host's traffic comes through here: without an address to fence it costs one array lookup
/// and one comparison.
#[inline(always)]
pub(crate) fn verdict(context: &XdpContext) -> u32 {
    let Some(meta) = HA_META.get_ptr(0) else {
        return XDP_PASS;
    };
    // SAFETY: `meta` is a live map value; the agent may write it meanwhile, a word at a time.
    if unsafe { (*meta).fences } == 0 {
        return XDP_PASS;
    }
    judge(context)
}

/// A tagged frame passes: it belongs to the VLAN's own device.
#[inline(always)]
fn judge(context: &XdpContext) -> u32 {
    let mut cursor = PacketCursor::new(context);
    cursor.skip(12);
    match cursor.take::<2>() {
        Some(ETHERTYPE_ARP) => judge_arp(context, cursor),
        Some(ETHERTYPE_IPV4) => judge_ipv4(context, cursor),
        Some(ETHERTYPE_IPV6) => judge_ipv6(context, cursor),
        _ => XDP_PASS,
    }
}

/// Replies pass: they tell us who else has an address, they do not ask us.
#[inline(always)]
fn judge_arp(context: &XdpContext, mut cursor: PacketCursor) -> u32 {
    let Some(head) = cursor.take::<8>() else {
        return XDP_PASS;
    };
    // Sender's hardware and protocol address, target's hardware address.
    cursor.skip(16);
    let Some([a, b, c, d]) = cursor.take::<4>() else {
        return XDP_PASS;
    };
    if u64::from_ne_bytes(head) != u64::from_ne_bytes(ARP_REQUEST) {
        return XDP_PASS;
    }
    judge_address(context, Family::V4, ipv4(a, b, c, d))
}

#[inline(always)]
fn judge_ipv4(context: &XdpContext, mut cursor: PacketCursor) -> u32 {
    cursor.skip(16);
    match cursor.take::<4>() {
        Some([a, b, c, d]) => judge_address(context, Family::V4, ipv4(a, b, c, d)),
        None => XDP_PASS,
    }
}

/// A solicitation goes to a multicast group or to the address itself; its target counts in both
/// cases. RFC 4861 knows no extension headers in front of one worth looking behind.
#[inline(always)]
fn judge_ipv6(context: &XdpContext, mut cursor: PacketCursor) -> u32 {
    let Some(head) = cursor.take::<8>() else {
        return XDP_PASS;
    };
    cursor.skip(16);
    let Some(mut address) = cursor.take::<16>() else {
        return XDP_PASS;
    };
    if head[6] == ICMPV6 {
        let mut target = cursor;
        target.skip(8);
        if let Some([NEIGHBOUR_SOLICITATION]) = cursor.take::<1>()
            && let Some(target) = target.take::<16>()
        {
            address = target;
        }
    }
    judge_address(context, Family::V6, address)
}

#[inline(always)]
fn judge_address(context: &XdpContext, family: Family, address: RawAddress) -> u32 {
    let key = FenceKey {
        ifindex: packet::ifindex(context),
        family: family as u8,
        pad: [0; 3],
        address,
    };
    // SAFETY: the index is copied out at once; entries are made and removed by the agent only.
    let Some(index) = (unsafe { HA_FENCE.get(key) }).copied() else {
        return XDP_PASS;
    };
    let Some(slot) = HA_SLOTS.get_ptr_mut(index) else {
        return XDP_PASS;
    };
    // SAFETY: `slot` is a live map value; fields that change meanwhile give a verdict that was right
    // a moment ago or will be.
    unsafe {
        if !fence::is_up(&*slot, turned_at(), bpf_ktime_get_ns()) {
            return XDP_PASS;
        }
        count::bump(&raw mut (*slot).fenced);
    }
    XDP_DROP
}

#[inline(always)]
fn turned_at() -> u64 {
    // SAFETY: a live map value; the agent writes it as one word.
    HA_META
        .get_ptr(0)
        .map_or(0, |meta| unsafe { (*meta).turned_at })
}

#[inline(always)]
const fn ipv4(a: u8, b: u8, c: u8, d: u8) -> RawAddress {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
