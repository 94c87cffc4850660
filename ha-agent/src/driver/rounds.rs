//! The driver's rounds: the ring and the slots are looked at now and then, whether or not the kernel has woken it.

use ha_common::hmac::Stamp;
use ha_common::hmac::stamp::InSeconds;
use ha_common::units::{Instant, Nanos};

use super::instance::Instance;
use super::published::count;
use super::thread::Driver;
use crate::os::clock;
use crate::router::Event;
use crate::router::notice::Notice;

/// Bounds of the time between two rounds.
const MIN: Nanos = Nanos::from_millis(100);
const MAX: Nanos = Nanos::from_millis(1000);
/// By how much the wall clock must have moved against the other one to have been set: half a second.
const CLOCK_SET: u64 = Stamp::span(500_000_000);

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
        count(&self.published.wakeups.watchdog);
        self.follow_the_wall_clock(now);
        let mut touched = self.drain_ring(now);
        let thorough = self.watchdog.is_thorough(self.system.kernel.as_ref(), now);
        for instance in &mut self.instances {
            if thorough {
                instance.remember_said(&mut self.system);
            }
            if thorough || instance.router().is_restless(now) {
                touched |= instance.look(&mut self.system, now);
            }
        }
        if thorough {
            touched |= self.audit(now);
        }
        touched
    }

    /// Compares some of the virtual routers with what stands in the kernel's maps, which is this agent's alone to write.
    fn audit(&mut self, now: Instant) -> bool {
        let portion = self.watchdog.portion(self.instances.len());
        let mut touched = false;
        for index in portion.routers {
            if let Some(instance) = self.instances.get_mut(index) {
                touched |= instance.audit(portion.turn, &mut self.system, now);
            }
        }
        if let Some(kernel) = self.system.kernel.as_mut().filter(|_| portion.is_last) {
            let told = match kernel.remove_strangers() {
                Ok(0) => return touched,
                Ok(count) => Notice::Warning(format!(
                    "removed {count} unicast peers, keys or addresses that something else has written"
                )),
                Err(error) => Notice::Failed(error.to_string()),
            };
            self.system.reporter.say_of("BPF maps", told);
        }
        touched
    }

    /// The machine may have stood still: what masters hear next is of those who took over, and the gates judge it by the
    /// wall clock as it is now. True if it was so.
    pub(super) fn look_at_clocks(&mut self, now: Instant) -> bool {
        let Some(span) = self.system.sender.take_stand_still(now) else {
            return false;
        };
        self.follow_the_wall_clock(now);
        for instance in &mut self.instances {
            instance.tell(Event::StoodStill(span), &mut self.system, now);
        }
        true
    }

    /// The gates of signed adverts reckon by the monotonic clock, and are told when the other one was set.
    fn follow_the_wall_clock(&mut self, now: Instant) {
        let has_gate = |instance: &&mut Instance| instance.config().hmac.is_some();
        let mut gated = self.instances.iter_mut().filter(has_gate).peekable();
        if gated.peek().is_none() {
            return;
        }
        let utc = clock::utc_at_zero();
        let moved = utc.ahead_of(self.utc_at_zero);
        if moved.unsigned_abs() < CLOCK_SET {
            return;
        }
        let told = Notice::Warning(in_words(moved));
        self.system.reporter.say_of("signed adverts", told);
        self.utc_at_zero = utc;
        for instance in gated {
            instance.reset_gate(&mut self.system, now);
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

/// That the wall clock was set, by so many units of stamps.
fn in_words(moved: i64) -> String {
    format!(
        "the clock of this host was set {} by {}: the time in its signed adverts follows slowly, since those who receive them would reject a jump",
        if moved < 0 { "back" } else { "forward" },
        InSeconds(moved.unsigned_abs()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_with_its_way() {
        let second = 1_i64 << 32;
        assert!(in_words(-2 * second).contains("set back by 2.0 s:"));
        assert!(in_words(3600 * second).contains("set forward by 3600.0 s:"));
    }
}
