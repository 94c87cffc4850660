//! How often a master answers those who claim its addresses: at once the first time, then ever more
//! rarely for as long as the claims go on.
//!
//! Whoever claims, a virtual router has one contest about adverts and one about frames of ARP and neighbour
//! discovery: source addresses and MACs are easily forged, so a budget for each of them would be none. There
//! are two, because a second master that is deaf to ours advertises without end and yet misleads the
//! neighbours only now and then, and that is to be mended at once. No claim goes unanswered for good: what
//! comes during a pause is answered when that ends, so that the last word is the master's.

use crate::units::{Instant, Nanos};

/// The first pause: a claimant that yields may answer for the addresses for some milliseconds more, and
/// nobody is to believe it for longer than this.
pub const FIRST_PAUSE: Nanos = Nanos::from_millis(100);

/// Each pause is so many times as long as the one before it.
const GROWTH: u64 = 4;

/// The longest pause. RFC 5227 section 2.4 has whoever defends an address without end do so at most once in
/// 10 s, lest two hosts that both do never stop.
pub const LONGEST_PAUSE: Nanos = Nanos::from_millis(16_000);

/// A contest about frames is over when nobody has claimed anything for this many pauses, so that two masters
/// that only hear each other's answers stay in one, and for 10 s at least: `DEFEND_INTERVAL` of RFC 5227.
const QUIET_PAUSES: u64 = 2;
const QUIET_FRAMES: Nanos = Nanos::from_millis(10_000);

/// One about adverts is over after so many intervals of ours without one, and at least this long: who
/// advertises no more has yielded, and the next claim, after a split that comes and goes, is to be answered at
/// once. Answers cannot keep it up, since of two masters that hear each other's adverts one yields.
const QUIET_INTERVALS: u64 = 2;
const QUIET_ADVERTS: Nanos = Nanos::from_millis(500);

/// One master's disputes with those who claim its addresses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Contests {
    by_adverts: Contest,
    by_frames: Contest,
    /// When a claim was last answered by an advert.
    advertised_at: Option<Instant>,
}

impl Contests {
    /// Somebody advertises beside us, who do so each `interval`: true if the addresses are to be announced
    /// now. If not, they are when [`Self::next_deadline`] comes.
    pub(super) fn advert(&mut self, now: Instant, interval: Nanos) -> bool {
        let intervals = Nanos(interval.0.saturating_mul(QUIET_INTERVALS));
        self.by_adverts.claim(now, QUIET_ADVERTS.max(intervals));
        self.due(now)
    }

    /// Somebody says where the addresses are: true if they are to be announced now, as for an advert.
    pub(super) fn frame(&mut self, now: Instant) -> bool {
        let pauses = Nanos(self.by_frames.pause.0.saturating_mul(QUIET_PAUSES));
        self.by_frames.claim(now, QUIET_FRAMES.max(pauses));
        self.due(now)
    }

    /// True if an announcement is owed and its pause is over; it counts as made, for both.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        // Both are asked: one announcement begins the pause of whichever was over.
        let due = self.by_adverts.due(now) | self.by_frames.due(now);
        if due {
            self.by_adverts.owed = false;
            self.by_frames.owed = false;
        }
        due
    }

    /// Whether a claim by advert is answered by one of ours at once. Of the claims within an interval only
    /// the first is: the regular advert, an interval later at most, answers the others.
    pub(super) fn may_advertise(&mut self, now: Instant, interval: Nanos) -> bool {
        let recently = |at| now.since(at) < interval;
        if self.advertised_at.is_some_and(recently) {
            return false;
        }
        self.advertised_at = Some(now);
        true
    }

    /// When an announcement is owed.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let owed = [self.by_adverts.owed_at(), self.by_frames.owed_at()];
        owed.into_iter().flatten().min()
    }
}

/// Claims of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Contest {
    claimed_at: Option<Instant>,
    /// The neighbours have not been told since the last claim.
    owed: bool,
    /// How long the pause after the last announcement is; zero: there was none in this contest.
    pause: Nanos,
    pause_ends: Instant,
}

