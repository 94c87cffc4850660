//! The kernel half of ha-agent: one XDP program that hears VRRP, and one that takes commands.
//!
//! What is decided about an advert stands in `ha_common`, shared with userspace; here it meets
//! packets, maps and timers. One table says what the receive program returns:
//!
//! | frame | verdict |
//! | --- | --- |
//! | not VRRP, VRRP in a VLAN, a VRID that is not ours | `XDP_PASS` |
//! | an advert for our VRID that was sent to another group or host | `XDP_PASS` |
//! | any other advert for our VRID, valid or not | `XDP_PASS`, or `XDP_DROP` where the slot consumes |
//! | anything for our address while the fence is up | `XDP_DROP` |
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
    reason = "the macro of an XDP program hands its context over by value"
)]

mod command;
mod count;
mod digest;
mod events;
mod fence;
mod gate;
mod maps;
mod packet;
mod peers;
mod receive;
mod timer;

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

/// Hears every frame of an interface.
#[xdp]
fn ha_vrrp(context: XdpContext) -> u32 {
    receive::receive(&context)
}

/// Runs one `ha_common::layout::Command`; never attached, only run by `BPF_PROG_TEST_RUN`.
#[xdp]
fn ha_command(context: XdpContext) -> u32 {
    command::run(&context)
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
