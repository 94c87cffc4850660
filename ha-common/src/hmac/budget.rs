//! What wrong digests may cost a slot: forged signatures must not hold up the queue that carries real adverts.
//!
//! A digest is the dearest part of an advert's judgement. Wrong ones are counted by their cost in windows of time, by
//! the Ethernet address they come from: one station that floods spends what its own lane has, and seven of eight
//! others still get in. Whose lane is spent is judged no more until the window renews, unless the sender's last
//! proven advert came from that very address. The limit is high, since below it a flood harms nobody, and above it a
//! sender that has proved nothing yet is not heard.

use bytemuck::{Pod, Zeroable};

use crate::timing::has_ended;

/// Lanes that Ethernet addresses are spread over.
pub const LANES: usize = 8;
/// What a lane may spend in a window, in [`cost`]s: all together a tenth of a CPU at about 1 us each.
pub const LIMIT: u64 = 1250;
/// The window: 100 ms.
pub const WINDOW: u64 = 100_000_000;

/// What has been spent in the running window.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Budget {
    /// When the window began, `CLOCK_MONOTONIC` nanoseconds.
    pub start: u64,
    /// [`cost`]s of wrong digests by [`lane`].
    pub spent: [u64; LANES],
}

impl Budget {
    /// Whether an advert from this address is refused unjudged; `known` is that of its sender's last proven one.
    /// `mac` is a number in the lower 48 bits, zero where
    /// frames have none: there whoever claims the address of a sender that has proved itself is judged.
    #[inline(always)]
    pub fn refuses(&self, mac: u64, known: Option<u64>, now: u64) -> bool {
        !self.is_over(now) && self.spent[lane(mac)] >= LIMIT && known != Some(mac)
    }

    /// Whether the window has ended.
    #[inline(always)]
    pub const fn is_over(&self, now: u64) -> bool {
        has_ended(self.start, WINDOW, now)
    }

    /// Counts the wrong digest of a message of so many bytes.
    pub fn note(&mut self, mac: u64, length: u16, now: u64) {
        if self.is_over(now) {
            *self = Self {
                start: now,
                ..Self::default()
            };
        }
        self.spent[lane(mac)] += cost(length);
    }
}

/// What the digest of a message costs: a little less than a microsecond for each of SHA-256's blocks, of which HMAC
/// makes one more.
#[inline(always)]
pub const fn cost(length: u16) -> u64 {
    2 + length as u64 / 64
}

/// The lane of an address, below [`LANES`]: the upper bits of a product (Fibonacci hashing).
#[inline(always)]
pub const fn lane(mac: u64) -> usize {
    const { assert!(LANES == 1 << 3) };
    (mac.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 3)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 5_000_000_000;
    const MASTER: u64 = 0x5254_00aa_0001;
    const FORGER: u64 = 0x5254_00aa_0002;
    /// One address and a trailer.
    const LENGTH: u16 = 40;

    fn spent(by: u64) -> Budget {
        let mut budget = Budget::default();
        for _ in 0..LIMIT / cost(LENGTH) {
            assert!(!budget.refuses(by, None, NOW));
            budget.note(by, LENGTH, NOW);
        }
        budget
    }

    #[test]
    fn who_has_spent_it_is_refused_until_the_window_renews() {
        assert_ne!(lane(MASTER), lane(FORGER));
        let mut budget = spent(FORGER);
        for (mac, known, later, refused) in [
            (FORGER, None, 0, true),
            (FORGER, None, WINDOW, true),
            (FORGER, None, WINDOW + 1, false),
            // The master's source address does not help, its own Ethernet address does.
            (FORGER, Some(MASTER), 0, true),
            (FORGER, Some(FORGER), 0, false),
            // A sender that was never heard, in another lane.
            (MASTER, None, 0, false),
        ] {
            assert_eq!(
                budget.refuses(mac, known, NOW + later),
                refused,
                "{mac:x} {known:?} {later}"
            );
        }
        budget.note(FORGER, LENGTH, NOW + WINDOW + 1);
        assert_eq!(budget.spent.iter().sum::<u64>(), 2, "it begins anew");
    }

    #[test]
    fn a_long_message_costs_what_its_blocks_do() {
        assert_eq!([cost(36), cost(40), cost(100), cost(1480)], [2, 2, 3, 25]);
        let mut budget = Budget::default();
        for _ in 0..LIMIT / 25 {
            budget.note(FORGER, 1480, NOW);
        }
        assert!(budget.refuses(FORGER, None, NOW));
    }

    #[test]
    fn without_addresses_a_known_sender_is_judged_and_a_stranger_waits() {
        let budget = spent(0);
        assert!(!budget.refuses(0, Some(0), NOW));
        assert!(budget.refuses(0, None, NOW));
    }

    proptest::proptest! {
        #[test]
        fn no_flood_keeps_a_known_sender_out(
            forged in proptest::collection::vec((0..1_u64 << 48, 0..WINDOW), 0..3000),
            mac in 0..1_u64 << 48,
        ) {
            let mut budget = Budget::default();
            for (from, after) in forged {
                budget.note(from, 1480, NOW + after);
                proptest::prop_assert!(!budget.refuses(mac, Some(mac), NOW + after));
            }
        }

        #[test]
        fn addresses_find_a_lane(mac: u64) {
            proptest::prop_assert!(lane(mac) < LANES);
        }
    }
}
