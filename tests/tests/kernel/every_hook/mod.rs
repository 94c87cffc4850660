//! What holds at every hook: each hook's module includes this one and names its `HOOK`.

mod budget;
mod claim;
mod corpus;
mod counters;
mod fence;
mod follow;
mod gates;
pub(crate) mod harness;
mod hmac;
mod hmac_flood;
mod observe;
mod peers;
mod ring;
mod speed;
mod timer;
mod unicast;

use super::HOOK;
use crate::Hook;
