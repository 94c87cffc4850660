//! One virtual router as the driver runs it: its election, and the hands that do what that says.

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::{
    Action, Advert, CheckId, Detector as Part, Election, FaultCause, Input, LastAdvert, Notice,
    Params, Role, Rules, Transition,
};
use ha_common::layout::{Event, Slot, state};
use ha_common::reject::Reject;
use ha_common::timing::DEFAULT_DOWN_MULTIPLIER;
use ha_common::units::{Centiseconds, Family, Instant, Nanos, Priority};
use ha_common::wire::build;
use ha_common::wire::vrrp::Flavour;
use ipnet::IpNet;

use super::board::{DatapathView, SoftView, View};
use super::detector::{Place, list_hash, raw_list};
use super::port::Port;
use super::priority::{self, Health, Term};
use super::report::{Report, Reporter};
use super::sender::{Farewell, Program, Sender};
use super::{address_of, clock, raw_address};
use crate::config::model::{Auth, ChecksumFlavour, Instance as Config};
use crate::datapath::kernel::Kernel;
use crate::datapath::soft::Heard;
use crate::net::address::AddressBook;
use crate::net::announce::Announcer;
use crate::net::plan::{AnnouncePlan, Cadence};
use crate::net::receive::Received;

/// How long an instance waits for the first results of its checks; after that a check that has said
/// nothing counts as failed.
pub const FIRST_RESULT_WAIT: Nanos = Nanos::from_millis(30_000);
/// How long an instance whose addresses were refused stays out before it tries again.
const REFUSED_WAIT: Nanos = Nanos::from_millis(5_000);
/// Things said once that are remembered for `status`.
const MAX_NOTICES: usize = 32;

/// The edges that all instances share.
pub struct Edges<'a> {
    /// The kernel half.
    pub kernel: Option<&'a Kernel>,
    /// Netlink.
    pub book: &'a mut AddressBook,
    /// Gratuitous ARP and unsolicited NA.
    pub announcer: &'a Announcer,
    /// Periodic adverts.
    pub sender: &'a Sender,
    /// Log lines.
    pub reporter: &'a Reporter,
    /// Names of the checks, by number.
    pub checks: &'a [String],
}

/// Whether an instance may take part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fitness {
    Waiting,
    Ready,
    Unfit(FaultCause),
}

/// What is known of the interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkState {
    /// There is none of that name.
    Gone,
    /// Switched off, or no carrier.
    Down,
    /// It works, but has no address of the family.
    NoAddress,
    /// It works.
    Up,
}

/// One virtual router.
pub struct Instance {
    /// Its number: in the sender's table and the board.
    pub id: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its place on the interface, while there is one.
    pub port: Option<Port>,
    election: Election,
    terms: Vec<Term>,
    link: LinkState,
    port_error: Option<String>,
    refused_until: Option<Instant>,
    patience_until: Instant,
    fed: Fitness,
    plan: Option<AnnouncePlan>,
    deadline: Option<Instant>,
    latency: Option<Nanos>,
    last: Option<(Transition, String, Option<Nanos>)>,
    transitions: u64,
    wakeups: u64,
    announced: u64,
    restored: u64,
    said_rejects: Vec<(u8, [u8; 16])>,
    said_lists: Vec<IpAddr>,
    notices: Vec<(Instant, String)>,
    consume: bool,
    /// When to look at a slot that has no kernel timer.
    look_at: Option<Instant>,
    /// Events of the slot that are known not to have come.
    lost: u64,
}

impl Instance {
    /// A virtual router that has not seen its interface yet.
    pub fn new(id: usize, config: Arc<Config>, now: Instant) -> Self {
        let params = params(&config, unspecified(config.family), config.priority);
        Self {
            id,
            name: Arc::from(config.name.as_str()),
            terms: config.track.iter().map(Term::new).collect(),
            election: Election::new(params),
            config,
            port: None,
            link: LinkState::Gone,
            port_error: None,
            refused_until: None,
            patience_until: now + FIRST_RESULT_WAIT,
            fed: Fitness::Waiting,
            plan: None,
            deadline: None,
            latency: None,
            last: None,
            transitions: 0,
            wakeups: 0,
            announced: 0,
            restored: 0,
            said_rejects: Vec::new(),
            said_lists: Vec::new(),
            notices: Vec::new(),
            consume: false,
            look_at: None,
            lost: 0,
        }
    }

