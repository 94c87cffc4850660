//! The coarse look behind the kernel's events: a lost one costs this much, never an outage.
//!
//! Reading a slot is a system call, and there may be thousands. Most rounds therefore read the ring, whose
//! wake-up may have been lost, and the slots of which something can be expected; a backup that the kernel
//! watches and that nothing was heard of since has its slot read in every thorough round only.

use ha_common::hmac::Stamp;
use ha_common::layout::Counter;
use ha_common::units::{Instant, Nanos};

use super::instance::Instance;
use super::turn::count;
use super::{Driver, clock, edges};
use crate::datapath::kernel::Kernel;

/// Bounds of the time between two rounds.
const MIN: Nanos = Nanos::from_millis(100);
const MAX: Nanos = Nanos::from_millis(1000);
/// Between two thorough rounds at the least.
const THOROUGH: Nanos = Nanos::from_millis(500);

/// By how much the wall clock must have moved against the other one to have been set: half a second.
const CLOCK_SET: u64 = Stamp::span(500_000_000);

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    next: Option<Instant>,
    thorough_at: Instant,
    /// Events that the ring had no room for, when it was last asked.
    dropped: u64,
}

impl Watchdog {
    /// When the driver must turn for it at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|at| at <= now)
    }

    /// Whether this round reads every slot: its time has come, or events were dropped.
    fn is_thorough(&mut self, kernel: Option<&Kernel>, now: Instant) -> bool {
        let dropped = kernel.map_or(0, |it| it.reader().counter(Counter::EventsDropped));
        let lost = std::mem::replace(&mut self.dropped, dropped) != dropped;
        let thorough = lost || self.thorough_at <= now;
        if thorough {
            self.thorough_at = now + THOROUGH;
        }
        thorough
    }
}

impl Driver {
    /// Looks if it is time to, and sets the time of the next look; true if something changed.
    pub(super) fn watch(&mut self, now: Instant) -> bool {
        let mut touched = false;
        if self.watchdog.is_due(now) {
            touched = self.look_round(now);
            self.watchdog.next = None;
        }
        if self.watchdog.next.is_none() {
            self.watchdog.next = self.watchdog_span().map(|span| now + span);
        }
        touched
    }

    fn look_round(&mut self, now: Instant) -> bool {
        count(&self.board.wakeups.watchdog);
        self.follow_the_wall_clock(now);
        let mut touched = self.drain_ring(now);
        let thorough = self.watchdog.is_thorough(self.kernel.as_ref(), now);
        for instance in &mut self.instances {
            if thorough || instance.router().is_restless(now) {
                touched |= instance.look(&mut edges!(self), now);
            }
        }
        touched
    }

    /// The gates of signed adverts reckon by the monotonic clock, and are told when the other one was set.
    fn follow_the_wall_clock(&mut self, now: Instant) {
        let has_gate = |instance: &&mut Instance| instance.config().hmac.is_some();
        let mut gated = self.instances.iter_mut().filter(has_gate).peekable();
        if gated.peek().is_none() {
            return;
        }
        let utc = clock::utc_at_zero();
        if utc.ahead_of(self.utc_at_zero).unsigned_abs() < CLOCK_SET {
            return;
        }
        self.utc_at_zero = utc;
        for instance in gated {
            instance.reset_gate(&mut edges!(self), now);
        }
    }

    fn watchdog_span(&self) -> Option<Nanos> {
        let shortest = self
            .instances
            .iter()
            .filter(|instance| instance.port.is_some())
            .map(|instance| instance.rules().initial_down())
            .min()?;
        Some(shortest.clamp(MIN, MAX))
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
