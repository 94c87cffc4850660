//! A machine that stood still, seen by the clocks that went on.
//!
//! `CLOCK_MONOTONIC`, by which everything here reckons, stands still while a machine is suspended or a virtual one is
//! paused: its deadlines are where they were, and it knows of nothing. `CLOCK_BOOTTIME` counts a suspend, and after a
//! pause the hypervisor's helper, or the time protocol, sets the wall clock forward.

use crate::units::Nanos;

/// Clocks jump by less than this when they are read a little apart.
const LEAST: u64 = 10_000_000;

/// For how long a master that may have stood still says nothing and listens: whoever took over is heard once in an
/// interval, and a little late at times. A backup waits for three.
pub fn listening(interval: Nanos) -> Nanos {
    Nanos(interval.0 + interval.0 / 4)
}

/// By how many nanoseconds other clocks are ahead of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lead {
    /// `CLOCK_BOOTTIME`.
    pub boot: u64,
    /// `CLOCK_REALTIME`.
    pub wall: u64,
}

/// Looks at the clocks from time to time.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch(Option<Lead>);

impl ClockWatch {
    /// For how long the machine may have stood still since the last look. A clock that somebody has set forward looks
    /// the same.
    pub fn look(&mut self, lead: Lead) -> Option<Nanos> {
        let before = self.0.replace(lead)?;
        let slept = lead.boot.saturating_sub(before.boot);
        let set = lead.wall.saturating_sub(before.wall);
        let most = slept.max(set);
        (most >= LEAST).then_some(Nanos(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_clock_that_goes_on_alone_shows_a_stand_still() {
        for (boot, wall, found) in [
            (0, 0, None),
            (60_000, 0, Some(60_000)),
            (0, 60_000, Some(60_000)),
            (60_000, 61_000, Some(61_000)),
            (9, 9, None),
            // Set back.
            (0, -3_600_000, None),
        ] {
            let mut watch = ClockWatch::default();
            let first = Lead {
                boot: 5 * MS,
                wall: 1_800_000_000_000 * MS,
            };
            assert_eq!(watch.look(first), None, "nothing to compare with");
            let next = Lead {
                boot: first.boot.wrapping_add_signed(boot * 1_000_000),
                wall: first.wall.wrapping_add_signed(wall * 1_000_000),
            };
            let found = found.map(Nanos::from_millis);
            assert_eq!(watch.look(next), found, "{boot} {wall}");
            assert_eq!(watch.look(next), None, "told once");
        }
    }
}
