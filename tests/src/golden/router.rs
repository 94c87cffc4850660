//! One router as the agent's driver runs it, on a virtual clock: the router itself, the real slot with its parser and
//! following rule, and in place of sockets and netlink nothing.

mod hearing;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use ha_agent::config::model::Instance as Config;
use ha_agent::datapath::socket_slot::SocketSlot;
use ha_agent::driver::sender::LEASE;
use ha_agent::driver::sender::schedule::Timing;
use ha_agent::driver::slot_configuration;
use ha_agent::record::line;
use ha_agent::router::health::Health;
use ha_agent::router::{
    Binding, Effect, Effects, Event, InterfaceState, Router as Logic, Wanted,
    tracked::ObservedLinks,
};
use ha_common::election::{Detector, FaultCause, Input, Role, Rules};
use ha_common::layout::{Command, Event as Pushed, Slot, SlotKey, flags, op, state};
use ha_common::units::{Instant, Nanos};

use super::events::{Link, Stall};
use super::transcript::Transcript;
use ha_sim::sender::{Due, SenderThread};

/// The interface's index; there is one interface for each instance.
const IFINDEX: u32 = 1;
/// The number of the virtual router at its sender, which has no other.
const SENDER: usize = 0;
/// The end of a lease that is renewed all the time.
const NO_END: Instant = Instant(u64::MAX);

/// A record of the kernel half, in the ring or on its way to the driver.
#[derive(Clone, Copy, Debug)]
enum Record {
    Advert(Pushed),
    MasterDown(Instant),
}

/// What all instances of the agent share in a turn.
pub(super) struct Turn<'a> {
    /// The time.
    pub(super) now: Instant,
    /// Names of the checks, by number.
    pub(super) checks: &'a [String],
    /// What came of it.
    pub(super) transcript: &'a mut Transcript,
}

/// One virtual router on the host.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) config: Arc<Config>,
    /// While the agent lives.
    logic: Option<Logic>,
    slot: SocketSlot,
    generation: u32,
    sender: SenderThread,
    link: Link,
    trouble: Option<FaultCause>,
    /// The address that the port was opened with.
    port: Option<IpAddr>,
    /// The virtual addresses are on the interface.
    addresses: bool,
    /// What the kernel half pushed while nobody looked.
    ring: VecDeque<Record>,
    /// The deadline that the timer fired for last.
    fired: u64,
    deaf: bool,
    /// Events that were lost on their way.
    dropped: u64,
    next_look: Option<Instant>,
    stalled: bool,
}

impl Router {
    /// Not started, on a host that has no such interface.
    pub(super) fn new(config: Config) -> Self {
        let key = SlotKey::new(IFINDEX, config.family, config.vrid.get());
        Self {
            config: Arc::new(config),
            logic: None,
            slot: SocketSlot::new(key),
            generation: 0,
            sender: SenderThread::default(),
            link: Link::default(),
            trouble: None,
            port: None,
            addresses: false,
            ring: VecDeque::new(),
            fired: 0,
            deaf: false,
            dropped: 0,
            next_look: None,
            stalled: false,
        }
    }

    fn role(&self) -> Option<Role> {
        self.logic.as_ref().map(Logic::role)
    }

