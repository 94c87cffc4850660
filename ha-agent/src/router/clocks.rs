//! Clocks of other routers that are not ours: seen by what they sign.

use ha_common::address::known_ip;
use ha_common::hmac::{Stamp, mode};
use ha_common::layout::Slot;
use ha_common::units::Instant;

use super::effect::Effects;
use super::notice::{Notice, Subject};
use super::{Router, words};

impl Router {
    /// Says whose adverts are of another time than this host's clock shows: of each sender once.
    pub(super) fn report_clock(&mut self, slot: &Slot, fx: &mut Effects) {
        let Some(ahead) = ahead_of_ours(slot) else {
            return;
        };
        let Some(source) = known_ip(self.config.family, slot.untimely.source) else {
            return;
        };
        let enforced = slot.gate.mode == mode::ENFORCE;
        let text = words::of_clock(source, ahead, enforced);
        let seen = Instant(slot.untimely.at);
        if self.notices.see(Subject::Clock(source), text.clone(), seen) {
            self.changed = true;
            fx.say(Notice::Warning(text));
        }
    }
}

/// By how much the last advert of a wrong time is ahead of our clock, in units of stamps; negative: behind. `None` if
/// there was none, or it is within the window and was refused for something else.
fn ahead_of_ours(slot: &Slot) -> Option<i64> {
    let (last, window) = (slot.untimely, slot.gate.freshness);
    let stamp = Stamp(last.stamp);
    let is_told = last.at != 0 && !window.is_ours(stamp, last.at);
    is_told.then(|| stamp.ahead_of(window.utc(last.at)))
}

#[cfg(test)]
mod tests {
    use ha_common::hmac::replay::ReplayWindow;
    use ha_common::hmac::{HmacPolicy, Untimely};

    use super::*;

    const SECOND: u64 = 1 << 32;

    /// The last advert was of this second of UTC, when our clock showed 1,000.
    fn slot(stamp: u64, window: u64) -> Slot {
        Slot {
            gate: HmacPolicy {
                freshness: ReplayWindow {
                    window: window * SECOND,
                    utc_at_zero: 990 * SECOND,
                },
                ..HmacPolicy::default()
            },
            untimely: Untimely {
                at: 10_000_000_000,
                stamp: stamp * SECOND,
                ..Untimely::default()
            },
            ..Slot::default()
        }
    }

    #[test]
    fn a_clock_is_told_of_if_it_is_out_of_the_window() {
        for (stamp, window, ahead) in [
            (1061, 5, Some(61)),
            (939, 5, Some(-61)),
            // It was refused for being an old one.
            (1003, 5, None),
            // Without a window nobody asks.
            (939, 0, None),
        ] {
            let found = ahead_of_ours(&slot(stamp, window));
            assert_eq!(found, ahead.map(|it: i64| it << 32), "{stamp} {window}");
        }
        assert_eq!(ahead_of_ours(&Slot::default()), None);
    }
}
