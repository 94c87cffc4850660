//! One virtual router as the driver runs it: its logic, and the hands that do what that says.

mod advertise;
mod claimed;
mod device;
mod hold;
mod interface;
mod listen;
mod noted;
mod show;
mod ways;

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::{LastAdvert, Role, Rules, Transition};
use ha_common::units::{Instant, Nanos};

use super::board::View;
use super::clock;
use super::port::Port;
use super::report::{Report, Reporter};
use super::sender::{Farewell, Sender};
use super::switch::Switch;
use crate::config::model::Instance as Config;
use crate::datapath::kernel::Kernel;
use crate::net::address::AddressBook;
use crate::net::announce::Announcer;
use crate::net::links::LinkTable;
use crate::net::virtual_mac::DeviceBook;
use crate::net::way::WayBook;
use crate::record::Recorder;
use crate::router::notice::Notice;
use crate::router::priority::Health;
use crate::router::tracked::ObservedLinks;
use crate::router::{Effect, Effects, Event, Router};

pub(crate) use interface::tracked_links;

use hold::Unseen;
use noted::Noted;
use ways::Ways;

/// The edges that all instances share.
pub(crate) struct Edges<'a> {
    /// The kernel half.
    pub(crate) kernel: Option<&'a mut Kernel>,
    /// Addresses.
    pub(crate) book: &'a mut AddressBook,
    /// Routes and rules.
    pub(crate) ways: &'a mut WayBook,
    /// Devices of virtual MACs.
    pub(crate) devices: &'a mut DeviceBook,
    /// The interfaces.
    pub(crate) links: &'a LinkTable,
    /// Gratuitous ARP and unsolicited NA.
    pub(crate) announcer: &'a Announcer,
    /// Periodic adverts.
    pub(crate) sender: &'a Sender,
    /// Log lines.
    pub(crate) reporter: &'a Reporter,
    /// What the elections are told and want.
    pub(crate) recorder: &'a Recorder,
    /// Names of the checks by number, and behind them what is said when something else that is tracked
    /// fails.
    pub(crate) checks: &'a Arc<[String]>,
}

/// One virtual router.
pub(crate) struct Instance {
    /// Its number: in the sender's table and the board.
    pub(crate) id: usize,
    router: Router,
    /// The datapath that a command has set.
    pub(crate) switch: Option<Switch>,
    /// Its place on the interface, while there is one.
    pub(crate) port: Option<Port>,
    /// Index and life of the interface that it was on before it was lost.
    pub(crate) was_on: Option<(u32, u64)>,
    /// Addresses that could not be removed are tried again then.
    removal_due: Option<Instant>,
    /// Virtual addresses that were on the interface before we came: an administrator's, and to stay there.
    foreign: Vec<IpAddr>,
    unseen: Option<Unseen>,
    ways: Ways,
    latency: Option<Nanos>,
    last: Option<(Transition, String, Option<Nanos>)>,
    noted: Noted,
    wakeups: u64,
    announced: u64,
    restored: u64,
    shown: Arc<View>,
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
        let shown = Arc::new(View::new(Arc::clone(&config)));
        let params = Router::first_params(&config);
        let router = Router::new(id, config, names, now);
        recorder.begins(router.name(), now, &params);
        Self {
            id,
            router,
            switch: None,
            port: None,
            was_on: None,
            removal_due: None,
            foreign: Vec::new(),
            unseen: None,
            ways: Ways::default(),
            latency: None,
            last: None,
            noted: Noted::default(),
            wakeups: 0,
            announced: 0,
            restored: 0,
            shown,
            dirty: true,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Arc<str> {
        self.router.name()
    }

    /// Its configuration.
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

    /// Present rules.
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
        self.router.readiness().has_bind_error()
    }

    /// Tells the router what happened, and does what it wants. True if anything changed that is shown.
    pub(crate) fn tell(&mut self, event: Event<'_>, edges: &mut Edges<'_>, now: Instant) -> bool {
        let mut fx = Effects::default();
        self.router.on_event(now, event, &mut fx);
        self.carry_out(fx, edges, now)
    }

    /// Does what the router wants. True if anything changed that is shown.
    pub(crate) fn carry_out(
        &mut self,
        mut fx: Effects,
        edges: &mut Edges<'_>,
        now: Instant,
    ) -> bool {
        for fed in fx.take_fed() {
            let (input, actions) = (fed.input, fed.actions);
            edges
                .recorder
                .fed(self.router.name(), fed.at, &input, &actions, edges.checks);
        }
        let mut changed = self.router.take_changed();
        // What an effect leads to comes before the next one.
        for effect in fx {
            changed |= self.perform(effect, edges, now);
        }
        self.dirty |= changed;
        changed
    }

