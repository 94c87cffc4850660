//! The coarse look behind the kernel's events: a lost one costs this much, never an outage.
//!
//! Reading a slot is a system call, and there may be thousands. Most rounds therefore read the ring, whose
//! wake-up may have been lost, and the slots of which something can be expected; a backup that the kernel
//! watches and that nothing was heard of since has its slot read in every thorough round only.

use ha_common::layout::Counter;
use ha_common::units::{Instant, Nanos};

use crate::datapath::kernel::Kernel;

/// Between two thorough rounds at the least.
const THOROUGH: Nanos = Nanos::from_millis(500);

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    pub(super) next: Option<Instant>,
    thorough_at: Instant,
    /// Events that the ring had no room for, when it was last asked.
    dropped: u64,
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
}
