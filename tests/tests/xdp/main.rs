//! The programs in the real kernel, run by `BPF_PROG_TEST_RUN` at the XDP hook: needs root. `tc` and `tc_layer3` run
//! the same tests at the tc hooks.
//!
//! Such a run enters on the loopback device, so every virtual router here lives on interface 1.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

use harness::Hook;

mod budget;
mod claim;
mod code;
mod corpus;
mod counters;
mod fence;
mod follow;
mod gates;
mod harness;
mod hmac;
mod hmac_flood;
mod object;
mod observe;
mod peers;
mod plain_socket;
mod ring;
mod speed;
mod stack;
mod timer;
mod unicast;

/// Where the frames of these tests come in.
const HOOK: Hook = Hook::Xdp;
