//! Whether an instance may take part, and with what priority: interface, addresses, checks.

use std::sync::Arc;

use ha_common::election::{CheckId, FaultCause, Input};
use ha_common::group::Fitness;
use ha_common::units::{Instant, Nanos, Priority};

use super::{Edges, Instance};
use crate::config::model::{Carrier, Subject};
use crate::driver::clock;
use crate::driver::hooks::Reception;
use crate::driver::port::Port;
use crate::driver::priority::{self, Health};
use crate::driver::report::Report;
use crate::driver::tracked::Term;
use crate::net::links::{Link, LinkTable};

/// How long an instance waits for the first results of its checks; after that a check that has said
/// nothing counts as failed.
pub(crate) const FIRST_RESULT_WAIT: Nanos = Nanos::from_millis(30_000);

/// What is known of the interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LinkState {
    /// There is none of that name.
    Gone,
    /// Switched off, or no carrier.
    Down,
    /// It works, but has no address of the family.
    NoAddress,
    /// It works, but has not the address that adverts are to leave from.
    NoSource,
    /// It works.
    Up,
}

impl Instance {
    /// A tracked check has news.
    pub(crate) fn check_changed(
        &mut self,
        check: &str,
        health: Health,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        self.dirty = true;
        let mut ours = false;
        for term in &mut self.terms {
            ours |= term.hear(check, health);
        }
        if ours {
            self.weigh(now, edges);
        }
    }

    /// The interfaces are these; what follows from it for the tracked ones is weighed with the instance's
    /// own, which comes next.
    pub(crate) fn look_at_tracked(&mut self, links: &LinkTable, now: Instant) {
        for term in &mut self.terms {
            self.dirty |= term.look(links, now);
        }
    }

    /// Whether the instance's own interface is good enough to run on.
    pub(crate) fn can_use(&self, link: &Link) -> bool {
        match self.config.carrier {
            Carrier::Fault => link.is_up(),
            Carrier::Ignore => link.admin_up,
        }
    }

    /// When the next tracked interface has lasted long enough to count.
    pub(super) fn next_tracked(&self) -> Option<Instant> {
        self.terms.iter().filter_map(Term::due).min()
    }

    /// Counts tracked interfaces that have lasted until now.
    pub(super) fn tick_tracked(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let mut news = false;
        for term in &mut self.terms {
            news |= term.tick(now);
        }
        if news {
            self.weigh(now, edges);
        }
    }

    /// The interface's state changed; the port has been opened or closed already.
    pub(crate) fn link_changed(&mut self, link: LinkState, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        if link == LinkState::Gone {
            // What could not be opened on it is gone with it.
            self.port_error = None;
        }
        self.link = link;
        self.look_at_mtu(edges.links, now);
        self.weigh(now, edges);
    }

    /// There is no interface of the name. The one that had it is called this now, if it is still there.
    pub(crate) fn renamed_to(&mut self, name: Option<String>, edges: &mut Edges<'_>) {
        if name == self.renamed {
            return;
        }
        self.dirty = true;
        if let Some(name) = &name {
            edges.reporter.say(Report::Warning {
                instance: Arc::clone(&self.name),
                what: renamed(&self.config.interface, name),
            });
        }
        self.renamed = name;
    }

    /// The program that it is to receive by is being attached; what it received by until then goes on.
    pub(crate) fn await_program(&mut self) {
        self.dirty |= !self.awaits_program;
        self.awaits_program = true;
    }