    /// The agent comes up, and takes up what an earlier life has left in the slot.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>) {
        let params = Logic::first_params(&self.config);
        turn.transcript.begins(&self.config.name, turn.now, &params);
        let names = Arc::from(turn.checks.to_vec());
        let logic = Logic::new(0, Arc::clone(&self.config), names, turn.now);
        self.logic = Some(logic);
        self.follow_link(turn);
    }

    /// The agent is gone from one moment to the next.
    pub(super) fn crash(&mut self) {
        self.logic = None;
        self.sender = SenderThread::default();
        self.port = None;
        self.ring.clear();
        self.next_look = None;
        self.stalled = false;
    }

    /// The agent leaves, or the instance is no longer configured.
    pub(super) fn shut_down(&mut self, turn: &mut Turn<'_>) {
        self.tell(Event::Shutdown, turn);
        *self = Self {
            link: self.link,
            ..Self::new((*self.config).clone())
        };
    }

    fn tell(&mut self, event: Event<'_>, turn: &mut Turn<'_>) {
        let mut fx = Effects::default();
        if let Some(logic) = &mut self.logic {
            logic.on_event(turn.now, event, &mut fx);
        }
        self.carry_out(fx, turn);
    }

    /// Straight into the election.
    pub(super) fn feed(&mut self, input: Input, turn: &mut Turn<'_>) {
        let mut fx = Effects::default();
        if let Some(logic) = &mut self.logic {
            logic.obey(None, input, turn.now, &mut fx);
        }
        self.carry_out(fx, turn);
    }

    fn carry_out(&mut self, mut fx: Effects, turn: &mut Turn<'_>) {
        for fed in fx.take_fed() {
            let name = &self.config.name;
            let fed_turn = line::Turn::new(fed.input, fed.actions, turn.checks);
            turn.transcript.turn(name, fed.at, &fed_turn);
        }
        for effect in fx {
            self.perform(effect, turn);
        }
    }

    fn perform(&mut self, effect: Effect, turn: &mut Turn<'_>) {
        let now = turn.now;
        match effect {
            // What they say is nobody's concern here.
            Effect::StartAdverts { rules, .. } => {
                self.sender.start(SENDER, now, rules, Timing::of(&rules));
            }
            Effect::UpdateAdverts(rules) => {
                self.sender.update(SENDER, now, rules, Timing::of(&rules));
            }
            Effect::AdvertNow => {
                self.sender.advert_now(SENDER, now);
            }
            Effect::StopAdverts(last) => {
                self.sender.stop(SENDER, last);
            }
            Effect::Want(Wanted::Everything) => {
                self.addresses = true;
                self.tell(Event::AddressesHeld, turn);
            }
            Effect::Want(Wanted::Nothing) => self.addresses = false,
            Effect::Announce(portion) => {
                let event = Event::Announced {
                    sent: portion.len(),
                    portion,
                    full: false,
                };
                self.tell(event, turn);
            }
            Effect::Detect { part, rules } => self.detect(part, &rules, now),
            Effect::UpdateDetector(rules) => self.configure(&rules, now),
            Effect::Promote { .. } => self.tell(Event::Promoted(true), turn),
            Effect::ReadSlot => self.read_slot(turn),
            // Nothing on this host depends on it.
            Effect::Want(Wanted::Undecided) | Effect::Report(_) | Effect::Say(_) => {}
        }
    }

    fn slot(&self) -> Slot {
        Slot {
            dropped: self.dropped,
            ..*self.slot.slot()
        }
    }

    fn read_slot(&mut self, turn: &mut Turn<'_>) {
        let slot = self.slot();
        self.tell(Event::Slot(&slot), turn);
    }

    /// The interface is like this from now on.
    pub(super) fn set_link(&mut self, link: Link, turn: &mut Turn<'_>) {
        self.link = link;
        if self.logic.is_some() {
            self.follow_link(turn);
        }
    }

    fn follow_link(&mut self, turn: &mut Turn<'_>) {
        let state = match self.link {
            Link::Up(_) => InterfaceState::Up,
            Link::Down => InterfaceState::Down,
            Link::NoAddress => InterfaceState::NoAddress,
            Link::Gone => InterfaceState::Gone,
        };
        if let Link::Up(address) = self.link
            && self.port != Some(address)
        {
            self.open(address, turn);
        }
        self.tell(Event::Interface(state, None), turn);
        if self.link == Link::Gone {
            self.port = None;
            self.tell(Event::Unbound, turn);
        }
    }

    /// Sockets and slot, with this address; a slot that says master may be an earlier life's.
    fn open(&mut self, address: IpAddr, turn: &mut Turn<'_>) {
        let Some(logic) = &self.logic else { return };
        let rules = Rules {
            own_address: address,
            ..logic.election().detector_rules()
        };
        self.port = Some(address);
        let binding = Binding {
            source: address,
            kernel_timer: true,
            earlier_priority: self.slot.slot().own_priority,
            in_place: self.addresses,
            turned_at: Instant(0),
        };
        self.configure(&rules, turn.now);
        let slot = self.slot();
        self.tell(Event::Bound(binding, Some(&slot)), turn);
    }

    /// A new configuration of the same virtual router. `known` is what the checks have said so far.
    pub(super) fn reconfigure(
        &mut self,
        config: Config,
        known: &[(String, Health)],
        turn: &mut Turn<'_>,
    ) {
        self.config = Arc::new(config);
        let event = Event::Configure {
            config: Arc::clone(&self.config),
            checks: known,
            links: &ObservedLinks::new(),
            names: Arc::from(turn.checks.to_vec()),
        };
        self.tell(event, turn);
    }

    /// A tracked check has news.
    pub(super) fn check_changed(&mut self, name: &str, health: Health, turn: &mut Turn<'_>) {
        self.tell(Event::Check { name, health }, turn);
    }

    /// Something else keeps it out, or nothing any more.
    pub(super) fn set_trouble(&mut self, trouble: Option<FaultCause>, turn: &mut Turn<'_>) {
        self.trouble = trouble;
        self.tell(Event::KeptOut(trouble), turn);
    }

    /// When something is due by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let slot = self.slot.slot();
        let timer = (slot.state == state::BACKUP && slot.deadline > self.fired)
            .then_some(Instant(slot.deadline));
        let logic = self.logic.as_ref().and_then(Logic::next_deadline);
        let agent = [logic, self.next_look];
        let agent = agent.into_iter().filter(|_| !self.stalled);
        agent.chain([timer]).flatten().min()
    }

    /// Does what is due: the kernel's timer in any case, the rest if the agent moves.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        self.timer(turn);
        if self.stalled {
            return;
        }
        let mut fx = Effects::default();
        if let Some(logic) = &mut self.logic {
            logic.on_timeout(turn.now, &mut fx);
        }
        self.carry_out(fx, turn);
        if self.next_look.is_some_and(|at| at <= turn.now) {
            self.look(turn);
        }
    }

    /// The agent stands still from now on.
    pub(super) fn stall(&mut self, now: Instant) {
        self.keep_sending(now);
        self.stalled = true;
    }

    /// It moves again, after standing still since then: first the slot is asked, then the ring is read, as the
    /// driver's turn does.
    pub(super) fn wake(&mut self, stall: Stall, since: Instant, turn: &mut Turn<'_>) {
        self.stalled = false;
        match stall {
            Stall::Driver => {
                let lease = since + LEASE;
                self.keep_sending(turn.now.min(lease - Nanos(1)));
                self.run_sender(turn.now.min(lease), lease);
            }
            // It finds out by itself whether it has overslept.
            Stall::Agent => self.run_sender(turn.now, NO_END),
        }
        while let Some(record) = self.ring.pop_front() {
            self.take(record, turn);
        }
        self.look_before_sending(turn);
        self.tick(turn);
    }

    /// The sender's own clock, up to that time.
    fn keep_sending(&mut self, until: Instant) {
        while let Some(due) = self.sender.schedule.due(SENDER).filter(|due| *due <= until) {
            self.run_sender(due, NO_END);
        }
    }

    /// The sender thread wakes at that time.
    fn run_sender(&mut self, now: Instant, lease: Instant) {
        while !matches!(self.sender.next_due(now, lease), Due::Wait(_)) {}
    }

    /// The slot's configuration; its state stays.
    fn configure(&mut self, rules: &Rules, now: Instant) {
        let key = SlotKey::new(IFINDEX, self.config.family, self.config.vrid.get());
        let command = Command {
            op: op::CONFIGURE,
            generation: self.generation,
            flags: flags_of(rules),
            ..slot_configuration(key, &self.config, rules)
        };
        self.slot.command(&command, now.0);
    }

    fn detect(&mut self, part: Detector, rules: &Rules, now: Instant) {
        self.generation = self.generation.wrapping_add(1);
        let (state, arm_for) = match part {
            Detector::Idle => (state::IDLE, Nanos(0)),
            Detector::Backup { arm_for } => (state::BACKUP, arm_for),
            Detector::Master => (state::MASTER, Nanos(0)),
        };
        let command = Command {
            op: op::SET_STATE,
            generation: self.generation,
            state,
            arm_for: arm_for.0,
            flags: flags_of(rules),
            own_priority: rules.priority.0,
            ..Command::default()
        };
        self.slot.command(&command, now.0);
    }
}

fn flags_of(rules: &Rules) -> u32 {
    let preempt = if rules.preempt { flags::PREEMPT } else { 0 };
    flags::FENCE | preempt
}
