//! Adverts that their key proves and their time does not: of a living router, while its clock or ours is wrong, or of a
//! recording.
//!
//! Nobody can tell which. Where signatures are enforced such an advert does not count, but it shows that taking over
//! now may make two masters, each refused by the other. So a host that has heard nobody yet, or whose master's time
//! has leapt ahead, waits a little longer, and says whose clock it is about. A recording can do that as well, and no
//! more: the wait has an end, and a new one takes an advert of the right time in between.

use bytemuck::{Pod, Zeroable};

use super::stamp::Stamp;
use crate::address::RawAddress;
use crate::timing::has_ended;

/// For how long at the most such adverts hold a take-over off: 60 s.
const HOLD_OFF: u64 = 60_000_000_000;

/// Those of one slot. All zeros: there was none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Untimely {
    /// How many came: of another time than our clock's, whether they counted or not.
    pub adverts: u64,
    /// When the first of those came that hold a take-over off at present, `CLOCK_MONOTONIC` nanoseconds; zero: none
    /// does.
    pub held_since: u64,
    /// When the last one came; zero: there was none.
    pub at: u64,
    /// The time that it says it is of, a [`Stamp`].
    pub stamp: u64,
    /// Who sent it.
    pub source: RawAddress,
}

impl Untimely {
    /// One came, and its digest is right.
    #[inline(always)]
    pub fn note(&mut self, source: RawAddress, stamp: Stamp, now: u64) {
        self.adverts += 1;
        self.at = now;
        self.stamp = stamp.0;
        self.source = source;
    }

    /// Whether a take-over may still be held off; the first time that it is counts.
    #[inline(always)]
    pub fn may_hold_off(&mut self, now: u64) -> bool {
        if self.held_since == 0 {
            self.held_since = now;
        }
        !has_ended(self.held_since, HOLD_OFF, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_take_over_is_held_off_for_so_long_and_no_longer() {
        let mut untimely = Untimely::default();
        for (now, may) in [
            (5, true),
            (6, true),
            (5 + HOLD_OFF, true),
            (6 + HOLD_OFF, false),
            (9 * HOLD_OFF, false),
        ] {
            assert_eq!(untimely.may_hold_off(now), may, "{now}");
        }
    }
}