impl Contest {
    /// A claim; after so long a quiet it is the first of a new contest.
    fn claim(&mut self, now: Instant, quiet: Nanos) {
        if self.claimed_at.is_none_or(|at| now.since(at) >= quiet) {
            (self.pause, self.pause_ends) = (Nanos(0), now);
        }
        self.claimed_at = Some(now);
        self.owed = true;
    }

    fn due(&mut self, now: Instant) -> bool {
        if !self.owed || now < self.pause_ends {
            return false;
        }
        self.owed = false;
        self.pause = match self.pause {
            Nanos(0) => FIRST_PAUSE,
            Nanos(pause) => Nanos(pause.saturating_mul(GROWTH)).min(LONGEST_PAUSE),
        };
        self.pause_ends = now + self.pause;
        true
    }

    fn owed_at(&self) -> Option<Instant> {
        self.owed.then_some(self.pause_ends)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Nanos = Nanos::from_millis(10);
    const START: Instant = Instant(1_000_000_000_000);

    fn at(millis: u64) -> Instant {
        START + Nanos::from_millis(millis)
    }

    /// When the addresses are announced, in milliseconds, if they are claimed at these times and nothing
    /// comes late.
    fn announced(claims: impl IntoIterator<Item = u64>) -> Vec<u64> {
        announced_for(claims.into_iter().map(|claim| (claim, false)))
    }

    /// The same, where some of the claims are adverts.
    fn announced_for(claims: impl IntoIterator<Item = (u64, bool)>) -> Vec<u64> {
        let mut contest = Contests::default();
        let mut log = Vec::new();
        let mut note = |at: Instant| log.push(at.since(START).0 / 1_000_000);
        for (claim, is_advert) in claims {
            let claim = at(claim);
            while let Some(due) = contest.next_deadline().filter(|due| *due <= claim) {
                assert!(contest.due(due), "a deadline with nothing due");
                note(due);
            }
            let answered = if is_advert {
                contest.advert(claim, INTERVAL)
            } else {
                contest.frame(claim)
            };
            if answered {
                note(claim);
            }
        }
        while let Some(due) = contest.next_deadline() {
            assert!(contest.due(due), "a deadline with nothing due");
            note(due);
        }
        log
    }

    #[test]
    fn claims_are_answered_as_the_table_says() {
        let every = |millis: usize, until: u64| (0..until).step_by(millis).collect::<Vec<_>>();
        let cases: [(&str, Vec<u64>, &[u64]); 8] = [
            ("one", [0].to_vec(), &[0]),
            (
                "and the last word of one that yields",
                [0, 2].to_vec(),
                &[0, 100],
            ),
            ("one after the first pause", [0, 150].to_vec(), &[0, 150]),
            (
                "each second",
                every(1000, 5000),
                &[0, 1000, 2000, 3600, 10_000],
            ),
            (
                "each 10 ms for 50 s",
                every(10, 50_000),
                &[0, 100, 500, 2100, 8500, 24_500, 40_500, 56_500],
            ),
            ("rarely", [0, 20_000, 40_000].to_vec(), &[0, 20_000, 40_000]),
            (
                "again before it was quiet",
                [0, 1, 101, 501, 502, 10_501, 10_502].to_vec(),
                &[0, 100, 500, 2100, 10_501, 26_501],
            ),
            (
                "again after it was quiet",
                [0, 1, 101, 10_101, 10_102].to_vec(),
                &[0, 100, 500, 10_101, 10_201],
            ),
        ];
        for (what, claims, expected) in cases {
            assert_eq!(announced(claims), expected, "{what}");
        }
    }

    #[test]
    fn adverts_are_answered_at_once_again_as_soon_as_the_other_yielded() {
        let adverts = |claims: &[u64]| announced_for(claims.iter().map(|claim| (*claim, true)));
        let split = [0, 10, 20, 30];
        let splits: Vec<u64> = (0..4)
            .flat_map(|heal| split.iter().map(move |at| heal * 1000 + at))
            .collect();
        let expected: Vec<u64> = (0..4)
            .flat_map(|heal| [heal * 1000, heal * 1000 + 100])
            .collect();
        assert_eq!(adverts(&splits), expected);
        let long_deaf = (0..9000).step_by(100).chain([9600]);
        let expected = [0, 100, 500, 2100, 8500, 9600];
        assert_eq!(
            adverts(&long_deaf.collect::<Vec<_>>()),
            expected,
            "though one was owed"
        );
        let deaf: Vec<u64> = (0..50_000).step_by(40).collect();
        assert_eq!(
            adverts(&deaf),
            [0, 100, 500, 2100, 8500, 24_500, 40_500, 56_500]
        );
    }

    #[test]
    fn of_adverts_within_an_interval_the_first_is_answered() {
        let mut contest = Contests::default();
        let second = Nanos::from_millis(1000);
        let answered: Vec<u64> = (0..3000)
            .step_by(300)
            .filter(|millis| contest.may_advertise(at(*millis), second))
            .collect();
        assert_eq!(answered, [0, 1200, 2400]);
    }

    #[test]
    fn adverts_without_end_do_not_delay_the_answer_to_a_frame_and_one_announcement_answers_both() {
        let mut contest = Contests::default();
        let second = |second: u64| at(second * 1000);
        for now in (0..58).map(second) {
            contest.advert(now, Nanos::from_millis(1000));
            contest.due(now);
        }
        let owed = contest.next_deadline();
        assert!(owed.is_some_and(|at| at > second(58)), "{owed:?}");
        assert!(contest.frame(second(58)));
        assert_eq!(contest.next_deadline(), None);
        assert!(!contest.frame(second(58)));
        assert_eq!(contest.next_deadline(), Some(second(58) + FIRST_PAUSE));
    }

    /// The most of these times, in milliseconds, that are within a span.
    fn most_within(log: &[u64], span: Nanos) -> usize {
        let within = |first: &u64| {
            let inside = |at: &&u64| (*first..first + span.0 / 1_000_000).contains(at);
            log.iter().filter(inside).count()
        };
        log.iter().map(within).max().unwrap_or(0)
    }

    /// Claims that come one by one, in bursts and after long quiet.
    fn claims() -> impl Strategy<Value = Vec<u64>> {
        let gap = prop_oneof![3 => 0..50u64, 3 => 50..2000u64, 1 => 2000..70_000u64];
        prop::collection::vec(gap, 1..200).prop_map(|gaps| {
            let after = |now: &mut u64, gap| {
                *now += gap;
                Some(*now)
            };
            gaps.into_iter().scan(0, after).collect()
        })
    }

    proptest! {
        #[test]
        fn no_frames_make_more_than_eight_announcements_in_the_longest_pause(claims in claims()) {
            let most = most_within(&announced(claims), LONGEST_PAUSE);
            prop_assert!(most <= 8, "{}", most);
        }

        #[test]
        fn every_claim_is_answered_within_the_longest_pause(claims in claims()) {
            let log = announced(claims.iter().copied());
            for claim in claims {
                let answer = log.iter().find(|at| **at >= claim);
                let in_time = answer.is_some_and(|at| at - claim <= LONGEST_PAUSE.0 / 1_000_000);
                prop_assert!(in_time, "{} by {:?}", claim, answer);
            }
        }

        #[test]
        fn of_both_kinds_no_claims_make_more_than_eight_in_a_second(
            claims in claims(), adverts in prop::collection::vec(any::<bool>(), 200),
        ) {
            let longest = LONGEST_PAUSE.0 / 1_000_000;
            let log = announced_for(claims.iter().copied().zip(adverts));
            let most = most_within(&log, Nanos::from_millis(1000));
            prop_assert!(most <= 8, "{}", most);
            for claim in claims {
                let answer = log.iter().find(|at| **at >= claim);
                prop_assert!(answer.is_some_and(|at| at - claim <= longest), "{} by {:?}", claim, answer);
            }
        }

        #[test]
        fn the_first_claim_after_a_quiet_time_is_answered_at_once(claims in claims()) {
            let log = announced(claims.iter().copied());
            let quiet = QUIET_PAUSES * LONGEST_PAUSE.0 / 1_000_000;
            for pair in claims.windows(2).filter(|pair| pair[1] - pair[0] >= quiet) {
                prop_assert!(log.contains(&pair[1]), "{} after {}", pair[1], pair[0]);
            }
        }
    }
}
