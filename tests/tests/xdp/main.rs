//! The XDP programs in the real kernel, run by `BPF_PROG_TEST_RUN`: needs root.
//!
//! Such a run enters on the loopback device, so every virtual router here lives on interface 1.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod corpus;
mod counters;
mod fence;
mod follow;
mod harness;
mod hmac;
mod object;
mod observe;
mod peers;
mod plain_socket;
mod ring;
mod speed;
mod timer;
mod unicast;
