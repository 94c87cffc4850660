//! A frame at the XDP hook: bounded reads of the packet itself.

use core::arch::asm;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use ha_common::wire::cursor::{self, Cursor};
use ha_common::wire::frame::{Network, ethernet};
use ha_common::wire::message_sum::{Body, MessageSum};

use crate::frame::{Frame, Glance, Message, mac};
use crate::neighbour::glance;
use crate::{beside, digest, receive};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of a VLAN tag.
const TAG: usize = 4;

/// A frame at the XDP hook.
#[derive(Clone, Copy)]
pub(crate) struct XdpFrame {
    context: *mut xdp_md,
}

impl XdpFrame {
    #[inline(always)]
    pub(crate) const fn new(context: &XdpContext) -> Self {
        Self {
            context: context.ctx,
        }
    }

    /// A byte or two of the packet at a constant offset, in network order.
    #[inline(always)]
    fn byte(self, at: usize) -> Option<u8> {
        let mut cursor = XdpCursor::new(self.context);
        cursor.at += at;
        cursor.take::<1>().map(|[byte]| byte)
    }

    #[inline(always)]
    fn ethertype(self, at: usize) -> Option<u16> {
        let mut cursor = XdpCursor::new(self.context);
        cursor.at += at;
        cursor.take::<2>().map(u16::from_ne_bytes)
    }
}

impl Frame for XdpFrame {
    type Cursor = XdpCursor;
    type Verdict = u32;

    type Context = XdpContext;

    const PASS: u32 = XDP_PASS;
    const DROP: u32 = XDP_DROP;

    #[inline(always)]
    fn context(self) -> XdpContext {
        XdpContext::new(self.context)
    }

    #[inline(always)]
    fn ifindex(self) -> u32 {
        // SAFETY: the context of a running program.
        unsafe { (*self.context).ingress_ifindex }
    }

    #[inline(always)]
    fn glance(self) -> Glance {
        let Some(ethertype) = self.ethertype(ETHERNET - 2) else {
            return Glance::Traffic;
        };
        if ethertype == glance::DOT1Q || ethertype == glance::DOT1AD {
            let inner = ETHERNET + TAG;
            return match self.ethertype(inner - 2) {
                // Two tags are followed where there is time for it.
                Some(glance::DOT1Q | glance::DOT1AD) => Glance::Vrrp,
                // Neighbours and traffic of a VLAN are its own device's.
                Some(ethertype) => match glance::packet(ethertype, |at| self.byte(inner + at)) {
                    Glance::Vrrp => Glance::Vrrp,
                    _ => Glance::Traffic,
                },
                None => Glance::Traffic,
            };
        }
        glance::packet(ethertype, |at| self.byte(ETHERNET + at))
    }

    #[inline(always)]
    fn network(self) -> Option<Network<XdpCursor>> {
        ethernet(XdpCursor::new(self.context))
    }

    #[inline(always)]
    fn vrrp_ends_here(self) -> bool {
        ha_receive(self.context) != 0
    }

    #[inline(always)]
    fn is_dropped_beside(self) -> bool {
        ha_beside(self.context) != 0
    }

    #[inline(always)]
    fn sender(self) -> u64 {
        let mut cursor = XdpCursor::new(self.context);
        cursor.skip(6);
        cursor.take::<6>().map_or(0, mac)
    }
}

/// A position in the packet.
#[derive(Clone, Copy)]
pub(crate) struct XdpCursor {
    context: *mut xdp_md,
    at: usize,
    end: usize,
    /// `at` as a number, which the verifier does not take for a pointer.
    offset: usize,
}

impl XdpCursor {
    /// At the start of the frame.
    #[inline(always)]
    fn new(context: *mut xdp_md) -> Self {
        let context_view = XdpContext::new(context);
        Self {
            context,
            at: context_view.data(),
            end: context_view.data_end(),
            offset: 0,
        }
    }
}

impl Cursor for XdpCursor {
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
    fn sum(self, body: &Body) -> Option<MessageSum> {
        let mut pass = Pass {
            offset: self.offset,
            body: *body,
            digest: MessageSum::default(),
        };
        (ha_sum(self.context, &raw mut pass) != 0).then_some(pass.digest)
    }
}

impl Message for XdpCursor {
    #[inline(always)]
    fn load(self, back: usize, words: usize) -> bool {
        ha_load(self.context, self.offset - back, words) != 0
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

/// A call of [`ha_sum`]: where it is to begin, over what, and what came of it.
#[repr(C)]
pub(crate) struct Pass {
    pub(crate) offset: usize,
    pub(crate) body: Body,
    pub(crate) digest: MessageSum,
}

impl Pass {
    /// Makes the pass from a cursor at the frame's start, or the packet's.
    ///
    /// # Safety
    /// `pass` points to one that only its caller knows.
    #[inline(always)]
    pub(crate) unsafe fn run<C: Cursor>(pass: *mut Self, mut cursor: C) -> u32 {
        // SAFETY: the caller's promise, and the verifier knows its size.
        unsafe {
            cursor.skip((*pass).offset);
            let body = (*pass).body;
            // Read anew each time: a number that the verifier has once seen compared would decide the next
            // comparison, and be told apart from every other number ever after.
            let address_words = || (&raw const (*pass).body.address_words).read_volatile();
            match cursor::sum(cursor, &body, address_words) {
                Some(digest) => {
                    (*pass).digest = digest;
                    1
                }
                None => 0,
            }
        }
    }
}

/// [`Cursor::digest`] as a function of its own. The verifier follows a global function once, whatever its
/// arguments, and its callers only up to the call. In line, each of the several hundred ways out of its
/// loop would be followed through the rest of the program, which kernels before 6.2 give up on.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_sum(context: *mut xdp_md, pass: *mut Pass) -> u32 {
    // To the verifier the argument of a global function may be null.
    if pass.is_null() {
        return 0;
    }
    // SAFETY: the only caller passes its own.
    unsafe { Pass::run(pass, XdpCursor::new(context)) }
}

/// [`digest::copy`] as a function of its own, for the same reason.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_load(context: *mut xdp_md, offset: usize, words: usize) -> u32 {
    let mut cursor = XdpCursor::new(context);
    cursor.skip(offset);
    u32::from(digest::copy(cursor, words))
}

/// [`receive::ends_here`] at this hook.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_receive(context: *mut xdp_md) -> u32 {
    let frame = XdpFrame { context };
    u32::from(receive::ends_here(frame, frame.sender()))
}

/// [`beside::is_dropped`] at this hook.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_beside(context: *mut xdp_md) -> u32 {
    u32::from(beside::is_dropped(XdpFrame { context }))
}
