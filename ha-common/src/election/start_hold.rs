//! The start hold: how long a router stays out after its start and after its link came up, since bridges and bonds
//! do not forward at once.
//!
//! It counts from the first word that the link is there, whatever else keeps the router out meanwhile: a check that
//! fails for a moment does not end it.

use crate::units::Instant;

use super::Election;
use super::action::Actions;
use super::cause::Cause;
use super::state::{StartHold, State};

impl Election {
    /// When the hold ends that counts from the link's coming up, as the configuration is now.
    fn hold_until(&self) -> Option<Instant> {
        match self.hold {
            StartHold::Since(since) => Some(since + self.params.start_hold),
            StartHold::Due | StartHold::Over => None,
        }
    }

    /// Ready: first what is left of the hold, then the election proper.
    pub(super) fn begin(&mut self, now: Instant, out: &mut Actions) {
        self.hold.see_link(now);
        match self.hold_until().filter(|until| now < *until) {
            Some(until) => {
                let span = until.since(now);
                self.step_out(now, State::Hold { until }, Cause::HoldBegins { span }, out);
            }
            None => self.enter(now, Cause::Ready, out),
        }
    }

    /// Another configured span counts from the same moment.
    pub(super) fn renew_hold(&mut self) {
        if let (State::Hold { .. }, Some(until)) = (self.state, self.hold_until()) {
            self.state = State::Hold { until };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{NOW, with, words};
    use super::super::*;
    use crate::units::Nanos;

    const SPAN: u64 = 60_000;

    fn at(millis: u64) -> Instant {
        NOW + Nanos::from_millis(millis)
    }

    fn election(span: u64) -> Election {
        let mut params = with(|_| {});
        params.start_hold = Nanos::from_millis(span);
        Election::new(params)
    }

    const CHECK: Input = Input::Fault(FaultCause::Check(CheckId(0)));
    const LINK: Input = Input::Fault(FaultCause::InterfaceDown);
    const GONE: Input = Input::Fault(FaultCause::InterfaceGone);
    const ADDRESS: Input = Input::Fault(FaultCause::NoOwnAddress);
    const MEMBER: Input = Input::Fault(FaultCause::Member(MemberId(1)));

    /// What happens, each at so many milliseconds, and when the hold ends; `None`: it takes part at once.
    type Row = (&'static [(u64, Input)], Option<u64>);

    const ROWS: &[Row] = &[
        (&[(0, Input::Ready)], Some(SPAN)),
        // A check that fails at first, an address that comes late, another member: the hold goes on meanwhile.
        (&[(0, CHECK), (1000, Input::Ready)], Some(SPAN)),
        (&[(0, ADDRESS), (2000, Input::Ready)], Some(SPAN)),
        (&[(0, MEMBER), (2000, Input::Ready)], Some(SPAN)),
        (&[(0, CHECK), (SPAN, Input::Ready)], None),
        // In the hold already.
        (
            &[(0, Input::Ready), (2000, CHECK), (3000, Input::Ready)],
            Some(SPAN),
        ),
        // It counts from the link's return, and not from its loss.
        (&[(0, LINK), (5000, Input::Ready)], Some(5000 + SPAN)),
        (
            &[(0, GONE), (5000, ADDRESS), (6000, Input::Ready)],
            Some(5000 + SPAN),
        ),
        (
            &[(0, Input::Ready), (1000, LINK), (5000, Input::Ready)],
            Some(5000 + SPAN),
        ),
        (
            &[
                (0, CHECK),
                (1000, LINK),
                (5000, CHECK),
                (9000, Input::Ready),
            ],
            Some(5000 + SPAN),
        ),
        // Over once it took part, until the link is lost.
        (
            &[
                (0, Input::Ready),
                (SPAN, Input::Tick),
                (70_000, CHECK),
                (71_000, Input::Ready),
            ],
            None,
        ),
        (
            &[
                (0, Input::Ready),
                (SPAN, Input::Tick),
                (70_000, LINK),
                (71_000, Input::Ready),
            ],
            Some(71_000 + SPAN),
        ),
        // A master that carries on after a restart has had its link all along.
        (
            &[(0, Input::Resume), (1000, CHECK), (2000, Input::Ready)],
            None,
        ),
        (
            &[(0, Input::Resume), (1000, LINK), (2000, Input::Ready)],
            Some(2000 + SPAN),
        ),
    ];

    #[test]
    fn the_hold_counts_from_the_link_whatever_else_keeps_the_router_out() {
        for (path, until) in ROWS {
            let mut election = election(SPAN);
            for (millis, input) in *path {
                election.handle(at(*millis), *input);
            }
            let held = match election.state() {
                State::Hold { until } => Some(*until),
                _ => None,
            };
            assert_eq!(held, until.map(at), "{path:?}");
            if held.is_none() {
                assert_eq!(election.state().role(), Role::Backup, "{path:?}");
            }
        }
    }

    #[test]
    fn what_is_left_of_the_hold_is_what_is_said() {
        let mut election = election(SPAN);
        election.handle(at(0), CHECK);
        let actions = election.handle(at(1000), Input::Ready);
        assert_eq!(
            words(&actions),
            "detect-idle report(ready, start hold of 59.000 s)"
        );
        let actions = election.handle(at(SPAN), Input::Tick);
        assert!(words(&actions).ends_with("report(start hold over)"));
    }

    #[test]
    fn another_span_counts_from_the_same_moment() {
        for (span, until) in [(90_000, 90_000), (20_000, 20_000), (0, 0)] {
            let mut election = election(SPAN);
            election.handle(at(0), Input::Ready);
            let mut params = with(|_| {});
            params.start_hold = Nanos::from_millis(span);
            election.handle(at(10_000), Input::Configure(params));
            assert_eq!(election.next_deadline(), Some(at(until)), "{span}");
        }
        let mut election = election(SPAN);
        election.handle(at(0), CHECK);
        election.handle(at(1000), Input::Configure(with(|_| {})));
        election.handle(at(2000), Input::Ready);
        assert_eq!(election.state().role(), Role::Backup, "there is none now");
    }
}
