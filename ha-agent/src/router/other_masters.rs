//! Masters beside the one that there should be, as long as they are heard.
//!
//! A single advert proves nothing: one that was on its way, or the last word of a master that has just yielded. Who is
//! heard again most of an interval later is a second master.

use std::net::IpAddr;

use ha_common::election::{Advert, Rules};
use ha_common::units::{Instant, Nanos};

/// How many are known at a time.
const MOST: usize = 8;

#[derive(Clone, Copy, Debug)]
struct OtherMaster {
    source: IpAddr,
    since: Instant,
    last: Instant,
    /// How long it may be silent.
    patience: Nanos,
}

/// Those that were heard of late.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherMasters {
    heard: Vec<OtherMaster>,
}

impl OtherMasters {
    /// An advert of somebody who should not be master. True if it is not its first within its interval.
    pub(super) fn hear(&mut self, advert: &Advert, rules: &Rules, now: Instant) -> bool {
        let patience = rules.down_after(advert);
        let interval = advert.interval.max(rules.interval).nanos();
        let known = |it: &&mut OtherMaster| it.source == advert.source;
        if let Some(it) = self.heard.iter_mut().find(known) {
            (it.last, it.patience) = (now, patience);
            return now.since(it.since).0 >= interval.0 / 2;
        }
        if self.heard.len() < MOST {
            self.heard.push(OtherMaster {
                source: advert.source,
                since: now,
                last: now,
                patience,
            });
        }
        false
    }

    /// It says that it is master no more.
    pub(super) fn leave(&mut self, source: IpAddr) {
        self.heard.retain(|it| it.source != source);
    }

    /// Those that have fallen silent, which are forgotten.
    pub(super) fn silent(&mut self, now: Instant) -> Vec<IpAddr> {
        let is_silent = |it: &OtherMaster| now.since(it.last) > it.patience;
        let gone: Vec<IpAddr> = self
            .heard
            .iter()
            .filter(|it| is_silent(it))
            .map(|it| it.source)
            .collect();
        self.heard.retain(|it| !is_silent(it));
        gone
    }

    /// The state is another one: who is a second master is to be seen anew.
    pub(super) fn all(&mut self) -> Vec<IpAddr> {
        self.heard.drain(..).map(|it| it.source).collect()
    }
}

#[cfg(test)]
mod tests {
    use ha_common::units::{Centiseconds, Priority, Version};

    use super::*;

    const RULES: Rules = Rules {
        version: Version::V3,
        own_address: IpAddr::V4(std::net::Ipv4Addr::new(10, 99, 0, 1)),
        priority: Priority(100),
        interval: Centiseconds(100),
        preempt: true,
        down_multiplier: 3,
    };

    fn at(millis: u64) -> Instant {
        Instant(0) + Nanos::from_millis(millis)
    }

    fn advert(host: u8) -> Advert {
        Advert {
            source: IpAddr::from([10, 99, 0, host]),
            priority: Priority(90),
            interval: Centiseconds(100),
        }
    }

    #[test]
    fn a_last_word_is_no_second_master_and_who_speaks_on_is_one() {
        let mut others = OtherMasters::default();
        assert!(!others.hear(&advert(2), &RULES, at(0)));
        assert!(!others.hear(&advert(2), &RULES, at(1)));
        assert!(!others.hear(&advert(3), &RULES, at(999)));
        assert!(others.hear(&advert(2), &RULES, at(1000)));
    }

    #[test]
    fn it_is_over_with_its_silence_or_its_leaving() {
        let mut others = OtherMasters::default();
        others.hear(&advert(2), &RULES, at(0));
        assert!(others.silent(at(3609)).is_empty());
        assert_eq!(others.silent(at(3610)), [advert(2).source]);
        assert!(others.silent(at(9999)).is_empty());
        assert!(!others.hear(&advert(2), &RULES, at(10_000)), "as new");
        others.leave(advert(2).source);
        assert!(!others.hear(&advert(2), &RULES, at(11_000)), "as new");
    }

    #[test]
    fn others_cannot_fill_the_memory() {
        let mut others = OtherMasters::default();
        for host in 0..100 {
            others.hear(&advert(host), &RULES, at(0));
        }
        assert_eq!(others.all().len(), MOST);
    }
}