    /// State.
    pub fn role(&self) -> Role {
        self.election.state().role()
    }

    /// Present rules.
    pub fn rules(&self) -> &Rules {
        self.election.rules()
    }

    /// The rules with another own address, for opening a port.
    pub fn rules_from(&self, source: IpAddr) -> Rules {
        Rules {
            own_address: source,
            ..*self.election.rules()
        }
    }

    /// Whether adverts are to end in the XDP program.
    pub fn set_consume(&mut self, consume: bool, edges: &mut Edges<'_>, now: Instant) {
        if self.consume != consume {
            self.consume = consume;
            self.reconfigure_detector(edges, now);
        }
    }

    /// Present choice of [`Instance::set_consume`].
    pub fn consumes(&self) -> bool {
        self.consume
    }

    /// One more turn of the driver was for this instance.
    pub fn count_wakeup(&mut self) {
        self.wakeups += 1;
    }

    /// Takes the sequence of an event in; true if events before it were lost.
    pub fn follow_sequence(&mut self, sequence: u64) -> bool {
        let Some(port) = &mut self.port else {
            return false;
        };
        let lost = sequence > port.detector.sequence;
        port.detector.sequence = sequence + 1;
        lost
    }

    /// Feeds the election and runs what it says.
    pub fn feed(&mut self, now: Instant, input: Input, edges: &mut Edges<'_>) {
        let actions = self.election.handle(now, input);
        for action in actions {
            self.run(now, action, edges);
        }
        self.deadline = None;
        self.latency = None;
    }

    /// The interface's state changed; the port has been opened or closed already.
    pub fn link_changed(&mut self, link: LinkState, edges: &mut Edges<'_>, now: Instant) {
        self.link = link;
        self.weigh(now, edges);
    }

