//! Whether an instance may take part, and with what priority: as the driver weighs it.

use ha_agent::driver::priority::{self, Health};
use ha_agent::driver::tracked::Term;
use ha_common::election::{CheckId, FaultCause, Input};

use super::super::events::Link;
use super::{Router, Turn};

/// Whether an instance may take part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fitness {
    Waiting,
    Ready,
    Unfit(FaultCause),
}

impl Router {
    /// A tracked check has news.
    pub(crate) fn check_changed(&mut self, check: &str, health: Health, turn: &mut Turn<'_>) {
        let mut ours = false;
        for term in &mut self.terms {
            ours |= term.hear(check, health);
        }
        if ours {
            self.weigh(turn);
        }
    }

    /// Something else keeps it out, or nothing any more.
    pub(crate) fn set_trouble(&mut self, trouble: Option<FaultCause>, turn: &mut Turn<'_>) {
        self.trouble = trouble;
        self.weigh(turn);
    }

    pub(super) fn pending_check(&self) -> bool {
        self.terms.iter().any(|term| term.health == Health::Pending)
    }

    /// Works out fitness and priority, and feeds what changed.
    pub(super) fn weigh(&mut self, turn: &mut Turn<'_>) {
        let Some(rules) = self.rules() else { return };
        let effective = priority::effective(self.config.priority, &self.terms);
        if effective != rules.priority {
            self.feed(Input::Priority(effective), turn);
        }
        let fitness = self.fitness(turn);
        if fitness == self.fed {
            return;
        }
        // A resumed master does not go back to waiting.
        match fitness {
            Fitness::Waiting => return,
            Fitness::Ready => self.feed(Input::Ready, turn),
            Fitness::Unfit(cause) => self.feed(Input::Fault(cause), turn),
        }
        self.fed = fitness;
    }

    fn fitness(&self, turn: &Turn<'_>) -> Fitness {
        match self.link {
            Link::Gone => return Fitness::Unfit(FaultCause::InterfaceGone),
            Link::Down => return Fitness::Unfit(FaultCause::InterfaceDown),
            Link::NoAddress => return Fitness::Unfit(FaultCause::NoOwnAddress),
            Link::Up(_) => {}
        }
        if let Some(cause) = self.trouble {
            return Fitness::Unfit(cause);
        }
        let unhealthy = |health| {
            self.terms
                .iter()
                .find(|term| term.decides() == Some(health))
        };
        let cause = |term: &Term| {
            let name = term.track.check_name();
            let index = turn
                .checks
                .iter()
                .position(|check| Some(check.as_str()) == name);
            let id = index.and_then(|index| u16::try_from(index).ok());
            Fitness::Unfit(FaultCause::Check(CheckId(id.unwrap_or(u16::MAX))))
        };
        if let Some(term) = unhealthy(Health::Down) {
            return cause(term);
        }
        if self.pending_check() {
            if self.patience_until.is_some_and(|at| turn.now < at) {
                return Fitness::Waiting;
            }
            if let Some(term) = unhealthy(Health::Pending) {
                return cause(term);
            }
        }
        Fitness::Ready
    }

    /// A resumed master's checks have yet to speak: if the slot's earlier priority is their sum when all is well,
    /// that is how it was.
    pub(super) fn believe_the_earlier_sum(&mut self, earlier: u8, turn: &mut Turn<'_>) {
        let mut healthy = self.terms.clone();
        for term in &mut healthy {
            term.hope();
        }
        let sum = priority::effective(self.config.priority, &healthy);
        if sum.0 == earlier {
            self.terms = healthy;
            self.feed(Input::Priority(sum), turn);
        }
    }
}
