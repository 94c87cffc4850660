//! Many measured values in a few.

use ha_common::units::Instant;
use serde::Serialize;

/// What a set of samples comes to. Ranks are nearest ranks: every value here was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) count: usize,
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Summary {
    /// `None` of nothing.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        Some(Self {
            count: sorted.len(),
            min: sorted.first().copied()?,
            median: rank(50)?,
            p90: rank(90)?,
            p99: rank(99)?,
            max: sorted.last().copied()?,
        })
    }
}

/// Milliseconds from one to the other; negative if it came before.
#[expect(
    clippy::cast_precision_loss,
    reason = "spans of seconds are exact in a double"
)]
pub(super) fn millis_past(deadline: Instant, at: Instant) -> f64 {
    if at >= deadline {
        at.since(deadline).0 as f64 / 1e6
    } else {
        -(deadline.since(at).0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_nearest_ranks_of_what_was_measured() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let summary = Summary::of(&samples).unwrap();
        let expected = Summary {
            count: 100,
            min: 1.0,
            median: 50.0,
            p90: 90.0,
            p99: 99.0,
            max: 100.0,
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn one_sample_is_every_rank_and_none_is_nothing() {
        let one = Summary::of(&[7.0]).unwrap();
        assert_eq!(
            (one.min, one.median, one.p99, one.max),
            (7.0, 7.0, 7.0, 7.0)
        );
        assert_eq!(Summary::of(&[]), None);
    }
}
