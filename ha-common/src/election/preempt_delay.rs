//! The preempt delay: a backup leaves a healthy master of lower priority alone for a while after it became
//! one. What ends it early, and what it never delays, is in [`Listening::preempts`].

use crate::units::Instant;

use super::Election;
use super::action::{Action, Actions};
use super::rules::Params;
use super::state::{Listening, State};

impl Election {
    /// While a preempt delay keeps us from taking a master's place: until when.
    pub const fn preempt_wait(&self) -> Option<Instant> {
        match self.state {
            State::Backup(listening) if !self.params.rules.priority.is_owner() => {
                listening.preempt_at
            }
            State::Backup(_)
            | State::Initialize
            | State::Hold { .. }
            | State::Master
            | State::Fault { .. }
            | State::Stopped => None,
        }
    }

    /// When the preempt delay of a backup ends that has been one since then; `None` if there is none.
    pub(super) fn preempt_at(&self, since: Instant) -> Option<Instant> {
        let Params {
            rules,
            preempt_delay,
            ..
        } = self.params;
        (rules.preempt && preempt_delay.0 > 0).then(|| since + preempt_delay)
    }

    /// From here on the detector ignores a master of lower priority, so that its timer runs out.
    pub(super) fn end_preempt_delay(&mut self, listening: Listening, out: &mut Actions) {
        let before = self.detector_rules();
        self.state = State::Backup(Listening {
            preempt_at: None,
            ..listening
        });
        if self.detector_rules() != before {
            out.push(Action::UpdateDetector(self.detector_rules()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{NOW, advert, preempts_after, with, words};
    use super::super::*;
    use crate::units::Nanos;

    /// A backup with a preempt delay of 30 s, since `NOW`.
    fn delayed(change: impl FnOnce(&mut Rules)) -> Election {
        let mut params = with(change);
        params.preempt_delay = Nanos::from_millis(30_000);
        let mut election = Election::new(params);
        election.handle(NOW, Input::Ready);
        assert_eq!(election.state().role(), Role::Backup);
        election
    }

    const DELAY_OVER: Instant = Instant(NOW.0 + 30_000_000_000);

    #[test]
    fn a_preempt_delay_begins_with_the_backup_state_and_ends_once() {
        let mut election = delayed(|_| {});
        assert!(!election.detector_rules().preempt);
        assert_eq!(election.next_deadline(), Some(DELAY_OVER));
        assert_eq!(election.preempt_wait(), Some(DELAY_OVER));
        let early = DELAY_OVER - Nanos(1);
        assert!(election.handle(early, Input::Tick).is_empty());
        // Hearing the lower master does not start it anew.
        election.handle(early, Input::Advert(advert(3, 50)));
        assert_eq!(election.next_deadline(), Some(DELAY_OVER));

        assert_eq!(words(&election.handle(DELAY_OVER, Input::Tick)), "rules");
        assert!(election.detector_rules().preempt);
        assert_eq!(
            (election.next_deadline(), election.preempt_wait()),
            (None, None)
        );
        let down = Input::MasterDown {
            last_heard: Some(DELAY_OVER),
        };
        let actions = words(&election.handle(DELAY_OVER + Nanos(1), down));
        assert!(
            actions.ends_with("report(master 10.0.0.3 has lower priority 50)"),
            "{actions}"
        );
    }

    #[test]
    fn a_preempt_delay_starts_anew_with_each_return_to_the_backup_state() {
        let later = DELAY_OVER + Nanos::from_millis(60_000);
        let again = later + Nanos::from_millis(30_000);
        for (leaves, returns) in [
            (
                Input::Fault(FaultCause::Check(CheckId(0))),
                Some(Input::Ready),
            ),
            (Input::Advert(advert(3, 200)), None),
            // A stall: whoever took over keeps its place for as long.
            (Input::TakenOver(advert(3, 50)), None),
        ] {
            let mut election = delayed(|_| {});
            election.handle(NOW, Input::MasterDown { last_heard: None });
            assert_eq!(election.state().role(), Role::Master);
            assert_eq!(election.next_deadline(), None);
            election.handle(later, leaves);
            if let Some(returns) = returns {
                election.handle(later, returns);
            }
            assert_eq!(election.state().role(), Role::Backup, "{leaves:?}");
            assert_eq!(election.next_deadline(), Some(again), "{leaves:?}");
        }
    }

    /// RFC 9568 section 6.4.2 (expiry).
    #[test]
    fn a_preempt_delay_holds_no_fail_over_up() {
        // The master died, or left.
        for heard in [advert(3, 50), advert(3, 0)] {
            let mut election = delayed(|_| {});
            election.handle(NOW, Input::Advert(advert(3, 50)));
            election.handle(NOW, Input::Advert(heard));
            let down = Input::MasterDown {
                last_heard: Some(NOW),
            };
            election.handle(NOW + Nanos(1), down);
            assert_eq!(election.state().role(), Role::Master);
        }
        // Its weights dropped it below us, or it is the owner that waits.
        let mut election = delayed(|_| {});
        election.handle(NOW, Input::Advert(advert(3, 120)));
        assert_eq!(
            preempts_after(&mut election, Input::Advert(advert(3, 90))),
            Some(true)
        );
        let mut owner = delayed(|_| {});
        owner.handle(NOW, Input::Priority(Priority::OWNER));
        assert!(owner.detector_rules().preempt && owner.preempt_wait().is_none());
    }

    #[test]
    fn a_preempt_delay_that_is_reconfigured_counts_from_the_same_moment() {
        let at = NOW + Nanos::from_millis(10_000);
        let changed = |delay, preempt| {
            let mut params = with(|r| r.preempt = preempt);
            params.preempt_delay = Nanos::from_millis(delay);
            Input::Configure(params)
        };
        for (delay, preempt, until, actions) in [
            (60_000, true, Some(60_000), ""),
            (20_000, true, Some(20_000), ""),
            (5_000, true, None, "rules"),
            (0, true, None, "rules"),
            (30_000, false, None, ""),
        ] {
            let mut election = delayed(|_| {});
            let said = election.handle(at, changed(delay, preempt));
            assert_eq!(words(&said), actions, "{delay} {preempt}");
            let until = until.map(|millis| NOW + Nanos::from_millis(millis));
            assert_eq!(election.next_deadline(), until, "{delay} {preempt}");
        }
    }
}