    /// How it receives has changed, and nothing of its port has.
    pub(crate) fn received_by(&mut self, reception: Reception, edges: &Edges<'_>, now: Instant) {
        self.awaits_program = false;
        let Some(port) = &mut self.port else { return };
        if port.reception == reception {
            return;
        }
        self.dirty = true;
        let old = std::mem::replace(&mut port.reception, reception);
        let new = &port.reception;
        let news = self.noted.news(&new.notes, now);
        if new.reattached > old.reattached {
            edges.reporter.say(Report::Warning {
                instance: Arc::clone(&self.name),
                what: format!(
                    "something else removed the program from {}; it was attached again",
                    self.config.interface
                ),
            });
        } else if new.without_notes() != old.without_notes()
            && let Some(port) = &self.port
        {
            self.say_attached(port, edges);
            return;
        }
        for note in news {
            edges.reporter.say(Report::Warning {
                instance: Arc::clone(&self.name),
                what: format!("{}: {note}", self.config.interface),
            });
        }
    }

    /// Says how it receives.
    pub(super) fn say_attached(&self, port: &Port, edges: &Edges<'_>) {
        let reception = &port.reception;
        let refusals = reception
            .refusals
            .iter()
            .map(|refusal| format!("{}: {}", refusal.kind.name(), refusal.reason))
            .chain(reception.notes.iter().cloned());
        edges.reporter.say(Report::Attached {
            instance: Arc::clone(&self.name),
            datapath: reception.datapath,
            because: reception.because.clone(),
            refusals: refusals.collect(),
            kernel_timer: port.detector.has_kernel_timer(),
        });
    }

