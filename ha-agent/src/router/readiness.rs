//! Whether a router may take part, and with what priority: its interface, what it is bound to, whether adverts can
//! leave, refused addresses, and what it tracks.

use std::sync::Arc;

use ha_common::election::{Cause, CheckId, FaultCause};
use ha_common::group::Fitness;
use ha_common::units::{Instant, Nanos, Priority};

use super::event::InterfaceState;
use super::health::Health;
use super::own_interface::{InterfaceNews, OwnInterface};
use super::priority;
use super::sending::Sending;
use super::tracked::{ObservedLinks, TrackedItem};
use crate::config::model::{Instance as Config, Subject};

/// How long a router waits for the first results of its checks; after that a check without one counts as failed.
pub(super) const FIRST_RESULT_WAIT: Nanos = Nanos::from_millis(30_000);

/// How long a router whose addresses were refused stays out before it tries again: at first, and at most. Each time
/// it tries, it takes the addresses away from somebody who holds them.
const REFUSED_WAIT: Nanos = Nanos::from_millis(5_000);
const REFUSED_WAIT_MAX: Nanos = Nanos::from_millis(320_000);

/// What a router has on its interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Bound {
    #[default]
    Nothing,
    /// Sockets and slot.
    Yes,
    /// It could not be had. What it had before may be there still.
    Failed(String),
}

/// What decides it.
#[derive(Clone, Debug)]
pub struct Readiness {
    interface: OwnInterface,
    /// What the interface is called now, if it was lost by being renamed.
    renamed: Option<String>,
    bound: Bound,
    /// Whether it was bound since this life began: what an earlier one has left was decided on then.
    has_been_bound: bool,
    awaits_program: bool,
    /// What else keeps it out.
    kept_out: Option<FaultCause>,
    sending: Sending,
    tracked: Vec<TrackedItem>,
    /// Until when a check may be without a result; `None` once that is over.
    first_results_by: Option<Instant>,
    /// Refused addresses keep it out until then.
    refused_until: Option<Instant>,
    /// How long it stays out the next time.
    refused_wait: Nanos,
    /// The number of each tracked item's failure among all names.
    names: Arc<[String]>,
}

impl Readiness {
    pub(super) fn new(config: &Config, names: Arc<[String]>, now: Instant) -> Self {
        Self {
            interface: OwnInterface::new(config),
            renamed: None,
            bound: Bound::Nothing,
            has_been_bound: false,
            awaits_program: false,
            kept_out: None,
            sending: Sending::default(),
            tracked: config.track.iter().map(TrackedItem::new).collect(),
            first_results_by: Some(now + FIRST_RESULT_WAIT),
            refused_until: None,
            refused_wait: REFUSED_WAIT,
            names,
        }
    }

    /// What is tracked.
    pub fn tracked(&self) -> &[TrackedItem] {
        &self.tracked
    }

    /// Adverts that do not leave.
    pub fn sending(&self) -> &Sending {
        &self.sending
    }

    pub(super) fn sending_mut(&mut self) -> &mut Sending {
        &mut self.sending
    }

    /// The failures' names, by number.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The interface's state.
    pub fn interface(&self) -> InterfaceState {
        self.interface.seen()
    }

    /// It is like this now. Who `waits` gives what is missing a while to come back.
    pub(super) fn set_interface(
        &mut self,
        state: InterfaceState,
        waits: bool,
        now: Instant,
    ) -> Option<InterfaceNews> {
        if state == InterfaceState::Gone && matches!(self.bound, Bound::Failed(_)) {
            // What could not be had on it is gone with it.
            self.bound = Bound::Nothing;
        }
        self.interface.see(state, waits, now)
    }

    /// What is missing of the interface, and for how long a master or a backup waits for it, in words.
    pub(super) fn words_of_wait(&self, config: &Config, is_master: bool, span: Nanos) -> String {
        let cause = match self.interface.seen() {
            InterfaceState::Gone | InterfaceState::Up => FaultCause::InterfaceGone,
            InterfaceState::Down | InterfaceState::NoCarrier => FaultCause::InterfaceDown,
            InterfaceState::NoAddress => FaultCause::NoOwnAddress,
            InterfaceState::NoSource => FaultCause::SourceMissing,
        };
        format!(
            "{}: {}; this {} gives up in {:.1} s unless that ends",
            config.interface,
            self.words_of_fault(cause),
            if is_master { "master" } else { "backup" },
            span.to_duration().as_secs_f64()
        )
    }

    /// It waits for nothing of its interface any more.
    pub(super) fn stop_waiting(&mut self) {
        self.interface.stop_waiting();
    }

    /// True if that is news.
    pub(super) fn set_renamed(&mut self, name: Option<String>) -> bool {
        let news = self.renamed != name;
        self.renamed = name;
        news
    }

    pub(super) fn set_bound(&mut self) {
        self.bound = Bound::Yes;
        self.has_been_bound = true;
        self.renamed = None;
        self.awaits_program = false;
    }

