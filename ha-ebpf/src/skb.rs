//! A frame at the tc hooks: a socket buffer, with what the stack knows of it already.
//!
//! Its VLAN tag is in the buffer's metadata, whatever the card strips; its packet begins at the network header,
//! whether there is a link-layer header before that or not.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::bindings::bpf_hdr_start_off::BPF_HDR_START_NET;
use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes_relative, bpf_skb_pull_data};
use aya_ebpf::programs::TcContext;
use ha_common::wire::cursor::Cursor;
use ha_common::wire::frame::Network;
use ha_common::wire::message_sum::{Body, MessageSum};

use crate::frame::{Frame, Glance, Message, mac};
use crate::neighbour::glance;
use crate::xdp_frame::Pass;
use crate::{beside, digest, receive};

/// The VLAN identifier in a tag's control information (IEEE 802.1Q section 9.6).
const VLAN_ID: u32 = 0x0fff;
/// A frame of which not all bytes are in the buffer's first part has so many of them moved there at the most: the
/// longest advert with its headers.
const MOST_PULLED: u32 = 2048;
/// The shortest link-layer and network headers that must be in reach.
const HEADERS: u32 = 14 + 40;

/// What stands before the packet.
pub(crate) trait LinkLayer: Copy {
    /// Whether its header names a sender.
    const HAS_ADDRESSES: bool;
    /// The byte of the packet at a constant offset.
    fn byte(skb: *mut __sk_buff, at: usize) -> Option<u8>;
    /// The sender's address.
    fn sender(skb: *mut __sk_buff) -> u64;
    /// [`beside::is_dropped`] as a function of its own.
    fn is_dropped_beside(skb: *mut __sk_buff) -> u32;
}

/// An Ethernet header, 14 bytes: what is in the tag was taken out.
#[derive(Clone, Copy)]
pub(crate) struct Ethernet;

/// Nothing, or something that is not looked at.
#[derive(Clone, Copy)]
pub(crate) struct Layer3;

impl LinkLayer for Ethernet {
    const HAS_ADDRESSES: bool = true;

