//! One virtual router as the driver runs it: its election, and the hands that do what that says.

mod advertise;
mod claimed;
mod device;
mod fitness;
mod hold;
mod listen;
mod noted;
mod say;
mod seat;
mod sending;
mod show;
mod unheard;
mod ways;

use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::{
    Action, Claim, Detector, Election, Input, Params, Role, Rules, Transition,
};
use ha_common::group::Fitness;
use ha_common::layout::state;
use ha_common::units::{Family, Instant, Nanos, Priority};

use super::board::View;
use super::claims::Claims;
use super::clock;
use super::groups::Seat;
use super::port::Port;
use super::priority::{self, Health};
use super::report::Reporter;
use super::sender::{Farewell, Sender};
use super::switch::Switch;
use super::tracked::Term;
use crate::config::model::Instance as Config;
use crate::datapath::kernel::Kernel;
use crate::net::address::AddressBook;
use crate::net::announce::Announcer;
use crate::net::links::LinkTable;
use crate::net::plan::AnnouncePlan;
use crate::net::virtual_mac::DeviceBook;
use crate::net::way::WayBook;
use crate::record::Recorder;

use advertise::farewell;
use fitness::FIRST_RESULT_WAIT;
use hold::{REFUSED_WAIT, Unseen};
use noted::Noted;
use sending::Sending;
use unheard::Unheard;
use ways::Ways;

pub(crate) use fitness::LinkState;

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
    pub(crate) checks: &'a [String],
}

/// One virtual router.
pub(crate) struct Instance {
    /// Its number: in the sender's table and the board.
    pub(crate) id: usize,
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its configuration.
    pub(crate) config: Arc<Config>,
    /// The datapath that a command has set.
    pub(crate) switch: Option<Switch>,
    /// Its place on the interface, while there is one.
    pub(crate) port: Option<Port>,
    /// Index and life of the interface that it was on before it was lost.
    pub(crate) was_on: Option<(u32, u64)>,
    election: Election,
    terms: Vec<Term>,
    link: LinkState,
    /// What the interface is called now, if it was lost by being renamed.
    renamed: Option<String>,
    port_error: Option<String>,
    /// Whether it waits for the program on its interface.
    awaits_program: bool,
    /// Refused addresses keep it out until then.
    refused_until: Option<Instant>,
    /// How long it stays out the next time.
    refused_wait: Nanos,
    /// Addresses that could not be removed are tried again then.
    removal_due: Option<Instant>,
    /// Virtual addresses that were on the interface before we came: an administrator's, and to stay there.
    foreign: Vec<IpAddr>,
    unseen: Option<Unseen>,
    /// Whether its adverts can leave.
    sending: Sending,
    ways: Ways,
    /// Until when a check may be without a result; `None` once that is over.
    patience_until: Option<Instant>,
    fed: Fitness,
    /// Its place in a sync group, if it is in one.
    seat: Option<Seat>,
    /// Whether its group has to look at it.
    moved: bool,
    /// In a group: the deadline that ran out without making a master of it.
    ran_out_at: Option<Instant>,
    plan: Option<AnnouncePlan>,
    deadline: Option<Instant>,
    latency: Option<Nanos>,
    last: Option<(Transition, String, Option<Nanos>)>,
    transitions: u64,
    unheard: Unheard,
    noted: Noted,
    wakeups: u64,
    /// Until when its slot is looked at in each of the watchdog's rounds.
    restless_until: Instant,
    announced: u64,
    claims: Claims,
    restored: u64,
    said_rejects: Vec<(u8, [u8; 16])>,
    said_lists: Vec<IpAddr>,
    notices: Vec<(Instant, String)>,
    /// When to look at a slot that has no kernel timer.
    look_at: Option<Instant>,
    /// Claims that the slot had counted when it was last read, and those that events have told of since.
    claims_counted: Option<u64>,
    claims_told: u64,
    /// The last claim that was told.
    last_claim: Option<Claim>,
    /// Frames that the fence had dropped, in and out, when the slot was last read.
    fenced: Option<(u64, u64)>,
    /// Events of the slot that are known not to have come.
    lost: u64,
    shown: Arc<View>,
    /// Whether `shown` is out of date.
    dirty: bool,
}