    pub(super) fn set_unbound(&mut self) {
        if self.bound == Bound::Yes {
            self.bound = Bound::Nothing;
        }
        self.awaits_program = false;
        self.sending.set_outlet(None, Instant(0));
    }

    /// True if the reason is another one than before.
    pub(super) fn set_bind_failed(&mut self, why: String) -> bool {
        self.awaits_program = false;
        let failed = Bound::Failed(why);
        let news = self.bound != failed;
        self.bound = failed;
        news
    }

    /// True if that is news.
    pub(super) fn set_awaits_program(&mut self) -> bool {
        !std::mem::replace(&mut self.awaits_program, true)
    }

    pub(super) fn set_kept_out(&mut self, cause: Option<FaultCause>) {
        self.kept_out = cause;
    }

    /// True if the check is tracked here.
    pub(super) fn on_check(&mut self, name: &str, health: Health) -> bool {
        let mut ours = false;
        for item in &mut self.tracked {
            ours |= item.on_check(name, health);
        }
        ours
    }

    /// True if anything of a tracked interface changed.
    pub(super) fn on_links(&mut self, links: &ObservedLinks, now: Instant) -> bool {
        let mut changed = false;
        for item in &mut self.tracked {
            changed |= item.on_links(links, now);
        }
        changed
    }

    /// Tracks what the new configuration does: what stays tracked stays known, and a new check gets its time.
    pub(super) fn configure(
        &mut self,
        config: &Config,
        checks: &[(String, Health)],
        names: Arc<[String]>,
        now: Instant,
    ) {
        let renewed = |track| {
            let mut item = TrackedItem::renewed(track, &self.tracked);
            for (check, health) in checks {
                item.on_check(check, *health);
            }
            item
        };
        self.tracked = config.track.iter().map(renewed).collect();
        self.first_results_by = Some(now + FIRST_RESULT_WAIT);
        self.interface.configure(config);
        self.names = names;
    }

    /// The sum of the configured priority and what is tracked; on its last resort, that if it is lower.
    pub(super) fn priority(&self, config: &Config, now: Instant) -> Priority {
        let sum = priority::effective(config.priority, &self.tracked);
        match self.last_resort(config, now) {
            Some((priority, _)) => priority.min(sum),
            None => sum,
        }
    }

    /// The priority with which it takes part although something that it tracks has failed, and what that is.
    pub(super) fn last_resort(
        &self,
        config: &Config,
        now: Instant,
    ) -> Option<(Priority, FaultCause)> {
        match (config.last_resort, self.assess_tracked(now)) {
            (Some(priority), Fitness::Unfit(cause)) => Some((priority, cause)),
            (None, _) | (_, Fitness::Ready | Fitness::Waiting) => None,
        }
    }

    /// What the priority would be if all that has no result yet were well, and the state that goes with it.
    pub(super) fn assumed_up(&self, config: &Config) -> (Priority, Vec<TrackedItem>) {
        let mut healthy = self.tracked.clone();
        for item in &mut healthy {
            item.assume_up();
        }
        (priority::effective(config.priority, &healthy), healthy)
    }

    pub(super) fn set_tracked(&mut self, tracked: Vec<TrackedItem>) {
        self.tracked = tracked;
    }

    /// Keeps it out for a while, for longer each time.
    pub(super) fn refuse(&mut self, now: Instant) {
        if self.refused_until.is_none() {
            self.refused_until = Some(now + self.refused_wait);
            self.refused_wait = Nanos(self.refused_wait.0 * 2).min(REFUSED_WAIT_MAX);
        }
    }

    /// The addresses were accepted.
    pub(super) fn accept(&mut self) {
        self.refused_wait = REFUSED_WAIT;
    }

