//! A host whose kernel fails: the agent's router and what it knows of its addresses, driven by time alone.
//!
//! The driver's part is a model. Nothing tells it of what has changed on the host, so that only what is tried again by
//! time puts anything right.

mod kernel;
mod mistake;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ha_agent::config::model::Instance as Config;
use ha_agent::config::parse;
use ha_agent::net::address::AddressSpec;
use ha_agent::reconcile::addresses::{Added, Addresses, Difference, Look, Present};
use ha_agent::router::tracked::ObservedLinks;
use ha_agent::router::{Binding, Effect, Effects, Event, InterfaceState, Router, Wanted};
use ha_common::election::Role;
use ha_common::units::{Instant, Nanos};

pub use kernel::{Fault, How, Kernel, Request, found};
pub use mistake::{MISTAKES, Mistake};

use crate::detector::{Detector, Model};

/// The interface's index.
pub const INTERFACE: u32 = 2;
/// An agent that ends tries for so long, and so often.
const LEAVES_WITHIN: Nanos = Nanos::from_millis(5_000);
const LEAVES_AGAIN: Nanos = Nanos::from_millis(100);

/// What lives as long as the process.
struct Agent {
    router: Router,
    addresses: Addresses,
}

/// One host, its kernel, and the agent while it runs.
pub struct Host {
    now: Instant,
    /// The kernel.
    pub kernel: Kernel,
    link: InterfaceState,
    detector: Box<dyn Detector>,
    /// What the maps and the file of the last life say that it held.
    recorded: Vec<IpAddr>,
    config: Arc<Config>,
    agent: Option<Agent>,
    marks: bool,
    mistake: Mistake,
    turned_at: Instant,
}

/// The configuration with these addresses.
#[expect(clippy::expect_used, reason = "it is written here")]
pub fn config(addresses: &[&str]) -> Arc<Config> {
    let text = format!(
        "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 100\n\
         advert_interval = \"100ms\"\naddresses = {addresses:?}\n"
    );
    let config = parse("upkeep.toml", &text).expect("it is valid");
    Arc::new(config.instances.into_iter().next().expect("an instance"))
}

impl Host {
    /// Switched off, with what an administrator has on it.
    pub fn new(theirs: &[&str], config: Arc<Config>, marks: bool, mistake: Mistake) -> Self {
        let theirs = theirs.iter().filter_map(|net| net.parse().ok());
        let mut kernel = Kernel::default();
        kernel.present = theirs.map(|net| (INTERFACE, found(net, false))).collect();
        Self {
            now: Instant(1_000_000_000_000),
            kernel,
            link: InterfaceState::Up,
            detector: Model::boxed(),
            recorded: Vec::new(),
            config,
            agent: None,
            marks,
            mistake,
            turned_at: Instant(0),
        }
    }

    /// What time it is there.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether it is master.
    pub fn is_master(&self) -> bool {
        let role = self.agent.as_ref().map(|it| it.router.role());
        role == Some(Role::Master)
    }

    /// Whether `status` would say that something is missing, or why the router takes no part.
    pub fn says(&self) -> bool {
        self.agent.as_ref().is_some_and(|it| {
            it.addresses.missing().next().is_some() || it.router.obstacle(self.now).is_some()
        })
    }

    /// Where its addresses belong.
    fn places(&self) -> Vec<AddressSpec> {
        let held = self.config.held();
        held.map(|it| AddressSpec::of(INTERFACE, it)).collect()
    }

    /// The agent starts.
    pub fn start(&mut self, config: Arc<Config>) {
        self.config = Arc::clone(&config);
        let mut addresses = Addresses::default();
        addresses.add_recorded(self.recorded.iter().copied());
        self.agent = Some(Agent {
            router: Router::new(0, config, Arc::from(Vec::new()), self.now),
            addresses,
        });
        self.tell(Event::Links(&ObservedLinks::new()));
        let listed = self.kernel.list(INTERFACE, self.now).unwrap_or_default();
        let listed: HashSet<IpAddr> = listed.iter().map(|it| it.net.addr()).collect();
        let slot = *self.detector.slot();
        let binding = Binding {
            source: [10, 99, 0, 1].into(),
            kernel_timer: true,
            earlier_priority: slot.own_priority,
            in_place: self
                .places()
                .iter()
                .all(|it| listed.contains(&it.net.addr())),
            turned_at: self.turned_at,
        };
        self.tell(Event::Bound(binding, Some(&slot)));
        self.tell(Event::Interface(self.link, None));
    }

    /// It is killed: the kernel has what it had.
    pub fn crash(&mut self) {
        self.agent = None;
    }

    /// The link goes or comes.
    pub fn link(&mut self, state: InterfaceState) {
        self.link = state;
        self.tell(Event::Interface(state, None));
    }

    /// The configuration changes.
    pub fn reload(&mut self, config: Arc<Config>) {
        let is_master = self.wanted() == Wanted::Everything;
        self.config = Arc::clone(&config);
        let stays: HashSet<AddressSpec> = self.places().into_iter().collect();
        if is_master && let Some(agent) = &self.agent {
            let mut dropped = agent.addresses.placed();
            dropped.retain(|place| !stays.contains(place));
            if !dropped.is_empty() {
                let failure = self.remove(&dropped);
                self.settle(failure);
            }
        }
        self.tell(Event::Configure {
            config,
            checks: &[],
            links: &ObservedLinks::new(),
            names: Arc::from(Vec::new()),
        });
    }

