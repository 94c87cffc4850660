//! Who claims our addresses by ARP or neighbour discovery while we are master, and how often: what is shown of
//! it, and when it is worth a line in the log.
//!
//! MACs are easily forged: the list is short, and who finds no place in it is counted and not named.

use ha_common::election::Claim;
use ha_common::units::{Instant, Nanos};

/// How many claimants are known by their MACs.
const MAX_CLAIMANTS: usize = 16;

/// A claimant that has been quiet for this long is named in the log again, and its place is free.
const FORGOTTEN_AFTER: Nanos = Nanos::from_millis(3_600_000);

/// The span that the rate is about.
const MINUTE: Nanos = Nanos::from_millis(60_000);

/// A host that claims addresses of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claimant {
    /// What it claims, and where it says that is: the last time.
    pub claim: Claim,
    /// When it first did.
    pub since: Instant,
    /// When it last did.
    pub last: Instant,
    /// How often it has.
    pub count: u64,
}

/// All claims for one virtual router since the agent started.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    count: u64,
    unnamed: u64,
    claimants: Vec<Claimant>,
    rate: Rate,
}

impl Claims {
    /// Takes one in; true if its claimant is to be named in the log.
    pub fn hear(&mut self, claim: Claim, now: Instant) -> bool {
        self.count += 1;
        self.rate.count(now);
        let fresh = Claimant {
            claim,
            since: now,
            last: now,
            count: 1,
        };
        let known = self
            .claimants
            .iter()
            .position(|it| it.claim.mac == claim.mac);
        match known.and_then(|index| self.claimants.get_mut(index)) {
            Some(claimant) if claimant.is_forgotten(now) => *claimant = fresh,
            Some(claimant) => {
                *claimant = Claimant {
                    claim,
                    since: claimant.since,
                    last: now,
                    count: claimant.count + 1,
                };
                return false;
            }
            None => return self.admit(fresh, now),
        }
        true
    }

    fn admit(&mut self, fresh: Claimant, now: Instant) -> bool {
        if self.claimants.len() < MAX_CLAIMANTS {
            self.claimants.push(fresh);
            return true;
        }
        let forgotten = self.claimants.iter_mut().filter(|it| it.is_forgotten(now));
        if let Some(place) = forgotten.min_by_key(|it| it.last) {
            *place = fresh;
            return true;
        }
        self.unnamed += 1;
        false
    }

    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them by claimants for which there was no place.
    pub const fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// Who claimed, the last one first.
    pub fn claimants(&self) -> Vec<Claimant> {
        let mut all = self.claimants.clone();
        all.sort_by_key(|it| std::cmp::Reverse(it.last));
        all
    }

    /// Claims in the minute before this moment, about.
    pub fn per_minute(&self, now: Instant) -> u64 {
        self.rate.at(now)
    }
}

impl Claimant {
    fn is_forgotten(&self, now: Instant) -> bool {
        now.since(self.last) >= FORGOTTEN_AFTER
    }
}

/// Counts by minutes; of the one before, the share that is less than a minute ago is taken to be even.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    begin: Instant,
    counted: u64,
    before: u64,
}

impl Rate {
    fn count(&mut self, now: Instant) {
        *self = self.turned(now);
        self.counted += 1;
    }

    fn at(&self, now: Instant) -> u64 {
        let Self {
            begin,
            counted,
            before,
        } = self.turned(now);
        let left = MINUTE.0.saturating_sub(now.since(begin).0);
        counted + before.saturating_mul(left).div_ceil(MINUTE.0)
    }

    fn turned(self, now: Instant) -> Self {
        match now.since(self.begin).0 / MINUTE.0 {
            0 => self,
            1 => Self {
                begin: self.begin + MINUTE,
                counted: 0,
                before: self.counted,
            },
            _ => Self {
                begin: now,
                counted: 0,
                before: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    const START: Instant = Instant(1_000_000_000_000);

    fn at(seconds: u64) -> Instant {
        START + Nanos::from_millis(seconds * 1000)
    }

    fn claim(host: u8, address: u8) -> Claim {
        Claim {
            address: IpAddr::from([10, 99, 0, address]),
            mac: [2, 0, 0, 0, 0, host],
        }
    }

    #[test]
    fn a_claimant_is_named_once_and_again_after_it_was_quiet_for_an_hour() {
        let mut claims = Claims::default();
        let named: Vec<u64> = [0, 1, 3000, 6599, 10_199, 10_200]
            .into_iter()
            .filter(|seconds| claims.hear(claim(9, 100), at(*seconds)))
            .collect();
        assert_eq!(named, [0, 10_199]);
        assert_eq!(claims.count(), 6);
        let [of_it] = claims.claimants()[..] else {
            panic!("{claims:?}");
        };
        assert_eq!(
            (of_it.since, of_it.last, of_it.count),
            (at(10_199), at(10_200), 2)
        );
    }

    #[test]
    fn the_last_claimant_comes_first_with_the_address_that_it_claimed_last() {
        let mut claims = Claims::default();
        assert!(claims.hear(claim(9, 100), at(0)));
        assert!(claims.hear(claim(8, 100), at(1)));
        assert!(!claims.hear(claim(9, 101), at(2)));
        let found: Vec<_> = claims
            .claimants()
            .iter()
            .map(|it| (it.claim, it.count))
            .collect();
        assert_eq!(found, [(claim(9, 101), 2), (claim(8, 100), 1)]);
    }

    #[test]
    fn forged_macs_are_counted_and_neither_named_nor_kept() {
        let mut claims = Claims::default();
        let named = (0..=u8::MAX).filter(|host| claims.hear(claim(*host, 100), at(0)));
        assert_eq!(named.count(), MAX_CLAIMANTS);
        assert_eq!(claims.claimants().len(), MAX_CLAIMANTS);
        assert_eq!((claims.count(), claims.unnamed()), (256, 240));
        // A place is free once its holder is forgotten, and the others stay.
        assert!(!claims.hear(claim(0, 100), at(1)));
        assert!(claims.hear(claim(200, 100), at(3600)));
        assert!(!claims.hear(claim(0, 100), at(3600)));
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let mut claims = Claims::default();
        for second in 0..60 {
            claims.hear(claim(9, 100), at(second));
        }
        assert_eq!(claims.per_minute(at(59)), 60);
        assert_eq!(claims.per_minute(at(90)), 30);
        assert_eq!(claims.per_minute(at(180)), 0);
        assert_eq!(claims.count(), 60);
    }

    proptest! {
        #[test]
        fn at_a_steady_rate_it_is_found(gap in 1..30u64, after in 120..1000u64) {
            let mut claims = Claims::default();
            for second in (0..=after).filter(|it| it % gap == 0) {
                claims.hear(claim(9, 100), at(second));
            }
            let found = claims.per_minute(at(after));
            prop_assert!(found.abs_diff(60 / gap) <= 2, "{} of {}", found, 60 / gap);
        }
    }
}