    fn perform(&mut self, effect: Effect, edges: &mut Edges<'_>, now: Instant) -> bool {
        match effect {
            Effect::StartAdverts { rules, deadline } => {
                self.raise_device(edges);
                if let Some(program) = self.program(&rules) {
                    edges.sender.begin(self.id, program);
                }
                self.latency = deadline.map(|deadline| clock::now().since(deadline));
            }
            Effect::UpdateAdverts(rules) => {
                if let Some(program) = self.program(&rules) {
                    edges.sender.update(self.id, program);
                }
            }
            Effect::AdvertNow => edges.sender.now(self.id),
            Effect::StopAdverts(last) => edges.sender.end(self.id, farewell(last)),
            Effect::HoldAddresses => return self.add_addresses(edges, now),
            Effect::ReleaseAddresses => self.remove_addresses(edges, now),
            Effect::Announce(portion) => return self.announce(portion, edges, now),
            Effect::Detect { part, rules } => self.detect(part, &rules, edges, now),
            Effect::UpdateDetector(rules) => self.reconfigure_detector(&rules, edges, now),
            Effect::Promote { rules, last_heard } => {
                let promoted = self.promote(&rules, last_heard, edges);
                return self.tell(Event::Promoted(promoted), edges, now);
            }
            Effect::ReadSlot => return self.look(edges, now),
            Effect::ClearLeftovers { resumes } => self.clear_leftovers(resumes, edges),
            Effect::Report(transition) => self.report(transition, edges),
            Effect::Say(notice) => self.say(notice, edges),
        }
        false
    }

    /// Reports a change of state, with its lateness, which is known here.
    fn report(&mut self, transition: Transition, edges: &Edges<'_>) {
        let latency = self.latency.take();
        let notice = self.router.describe(transition);
        if let Notice::Transition { cause, .. } = &notice {
            self.last = Some((transition, cause.clone(), latency));
        }
        self.dirty = true;
        edges.reporter.say(Report {
            instance: Arc::clone(self.name()),
            notice,
            latency,
        });
    }

    /// Reports anything else.
    pub(super) fn say(&self, notice: Notice, edges: &Edges<'_>) {
        edges.reporter.say_of(Arc::clone(self.name()), notice);
    }

    /// The port is open.
    pub(crate) fn opened(&mut self, port: Port, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        self.was_on = None;
        self.say_attached(&port, edges);
        self.port = Some(port);
        let slot = self.slot(edges);
        let Some(binding) = self.binding(slot.as_ref(), edges) else {
            return;
        };
        self.tell(Event::Bound(binding, slot.as_ref()), edges, now);
    }

    /// The interface is gone, or its address changed: without the port nothing can be done.
    pub(crate) fn close_port(&mut self, edges: &mut Edges<'_>, now: Instant) -> Option<Port> {
        edges.sender.end(self.id, Farewell::None);
        let port = self.port.take();
        self.tell(Event::Unbound, edges, now);
        port
    }

    /// Own deadlines: the router's, and those of what it has on the interface.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [
            self.router.next_deadline(),
            self.removal_due,
            self.unseen.map(|it| it.until),
            self.ways.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due. True if anything changed that is shown.
    pub(crate) fn tick(&mut self, edges: &mut Edges<'_>, now: Instant) -> bool {
        let mut fx = Effects::default();
        self.router.on_timeout(now, &mut fx);
        let mut changed = self.carry_out(fx, edges, now);
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.removal_due) {
            self.remove_addresses_again(edges, now);
            changed = true;
        }
        if due(self.unseen.map(|it| it.until)) {
            self.verify_unseen(edges, now);
            changed = true;
        }
        if due(self.ways.next_deadline()) {
            self.ways_due(edges, now);
            changed = true;
        }
        self.dirty |= changed;
        changed
    }

    /// Leaves for good.
    pub(crate) fn shut_down(&mut self, edges: &mut Edges<'_>, now: Instant) {
        self.tell(Event::Shutdown, edges, now);
    }

    /// Takes on a new configuration of the same virtual router.
    ///
    /// `checks` and `links` are what is known of what may be tracked; a check that is new gets its time to have a result.
    pub(crate) fn reconfigure(
        &mut self,
        config: Arc<Config>,
        (checks, links): (&[(String, Health)], &ObservedLinks),
        edges: &mut Edges<'_>,
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
            names: Arc::clone(edges.checks),
        };
        self.tell(event, edges, now);
        self.verify_ways(edges, now);
    }
}

fn farewell(last: LastAdvert) -> Farewell {
    match last {
        LastAdvert::Release => Farewell::Release,
        LastAdvert::Own => Farewell::Own,
        LastAdvert::None => Farewell::None,
    }
}
