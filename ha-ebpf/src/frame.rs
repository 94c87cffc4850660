//! A frame as the receive path needs it, whichever hook it came by.

use aya_ebpf::EbpfContext;
use ha_common::wire::cursor::Cursor;
use ha_common::wire::frame::Network;

/// What a first look, which all traffic pays for, makes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Glance {
    /// Nothing that is looked into, unless an address is fenced.
    Traffic,
    /// ARP, or what may be a neighbour solicitation or advertisement.
    Neighbour,
    /// May be VRRP, or hide it behind tags.
    Vrrp,
    /// A packet in an authentication header of `IPsec`.
    Authenticated,
}

/// A frame at one of the hooks.
pub(crate) trait Frame: Copy {
    /// Reads its bytes.
    type Cursor: Message;
    /// What a program of this hook returns.
    type Verdict;

    /// What aya-log speaks through.
    type Context: EbpfContext;

    /// The frame goes on to whatever comes next.
    const PASS: Self::Verdict;
    /// The frame ends here.
    const DROP: Self::Verdict;

    /// The program's context.
    fn context(self) -> Self::Context;

    /// The index of the device that it came in or leaves by.
    fn ifindex(self) -> u32;

    /// The first look.
    fn glance(self) -> Glance;

    /// Where its packet begins; `None` if it ends before.
    fn network(self) -> Option<Network<Self::Cursor>>;

    /// Whether a frame that may be VRRP ends here: `crate::receive::ends_here`, as a function of its own. So its stack
    /// is not that of the other one, and the verifier follows it by itself.
    fn vrrp_ends_here(self) -> bool;

    /// Whether a frame that is no VRRP is dropped: `crate::beside::is_dropped`, as a function of its own.
    fn is_dropped_beside(self) -> bool;

    /// The Ethernet address of its sender, a number in the lower 48 bits; zero where there is none.
    fn sender(self) -> u64;
}

/// A position in a frame that a VRRP message can be copied from.
pub(crate) trait Message: Cursor {
    /// Copies so many words of the message, which begins `back` bytes before this position, to the workbench of
    /// digests; false if the frame ends before.
    fn load(self, back: usize, words: usize) -> bool;
}

/// A number in the lower 48 bits.
#[inline(always)]
pub(crate) const fn mac(bytes: [u8; 6]) -> u64 {
    let [high @ .., fifth, last] = bytes;
    (u32::from_be_bytes(high) as u64) << 16 | (fifth as u64) << 8 | last as u64
}
