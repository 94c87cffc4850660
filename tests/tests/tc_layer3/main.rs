//! The tests of `xdp` at the tc hooks of a layer-3 device, which are handed no Ethernet header: needs root.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

use harness::Hook;

#[path = "../xdp/budget.rs"]
mod budget;
#[path = "../xdp/claim.rs"]
mod claim;
#[path = "../xdp/corpus.rs"]
mod corpus;
#[path = "../xdp/counters.rs"]
mod counters;
#[path = "../xdp/fence.rs"]
mod fence;
#[path = "../xdp/follow.rs"]
mod follow;
#[path = "../xdp/gates.rs"]
mod gates;
#[path = "../xdp/harness.rs"]
mod harness;
#[path = "../xdp/hmac.rs"]
mod hmac;
#[path = "../xdp/hmac_flood.rs"]
mod hmac_flood;
#[path = "../xdp/observe.rs"]
mod observe;
#[path = "../xdp/peers.rs"]
mod peers;
#[path = "../xdp/ring.rs"]
mod ring;
#[path = "../xdp/speed.rs"]
mod speed;
#[path = "../xdp/timer.rs"]
mod timer;
#[path = "../xdp/unicast.rs"]
mod unicast;

/// Where the frames of these tests come in.
const HOOK: Hook = Hook::TcLayer3;
