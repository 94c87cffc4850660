//! The fence: a stalled master must not answer for an address that somebody else holds.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::programs::XdpContext;

/// What becomes of a frame that is not VRRP.
#[inline(always)]
pub(crate) fn verdict(_context: &XdpContext) -> u32 {
    XDP_PASS
}
