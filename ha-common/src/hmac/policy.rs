//! Which adverts a slot wants signed, and which it takes without.

use bytemuck::{Pod, Zeroable};

use super::replay::{ReplayState, ReplayWindow};
use super::stamp::Stamp;
use crate::reject::Reject;

/// What a slot asks of an advert's trailer: values of [`HmacPolicy::mode`].
///
/// The order is that of a roll-out: each router in turn can be taken one step on, and at no moment does one
/// refuse another that is a step behind.
pub mod mode {
    /// No key is configured: a trailer is padding to us.
    pub const OFF: u8 = 0;
    /// Send none; verify one that is there, and take adverts without.
    pub const RECEIVE_ONLY: u8 = 1;
    /// Send one; verify one that is there, and take adverts without.
    pub const PERMISSIVE: u8 = 2;
    /// Send one, and refuse adverts without.
    pub const ENFORCE: u8 = 3;
}

/// The part of a slot that decides about trailers. All zeros: none is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct HmacPolicy {
    /// By what the time of a trailer is judged.
    pub freshness: ReplayWindow,
    /// One of [`mode`].
    pub mode: u8,
    /// Zero.
    pub pad: [u8; 7],
}

/// What the time of an advert means, before its digest is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timing {
    /// It is of now.
    Right,
    /// It is not, and counts all the same if its digest is right: one without any would.
    Tolerated,
    /// It is not, and does not count, as [`Reject::HmacStale`]. If its digest is right, its sender may live while its
    /// clock, or ours, is wrong ([`super::untimely`]).
    Doubted,
}

impl HmacPolicy {
    /// Judges the time of an advert that came at `now`; `mark` is what its sender has left.
    ///
    /// [`Reject::HmacReplay`]: where signatures are enforced, it is no better than a recording, and costs no digest.
    #[inline(always)]
    pub fn judge_time(
        &self,
        stamp: Stamp,
        mark: Option<ReplayState>,
        now: u64,
    ) -> Result<Timing, Reject> {
        match self.freshness.judge(stamp, mark, now) {
            Ok(()) => Ok(Timing::Right),
            Err(_) if self.takes_bare() => Ok(Timing::Tolerated),
            Err(Reject::HmacStale) => Ok(Timing::Doubted),
            Err(reject) => Err(reject),
        }
    }

    /// Whether trailers are looked at.
    #[inline(always)]
    pub const fn is_on(&self) -> bool {
        self.mode != mode::OFF
    }

    /// Whether an advert without a trailer counts.
    #[inline(always)]
    pub const fn takes_bare(&self) -> bool {
        self.mode != mode::ENFORCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1 << 32;
    const NOW: u64 = 100_000_000_000;

    /// Its clock shows 1,000 s at [`NOW`]; it lets a time be off by 5 s.
    fn policy(mode: u8) -> HmacPolicy {
        HmacPolicy {
            freshness: ReplayWindow {
                window: 5 * SECOND,
                utc_at_zero: 900 * SECOND,
            },
            mode,
            ..HmacPolicy::default()
        }
    }

    #[test]
    fn a_wrong_time_refuses_a_living_router_only_where_signatures_are_enforced() {
        let mark = |seconds| {
            Some(ReplayState {
                stamp: seconds * SECOND,
                at: NOW,
                mac: 0,
            })
        };
        for (seconds, mark, enforced) in [
            (1000, None, Ok(Timing::Right)),
            (1006, None, Ok(Timing::Doubted)),
            (994, None, Ok(Timing::Doubted)),
            (1000, mark(999), Ok(Timing::Right)),
            (1006, mark(999), Ok(Timing::Doubted)),
            (999, mark(999), Err(Reject::HmacReplay)),
            (400, mark(999), Err(Reject::HmacReplay)),
        ] {
            let judge = |mode| policy(mode).judge_time(Stamp(seconds * SECOND), mark, NOW);
            assert_eq!(judge(mode::ENFORCE), enforced, "{seconds}");
            for mode in [mode::RECEIVE_ONLY, mode::PERMISSIVE] {
                let right = enforced == Ok(Timing::Right);
                let timing = if right {
                    Timing::Right
                } else {
                    Timing::Tolerated
                };
                assert_eq!(judge(mode), Ok(timing), "{seconds}");
            }
        }
    }
}
