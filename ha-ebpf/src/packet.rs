//! Bounded reads of the packet: the cursor that the shared parser runs on.

use core::arch::asm;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use ha_common::wire::body::{self, Body, Digest};
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
    context: *mut xdp_md,
    at: usize,
    end: usize,
    /// `at` as a number, which the verifier does not take for a pointer.
    offset: usize,
}

impl PacketCursor {
    /// At the start of the frame.
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        Self {
            context: context.ctx,
            at: context.data(),
            end: context.data_end(),
            offset: 0,
        }
    }
}

impl PacketCursor {
    /// How far it has come, in bytes.
    #[inline(always)]
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }
}

impl Cursor for PacketCursor {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let at = self.at;
        let next = ahead::<N>(at);
        if next > self.end {
            return None;
        }
        self.at = next;
        self.offset += N;
        // SAFETY: `at..at + N` lies in the packet, which the comparison has just shown to the
        // verifier too; bytes have no alignment.
        Some(unsafe { core::ptr::read_unaligned(at as *const [u8; N]) })
    }

    #[inline(always)]
    fn skip(&mut self, count: usize) {
        let count = bounded(count);
        self.at += count;
        self.offset += count;
    }

    #[inline(always)]
    fn digest(self, body: &Body) -> Option<Digest> {
        let mut pass = Pass {
            offset: self.offset,
            body: *body,
            digest: Digest::default(),
        };
        (ha_digest(self.context, &raw mut pass) != 0).then_some(pass.digest)
    }
}

/// `position + N`, out of the compiler's sight: it would make `at >= end` of `at + 1 > end`, and of that
/// the verifier learns nothing.
#[inline(always)]
fn ahead<const N: usize>(mut position: usize) -> usize {
    // SAFETY: it adds a number to a register.
    unsafe {
        asm!("{position} += {N}", position = inout(reg) position, N = const N, options(pure, nomem, nostack));
    }
    position
}

/// `count & 0x3ff`, out of the compiler's sight: it would leave out what it knows to change nothing, and
/// the verifier, which knows less, wants the bound of a variable offset.
#[inline(always)]
fn bounded(mut count: usize) -> usize {
    // SAFETY: it masks a register.
    unsafe {
        asm!("{count} &= 0x3ff", count = inout(reg) count, options(pure, nomem, nostack));
    }
    count
}

/// A call of [`ha_digest`]: where it is to begin, over what, and what came of it.
#[repr(C)]
struct Pass {
    offset: usize,
    body: Body,
    digest: Digest,
}

/// [`Cursor::digest`] as a function of its own. The verifier follows a global function once, whatever its
/// arguments, and its callers only up to the call. In line, each of the several hundred ways out of its
/// loop would be followed through the rest of the program, which kernels before 6.2 give up on.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_digest(context: *mut xdp_md, pass: *mut Pass) -> u32 {
    // To the verifier the argument of a global function may be null.
    if pass.is_null() {
        return 0;
    }
    let mut cursor = PacketCursor::new(&XdpContext::new(context));
    // SAFETY: the only caller passes its own, and the verifier knows its size.
    unsafe {
        cursor.skip((*pass).offset);
        let body = (*pass).body;
        // Read anew each time: a number that the verifier has once seen compared would decide the next
        // comparison, and be told apart from every other number ever after.
        let address_words = || (&raw const (*pass).body.address_words).read_volatile();
        match body::digest(cursor, &body, address_words) {
            Some(digest) => {
                (*pass).digest = digest;
                1
            }
            None => 0,
        }
    }
}