impl Instance {
    /// A virtual router that has not seen its interface yet.
    pub(crate) fn new(id: usize, config: Arc<Config>, now: Instant, recorder: &Recorder) -> Self {
        let params = params(&config, unspecified(config.family), config.priority, false);
        let shown = Arc::new(View::new(Arc::clone(&config)));
        let name = Arc::from(config.name.as_str());
        recorder.begins(&name, now, &params);
        Self {
            id,
            name,
            terms: config.track.iter().map(Term::new).collect(),
            election: Election::new(params),
            config,
            switch: None,
            port: None,
            was_on: None,
            link: LinkState::Gone,
            renamed: None,
            port_error: None,
            awaits_program: false,
            refused_until: None,
            refused_wait: REFUSED_WAIT,
            removal_due: None,
            foreign: Vec::new(),
            unseen: None,
            sending: Sending::default(),
            ways: Ways::default(),
            patience_until: Some(now + FIRST_RESULT_WAIT),
            fed: Fitness::Waiting,
            seat: None,
            moved: false,
            ran_out_at: None,
            plan: None,
            deadline: None,
            latency: None,
            last: None,
            transitions: 0,
            unheard: Unheard::default(),
            noted: Noted::default(),
            wakeups: 0,
            restless_until: Instant(0),
            announced: 0,
            claims: Claims::default(),
            restored: 0,
            said_rejects: Vec::new(),
            said_lists: Vec::new(),
            notices: Vec::new(),
            look_at: None,
            claims_counted: None,
            claims_told: 0,
            last_claim: None,
            fenced: None,
            lost: 0,
            shown,
            dirty: true,
        }
    }

    /// State.
    pub(crate) fn role(&self) -> Role {
        self.election.state().role()
    }

    /// Present rules.
    pub(crate) fn rules(&self) -> &Rules {
        self.election.rules()
    }

    /// The detector's rules with another own address, for opening a port.
    pub(crate) fn rules_from(&self, source: IpAddr) -> Rules {
        Rules {
            own_address: source,
            ..self.election.detector_rules()
        }
    }

    /// What is shown is out of date.
    pub(crate) const fn dirty(&mut self) {
        self.dirty = true;
    }

    /// Whether the port as it was last wanted could not be had, whatever is left of an earlier one.
    pub(crate) const fn has_port_error(&self) -> bool {
        self.port_error.is_some()
    }

    /// Feeds the election and runs what it says.
    pub(crate) fn feed(&mut self, now: Instant, input: Input, edges: &mut Edges<'_>) {
        self.dirty = true;
        self.moved = true;
        let actions = self.election.handle(now, input);
        edges
            .recorder
            .fed(&self.name, now, &input, &actions, edges.checks);
        for action in actions {
            self.run(now, action, edges);
        }
        self.deadline = None;
        self.latency = None;
    }

    /// The port is open. What an earlier life left behind is taken up or cleared away.
    pub(crate) fn opened(&mut self, port: Port, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        self.port_error = None;
        (self.was_on, self.renamed) = (None, None);
        self.awaits_program = false;
        self.say_attached(&port, edges);
        let source = port.path.source;
        self.port = Some(port);
        self.feed(now, Input::OwnAddress(source), edges);
        if self.role() != Role::Initialize {
            self.carry_on(edges, now);
            return;
        }
        let resumes = self.may_resume(edges, now);
        self.clear_leftovers(resumes, edges);
        if resumes {
            self.believe_the_earlier_sum(edges, now);
            self.feed(now, Input::Resume, edges);
        }
    }

    /// The interface's address changed under an instance that takes part: its adverts go on from the new
    /// one, and a slot that was made anew is told its part.
    fn carry_on(&mut self, edges: &mut Edges<'_>, now: Instant) {
        let rules = *self.election.rules();
        let role = self.role();
        if role == Role::Master {
            self.start_adverts(&rules, edges);
            self.announce(edges, now);
        }
        // A slot in the kernel that it had before goes on; a plain socket's, or one that it came to from a
        // plain socket, knows nothing yet.
        let is_new = self.slot(edges).is_some_and(|it| it.state == state::IDLE);
        let rules = self.election.detector_rules();
        match role {
            Role::Master if is_new => self.detect(Detector::Master, &rules, edges, now),
            Role::Backup if is_new => {
                let arm_for = rules.initial_down();
                self.detect(Detector::Backup { arm_for }, &rules, edges, now);
            }
            _ => {}
        }
    }

    /// The interface is gone, or its address changed: without the port nothing can be done.
    pub(crate) fn close_port(&mut self, edges: &mut Edges<'_>) -> Option<Port> {
        self.dirty = true;
        edges.sender.end(self.id, Farewell::None);
        self.plan = None;
        self.port.take()
    }

