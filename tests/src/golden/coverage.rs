//! Which changes of state an election can make, found by exploring it, and which of them a transcript shows.

use std::collections::BTreeSet;
use std::fmt;

use ha_common::election::{Action, Cause, Election, Input, State, Transition};
use ha_common::units::{Instant, Nanos};

use super::examples;
use super::transcript::name;

/// How many inputs it takes at most to get anywhere: ready, hold over, master down, and one more.
const DEPTH: usize = 4;

/// A change of state without its values: from, to and the kind of cause.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Triple {
    from: &'static str,
    to: &'static str,
    cause: String,
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

/// By its name, and that of the fault.
fn kind(cause: &Cause) -> String {
    match cause {
        Cause::Fault(fault) => name(fault),
        other => name(other),
    }
}

/// Every change of state that any election can make, by feeding it every sequence of inputs that leads to a
/// state not seen before.
pub fn possible() -> BTreeSet<Triple> {
    let mut found = BTreeSet::new();
    for params in examples::parameters() {
        let mut frontier = vec![Election::new(params)];
        let mut seen: Vec<State> = Vec::new();
        for step in 1..=DEPTH {
            let now = Instant(0) + Nanos(step as u64 * 5_000_000_000);
            let mut next = Vec::new();
            for election in &frontier {
                for input in examples::inputs() {
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

    fn has(from: &'static str, to: &'static str, cause: &str) -> bool {
        let cause = cause.to_owned();
        possible().contains(&Triple { from, to, cause })
    }

    #[test]
    fn exploring_finds_the_far_corners() {
        assert!(has("BACKUP", "MASTER", "outranks"));
        assert!(has("BACKUP", "MASTER", "released"));
        assert!(has("MASTER", "BACKUP", "taken-over"));
        assert!(has("FAULT", "HOLD", "hold-begins"));
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
