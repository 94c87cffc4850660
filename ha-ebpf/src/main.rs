//! The BPF programs of ha-agent: the receive path, compiled for two hooks; the fence at egress; and one that
//! takes commands.
//!
//! What is decided about an advert stands in `ha_common`, shared with userspace; here it meets packets, maps and
//! timers. [`frame::Frame`] is all that the hooks differ in:
//!
//! | program | hook | sees |
//! | --- | --- | --- |
//! | `ha_vrrp` | XDP | what the card's port receives |
//! | `ha_ingress`, `ha_ingress_l3` | tc ingress | what the device hands to the host's stack |
//! | `ha_egress` | tc egress | what leaves by the device |
//!
//! One table says what becomes of a frame that comes in:
//!
//! | frame | verdict |
//! | --- | --- |
//! | not VRRP, VRRP in a VLAN, a VRID that is not ours | passes |
//! | an advert for our VRID that was sent to another group or host | passes |
//! | any other advert for our VRID, valid or not | passes, or ends here where the slot consumes |
//! | anything for a listed address whose slot is not master, or whose fence is up | is dropped |
#![no_std]
#![no_main]
// Inline assembly for BPF is not stable; neither is building `core` for it.
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "a call costs verifier states, and some have too many arguments for BPF"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros of programs hand their context over by value"
)]

mod atomic;
mod beside;
mod budget;
mod claim;
mod command;
mod contest;
mod count;
mod digest;
mod events;
mod fence;
mod frame;
mod maps;
mod marks;
mod neighbour;
mod peers;
mod proven;
mod receive;
mod skb;
mod timer;
mod verify;
mod xdp_frame;

use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

use crate::skb::{Ethernet, Layer3, Skb};
use crate::xdp_frame::XdpFrame;

/// Receives every frame of an interface. Frames of several buffers are taken too (kernel 5.18): headers are in the
/// first one.
#[xdp(frags)]
fn ha_vrrp(context: XdpContext) -> u32 {
    receive::receive(XdpFrame::new(&context))
}

/// The same for kernels that know no frames of several buffers.
#[xdp]
fn ha_vrrp_linear(context: XdpContext) -> u32 {
    receive::receive(XdpFrame::new(&context))
}

/// Receives what a device with Ethernet headers hands to the stack.
#[classifier]
fn ha_ingress(context: TcContext) -> i32 {
    receive::receive(Skb::<Ethernet>::new(&context))
}

/// Receives what a device without link-layer headers hands to the stack.
#[classifier]
fn ha_ingress_l3(context: TcContext) -> i32 {
    receive::receive(Skb::<Layer3>::new(&context))
}

/// Lets everything leave, but for what is said in the name of our addresses by a host that is not master, or is fenced.
#[classifier]
fn ha_egress(context: TcContext) -> i32 {
    fence::egress(Skb::<Layer3>::new(&context))
}

/// Runs one `ha_common::layout::Command`; never attached, only run by `BPF_PROG_TEST_RUN`. Not of the XDP type, whose
/// test runs each change the kernel's dispatcher before 5.16.
#[classifier]
fn ha_command(context: TcContext) -> i32 {
    command::run(&context).cast_signed()
}

/// Never reached: the verifier refuses a program in which it could be.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The timer helpers and the ring buffer are open to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
