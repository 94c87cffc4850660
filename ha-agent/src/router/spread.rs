//! Spreading over time what many virtual routers of a host do by the same rule.

use ha_common::units::Nanos;

/// Where an instance stands among others, so that what all of them do now and then comes at different times.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spread(u16);

impl Spread {
    /// Of the instance with this number: the golden ratio's multiples fill the range evenly, however many
    /// there are.
    pub const fn of(number: usize) -> Self {
        let [low, high, ..] = number.to_le_bytes();
        Self(u16::from_le_bytes([low, high]).wrapping_mul(40_503))
    }

    /// Its part of a span: from nothing to the whole.
    pub fn share(self, span: Nanos) -> Nanos {
        // At most a nanosecond for each step is lost of it.
        Nanos(span.0 / u64::from(u16::MAX) * u64::from(self.0))
    }
}
