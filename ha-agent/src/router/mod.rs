//! A virtual router's logic as a pure value: no I/O, no clock, no lock, no thread. Whoever runs it says what
//! happened and when ([`Event`]), and carries out what comes back ([`Effect`]), in order.
//!
//! It imports `ha-common` and the configuration's model, and `cargo xtask tidy` holds it to that: so the driver, the
//! simulation and the replay of recordings run the same code.

pub mod announcements;
mod announcing;
mod binding;
pub mod claims;
mod clocks;
mod debounce;
mod detection;
mod differences;
mod effect;
mod event;
pub mod group;
mod grouped;
pub mod health;
mod hearing;
pub mod membership;
pub mod notice;
mod order;
mod other_masters;
mod own_interface;
mod params;
pub mod priority;
pub mod readiness;
mod reporting;
pub mod sending;
pub mod spread;
mod stand_still;
pub mod tracked;
mod unheard;
mod wanted;
pub mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ha_common::election::{Action, Detector, Election, FaultCause, Input, Params, Role, Rules};
use ha_common::group::Fitness;
use ha_common::units::{Instant, Priority};

pub use effect::{Effect, Effects, Fed};
pub use event::{Binding, Event, InterfaceState};
pub use wanted::Wanted;

use crate::config::model::{Instance as Config, Transport};
use announcements::AnnouncePlan;
use claims::Claims;
use detection::Detection;
use membership::Membership;
use notice::{Notice, Notices, Subject};
use other_masters::OtherMasters;
use params::params;
use readiness::Readiness;
use spread::Spread;
use unheard::Unheard;

/// One virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    name: Arc<str>,
    config: Arc<Config>,
    /// Where it stands among others, so that what all of them do now and then comes at different times.
    spread: Spread,
    election: Election,
    readiness: Readiness,
    /// The fitness that the election was last told of.
    told: Fitness,
    detection: Detection,
    announcements: Option<AnnouncePlan>,
    /// Whether the addresses are in place.
    holds: bool,
    membership: Option<Membership>,
    /// Whether its group has to look at it.
    moved: bool,
    /// In a group: the deadline that ran out without making a master of it.
    ran_out_at: Option<Instant>,
    /// The deadline that is being acted on.
    deadline: Option<Instant>,
    /// A takeover waits for the slot's word.
    promoting: Option<Promoting>,
    unheard: Unheard,
    /// Until when a master takes others for those who took over from it.
    wary_until: Instant,
    claims: Claims,
    other_masters: OtherMasters,
    notices: Notices,
    transitions: u64,
    /// While it is told that its sender stopped: since when.
    silent_since: Option<Instant>,
    /// Whether anything that `status` shows may have changed.
    changed: bool,
}

/// A deadline that passed, while the slot is asked whether it still holds.
#[derive(Clone, Copy, Debug)]
struct Promoting {
    deadline: Instant,
    last_heard: Option<Instant>,
}

