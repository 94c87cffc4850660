//! A restart command that cannot even be started, for want of descriptors, processes or memory.

use ha_common::units::{Instant, Nanos};

use super::{Action, Machine, Phase, State, backed_off, fallen, millis};
use crate::checks::event::{Kind, Verdict};

/// The first wait after a restart command that could not be started, unless `backoff` is longer, and the longest: what is
/// lacking may be back at any time.
const UNSTARTED_WAIT: Nanos = Nanos::from_millis(1_000);
const UNSTARTED_CAP: Nanos = Nanos::from_millis(30_000);

impl Machine {
    /// The command did not run, so that it neither helped nor failed: the attempt is given back, and another follows. A host
    /// that cannot start it for as often as it may be tried is down meanwhile, so that another one serves.
    pub(super) fn restart_unstarted(&mut self, now: Instant, why: &str, out: &mut Vec<Action>) {
        let (limit, backoff) = self.allowed_restarts();
        let State::Restarting(outage) = &mut self.state else {
            return;
        };
        let Phase::Command = outage.phase else {
            return;
        };
        self.spent = self.spent.saturating_sub(1);
        let wait = backed_off(backoff.max(UNSTARTED_WAIT), outage.unstarted).min(UNSTARTED_CAP);
        outage.unstarted = outage.unstarted.saturating_add(1);
        outage.phase = Phase::Backoff { until: now + wait };
        let detail = format!(
            "{}; the restart command could not be started: {why}; this uses up no attempt, and it is tried again in {} ms",
            outage.cause,
            millis(wait)
        );
        if outage.unstarted < limit || outage.verdict == Some(Verdict::Down) {
            return out.push(Action::Tell(Kind::RestartFailed, detail));
        }
        let verdict = outage.verdict.replace(Verdict::Down);
        out.push(Action::Tell(fallen(verdict), detail));
    }
}