    /// The port could not be opened.
    pub(crate) fn port_failed(&mut self, why: String, edges: &mut Edges<'_>) {
        self.dirty = true;
        self.awaits_program = false;
        if self.port_error.as_ref() != Some(&why) {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what: why.clone(),
            });
        }
        self.port_error = Some(why);
    }

    pub(super) fn reason(&self, edges: &Edges<'_>) -> Option<String> {
        if let Some(error) = &self.port_error {
            return Some(error.clone());
        }
        if let (LinkState::NoSource, Some(source)) = (self.link, self.config.source) {
            let interface = &self.config.interface;
            return Some(format!("source address {source} is not on {interface}"));
        }
        if let (LinkState::Up, Some(shortfall)) = (self.link, self.shortfall(edges.links)) {
            return Some(shortfall);
        }
        match self.fitness(clock::now(), edges) {
            Fitness::Ready => self.seat.as_ref()?.obstacle(),
            Fitness::Waiting if self.awaits_program && self.port.is_none() => Some(format!(
                "the program that receives adverts is being attached to {}",
                self.config.interface
            )),
            Fitness::Waiting => {
                let pending = self.pending_check().map(ToString::to_string);
                let check = pending.unwrap_or_else(|| "a check".to_owned());
                Some(format!("waiting for the first result of check {check}"))
            }
            Fitness::Unfit(cause) => {
                if let (FaultCause::InterfaceGone, Some(name)) = (cause, &self.renamed) {
                    return Some(renamed(&self.config.interface, name));
                }
                let cause = ha_common::election::Cause::Fault(cause);
                Some(cause.with_names(edges.checks).to_string())
            }
        }
    }

    /// The addresses were refused in a turn that could not fault the instance by itself.
    pub(super) fn owes_refusal(&self) -> bool {
        self.refused_until.is_some() && self.fed == Fitness::Ready
    }

    pub(super) fn pending_check(&self) -> Option<&Subject> {
        self.terms
            .iter()
            .find(|term| term.health == Health::Pending)
            .map(|term| &term.track.subject)
    }

    pub(super) fn fitness(&self, now: Instant, edges: &Edges<'_>) -> Fitness {
        match self.link {
            LinkState::Gone => return Fitness::Unfit(FaultCause::InterfaceGone),
            LinkState::Down => return Fitness::Unfit(FaultCause::InterfaceDown),
            LinkState::NoAddress => return Fitness::Unfit(FaultCause::NoOwnAddress),
            LinkState::NoSource => return Fitness::Unfit(FaultCause::SourceMissing),
            LinkState::Up => {}
        }
        if self.port.is_none() && self.port_error.is_none() && self.awaits_program {
            return Fitness::Waiting;
        }
        if self.port.is_none() || self.port_error.is_some() {
            return Fitness::Unfit(FaultCause::CannotSend);
        }
        if self.shortfall(edges.links).is_some() {
            return Fitness::Unfit(FaultCause::CannotSend);
        }
        if self.refused_until.is_some() {
            return Fitness::Unfit(FaultCause::AddressesRefused);
        }
        let unhealthy = |health| {
            self.terms
                .iter()
                .find(|term| term.decides() == Some(health))
        };
        let cause = |term: &Term| Fitness::Unfit(fault_of(term, edges.checks));
        if let Some(term) = unhealthy(Health::Down) {
            return cause(term);
        }
        if self.pending_check().is_some() {
            if self.patience_until.is_some_and(|at| now < at) {
                return Fitness::Waiting;
            }
            if let Some(term) = unhealthy(Health::Pending) {
                return cause(term);
            }
        }
        Fitness::Ready
    }

    /// A resumed master's checks have yet to speak. If the slot's priority, from before it was configured anew, is
    /// what they add up to when all is well, that is how it was: without the positive weights a backup might find
    /// itself the better one.
    pub(super) fn believe_the_earlier_sum(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &self.port else { return };
        let earlier = port.detector.earlier_priority;
        let mut healthy = self.terms.clone();
        for term in &mut healthy {
            term.hope();
        }
        let sum = priority::effective(self.config.priority, &healthy);
        let earlier = Priority(earlier);
        // Another member of its group may have held it lower.
        if sum == earlier || self.seat.is_some() && sum > earlier {
            self.terms = healthy;
            self.feed(now, Input::Priority(earlier), edges);
        }
    }

    /// Works out fitness and priority, and feeds what changed. In a group that is for all of its members,
    /// later in this turn; only what faults the instance itself does so at once.
    pub(super) fn weigh(&mut self, now: Instant, edges: &mut Edges<'_>) {
        let own = self.own(now, edges);
        self.moved = true;
        match (own.fitness, &self.seat) {
            (Fitness::Waiting | Fitness::Ready, Some(_)) => {}
            (Fitness::Unfit(_), Some(_)) => {
                let priority = self.election.rules().priority;
                self.go_by(own.fitness, priority, now, edges);
            }
            (_, None) => self.go_by(own.fitness, own.priority, now, edges),
        }
    }

    /// Feeds what changed of this fitness and priority.
    pub(super) fn go_by(
        &mut self,
        fitness: Fitness,
        effective: Priority,
        now: Instant,
        edges: &mut Edges<'_>,
    ) {
        if effective != self.election.rules().priority {
            self.feed(now, Input::Priority(effective), edges);
        }
        if fitness == self.fed {
            return;
        }
        // A resumed master does not go back to waiting.
        match fitness {
            Fitness::Waiting => return,
            Fitness::Ready => self.feed(now, Input::Ready, edges),
            Fitness::Unfit(cause) => {
                if cause == FaultCause::CannotSend && self.port_error.is_none() {
                    self.say_shortfall(edges);
                }
                self.feed(now, Input::Fault(cause), edges);
            }
        }
        self.fed = fitness;
    }
}

fn renamed(from: &str, to: &str) -> String {
    format!("no such interface: {from} is called {to} now; rename it back, or change `interface`")
}

/// What a failure is called, by its number in the driver's list of names.
fn fault_of(term: &Term, names: &[String]) -> FaultCause {
    let number = |name: &str| {
        let index = names.iter().position(|known| known == name);
        CheckId(
            index
                .and_then(|index| u16::try_from(index).ok())
                .unwrap_or(u16::MAX),
        )
    };
    match (term.track.check_name(), term.track.reverse) {
        (Some(check), false) => FaultCause::Check(number(check)),
        (Some(_), true) | (None, _) => FaultCause::Tracked(number(&term.track.complaint())),
    }
}