impl Router {
    /// A router that knows nothing of its interface yet. `number` is its place among others on this host; `names`
    /// are those of the failures, by number.
    pub fn new(number: usize, config: Arc<Config>, names: Arc<[String]>, now: Instant) -> Self {
        let params = params::initial(&config);
        Self {
            name: Arc::from(config.name.as_str()),
            spread: Spread::of(number),
            election: Election::new(params),
            readiness: Readiness::new(&config, names, now),
            config,
            told: Fitness::Waiting,
            detection: Detection::default(),
            announcements: None,
            holds: false,
            membership: None,
            moved: false,
            ran_out_at: None,
            deadline: None,
            promoting: None,
            unheard: Unheard::default(),
            wary_until: Instant(0),
            claims: Claims::default(),
            other_masters: OtherMasters::default(),
            notices: Notices::new(now),
            transitions: 0,
            silent_since: None,
            changed: true,
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// What its election began with, before anything of the host is known.
    pub fn first_params(config: &Config) -> Params {
        params::initial(config)
    }

    /// The election, to look at.
    pub fn election(&self) -> &Election {
        &self.election
    }

    pub fn role(&self) -> Role {
        self.election.state().role()
    }

    /// What makes it fit to take part.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Its place in a group.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Who claims its addresses.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What was told once.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// How often its state has changed.
    pub fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Whether anything that `status` shows may have changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What keeps it out, in words.
    pub fn obstacle(&self, now: Instant) -> Option<String> {
        let own = self.readiness.obstacle(&self.config, now);
        own.or_else(|| self.membership.as_ref()?.obstacle())
    }

    /// Whether its slot may show what no event told.
    pub fn is_restless(&self, now: Instant) -> bool {
        self.detection.is_restless(self.role(), now)
    }

    /// A wake-up was for this router.
    pub fn stir(&mut self, now: Instant) {
        self.detection.stir(now);
    }

    /// When [`Self::on_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let announcements = self
            .announcements
            .as_ref()
            .filter(|_| self.holds)
            .and_then(AnnouncePlan::next_deadline);
        // Addresses that were refused are a fault once what led to them has been carried out.
        let owed = self.owes_refusal().then_some(Instant(0));
        [
            self.election.next_deadline(),
            announcements,
            owed,
            self.readiness.next_deadline(),
            self.detection.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn on_timeout(&mut self, now: Instant, fx: &mut Effects) {
        if self.detection.on_timeout(now) {
            fx.push(Effect::ReadSlot);
        }
        if self.election.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Input::Tick, fx);
        }
        self.announce_due(now, fx);
        let owed = self.owes_refusal();
        let before = self.readiness.tracked().to_vec();
        if self.readiness.on_timeout(now) || owed {
            self.changed = true;
            self.tell_of_interfaces(&before, fx);
            self.reassess(now, fx);
        }
    }

    /// Takes in what happened.
    pub fn on_event(&mut self, now: Instant, event: Event<'_>, fx: &mut Effects) {
        match event {
            Event::Interface(state, outlet) => {
                self.readiness.sending_mut().set_outlet(outlet, now);
                self.on_interface(state, now, fx);
            }
            Event::Links(links) => self.on_links(links, now, fx),
            Event::Renamed(name) => self.renamed(name, fx),
            Event::Bound(binding, slot) => self.bound(&binding, slot, now, fx),
            Event::Unbound => self.unbound(),
            Event::BindFailed(why) => {
                self.changed = true;
                if self.readiness.set_bind_failed(why.clone()) {
                    fx.say(Notice::Failed(why));
                }
            }
            Event::AwaitsProgram => self.changed |= self.readiness.set_awaits_program(),
            Event::Check { name, health } => {
                if self.readiness.on_check(name, health) {
                    self.changed = true;
                    self.reassess(now, fx);
                }
            }
            Event::Advert {
                advert,
                other_list,
                is_overheard,
            } => self.hear(&advert, other_list, is_overheard, now, fx),
            Event::Claimed(claim, slot) => self.claimed(claim, slot, now, fx),
            Event::Expired { deadline, slot } => {
                self.expired(deadline, slot, now, fx);
            }
            Event::Promoted(promoted) => self.promoted(promoted, now, fx),
            Event::Slot(slot) => self.look(slot, now, fx),
            Event::Overwritten { parts, slot } => self.overwritten(&parts, slot, now, fx),
            Event::AsWritten => self.end_notice(&Subject::Overwritten, fx),
            Event::SenderStopped { since, slot } => self.sender_stopped(since, slot, now, fx),
            Event::StoodStill(span) => self.stood_still(span, now),
            Event::Sending(news) => self.on_sending(news, now, fx),
            Event::AddressesHeld => self.held(now, fx),
            Event::AddressesRefused(why) => self.refused(why, now, fx),
            Event::AddressesRestored => self.restored(now, fx),
            Event::Announced {
                portion,
                sent,
                full,
            } => self.announced(&portion, sent, full, now, fx),
            Event::Configure {
                config,
                checks,
                links,
                names,
            } => {
                let old = std::mem::replace(&mut self.config, config);
                if *self.name != *self.config.name {
                    self.name = Arc::from(self.config.name.as_str());
                }
                self.readiness.configure(&self.config, checks, names, now);
                self.on_links(links, now, fx);
                self.configured(&old, now, fx);
            }
            Event::Membership(membership) => self.join(membership, now, fx),
            Event::KeptOut(cause) => {
                self.changed = true;
                self.readiness.set_kept_out(cause);
                self.reassess(now, fx);
            }
            Event::Shutdown => self.feed(now, Input::Shutdown, fx),
        }
    }

    fn on_sending(&mut self, news: sending::SendingNews, now: Instant, fx: &mut Effects) {
        self.changed = true;
        if self.role() == Role::Master && self.readiness.sending_mut().on_news(news, now, fx) {
            self.reassess(now, fx);
        }
    }

    fn restored(&mut self, now: Instant, fx: &mut Effects) {
        self.changed = true;
        if self.role() == Role::Master {
            self.announce(now, fx);
        }
    }

    fn refused(&mut self, why: String, now: Instant, fx: &mut Effects) {
        self.changed = true;
        self.announcements = None;
        self.readiness.refuse(now);
        fx.say(Notice::Failed(why));
    }

    /// Tells the election, and passes on what it wants.
    fn feed(&mut self, now: Instant, input: Input, fx: &mut Effects) {
        self.changed = true;
        self.moved = true;
        let before = self.wanted();
        let actions = self.election.handle(now, input);
        fx.fed(now, input, &actions);
        for action in order::switch_first(&actions) {
            self.act(action, now, fx);
        }
        if order::begins_to_listen(&actions) {
            fx.push(Effect::ReadSlot);
        }
        if before == Wanted::Undecided && self.wanted() == Wanted::Nothing {
            // It is kept out before it was ever on its interface: there is nothing to carry on from.
            fx.push(Effect::Want(Wanted::Nothing));
        }
        self.deadline = None;
    }

    fn act(&mut self, action: Action, now: Instant, fx: &mut Effects) {
        match action {
            Action::StartAdverts(rules) => {
                self.readiness.sending_mut().begin();
                fx.push(Effect::StartAdverts {
                    rules,
                    deadline: self.deadline,
                });
            }
            Action::UpdateAdverts(rules) => fx.push(Effect::UpdateAdverts(rules)),
            Action::AdvertNow => fx.push(Effect::AdvertNow),
            Action::StopAdverts(last) => fx.push(Effect::StopAdverts(last)),
            Action::AddAddresses | Action::AdoptAddresses => {
                fx.push(Effect::Want(Wanted::Everything));
            }
            Action::RemoveAddresses => {
                self.announcements = None;
                self.holds = false;
                fx.push(Effect::Want(Wanted::Nothing));
            }
            Action::Announce => self.announce(now, fx),
            Action::Detect { detector, rules } => self.assign(detector, rules, fx),
            Action::UpdateDetector(rules) => fx.push(Effect::UpdateDetector(rules)),
            Action::Report(transition) => self.report(transition, fx),
            Action::Notice(notice) => self.remark(notice, now, fx),
        }
    }

    fn detect(&mut self, part: Detector, rules: Rules, fx: &mut Effects) {
        self.assign(part, rules, fx);
        if matches!(part, Detector::Backup { .. }) {
            fx.push(Effect::ReadSlot);
        }
    }

    fn assign(&mut self, part: Detector, rules: Rules, fx: &mut Effects) {
        let is_unicast = matches!(self.config.transport, Transport::Unicast(_));
        let part = self.detection.assign(part, rules.interval, is_unicast);
        fx.push(Effect::Detect { part, rules });
    }

    /// Works out fitness and priority, and tells the election what changed. In a group that is for all of its
    /// members, later; only what faults the router itself does so at once.
    fn reassess(&mut self, now: Instant, fx: &mut Effects) {
        self.moved = true;
        self.tell_of_last_resort(now, fx);
        let fitness = self.readiness.assess(&self.config, now);
        match (fitness, &self.membership) {
            (Fitness::Waiting | Fitness::Ready, Some(_)) => {}
            (Fitness::Unfit(_), Some(_)) => {
                let priority = self.election.rules().priority;
                self.apply(fitness, priority, now, fx);
            }
            (_, None) => {
                let priority = self.readiness.priority(&self.config, now);
                self.apply(fitness, priority, now, fx);
            }
        }
    }

    /// Tells the election what changed of this fitness and priority.
    fn apply(&mut self, fitness: Fitness, priority: Priority, now: Instant, fx: &mut Effects) {
        let before = self.election.rules().priority;
        if priority != before {
            self.feed(now, Input::Priority(priority), fx);
            let sum = self.priority_in_words(now);
            fx.say(Notice::Info(format!(
                "priority {before} -> {priority}: {sum}"
            )));
        }
        if fitness == self.told {
            return;
        }
        match fitness {
            // A resumed master does not go back to waiting.
            Fitness::Waiting => return,
            Fitness::Ready => self.feed(now, Input::Ready, fx),
            Fitness::Unfit(cause) => {
                if cause == FaultCause::CannotSend
                    && let Some(why) = self.readiness.shortfall(&self.config)
                {
                    fx.say(Notice::Failed(why));
                }
                self.feed(now, Input::Fault(cause), fx);
            }
        }
        self.told = fitness;
    }

    /// The addresses were refused while the election was acted on.
    fn owes_refusal(&self) -> bool {
        self.readiness.is_refused() && self.told == Fitness::Ready
    }

    fn held(&mut self, now: Instant, fx: &mut Effects) {
        self.readiness.accept();
        self.holds = self.role() == Role::Master;
        self.announce_due(now, fx);
    }

    /// A reload has changed the configuration.
    fn configured(&mut self, old: &Config, now: Instant, fx: &mut Effects) {
        self.changed = true;
        self.notices.forget(now);
        if self.role() == Role::Master && !old.held().eq(self.config.held()) {
            self.announcements = None;
            self.holds = false;
            fx.push(Effect::Want(Wanted::Everything));
            self.announce(now, fx);
        } else if self.announcements.is_some() && old.garp != self.config.garp {
            // A master goes on by the new plan, from its beginning: whoever changes it wants neighbours to hear.
            self.announcements = None;
            self.announce(now, fx);
        }
        let own = self.election.rules().own_address;
        let priority = match self.membership.as_ref().and_then(|it| it.lent) {
            Some(lent) => lent.priority,
            None => self.readiness.priority(&self.config, now),
        };
        let params = params(&self.config, own, priority, self.membership.is_some());
        self.feed(now, Input::Configure(params), fx);
        fx.push(Effect::UpdateDetector(self.election.detector_rules()));
        if self.role() == Role::Master {
            fx.push(Effect::UpdateAdverts(*self.election.rules()));
        }
        self.reassess(now, fx);
    }
}
