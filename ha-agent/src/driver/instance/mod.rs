//! One virtual router as the driver runs it: its logic, and the hands that do what that says.

mod addresses;
mod adverts;
mod claimed;
mod detection;
mod device;
mod interface;
mod leaving;
mod notice_filter;
mod routing;
mod signed;
mod status;
mod switching;

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::{LastAdvert, Role, Rules, Transition};
use ha_common::units::{Instant, Nanos};

use super::port::Port;
use super::published::InstanceStatus;
use super::report::Report;
use super::switch::Switch;
use super::system::System;
use crate::config::model::Instance as Config;
use crate::os::clock;
use crate::reconcile::addresses::Addresses;
use crate::reconcile::placed_routing::PlacedRouting;
use crate::reconcile::retry::Retry;
use crate::record::Recorder;
use crate::router::health::Health;
use crate::router::notice::Notice;
use crate::router::tracked::ObservedLinks;
use crate::router::{Effect, Effects, Event, Router};

use notice_filter::NoticeFilter;

/// One virtual router.
pub(crate) struct Instance {
    /// Its number: in the sender's table and in what is published.
    pub(crate) id: usize,
    /// Its name in a recording: that of its beginning, whatever it is renamed to.
    recorded_as: Arc<str>,
    router: Router,
    /// The datapath that a command has set.
    pub(crate) switch: Option<Switch>,
    /// Its place on the interface, while there is one.
    pub(crate) port: Option<Port>,
    /// Whether what an earlier agent's slot lists was asked for.
    pub(crate) has_recalled: bool,
    /// Index and life of the interface that it was on before it was lost.
    pub(crate) was_on: Option<(u32, u64)>,
    addresses: Addresses,
    /// They are to be put in place once all that has happened is decided.
    is_to_take: bool,
    /// What the router wants after that.
    after_taking: Effects,
    routing: PlacedRouting,
    /// The device of its virtual MAC could not be switched, and why.
    device_retry: Retry,
    device_error: String,
    /// The device could not be brought in line with its interface, and why.
    follow_retry: Retry,
    follow_error: String,
    /// The slot could not be configured.
    detector_retry: Retry,
    /// The fence could not be told of all its addresses, and why.
    fence_retry: Retry,
    fence_error: String,
    /// What it needs on its interface could not be had.
    bind_retry: Retry,
    latency: Option<Nanos>,
    last: Option<(Transition, String, Option<Nanos>)>,
    notice_filter: NoticeFilter,
    wakeups: u64,
    announced: u64,
    /// How often the device was switched back.
    device_restored: u64,
    /// How often something else had overwritten the slot, or what it needs beside it.
    slot_restored: u64,
    shown: Arc<InstanceStatus>,
    /// Whether `shown` is out of date.
    dirty: bool,
}

impl Instance {
    /// A virtual router that has not seen its interface yet.
    pub(crate) fn new(
        id: usize,
        config: Arc<Config>,
        names: Arc<[String]>,
        now: Instant,
        recorder: &Recorder,
    ) -> Self {
        let shown = Arc::new(InstanceStatus::new(Arc::clone(&config)));
        let params = Router::first_params(&config);
        let router = Router::new(id, config, names, now);
        recorder.begins(router.name(), now, &params);
        Self {
            id,
            recorded_as: Arc::clone(router.name()),
            router,
            switch: None,
            port: None,
            has_recalled: false,
            was_on: None,
            addresses: Addresses::default(),
            is_to_take: false,
            after_taking: Effects::default(),
            routing: PlacedRouting::default(),
            device_retry: Retry::default(),
            device_error: String::new(),
            follow_retry: Retry::default(),
            follow_error: String::new(),
            detector_retry: Retry::default(),
            fence_retry: Retry::default(),
            fence_error: String::new(),
            bind_retry: Retry::default(),
            latency: None,
            last: None,
            notice_filter: NoticeFilter::default(),
            wakeups: 0,
            announced: 0,
            device_restored: 0,
            slot_restored: 0,
            shown,
            dirty: true,
        }
    }