    /// The agent is told to end, and does.
    pub fn stop(&mut self) {
        self.tell(Event::Shutdown);
        let until = self.now + LEAVES_WITHIN;
        let Some(agent) = self.agent.take() else {
            return;
        };
        if agent.addresses.failure().is_none() || self.mistake == Mistake::LeavesAtOnce {
            return;
        }
        let mut owed: HashSet<IpAddr> = agent
            .addresses
            .placed()
            .iter()
            .map(|it| it.net.addr())
            .collect();
        if self.marks {
            owed.extend(self.places().iter().map(|it| it.net.addr()));
        }
        while self.now < until && !self.has_removed(&owed) {
            self.now = self.now + LEAVES_AGAIN;
        }
    }

    fn has_removed(&mut self, owed: &HashSet<IpAddr>) -> bool {
        let Ok(listed) = self.kernel.list(INTERFACE, self.now) else {
            return false;
        };
        let ours = listed
            .iter()
            .filter(|it| owed.contains(&it.net.addr()) && (it.ours || !self.marks));
        let ours: Vec<_> = ours.map(|it| AddressSpec::found(INTERFACE, it)).collect();
        let outcomes = self.kernel.remove(&ours, self.now);
        outcomes.is_ok_and(|outcomes| outcomes.iter().all(Result::is_ok))
    }

