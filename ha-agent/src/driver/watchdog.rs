//! The coarse look behind the kernel's events: a lost one costs this much, never an outage.
//!
//! Reading a slot is a system call, and there may be thousands. Most rounds therefore read the ring, whose
//! wake-up may have been lost, and the slots of which something can be expected; a backup that the kernel
//! watches and that nothing was heard of since has its slot read in every thorough round only.

use std::ops::Range;

use ha_common::layout::Counter;
use ha_common::units::{Instant, Nanos};

use crate::datapath::kernel::Kernel;

/// Between two thorough rounds at the least.
const THOROUGH: Nanos = Nanos::from_millis(500);

/// In so many thorough rounds all virtual routers are compared with the kernel's maps: in 10 s. Each entry is a system call.
const AUDIT_ROUNDS: usize = 20;

/// Which virtual routers are compared with the kernel's maps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Portion {
    /// By their place.
    pub(super) routers: Range<usize>,
    /// How often all of them have been.
    pub(super) turn: usize,
    /// All of them have been once more.
    pub(super) is_last: bool,
}

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    pub(super) next: Option<Instant>,
    thorough_at: Instant,
    /// Events that the ring had no room for, when it was last asked.
    dropped: u64,
    /// Thorough rounds that have compared something.
    audits: usize,
}

impl Watchdog {
    /// When the driver must turn for it at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|at| at <= now)
    }

    /// Whether this round reads every slot: its time has come, or events were dropped.
    pub(super) fn is_thorough(&mut self, kernel: Option<&Kernel>, now: Instant) -> bool {
        let dropped = kernel.map_or(0, |it| it.reader().counter(Counter::EventsDropped));
        let lost = std::mem::replace(&mut self.dropped, dropped) != dropped;
        let thorough = lost || self.thorough_at <= now;
        if thorough {
            self.thorough_at = now + THOROUGH;
        }
        thorough
    }

    /// The portion of so many virtual routers that this thorough round compares with the maps.
    pub(super) fn portion(&mut self, routers: usize) -> Portion {
        let (turn, round) = (self.audits / AUDIT_ROUNDS, self.audits % AUDIT_ROUNDS);
        self.audits += 1;
        let size = routers.div_ceil(AUDIT_ROUNDS);
        let first = (round * size).min(routers);
        Portion {
            routers: first..(first + size).min(routers),
            turn,
            is_last: round + 1 == AUDIT_ROUNDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_read_in_a_thorough_round_only() {
        let mut watchdog = Watchdog::default();
        let start = Instant(1_000_000_000);
        let rounds = [0, 100, 200, 300, 400, 500, 600, 999, 1000];
        let thorough: Vec<u64> = rounds
            .into_iter()
            .filter(|at| watchdog.is_thorough(None, start + Nanos::from_millis(*at)))
            .collect();
        assert_eq!(thorough, [0, 500, 1000]);
    }

    #[test]
    fn each_router_is_compared_once_in_as_many_rounds_however_many_there_are() {
        for routers in [0, 1, 19, 20, 21, 255, 1000] {
            let mut watchdog = Watchdog::default();
            for turn in 0..2 {
                let portions: Vec<_> = (0..AUDIT_ROUNDS)
                    .map(|_| watchdog.portion(routers))
                    .collect();
                let compared: Vec<usize> =
                    portions.iter().flat_map(|it| it.routers.clone()).collect();
                assert!(compared.into_iter().eq(0..routers), "{routers}");
                let most = portions.iter().map(|it| it.routers.len()).max();
                assert!(most <= Some(routers / AUDIT_ROUNDS + 1));
                assert!(portions.iter().all(|it| it.turn == turn));
                assert_eq!(portions.iter().filter(|it| it.is_last).count(), 1);
            }
        }
    }
}
