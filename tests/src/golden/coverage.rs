//! Which changes of state an election can make, found by exploring it, and which of them a story shows.

use std::collections::BTreeSet;
use std::fmt;

use ha_common::election::{Action, Cause, Election, FaultCause, Input, State, Transition};
use ha_common::units::{Instant, Nanos};

use super::alphabet;

/// How many inputs it takes at most to get anywhere: ready, hold over, master down, and one more.
const DEPTH: usize = 4;

/// A change of state without its values: from, to and the kind of cause.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Triple {
    from: &'static str,
    to: &'static str,
    cause: &'static str,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} by {}", self.from, self.to, self.cause)
    }
}

impl Triple {
    /// Of a transition.
    pub fn of(transition: &Transition) -> Self {
        Self {
            from: transition.from.name(),
            to: transition.to.name(),
            cause: kind(&transition.cause),
        }
    }
}

fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Ready => "ready",
        Cause::HoldBegins { .. } => "hold begins",
        Cause::HoldOver => "hold over",
        Cause::Owner => "owner",
        Cause::NoAdvert { .. } => "no advert",
        Cause::Released { .. } => "released",
        Cause::Outranks { .. } => "outranks",
        Cause::BetterMaster { .. } => "better master",
        Cause::TakenOver { .. } => "taken over",
        Cause::Fault(FaultCause::Check(_)) => "failed check",
        Cause::Fault(FaultCause::InterfaceDown) => "interface down",
        Cause::Fault(FaultCause::InterfaceGone) => "interface gone",
        Cause::Fault(FaultCause::NoOwnAddress) => "no own address",
        Cause::Fault(FaultCause::SourceMissing) => "source missing",
        Cause::Fault(FaultCause::AddressesRefused) => "addresses refused",
        Cause::Fault(FaultCause::CannotSend) => "cannot send",
        Cause::Fault(FaultCause::Maintenance) => "maintenance",
        Cause::Fault(FaultCause::Tracked(_)) => "failed tracked",
        Cause::Fault(FaultCause::Member(_)) => "failed member",
        Cause::MemberLeads(_) => "member leads",
        Cause::MemberCannot(_) => "member cannot",
        Cause::Shutdown => "shutdown",
    }
}

/// Every change of state that any election can make, by feeding it every sequence of inputs that leads to a
/// state not seen before.
pub fn possible() -> BTreeSet<Triple> {
    let mut found = BTreeSet::new();
    for params in alphabet::parameters() {
        let mut frontier = vec![Election::new(params)];
        let mut seen: Vec<State> = Vec::new();
        for step in 1..=DEPTH {
            let now = Instant(0) + Nanos(step as u64 * 5_000_000_000);
            let mut next = Vec::new();
            for election in &frontier {
                for input in alphabet::inputs() {
                    let after = explore(election, now, input, &mut found);
                    if !seen.contains(after.state()) {
                        seen.push(*after.state());
                        next.push(after);
                    }
                }
            }
            frontier = next;
        }
    }
    found
}

fn explore(
    election: &Election,
    now: Instant,
    input: Input,
    found: &mut BTreeSet<Triple>,
) -> Election {
    let mut election = election.clone();
    for action in election.handle(now, input) {
        if let Action::Report(transition) = action {
            found.insert(Triple::of(&transition));
        }
    }
    election
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(from: &'static str, to: &'static str, cause: &'static str) -> bool {
        possible().contains(&Triple { from, to, cause })
    }

    #[test]
    fn exploring_finds_the_far_corners() {
        assert!(has("BACKUP", "MASTER", "outranks"));
        assert!(has("BACKUP", "MASTER", "released"));
        assert!(has("MASTER", "BACKUP", "taken over"));
        assert!(has("FAULT", "HOLD", "hold begins"));
        assert!(has("FAULT", "MASTER", "owner"));
        assert!(has("HOLD", "MASTER", "owner"));
        assert!(has("MASTER", "FAULT", "maintenance"));
    }

    #[test]
    fn nothing_leads_out_of_stopped_and_nothing_into_init() {
        for triple in possible() {
            assert_ne!(triple.from, "STOPPED", "{triple}");
            assert_ne!(triple.to, "INIT", "{triple}");
        }
    }
}
