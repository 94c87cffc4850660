//! The programs in the real kernel, run by `BPF_PROG_TEST_RUN` at each hook: needs root.
//!
//! Such a run enters on the loopback device, so every virtual router here lives on interface 1.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]
#![expect(
    clippy::duplicate_mod,
    reason = "the tests of every hook are compiled once for each, with its `HOOK`"
)]

mod tc;
mod tc_layer3;
mod xdp;

/// Where frames come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hook {
    /// Before the stack has seen them.
    Xdp,
    /// At the tc hooks of a device with Ethernet headers.
    Tc,
    /// At the tc hooks of a layer-3 device, which are handed no Ethernet header.
    TcLayer3,
}