    /// Until when refused addresses keep it out, or adverts that did not leave.
    pub fn refused_until(&self) -> Option<Instant> {
        self.refused_until.max(self.sending.mute_until())
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused_until.is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [
            self.sending.next_deadline(),
            self.interface.due(),
            self.refused_until,
            self.first_results_by
                .filter(|_| self.pending_check().is_some()),
            self.tracked
                .iter()
                .filter_map(TrackedItem::next_deadline)
                .min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// True if something was due that may change what is decided here.
    pub(super) fn on_timeout(&mut self, now: Instant) -> bool {
        let due = self.next_deadline().is_some_and(|at| at <= now);
        self.sending.on_timeout(now);
        self.interface.on_timeout(now);
        let passed = |at: &Instant| *at <= now;
        self.refused_until = self.refused_until.filter(|at| !passed(at));
        self.first_results_by = self.first_results_by.filter(|at| !passed(at));
        for item in &mut self.tracked {
            item.on_timeout(now);
        }
        due
    }

    fn pending_check(&self) -> Option<&Subject> {
        self.tracked
            .iter()
            .find(|item| item.health == Health::Pending)
            .map(|item| &item.track.subject)
    }

    /// Whether it may take part, by itself.
    pub(super) fn assess(&self, config: &Config, now: Instant) -> Fitness {
        match self.interface.counts() {
            InterfaceState::Gone => return Fitness::Unfit(FaultCause::InterfaceGone),
            InterfaceState::Down | InterfaceState::NoCarrier => {
                return Fitness::Unfit(FaultCause::InterfaceDown);
            }
            InterfaceState::NoAddress => return Fitness::Unfit(FaultCause::NoOwnAddress),
            InterfaceState::NoSource => return Fitness::Unfit(FaultCause::SourceMissing),
            InterfaceState::Up => {}
        }
        match self.bound {
            Bound::Nothing if self.awaits_program => return Fitness::Waiting,
            Bound::Nothing | Bound::Failed(_) => return Fitness::Unfit(FaultCause::CannotSend),
            Bound::Yes => {}
        }
        if self.sending.shortfall(config).is_some() {
            return Fitness::Unfit(FaultCause::CannotSend);
        }
        if self.refused_until.is_some() {
            return Fitness::Unfit(FaultCause::AddressesRefused);
        }
        if let Some(cause) = self.kept_out {
            return Fitness::Unfit(cause);
        }
        match self.assess_tracked(now) {
            Fitness::Unfit(_) if config.last_resort.is_some() => Fitness::Ready,
            fitness => fitness,
        }
    }

    fn assess_tracked(&self, now: Instant) -> Fitness {
        let decided_by = |health| {
            self.tracked
                .iter()
                .find(|item| item.decides() == Some(health))
        };
        let unfit = |item: &TrackedItem| Fitness::Unfit(fault_of(item, &self.names));
        if let Some(item) = decided_by(Health::Down) {
            return unfit(item);
        }
        if self.pending_check().is_some() {
            if self.first_results_by.is_some_and(|at| now < at) {
                return Fitness::Waiting;
            }
            if let Some(item) = decided_by(Health::Pending) {
                return unfit(item);
            }
        }
        Fitness::Ready
    }

    /// What keeps it out by itself, in words.
    pub(super) fn obstacle(&self, config: &Config, now: Instant) -> Option<String> {
        if let Bound::Failed(why) = &self.bound {
            return Some(why.clone());
        }
        let interface = &config.interface;
        if let (InterfaceState::NoSource, Some(source)) = (self.interface.counts(), config.source) {
            return Some(format!("source address {source} is not on {interface}"));
        }
        if self.interface.counts() == InterfaceState::Up
            && let Some(shortfall) = self.sending.shortfall(config)
        {
            return Some(shortfall);
        }
        match self.assess(config, now) {
            Fitness::Ready => None,
            Fitness::Waiting if self.awaits_program && self.bound == Bound::Nothing => Some(
                format!("the program that receives adverts is being attached to {interface}"),
            ),
            Fitness::Waiting => {
                let pending = self.pending_check().map(ToString::to_string);
                let check = pending.unwrap_or_else(|| "a check".to_owned());
                Some(format!("waiting for the first result of check {check}"))
            }
            Fitness::Unfit(cause) => {
                if let (FaultCause::InterfaceGone, Some(name)) = (cause, &self.renamed) {
                    return Some(renamed(interface, name));
                }
                Some(self.words_of_fault(cause))
            }
        }
    }

    /// A fault in words. A cable that was pulled is told from an interface that was switched off.
    pub(super) fn words_of_fault(&self, cause: FaultCause) -> String {
        if (cause, self.interface.seen()) == (FaultCause::InterfaceDown, InterfaceState::NoCarrier)
        {
            return "interface has no carrier".to_owned();
        }
        Cause::Fault(cause).with_names(&self.names).to_string()
    }

    /// Why adverts cannot leave although sockets and slot are there, in words.
    pub(super) fn shortfall(&self, config: &Config) -> Option<String> {
        match self.bound {
            Bound::Failed(_) => None,
            Bound::Nothing | Bound::Yes => self.sending.shortfall(config),
        }
    }

    /// Whether it was bound since this life began.
    pub(super) fn has_been_bound(&self) -> bool {
        self.has_been_bound
    }

    /// Why the last try to bind failed, whatever is left of an earlier one.
    pub fn bind_error(&self) -> Option<&str> {
        match &self.bound {
            Bound::Failed(why) => Some(why),
            Bound::Nothing | Bound::Yes => None,
        }
    }
}

/// An interface that has another name now.
pub(super) fn renamed(from: &str, to: &str) -> String {
    format!("no such interface: {from} was renamed to {to}; rename it back, or change `interface`")
}

/// What a failure is called, by its number in the list of names.
fn fault_of(item: &TrackedItem, names: &[String]) -> FaultCause {
    let number = |name: &str| {
        let index = names.iter().position(|known| known == name);
        CheckId(
            index
                .and_then(|index| u16::try_from(index).ok())
                .unwrap_or(u16::MAX),
        )
    };
    match (item.track.check_name(), item.track.reverse) {
        (Some(check), false) => FaultCause::Check(number(check)),
        (Some(_), true) | (None, _) => FaultCause::Tracked(number(&item.track.complaint())),
    }
}