    /// What an earlier agent may have put on the interface, which its configuration may not tell, nor the marks of older
    /// kernels.
    pub(crate) fn recall(&mut self, placed: impl IntoIterator<Item = IpAddr>) {
        self.dirty = true;
        self.addresses.add_recorded(placed);
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        self.router.name()
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        self.router.config()
    }

    /// Its logic.
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    /// Its logic, for its group, which has effects of its own to carry out.
    pub(crate) fn router_mut(&mut self) -> &mut Router {
        &mut self.router
    }

    /// State.
    pub(crate) fn role(&self) -> Role {
        self.router.role()
    }

    /// The rules at present.
    pub(crate) fn rules(&self) -> &Rules {
        self.router.election().rules()
    }

    /// The detector's rules with another own address, for opening a port.
    pub(crate) fn rules_from(&self, source: IpAddr) -> Rules {
        Rules {
            own_address: source,
            ..self.router.election().detector_rules()
        }
    }

    /// What is shown is out of date.
    pub(crate) const fn dirty(&mut self) {
        self.dirty = true;
    }

    /// Whether the port as it was last wanted could not be had, whatever is left of an earlier one.
    pub(crate) fn has_port_error(&self) -> bool {
        self.router.readiness().bind_error().is_some()
    }

    /// Tells the router what happened, and does what it wants. True if anything changed that is shown.
    pub(crate) fn tell(&mut self, event: Event<'_>, system: &mut System, now: Instant) -> bool {
        let mut fx = Effects::default();
        self.router.on_event(now, event, &mut fx);
        self.carry_out(fx, system, now)
    }

    /// Does what the router wants. True if anything changed that is shown.
    pub(crate) fn carry_out(&mut self, mut fx: Effects, system: &mut System, now: Instant) -> bool {
        for fed in fx.take_fed() {
            let (input, actions) = (fed.input, fed.actions);
            system
                .recorder
                .fed(&self.recorded_as, fed.at, &input, &actions, &system.checks);
        }
        let mut changed = self.router.take_changed();
        if self.is_to_take {
            // Something else has happened before the addresses' turn: what was wanted before comes first.
            changed |= self.carry_out_after_taking(system, now);
        }
        // What an effect leads to comes before the next one.
        while let Some(effect) = fx.next() {
            system.renew();
            let was_to_take = self.is_to_take;
            changed |= self.perform(effect, system, now);
            if self.is_to_take && !was_to_take {
                // The slot and the report are in nobody's way, and the next router's first advert waits.
                self.after_taking.append(&mut fx);
            }
        }
        self.dirty |= changed;
        changed
    }

    /// Does what the router wanted after its addresses were to be put in place. True if anything changed that is shown.
    pub(crate) fn carry_out_after_taking(&mut self, system: &mut System, now: Instant) -> bool {
        let mut changed = false;
        for effect in std::mem::take(&mut self.after_taking) {
            system.renew();
            changed |= self.perform(effect, system, now);
        }
        self.dirty |= changed;
        changed
    }

    fn perform(&mut self, effect: Effect, system: &mut System, now: Instant) -> bool {
        match effect {
            Effect::StartAdverts { rules, deadline } => {
                self.raise_device(system, now);
                if let Some(adverts) = self.adverts(&rules) {
                    system.sender.begin(self.id, adverts);
                }
                self.latency = deadline.map(|deadline| clock::now().since(deadline));
            }
            Effect::UpdateAdverts(rules) => {
                if let Some(adverts) = self.adverts(&rules) {
                    system.sender.update(self.id, adverts);
                }
            }
            Effect::AdvertNow => system.sender.now(self.id),
            Effect::StopAdverts(last) => {
                system.sender.end(self.id, last);
                if last == LastAdvert::None {
                    system.sender.forget_time(self.id);
                }
            }
            Effect::Want(wanted) => return self.want(wanted, system, now),
            Effect::Announce(portion) => return self.announce(portion, system, now),
            Effect::Detect { part, rules } => self.detect(part, &rules, system, now),
            Effect::UpdateDetector(rules) => self.reconfigure_detector(&rules, system, now),
            Effect::Promote { rules, last_heard } => {
                let promoted = self.promote(&rules, last_heard, system);
                return self.tell(Event::Promoted(promoted), system, now);
            }
            Effect::ReadSlot => return self.look(system, now),
            Effect::Report(transition) => self.report(transition, system),
            Effect::Say(notice) => self.say(notice, system),
        }
        false
    }

