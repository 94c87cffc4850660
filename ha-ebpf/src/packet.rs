//! Bounded reads of the packet: the cursor that the shared parser runs on.

use aya_ebpf::programs::XdpContext;
use ha_common::wire::cursor::Cursor;

/// The index of the interface that the frame came in by.
#[inline(always)]
pub(crate) fn ifindex(context: &XdpContext) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "32 bits in xdp_md, which aya widens"
    )]
    let ifindex = context.ingress_ifindex() as u32;
    ifindex
}

/// A position in the packet.
#[derive(Clone, Copy)]
pub(crate) struct PacketCursor {
    at: usize,
    end: usize,
}

impl PacketCursor {
    /// At the start of the frame.
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        Self {
            at: context.data(),
            end: context.data_end(),
        }
    }
}

impl Cursor for PacketCursor {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let at = self.at;
        if at + N > self.end {
            return None;
        }
        self.at = at + N;
        // SAFETY: `at..at + N` lies in the packet, which the comparison has just shown to the
        // verifier too; bytes have no alignment.
        Some(unsafe { core::ptr::read_unaligned(at as *const [u8; N]) })
    }

    #[inline(always)]
    fn skip(&mut self, count: usize) {
        // The verifier wants the bound of a variable offset in sight.
        self.at += count & 0x3ff;
    }
}