    /// Own deadlines: the election's, the announcements', and those of fitness.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.pending_check().is_some();
        [
            self.election.next_deadline(),
            self.plan.as_ref().and_then(AnnouncePlan::next_deadline),
            self.refused_until
                .map(|at| if self.owes_refusal() { Instant(0) } else { at }),
            self.removal_due,
            self.unseen.map(|it| it.until),
            self.ways.next_deadline(),
            self.sending.next_deadline(),
            self.look_at,
            self.patience_until.filter(|_| waiting),
            self.next_tracked(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Looks at the slot if it is time to; true if something changed.
    pub(crate) fn look_due(&mut self, edges: &mut Edges<'_>, now: Instant) -> bool {
        if self.look_at.is_none_or(|at| at > now) {
            return false;
        }
        self.look_at = None;
        let before = std::mem::replace(&mut self.dirty, false);
        self.look(edges, now);
        let changed = self.dirty;
        self.dirty |= before;
        changed
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, edges: &mut Edges<'_>, now: Instant) {
        self.dirty = true;
        if self.election.next_deadline().is_some_and(|at| at <= now) {
            self.feed(now, Input::Tick, edges);
        }
        self.announce_due(edges, now);
        if self.owes_refusal() {
            self.weigh(now, edges);
        }
        if self.refused_until.is_some_and(|at| at <= now) {
            self.refused_until = None;
            self.weigh(now, edges);
        }
        if self.removal_due.is_some_and(|at| at <= now) {
            self.remove_addresses_again(edges, now);
        }
        if self.sending.next_deadline().is_some_and(|at| at <= now) {
            self.look_at_mtu(edges.links, now);
            self.weigh(now, edges);
        }
        self.verify_unseen(edges, now);
        self.ways_due(edges, now);
        self.tick_tracked(edges, now);
        if self.patience_until.is_some_and(|at| at <= now) {
            self.patience_until = None;
            self.weigh(now, edges);
        }
    }

    /// Leaves for good.
    pub(crate) fn shut_down(&mut self, edges: &mut Edges<'_>, now: Instant) {
        self.feed(now, Input::Shutdown, edges);
    }

    /// Takes on a new configuration of the same virtual router.
    ///
    /// `known` is what the checks have said so far; one that is new gets its time to say something.
    pub(crate) fn reconfigure(
        &mut self,
        config: Arc<Config>,
        (known, links): (&[(String, Health)], &LinkTable),
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        self.dirty = true;
        let old = Arc::clone(&self.config);
        let renewed = |track| {
            let mut term = Term::renewed(track, &self.terms);
            for (check, health) in known {
                term.hear(check, *health);
            }
            term
        };
        self.terms = config.track.iter().map(renewed).collect();
        self.look_at_tracked(links, now);
        self.patience_until = Some(now + FIRST_RESULT_WAIT);
        self.config = config;
        if self.config.datapath != old.datapath {
            self.end_switch();
        }
        self.move_addresses(&old, edges, now);
        self.verify_ways(edges, now);
        let own = self.election.rules().own_address;
        let grouped = self.seat.is_some();
        let effective = match self.seat.as_ref().and_then(|seat| seat.lent) {
            Some(lent) => lent.priority,
            None => priority::effective(self.config.priority, &self.terms),
        };
        let params = params(&self.config, own, effective, grouped);
        self.feed(now, Input::Configure(params), edges);
        let rules = self.election.detector_rules();
        self.reconfigure_detector(&rules, edges, now);
        if self.role() == Role::Master {
            self.run(now, Action::UpdateAdverts(*self.election.rules()), edges);
        }
        self.weigh(now, edges);
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
            Action::RemoveAddresses => self.remove_addresses(edges, now),
            Action::Announce => self.announce(edges, now),
            Action::Detect { detector, rules } => self.detect(detector, &rules, edges, now),
            Action::UpdateDetector(rules) => self.reconfigure_detector(&rules, edges, now),
            Action::Report(transition) => self.report(transition, edges),
            Action::Notice(notice) => self.notice(notice, edges, now),
        }
    }
}

/// The election's parameters by this configuration, with this effective priority; `grouped` if it is a
/// member of a sync group.
pub fn params(config: &Config, own_address: IpAddr, priority: Priority, grouped: bool) -> Params {
    Params {
        rules: Rules {
            version: config.version,
            own_address,
            priority,
            interval: config.advert_interval,
            preempt: config.preempt,
            down_multiplier: config.down_multiplier,
        },
        start_hold: clock::nanos(config.start_delay),
        preempt_delay: clock::nanos(config.preempt_delay),
        grouped,
    }
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    }
}