    /// Lets time go by, with all that falls due.
    pub fn run_for(&mut self, span: Nanos) {
        let until = self.now + span;
        while let Some(due) = self.next_deadline().filter(|due| *due <= until) {
            // What is due again at once would stop the clock.
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = until;
    }

    fn next_deadline(&self) -> Option<Instant> {
        let agent = self.agent.as_ref()?;
        let again = self.mistake != Mistake::NeverAgain;
        let addresses = agent.addresses.next_deadline().filter(|_| again);
        let deadlines = [
            agent.router.next_deadline(),
            addresses,
            self.detector.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn turn(&mut self) {
        self.turned_at = self.now;
        if let Some(deadline) = self.detector.deadline().filter(|it| *it <= self.now) {
            let slot = *self.detector.slot();
            self.tell(Event::Expired {
                deadline,
                slot: &slot,
            });
        }
        let mut fx = Effects::default();
        if let Some(agent) = &mut self.agent {
            agent.router.on_timeout(self.now, &mut fx);
        }
        self.carry_out(fx);
        let is_due = |it: &Agent| it.addresses.is_due(self.now);
        if self.agent.as_ref().is_some_and(is_due) && self.mistake != Mistake::NeverAgain {
            self.compare();
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        let mut fx = Effects::default();
        if let Some(agent) = &mut self.agent {
            agent.router.on_event(self.now, event, &mut fx);
        }
        self.carry_out(fx);
    }

    fn carry_out(&mut self, fx: Effects) {
        for effect in fx {
            match effect {
                Effect::Want(Wanted::Everything) => self.take(),
                Effect::Want(Wanted::Nothing) => self.give_up(),
                Effect::Detect { part, rules } => self.detector.assign(self.now, part, rules),
                Effect::UpdateDetector(rules) => self.detector.update(rules),
                Effect::Promote { .. } => self.tell(Event::Promoted(true)),
                Effect::Announce(portion) => self.tell(Event::Announced {
                    sent: portion.len(),
                    portion,
                    full: false,
                }),
                Effect::ReadSlot => {
                    let slot = *self.detector.slot();
                    self.tell(Event::Slot(&slot));
                }
                // Nothing else concerns the addresses.
                _ => {}
            }
        }
    }

    fn wanted(&self) -> Wanted {
        self.agent
            .as_ref()
            .map_or(Wanted::Undecided, |it| it.router.wanted())
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Addresses, Instant) -> T) -> Option<T> {
        let now = self.now;
        self.agent.as_mut().map(|it| act(&mut it.addresses, now))
    }

    fn settle(&mut self, failure: Option<String>) {
        self.with(|it, now| it.settle(None, failure, now));
    }

    fn take(&mut self) {
        let places = self.places();
        match self.kernel.add(&places, self.now) {
            Ok(outcomes) => {
                let added = self.with(|it, now| it.added(&places, outcomes, now));
                self.took(&added.unwrap_or_default());
            }
            Err(why) => self.unknown(why),
        }
        self.record();
    }

    fn unknown(&mut self, why: String) {
        if self.mistake != Mistake::TrustsNoAnswer {
            self.with(|it, _| it.lost_track());
            self.settle(Some(why.clone()));
        }
        if self
            .agent
            .as_ref()
            .is_some_and(|it| !it.addresses.is_in_place())
        {
            self.tell(Event::AddressesRefused(why));
        }
    }

    fn took(&mut self, added: &Added) {
        if !added.was_there.is_empty() {
            self.sort_out(added);
        }
        let was_in_place = self
            .agent
            .as_ref()
            .is_some_and(|it| it.addresses.is_in_place());
        if self.is_refused(added, was_in_place) {
            return;
        }
        let forgets = self.mistake == Mistake::ForgetsFailures;
        self.with(|it, now| {
            it.set_in_place();
            let failure = it.failure().filter(|_| !forgets);
            it.settle(None, failure, now);
        });
        self.tell(Event::AddressesHeld);
        let configured: Vec<IpAddr> = self.places().iter().map(|it| it.net.addr()).collect();
        let has_more = |it: &Agent| !it.addresses.left_beside(&configured).is_empty();
        if self.agent.as_ref().is_some_and(has_more) {
            self.compare();
        }
    }

    fn sort_out(&mut self, added: &Added) {
        match self.listed() {
            Ok(present) => {
                let theirs = self.compared(&present, Addresses::look_for_foreign);
                let theirs = theirs.unwrap_or_default();
                self.with(|it, _| it.sort_out(&added.was_there, &theirs));
            }
            Err(_) if self.mistake == Mistake::TakesAllForItsOwn => {
                self.with(|it, _| it.sort_out(&added.was_there, &[]));
            }
            Err(why) => {
                self.with(|it, _| it.lost_track());
                self.settle(Some(why));
            }
        }
    }

    /// As the driver does: all addresses are in the adverts here.
    fn is_refused(&mut self, added: &Added, was_in_place: bool) -> bool {
        let lacks_all = added.refused.len() == self.places().len();
        let fatal = self.agent.as_ref().and_then(|agent| {
            added.refused.iter().find(|(place, _)| {
                let is_late = was_in_place || agent.addresses.goes_without(place);
                !is_late || lacks_all
            })
        });
        if let Some((_, why)) = fatal {
            self.tell(Event::AddressesRefused(why.clone()));
            return true;
        }
        self.with(|it, now| {
            for (place, why) in &added.refused {
                it.go_without(*place, why, now);
            }
        });
        false
    }

    fn give_up(&mut self) {
        self.with(|it, _| it.give_up());
        let Some(agent) = &self.agent else { return };
        let must_look = agent.addresses.must_look();
        let placed = agent.addresses.placed();
        let failure = self.remove(&placed);
        self.settle(failure);
        if must_look {
            self.compare();
        }
        self.record();
    }

    fn remove(&mut self, specs: &[AddressSpec]) -> Option<String> {
        match self.kernel.remove(specs, self.now) {
            Ok(outcomes) => self
                .with(|it, now| it.removed(specs, outcomes, now))
                .flatten(),
            Err(why) => Some(why),
        }
    }

    fn listed(&mut self) -> Result<Present<'static>, String> {
        let mut present = Present::default();
        present.put(INTERFACE, self.kernel.list(INTERFACE, self.now)?);
        Ok(present)
    }

    fn compared<T>(
        &self,
        present: &Present<'_>,
        ask: impl FnOnce(&Addresses, &Look<'_>) -> T,
    ) -> Option<T> {
        let agent = self.agent.as_ref()?;
        let look = Look {
            wanted: agent.router.wanted(),
            places: &self.places(),
            present,
            marks: self.marks,
        };
        Some(ask(&agent.addresses, &look))
    }

    /// It is time to, or nothing is known.
    fn compare(&mut self) {
        self.with(|it, _| it.looked());
        let present = match self.listed() {
            Ok(present) => present,
            Err(why) => return self.settle(Some(why)),
        };
        self.with(|it, _| it.found(&present));
        let now = self.now;
        let difference = self.compared(&present, |it, look| it.difference(look, now));
        let Difference {
            remove,
            add,
            put_off_until,
        } = difference.unwrap_or_default();
        let mut failure = None;
        if remove.is_empty() && add.is_empty() && put_off_until.is_none() {
            self.take_stock(&present);
        }
        if !remove.is_empty() {
            failure = self.remove(&remove);
        }
        if !add.is_empty() {
            match self.kernel.add(&add, now) {
                Ok(outcomes) => {
                    let added = self.with(|it, now| it.added(&add, outcomes, now));
                    if !self.is_refused(&added.unwrap_or_default(), false) {
                        self.tell(Event::AddressesRestored);
                    }
                }
                Err(why) => failure = Some(why),
            }
        }
        self.with(|it, now| it.settle(put_off_until, failure, now));
        self.record();
    }

    fn take_stock(&mut self, present: &Present<'_>) {
        let places = self.places();
        let (wanted, marks) = (self.wanted(), self.marks);
        if wanted == Wanted::Everything {
            let look = Look {
                wanted,
                places: &places,
                present,
                marks,
            };
            self.with(|it, _| it.take_stock(&look));
        }
    }

    /// The maps know what a life holds, and its file what it knows of earlier ones.
    fn record(&mut self) {
        if let Some(agent) = &self.agent {
            let placed = agent.addresses.placed();
            self.recorded = if self.mistake == Mistake::RecordsItsOwn {
                placed.iter().map(|it| it.net.addr()).collect()
            } else {
                agent.addresses.left_beside(&[])
            };
        }
    }
}