    /// Reports a change of state, with its lateness, which is known here.
    fn report(&mut self, transition: Transition, system: &System) {
        let latency = self.latency.take();
        let notice = self.router.describe(transition);
        if let Notice::Transition { cause, .. } = &notice {
            self.last = Some((transition, cause.clone(), latency));
        }
        self.dirty = true;
        system.reporter.say(Report {
            instance: Arc::clone(self.name()),
            notice,
            latency,
        });
    }

    /// Reports anything else.
    pub(super) fn say(&self, notice: Notice, system: &System) {
        system.reporter.say_of(Arc::clone(self.name()), notice);
    }

    /// The port is open.
    pub(crate) fn opened(&mut self, mut port: Port, system: &mut System, now: Instant) {
        self.dirty = true;
        self.was_on = None;
        self.bind_retry.clear();
        if let Some(replaced) = &self.port {
            port.detector.counts_on(&replaced.detector);
        }
        self.say_attached(&port, system);
        self.port = Some(port);
        self.recall_said(system);
        let slot = self.slot(system);
        let Some(binding) = self.binding(slot.as_ref(), system) else {
            return;
        };
        self.tell(Event::Bound(binding, slot.as_ref()), system, now);
    }

    /// The interface is gone, or its address changed: without the port nothing can be done.
    pub(crate) fn close_port(&mut self, system: &mut System, now: Instant) -> Option<Port> {
        system.renew();
        system.sender.end(self.id, LastAdvert::None);
        let port = self.port.take();
        self.tell(Event::Unbound, system, now);
        port
    }

    /// Own deadlines: the router's, and those of what it has on the interface.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [
            self.router.next_deadline(),
            self.addresses.next_deadline(),
            self.routing.next_deadline(),
            self.device_retry.next_deadline(),
            self.follow_retry.next_deadline(),
            self.detector_retry.next_deadline(),
            self.fence_retry.next_deadline(),
            self.bind_retry.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due. True if anything changed that is shown.
    pub(crate) fn tick(&mut self, system: &mut System, now: Instant) -> bool {
        let mut fx = Effects::default();
        self.router.on_timeout(now, &mut fx);
        let mut changed = self.carry_out(fx, system, now);
        if self.addresses.is_due(now) {
            self.compare_with_kernel(system, now);
            changed = true;
        }
        if self.routing.is_due(now) {
            self.routing_due(system, now);
            changed = true;
        }
        if self.detector_retry.is_due(now) {
            self.configure_detector_again(system, now);
            changed = true;
        }
        if self.fence_retry.is_due(now) {
            self.list_for_fence(system, now);
            changed = true;
        }
        if self.device_retry.is_due(now) {
            self.switch_device_again(system, now);
            changed = true;
        }
        if self.follow_retry.is_due(now) {
            self.follow_interface_again(system, now);
            changed = true;
        }
        self.dirty |= changed;
        changed
    }

    /// Leaves for good.
    pub(crate) fn shut_down(&mut self, system: &mut System, now: Instant) {
        self.tell(Event::Shutdown, system, now);
    }

    /// Takes on a new configuration of the same virtual router.
    ///
    /// `checks` and `links` are what is known of what may be tracked; a check that is new gets its time to have a result.
    pub(crate) fn reconfigure(
        &mut self,
        config: Arc<Config>,
        (checks, links): (&[(String, Health)], &ObservedLinks),
        system: &mut System,
        now: Instant,
    ) {
        self.dirty = true;
        if self.config().datapath != config.datapath {
            self.end_switch();
        }
        self.place(&config);
        let event = Event::Configure {
            config,
            checks,
            links,
            names: Arc::clone(&system.checks),
        };
        self.tell(event, system, now);
        self.verify_routing(system, now);
    }
}
