//! How a peer's statistics move, for the datapath that counts in the agent's memory.

use crate::layout::{GAP_BUCKETS, PeerStats};
use crate::reject::Reject;
use crate::wire::vrrp::Advert;

/// Counts a valid advert.
pub fn note_advert(stats: &mut PeerStats, advert: &Advert, version: u8, now: u64) {
    stats.adverts += 1;
    stats.bytes += u64::from(advert.length);
    stats.releases += u64::from(advert.priority.is_release());
    note_gap(stats, now);
    stats.last_seen = now;
    stats.last_advert = now;
    stats.priority = advert.priority.0;
    stats.version = version;
    stats.checksum = advert.flavour as u8;
    stats.count = advert.count;
    stats.interval = advert.interval.0;
}

/// Counts a rejected one.
pub fn note_reject(stats: &mut PeerStats, reject: Reject, now: u64) {
    stats.last_seen = now;
    if let Some(counter) = stats.rejects.get_mut(reject as usize) {
        *counter += 1;
    }
}

/// The bucket of a gap in nanoseconds: n for less than `2^n` milliseconds, the last for all others.
fn gap_bucket(gap: u64) -> usize {
    let millis = gap / 1_000_000;
    let bits = (u64::BITS - millis.leading_zeros()) as usize;
    bits.min(GAP_BUCKETS - 1)
}

fn note_gap(stats: &mut PeerStats, now: u64) {
    if stats.last_advert == 0 || now < stats.last_advert {
        return;
    }
    let gap = now - stats.last_advert;
    if stats.gap_min == 0 || gap < stats.gap_min {
        stats.gap_min = gap;
    }
    stats.gap_max = stats.gap_max.max(gap);
    if let Some(bucket) = stats.gaps.get_mut(gap_bucket(gap)) {
        *bucket += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two_milliseconds() {
        assert_eq!(gap_bucket(999_999), 0);
        assert_eq!(gap_bucket(1_000_000), 1);
        assert_eq!(gap_bucket(10_000_000), 4);
        assert_eq!(gap_bucket(1_000_000_000), 10);
        assert_eq!(gap_bucket(u64::MAX), GAP_BUCKETS - 1);
    }
}