    /// The port could not be opened.
    pub fn port_failed(&mut self, why: String, edges: &mut Edges<'_>) {
        if self.port_error.as_ref() != Some(&why) {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what: why.clone(),
            });
        }
        self.port_error = Some(why);
    }

    /// The port is open. What an earlier life left behind is taken up or cleared away.
    pub fn opened(&mut self, port: Port, edges: &mut Edges<'_>, now: Instant) {
        self.port_error = None;
        edges.reporter.say(Report::Attached {
            instance: Arc::clone(&self.name),
            datapath: port.kind,
            refusals: port
                .refusals
                .iter()
                .map(|(kind, why)| format!("{kind}: {why}"))
                .collect(),
            kernel_timer: port.detector.has_kernel_timer(),
        });
        let source = port.source;
        self.port = Some(port);
        self.feed(now, Input::OwnAddress(source), edges);
        if self.role() != Role::Initialize {
            return;
        }
        if self.may_resume(edges, now) {
            self.feed(now, Input::Resume, edges);
        } else {
            self.clear_leftovers(edges);
        }
    }

    /// The interface is gone, or its address changed: without the port nothing can be done.
    pub fn close_port(&mut self, edges: &mut Edges<'_>) -> Option<Port> {
        edges.sender.end(self.id, Farewell::None);
        self.plan = None;
        self.port.take()
    }

    /// A tracked check has news.
    pub fn check_changed(
        &mut self,
        check: &str,
        health: Health,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        let mut ours = false;
        for term in self.terms.iter_mut().filter(|term| term.check == check) {
            term.health = health;
            ours = true;
        }
        if ours {
            self.weigh(now, edges);
        }
    }

    /// Takes a packet of the plain socket in; an event comes back if it is news.
    pub fn receive(&mut self, received: &Received<'_>, now: Instant) -> Option<Event> {
        match &mut self.port.as_mut()?.detector.place {
            Place::Kernel(_) => None,
            Place::Soft(soft) => match soft.receive(received, now.0) {
                Heard::Nothing => None,
                Heard::Event(event) => Some(event),
            },
        }
    }

    /// An event of the detector.
    pub fn heard(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) {
        if event.hash != list_hash(&self.config) {
            self.list_differs(event, edges, now);
        }
        let Some(source) = address_of(self.config.family, event.source) else {
            return;
        };
        let advert = Advert {
            source,
            priority: Priority(event.priority),
            interval: Centiseconds(event.interval),
        };
        self.feed(now, Input::Advert(advert), edges);
    }

    /// The deadline passed, says the detector; asks the slot before it is believed. True if it was.
    pub fn expired(&mut self, deadline: Instant, edges: &mut Edges<'_>, now: Instant) -> bool {
        let Some(slot) = self.slot(edges) else {
            return false;
        };
        // The kernel's veto: a master was heard since, or the slot plays another part already.
        if slot.state != state::BACKUP || slot.deadline == 0 || slot.deadline > now.0 {
            return false;
        }
        self.deadline = Some(deadline);
        let last_heard = (slot.last_heard != 0).then_some(Instant(slot.last_heard));
        self.feed(now, Input::MasterDown { last_heard }, edges);
        true
    }

    /// Looks at the slot, in case an event was lost; for slots without a kernel timer this is the
    /// timer. Returns when to look again at the latest, if the slot itself demands it.
    pub fn look(&mut self, edges: &mut Edges<'_>, now: Instant) -> Option<Instant> {
        let slot = self.slot(edges)?;
        self.report_reject(&slot, edges, now);
        if slot.state == state::BACKUP && slot.deadline != 0 {
            if slot.deadline <= now.0 {
                self.expired(Instant(slot.deadline), edges, now);
                return None;
            }
            let kernel_timer = self
                .port
                .as_ref()
                .is_some_and(|port| port.detector.has_kernel_timer());
            return (!kernel_timer).then_some(Instant(slot.deadline));
        }
        let lost = slot.dropped.saturating_add(slot.suppressed);
        if slot.state == state::MASTER && self.role() == Role::Master {
            if slot.contested_since != 0 {
                self.catch_up(&slot, edges, now);
            }
            if lost > self.lost {
                self.feed(now, Input::EventsLost, edges);
            }
        }
        self.lost = lost;
        None
    }

    /// The sender stopped by itself: somebody else may have been master meanwhile.
    pub fn sender_stopped(&mut self, edges: &mut Edges<'_>, now: Instant) {
        if let Some(slot) = self.slot(edges)
            && slot.contested_since != 0
            && let Some(advert) = contender(self.config.family, &slot)
        {
            self.feed(now, Input::TakenOver(advert), edges);
        }
        self.feed(now, Input::SenderStopped, edges);
    }

    /// Own deadlines: the election's, the announcements', and those of fitness.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = matches!(self.fed, Fitness::Waiting) && self.pending_check().is_some();
        [
            self.election.next_deadline(),
            self.plan.as_ref().and_then(AnnouncePlan::next_deadline),
            self.refused_until
                .map(|at| if self.owes_refusal() { Instant(0) } else { at }),
            self.look_at,
            waiting.then_some(self.patience_until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, edges: &mut Edges<'_>, now: Instant) {
        if self.election.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Input::Tick, edges);
        }
        self.announce_due(edges, now);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = self.look(edges, now);
        }
        if self.owes_refusal() {
            self.weigh(now, edges);
        }
        if self.refused_until.is_some_and(|at| at <= now) {
            self.refused_until = None;
            self.weigh(now, edges);
        }
        if matches!(self.fed, Fitness::Waiting) && self.patience_until <= now {
            self.weigh(now, edges);
        }
    }

    /// While master: puts back what somebody else has removed.
    pub fn verify_addresses(
        &mut self,
        present: impl Fn(IpAddr) -> bool,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        if self.role() != Role::Master {
            return;
        }
        let Some(port) = &self.port else { return };
        let missing: Vec<_> = port
            .placements
            .iter()
            .filter(|place| !present(place.net.addr()))
            .copied()
            .collect();
        if missing.is_empty() {
            return;
        }
        if let Ok(outcomes) = edges.book.add(&missing) {
            for (place, outcome) in missing.iter().zip(outcomes) {
                if matches!(outcome, Ok(crate::net::address::Outcome::Done)) {
                    self.restored += 1;
                    edges.reporter.say(Report::Restored {
                        instance: Arc::clone(&self.name),
                        address: place.net,
                    });
                }
            }
        }
        self.announce(edges, now);
    }

    /// The Ethernet address changed: neighbours must learn the new one.
    pub fn mac_changed(&mut self, mac: [u8; 6], edges: &mut Edges<'_>, now: Instant) {
        if let Some(port) = &mut self.port {
            port.mac = mac;
        }
        if self.role() == Role::Master {
            self.announce(edges, now);
        }
    }

    /// Leaves for good.
    pub fn shut_down(&mut self, edges: &mut Edges<'_>, now: Instant) {
        self.feed(now, Input::Shutdown, edges);
    }

    /// Takes on a new configuration of the same virtual router.
    pub fn reconfigure(&mut self, config: Arc<Config>, edges: &mut Edges<'_>, now: Instant) {
        let old: Vec<IpNet> = self.config.addresses.clone();
        let terms = config.track.iter().map(|track| Term {
            health: self
                .terms
                .iter()
                .find(|term| term.check == track.check)
                .map_or(Health::Pending, |term| term.health),
            ..Term::new(track)
        });
        self.terms = terms.collect();
        self.config = config;
        self.move_addresses(&old, edges, now);
        let own = self.election.rules().own_address;
        let effective = priority::effective(self.config.priority, &self.terms);
        self.feed(
            now,
            Input::Configure(params(&self.config, own, effective)),
            edges,
        );
        self.reconfigure_detector(edges, now);
        if self.role() == Role::Master {
            self.run(now, Action::UpdateAdverts(*self.election.rules()), edges);
        }
        self.weigh(now, edges);
    }

    /// What the board shows.
    pub fn view(&self, edges: &Edges<'_>) -> View {
        View {
            config: Arc::clone(&self.config),
            ifindex: self.port.as_ref().map(|port| port.ifindex),
            role: self.role(),
            since: self.election.since(),
            reason: self.reason(edges),
            terms: self.terms.clone(),
            source: self.port.as_ref().map(|port| port.source),
            datapath: self.port.as_ref().map(|port| self.datapath_view(port)),
            last: self.last.clone(),
            transitions: self.transitions,
            wakeups: self.wakeups,
            sent: edges.sender.sent(self.id),
            announced: self.announced,
            restored: self.restored,
            notices: self.notices.clone(),
        }
    }

    fn datapath_view(&self, port: &Port) -> DatapathView {
        let (kernel_slot, soft) = match &port.detector.place {
            Place::Kernel(slot) => (Some(*slot), None),
            Place::Soft(soft) => {
                let view = SoftView {
                    slot: *soft.slot(),
                    peers: soft.peers().collect(),
                };
                (None, Some(Box::new(view)))
            }
        };
        DatapathView {
            kind: port.kind,
            refusals: port.refusals.clone(),
            kernel_slot,
            soft,
            kernel_timer: port.detector.has_kernel_timer(),
            consume: self.consume,
        }
    }

    fn reason(&self, edges: &Edges<'_>) -> Option<String> {
        if let Some(error) = &self.port_error {
            return Some(error.clone());
        }
        match self.fitness(clock::now(), edges) {
            Fitness::Ready => None,
            Fitness::Waiting => {
                let check = self.pending_check().unwrap_or("a check");
                Some(format!("waiting for the first result of check {check}"))
            }
            Fitness::Unfit(cause) => {
                let cause = ha_common::election::Cause::Fault(cause);
                Some(cause.with_names(edges.checks).to_string())
            }
        }
    }

    /// The addresses were refused in a turn that could not fault the instance by itself.
    fn owes_refusal(&self) -> bool {
        self.refused_until.is_some() && self.fed == Fitness::Ready
    }

    fn slot(&self, edges: &Edges<'_>) -> Option<Slot> {
        self.port.as_ref()?.detector.slot(edges.kernel)
    }

    fn pending_check(&self) -> Option<&str> {
        self.terms
            .iter()
            .find(|term| term.health == Health::Pending)
            .map(|term| term.check.as_str())
    }

    fn fitness(&self, now: Instant, edges: &Edges<'_>) -> Fitness {
        match self.link {
            LinkState::Gone => return Fitness::Unfit(FaultCause::InterfaceGone),
            LinkState::Down => return Fitness::Unfit(FaultCause::InterfaceDown),
            LinkState::NoAddress => return Fitness::Unfit(FaultCause::NoOwnAddress),
            LinkState::Up => {}
        }
        if self.port.is_none() {
            return Fitness::Unfit(FaultCause::CannotSend);
        }
        if self.refused_until.is_some() {
            return Fitness::Unfit(FaultCause::AddressesRefused);
        }
        let unhealthy = |health| {
            self.terms
                .iter()
                .find(|term| term.weight.is_none() && term.health == health)
        };
        let cause = |term: &Term| Fitness::Unfit(FaultCause::Check(check_id(edges, &term.check)));
        if let Some(term) = unhealthy(Health::Down) {
            return cause(term);
        }
        if self.pending_check().is_some() {
            if now < self.patience_until {
                return Fitness::Waiting;
            }
            if let Some(term) = unhealthy(Health::Pending) {
                return cause(term);
            }
        }
        Fitness::Ready
    }

    /// Works out fitness and priority, and feeds what changed.
    fn weigh(&mut self, now: Instant, edges: &mut Edges<'_>) {
        let effective = priority::effective(self.config.priority, &self.terms);
        if effective != self.election.rules().priority {
            self.feed(now, Input::Priority(effective), edges);
        }
        let fitness = self.fitness(now, edges);
        if fitness == self.fed {
            return;
        }
        // A resumed master does not go back to waiting.
        match fitness {
            Fitness::Waiting => return,
            Fitness::Ready => self.feed(now, Input::Ready, edges),
            Fitness::Unfit(cause) => self.feed(now, Input::Fault(cause), edges),
        }
        self.fed = fitness;
    }

    /// After a crash of the agent: the slot says master, the addresses are there, and nobody else
    /// claims to be master now.
    fn may_resume(&self, edges: &mut Edges<'_>, now: Instant) -> bool {
        let Some(slot) = self.slot(edges) else {
            return false;
        };
        let Some(port) = &self.port else { return false };
        let silent_for = now.since(Instant(slot.last_heard));
        let contested =
            slot.master_address != [0; 16] && silent_for <= ha_common::follow::down_interval(&slot);
        if slot.state != state::MASTER || contested {
            return false;
        }
        let Ok(present) = edges.book.list(port.ifindex) else {
            return false;
        };
        port.placements.iter().all(|place| {
            present
                .iter()
                .any(|found| found.net.addr() == place.net.addr())
        })
    }

    /// Removes our addresses if an earlier life left them behind; never an administrator's.
    fn clear_leftovers(&mut self, edges: &mut Edges<'_>) {
        let Some(port) = &self.port else { return };
        let Ok(present) = edges.book.list(port.ifindex) else {
            return;
        };
        let left: Vec<_> = port
            .placements
            .iter()
            .filter(|place| {
                present
                    .iter()
                    .any(|found| found.ours && found.net.addr() == place.net.addr())
            })
            .copied()
            .collect();
        if left.is_empty() {
            return;
        }
        if let Ok(outcomes) = edges.book.remove(&left) {
            for (place, _) in left
                .iter()
                .zip(outcomes)
                .filter(|(_, outcome)| outcome.is_ok())
            {
                edges.reporter.say(Report::Leftover {
                    instance: Arc::clone(&self.name),
                    address: place.net,
                });
            }
        }
    }

    /// The election was told of a contender by nobody: the event was lost.
    fn catch_up(&mut self, slot: &Slot, edges: &mut Edges<'_>, now: Instant) {
        if let Some(advert) = contender(self.config.family, slot) {
            self.feed(now, Input::Advert(advert), edges);
        }
    }

    fn run(&mut self, now: Instant, action: Action, edges: &mut Edges<'_>) {
        match action {
            Action::StartAdverts(rules) => self.start_adverts(&rules, edges),
            Action::UpdateAdverts(rules) => {
                if let Some(program) = self.program(&rules) {
                    edges.sender.update(self.id, program);
                }
            }
            Action::AdvertNow => edges.sender.now(self.id),
            Action::StopAdverts(last) => edges.sender.end(self.id, farewell(last)),
            Action::AddAddresses | Action::AdoptAddresses => self.add_addresses(edges, now),
            Action::RemoveAddresses => self.remove_addresses(edges),
            Action::Announce => self.announce(edges, now),
            Action::Detect { detector, rules } => self.detect(detector, &rules, edges, now),
            Action::UpdateDetector(_) => self.reconfigure_detector(edges, now),
            Action::Report(transition) => self.report(transition, edges),
            Action::Notice(notice) => self.notice(notice, edges, now),
        }
    }

    fn start_adverts(&mut self, rules: &Rules, edges: &mut Edges<'_>) {
        if let Some(program) = self.program(rules) {
            edges.sender.begin(self.id, program);
        }
        self.latency = self.deadline.map(|deadline| clock::now().since(deadline));
    }

    fn program(&self, rules: &Rules) -> Option<Program> {
        let port = self.port.as_ref()?;
        let interval = rules.interval.nanos();
        Some(Program {
            socket: Arc::clone(&port.socket),
            message: self.message(port, rules, rules.priority)?,
            release: self.message(port, rules, Priority::RELEASE)?,
            interval,
            overslept: Nanos(interval.0.saturating_mul(u64::from(rules.down_multiplier))),
        })
    }

    fn message(&self, port: &Port, rules: &Rules, priority: Priority) -> Option<Vec<u8>> {
        let password = match self.config.auth {
            Auth::None => None,
            Auth::Pass(password) => Some(password),
        };
        let mut bytes = vec![0; build::MAX_MESSAGE];
        let length = build::write(
            &build::Message {
                version: rules.version,
                family: self.config.family,
                vrid: self.config.vrid,
                priority,
                interval: rules.interval,
                addresses: &raw_list(&self.config),
                password,
                source: raw_address(port.source),
                flavour: match self.config.checksum {
                    ChecksumFlavour::PseudoHeader => Flavour::PseudoHeader,
                    ChecksumFlavour::Payload => Flavour::Payload,
                },
            },
            &mut bytes,
        )?;
        bytes.truncate(length);
        Some(bytes)
    }

    fn add_addresses(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &self.port else { return };
        let failure = match edges.book.add(&port.placements) {
            Ok(outcomes) => outcomes
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(what) = failure {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
            self.refused_until = Some(now + REFUSED_WAIT);
        }
    }

    fn remove_addresses(&mut self, edges: &mut Edges<'_>) {
        self.plan = None;
        let Some(port) = &self.port else { return };
        let failure = match edges.book.remove(&port.placements) {
            Ok(outcomes) => outcomes
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        // An interface that is gone has taken its addresses along.
        if let Some(what) = failure.filter(|_| self.link != LinkState::Gone) {
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    fn announce(&mut self, edges: &mut Edges<'_>, now: Instant) {
        match &mut self.plan {
            Some(plan) => plan.announce_again(),
            None => {
                let addresses = self.config.addresses.len();
                self.plan = Some(AnnouncePlan::new(cadence(&self.config), addresses, now));
            }
        }
        self.announce_due(edges, now);
    }

    fn announce_due(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let (Some(plan), Some(port)) = (&mut self.plan, &self.port) else {
            return;
        };
        while let Some(range) = plan.due(now) {
            let count = range.len() as u64;
            let batch = port.placements.get(range).unwrap_or_default();
            let addresses = batch.iter().map(|place| place.net.addr());
            if edges
                .announcer
                .announce(port.ifindex, port.mac, false, addresses)
                .is_ok()
            {
                self.announced += count;
            }
        }
    }

    fn detect(&mut self, part: Part, rules: &Rules, edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &mut self.port else { return };
        let done = port.detector.set(edges.kernel, part, rules, now);
        self.look_at = match part {
            Part::Backup { arm_for } if !port.detector.has_kernel_timer() => Some(now + arm_for),
            Part::Idle | Part::Backup { .. } | Part::Master => None,
        };
        if let Err(error) = done {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    fn reconfigure_detector(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let rules = *self.election.rules();
        let Some(port) = &mut self.port else { return };
        let sequence = port.detector.sequence;
        let done = port
            .detector
            .configure(edges.kernel, &self.config, &rules, self.consume, now);
        port.detector.sequence = sequence;
        if let Err(error) = done {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
    }

    fn report(&mut self, transition: Transition, edges: &mut Edges<'_>) {
        let cause = transition.cause.with_names(edges.checks).to_string();
        self.transitions += 1;
        self.last = Some((transition, cause.clone(), self.latency));
        edges.reporter.say(Report::Transition {
            instance: Arc::clone(&self.name),
            transition,
            cause,
            priority: priority::in_words(self.config.priority, &self.terms),
            latency: self.latency,
        });
    }

    fn notice(&mut self, notice: Notice, edges: &mut Edges<'_>, now: Instant) {
        self.remember(now, super::words::of_notice(&notice));
        edges.reporter.say(Report::Notice {
            instance: Arc::clone(&self.name),
            notice,
        });
    }

    fn remember(&mut self, now: Instant, text: String) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push((now, text));
        }
    }

    fn list_differs(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) {
        let Some(source) = address_of(self.config.family, event.source) else {
            return;
        };
        if self.said_lists.contains(&source) || self.said_lists.len() >= MAX_NOTICES {
            return;
        }
        self.said_lists.push(source);
        let ours = self.config.addresses.len();
        self.remember(now, super::words::of_list(source, event.count, ours));
        edges.reporter.say(Report::ListDiffers {
            instance: Arc::clone(&self.name),
            source,
            theirs: event.count,
            ours,
        });
    }

    fn report_reject(&mut self, slot: &Slot, edges: &mut Edges<'_>, now: Instant) {
        let last = slot.last_reject;
        let said = (last.reason, last.source);
        if last.at == 0
            || self.said_rejects.contains(&said)
            || self.said_rejects.len() >= MAX_NOTICES
        {
            return;
        }
        let (Some(reject), Some(source)) = (
            Reject::from_index(usize::from(last.reason)),
            address_of(self.config.family, last.source),
        ) else {
            return;
        };
        self.said_rejects.push(said);
        self.remember(
            now,
            format!("adverts from {source} are rejected: {}", reject.name()),
        );
        edges.reporter.say(Report::Rejected {
            instance: Arc::clone(&self.name),
            reason: reject.name(),
            source,
        });
    }

    fn move_addresses(&mut self, old: &[IpNet], edges: &mut Edges<'_>, now: Instant) {
        let Some(port) = &mut self.port else { return };
        let ifindex = port.ifindex;
        let place = |net: &IpNet| crate::net::address::Placement { ifindex, net: *net };
        port.placements = self.config.addresses.iter().map(place).collect();
        if self.election.state().role() != Role::Master || old == self.config.addresses {
            return;
        }
        let dropped: Vec<_> = old
            .iter()
            .filter(|net| !self.config.addresses.contains(net))
            .map(place)
            .collect();
        if !dropped.is_empty()
            && let Err(error) = edges.book.remove(&dropped)
        {
            let what = error.to_string();
            edges.reporter.say(Report::Failed {
                instance: Arc::clone(&self.name),
                what,
            });
        }
        self.plan = None;
        self.add_addresses(edges, now);
        self.announce(edges, now);
    }
}

fn params(config: &Config, own_address: IpAddr, priority: Priority) -> Params {
    Params {
        rules: Rules {
            version: config.version,
            own_address,
            priority,
            interval: config.advert_interval,
            preempt: config.preempt,
            down_multiplier: DEFAULT_DOWN_MULTIPLIER,
        },
        start_hold: clock::nanos(config.start_delay),
    }
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    }
}

fn cadence(config: &Config) -> Cadence {
    Cadence {
        count: config.garp.count,
        repeat_after: clock::nanos(config.garp.repeat_after),
        repeat_count: config.garp.repeat_count,
        refresh: clock::nanos(config.garp.refresh),
    }
}

fn farewell(last: LastAdvert) -> Farewell {
    match last {
        LastAdvert::Release => Farewell::Release,
        LastAdvert::Own => Farewell::Own,
        LastAdvert::None => Farewell::None,
    }
}

fn check_id(edges: &Edges<'_>, name: &str) -> CheckId {
    let index = edges.checks.iter().position(|check| check == name);
    CheckId(
        index
            .and_then(|index| u16::try_from(index).ok())
            .unwrap_or(u16::MAX),
    )
}

/// The router in the slot that claims to be master beside us.
fn contender(family: Family, slot: &Slot) -> Option<Advert> {
    Some(Advert {
        source: address_of(family, slot.master_address)?,
        priority: Priority(slot.master_priority),
        interval: Centiseconds(slot.master_interval),
    })
}