    #[inline(always)]
    fn byte(skb: *mut __sk_buff, at: usize) -> Option<u8> {
        // SAFETY: the context of a running program.
        let (data, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
        // One comparison for all bytes of a first look: the shortest IPv4 header, or ARP.
        if data + 14 + 20 > end || at >= 20 {
            return Layer3::byte(skb, at);
        }
        // SAFETY: the byte lies in the packet, as the comparison has just shown to the verifier too.
        Some(unsafe { *((data + 14 + at) as *const u8) })
    }

    #[inline(always)]
    fn sender(skb: *mut __sk_buff) -> u64 {
        // SAFETY: the context of a running program.
        let (data, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
        if data + 14 > end {
            return 0;
        }
        // SAFETY: the bytes lie in the packet, as the comparison has just shown to the verifier too.
        mac(unsafe { core::ptr::read_unaligned((data + 6) as *const [u8; 6]) })
    }

    #[inline(always)]
    fn is_dropped_beside(skb: *mut __sk_buff) -> u32 {
        ha_beside_skb(skb)
    }
}

impl LinkLayer for Layer3 {
    const HAS_ADDRESSES: bool = false;

    #[inline(always)]
    fn byte(skb: *mut __sk_buff, at: usize) -> Option<u8> {
        let mut cursor = SkbCursor { skb, offset: at };
        cursor.take::<1>().map(|[byte]| byte)
    }

    #[inline(always)]
    fn sender(_: *mut __sk_buff) -> u64 {
        0
    }

    #[inline(always)]
    fn is_dropped_beside(skb: *mut __sk_buff) -> u32 {
        ha_beside_l3(skb)
    }
}

/// A frame at a tc hook.
#[derive(Clone, Copy)]
pub(crate) struct Skb<L> {
    skb: *mut __sk_buff,
    link_layer: PhantomData<L>,
}

impl<L> Skb<L> {
    #[inline(always)]
    pub(crate) const fn new(context: &TcContext) -> Self {
        Self::of(context.skb.skb)
    }

    #[inline(always)]
    const fn of(skb: *mut __sk_buff) -> Self {
        Self {
            skb,
            link_layer: PhantomData,
        }
    }

    /// What is at the network header.
    #[inline(always)]
    fn ethertype(self) -> u16 {
        // SAFETY: the context of a running program.
        let protocol = unsafe { (*self.skb).protocol };
        #[expect(clippy::cast_possible_truncation, reason = "16 bits in network order")]
        let ethertype = protocol as u16;
        ethertype
    }

    #[inline(always)]
    fn in_vlan(self) -> bool {
        // SAFETY: the context of a running program.
        unsafe { (*self.skb).vlan_present != 0 && (*self.skb).vlan_tci & VLAN_ID != 0 }
    }

    /// Brings the bytes into reach that a driver has left in other buffers; whether that worked shows when they
    /// are read.
    #[inline(always)]
    fn pull(self, least: u32) {
        // SAFETY: the context of a running program.
        unsafe {
            let linear = (*self.skb).data_end as usize - (*self.skb).data as usize;
            let length = (*self.skb).len;
            let wanted = if length < least { length } else { least };
            if linear < wanted as usize {
                bpf_skb_pull_data(self.skb, wanted);
            }
        }
    }
}

impl<L: LinkLayer> Frame for Skb<L> {
    type Cursor = SkbCursor;
    type Verdict = i32;
    type Context = TcContext;

    /// Not `TC_ACT_OK`, which would keep the frame from the programs behind this one.
    const PASS: i32 = TC_ACT_UNSPEC;
    const DROP: i32 = TC_ACT_SHOT;

    #[inline(always)]
    fn context(self) -> TcContext {
        TcContext::new(self.skb)
    }

    #[inline(always)]
    fn ifindex(self) -> u32 {
        // SAFETY: the context of a running program.
        unsafe { (*self.skb).ifindex }
    }

    #[inline(always)]
    fn glance(self) -> Glance {
        let ethertype = self.ethertype();
        let seen = glance::packet(ethertype, |at| {
            L::byte(self.skb, at).or_else(|| {
                self.pull(HEADERS);
                Layer3::byte(self.skb, at)
            })
        });
        // SAFETY: the context of a running program.
        let tagged = unsafe { (*self.skb).vlan_present != 0 };
        if tagged && seen != Glance::Vrrp && self.in_vlan() {
            // Neighbours and traffic of a VLAN are its own device's.
            return Glance::Traffic;
        }
        if seen == Glance::Traffic && (ethertype == glance::DOT1Q || ethertype == glance::DOT1AD) {
            // A second tag: VRRP behind it is a VLAN's, unless both carry a priority only.
            return Glance::Vrrp;
        }
        seen
    }

    #[inline(always)]
    fn network(self) -> Option<Network<SkbCursor>> {
        self.pull(MOST_PULLED);
        Some(Network {
            ethertype: self.ethertype().to_ne_bytes(),
            tagged: self.in_vlan(),
            cursor: SkbCursor {
                skb: self.skb,
                offset: 0,
            },
        })
    }

    #[inline(always)]
    fn vrrp_ends_here(self) -> bool {
        ha_receive_skb(self.skb, u32::from(L::HAS_ADDRESSES)) != 0
    }

    #[inline(always)]
    fn is_dropped_beside(self) -> bool {
        L::is_dropped_beside(self.skb) != 0
    }

    #[inline(always)]
    fn sender(self) -> u64 {
        L::sender(self.skb)
    }
}

/// A position in the packet, counted from the network header.
#[derive(Clone, Copy)]
pub(crate) struct SkbCursor {
    skb: *mut __sk_buff,
    offset: usize,
}

impl Cursor for SkbCursor {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "far below the 65,535 that the helper takes"
        )]
        // SAFETY: the helper writes all of `bytes` or fails, and checks the offset against the buffer's end.
        let failed = unsafe {
            bpf_skb_load_bytes_relative(
                self.skb.cast_const().cast(),
                self.offset as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
                BPF_HDR_START_NET,
            )
        };
        if failed != 0 {
            return None;
        }
        self.offset += N;
        // SAFETY: the helper has written them.
        Some(unsafe { bytes.assume_init() })
    }

    #[inline(always)]
    fn skip(&mut self, count: usize) {
        self.offset += count;
    }

    #[inline(always)]
    fn sum(self, body: &Body) -> Option<MessageSum> {
        let mut pass = Pass {
            offset: self.offset,
            body: *body,
            digest: MessageSum::default(),
        };
        (ha_sum_skb(self.skb, &raw mut pass) != 0).then_some(pass.digest)
    }
}

impl Message for SkbCursor {
    #[inline(always)]
    fn load(self, back: usize, words: usize) -> bool {
        ha_load_skb(self.skb, self.offset - back, words) != 0
    }
}

/// `ha_sum` of the XDP hook, for a socket buffer.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_sum_skb(skb: *mut __sk_buff, pass: *mut Pass) -> u32 {
    // To the verifier the argument of a global function may be null.
    if pass.is_null() {
        return 0;
    }
    // SAFETY: the only caller passes its own.
    unsafe { Pass::run(pass, SkbCursor { skb, offset: 0 }) }
}

/// `ha_load` of the XDP hook, for a socket buffer.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_load_skb(skb: *mut __sk_buff, offset: usize, words: usize) -> u32 {
    u32::from(digest::copy(SkbCursor { skb, offset }, words))
}

/// [`receive::ends_here`] at the ingress of any device: all that it reads is behind the link-layer header, but for the
/// sender's address where there is one.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_receive_skb(skb: *mut __sk_buff, has_addresses: u32) -> u32 {
    let sender = if has_addresses == 0 {
        0
    } else {
        Ethernet::sender(skb)
    };
    u32::from(receive::ends_here(Skb::<Layer3>::of(skb), sender))
}

/// [`beside::is_dropped`] at the ingress of a device with Ethernet headers.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_beside_skb(skb: *mut __sk_buff) -> u32 {
    u32::from(beside::is_dropped(Skb::<Ethernet>::of(skb)))
}

/// [`beside::is_dropped`] at the ingress of a layer-3 device.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ha_beside_l3(skb: *mut __sk_buff) -> u32 {
    u32::from(beside::is_dropped(Skb::<Layer3>::of(skb)))
}
