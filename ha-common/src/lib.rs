//! What the BPF programs and the agent share: wire formats, map layouts, and the election.
//!
//! Nothing here reads a clock, does I/O or allocates; `no_std` makes the compiler enforce it.
//! So the same code runs in the BPF programs, in the agent, in the simulation and under the fuzzer.
#![no_std]
#![warn(missing_docs)]
#![expect(
    clippy::inline_always,
    reason = "in a BPF program a call costs verifier states, and some have too many arguments for BPF"
)]

#[cfg(test)]
extern crate std;

pub mod accept;
pub mod address;
pub mod election;
pub mod fence;
pub mod group;
pub mod hmac;
pub mod hold_off;
pub mod lateness;
pub mod layout;
pub mod master_tracking;
pub mod peer;
pub mod reject;
pub mod retry;
pub mod slot;
pub mod stand_still;
pub mod timing;
pub mod units;
pub mod wire;
