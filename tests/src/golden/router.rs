//! One instance as the agent's driver runs it, on a virtual clock: the real election, the real slot with its
//! parser and following rule, and in place of sockets and netlink nothing.

mod detector;
mod fitness;

use std::collections::VecDeque;
use std::net::IpAddr;

use ha_agent::config::model::Instance as Config;
use ha_agent::datapath::soft::SoftSlot;
use ha_agent::driver::election_params;
use ha_agent::driver::priority::{self, Health};
use ha_agent::driver::sender::LEASE;
use ha_agent::driver::tracked::Term;
use ha_common::election::{Action, Detector, Election, FaultCause, Input, Role, Rules};
use ha_common::layout::{SlotKey, state};
use ha_common::units::{Family, Instant, Nanos};

use super::events::{Link, Stall};
use super::story::Story;
use crate::sim::sender::Sender;
use detector::Pushed;
use fitness::Fitness;

/// How long the checks have for their first results, as in the agent.
const FIRST_RESULT_WAIT: Nanos = Nanos::from_millis(30_000);
/// The interface's index; there is one interface for each instance.
const IFINDEX: u32 = 1;

/// What all instances of the agent share in a turn.
pub(super) struct Turn<'a> {
    /// The time.
    pub(super) now: Instant,
    /// Names of the checks, by number.
    pub(super) checks: &'a [String],
    /// What came of it.
    pub(super) story: &'a mut Story,
}

/// One virtual router on the host.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) config: Config,
    election: Option<Election>,
    slot: SoftSlot,
    generation: u32,
    sender: Sender,
    link: Link,
    trouble: Option<FaultCause>,
    terms: Vec<Term>,
    patience_until: Option<Instant>,
    fed: Fitness,
    /// The address that the port was opened with.
    port: Option<IpAddr>,
    /// The virtual addresses are on the interface.
    addresses: bool,
    /// What the kernel half pushed while nobody looked.
    ring: VecDeque<Pushed>,
    /// The deadline that the timer fired for last.
    fired: u64,
    deaf: bool,
    /// Events that were lost on their way.
    dropped: u64,
    /// Of the lost ones, those that have been dealt with.
    lost: u64,
    next_look: Option<Instant>,
    stalled: bool,
}

impl Router {
    /// Not started, on a host that has no such interface.
    pub(super) fn new(config: Config) -> Self {
        let key = SlotKey::new(IFINDEX, config.family, config.vrid.get());
        Self {
            config,
            election: None,
            slot: SoftSlot::new(key),
            generation: 0,
            sender: Sender::default(),
            link: Link::default(),
            trouble: None,
            terms: Vec::new(),
            patience_until: None,
            fed: Fitness::Waiting,
            port: None,
            addresses: false,
            ring: VecDeque::new(),
            fired: 0,
            deaf: false,
            dropped: 0,
            lost: 0,
            next_look: None,
            stalled: false,
        }
    }

    fn role(&self) -> Option<Role> {
        self.election.as_ref().map(|it| it.state().role())
    }

    fn rules(&self) -> Option<Rules> {
        self.election.as_ref().map(|it| *it.rules())
    }

    /// The agent comes up, and takes up what an earlier life has left in the slot.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>) {
        let nobody = match self.config.family {
            Family::V4 => IpAddr::from([0; 4]),
            Family::V6 => IpAddr::from([0; 16]),
        };
        let params = election_params(&self.config, nobody, self.config.priority, false);
        turn.story.begins(&self.config.name, turn.now, &params);
        self.election = Some(Election::new(params));
        self.terms = self.config.track.iter().map(Term::new).collect();
        self.patience_until = Some(turn.now + FIRST_RESULT_WAIT);
        self.fed = Fitness::Waiting;
        self.follow_link(turn);
    }

    /// The agent is gone from one moment to the next.
    pub(super) fn crash(&mut self) {
        self.election = None;
        self.sender = Sender::default();
        self.port = None;
        self.ring.clear();
        self.next_look = None;
        self.stalled = false;
    }

    /// The agent leaves, or the instance is no longer configured.
    pub(super) fn shut_down(&mut self, turn: &mut Turn<'_>) {
        self.feed(Input::Shutdown, turn);
        *self = Self {
            link: self.link,
            ..Self::new(self.config.clone())
        };
    }

    pub(super) fn feed(&mut self, input: Input, turn: &mut Turn<'_>) {
        let Some(election) = &mut self.election else {
            return;
        };
        let actions = election.handle(turn.now, input);
        turn.story
            .fed(&self.config.name, turn.now, &input, &actions, turn.checks);
        for action in actions {
            self.run(action, turn.now);
        }
    }

    fn run(&mut self, action: Action, now: Instant) {
        match action {
            Action::StartAdverts(rules) => {
                self.sender.start(now, rules);
                self.sender.wake(now);
            }
            Action::UpdateAdverts(rules) => self.sender.update(rules),
            Action::AdvertNow => {
                self.sender.advert_now(now);
                self.sender.wake(now);
            }
            Action::StopAdverts(last) => {
                self.sender.stop(last);
            }
            Action::AddAddresses | Action::AdoptAddresses => self.addresses = true,
            Action::RemoveAddresses => self.addresses = false,
            Action::Detect { detector, rules } => self.detect(detector, &rules, now),
            Action::UpdateDetector(rules) => self.configure(&rules, now),
            // Nothing on this host depends on them.
            Action::Announce | Action::Report(_) | Action::Notice(_) => {}
        }
    }

    /// The interface is like this from now on.
    pub(super) fn set_link(&mut self, link: Link, turn: &mut Turn<'_>) {
        self.link = link;
        if self.election.is_some() {
            self.follow_link(turn);
        }
    }

    fn follow_link(&mut self, turn: &mut Turn<'_>) {
        match self.link {
            Link::Up(address) if self.port != Some(address) => self.open(address, turn),
            Link::Up(_) | Link::Down | Link::NoAddress => {}
            Link::Gone => {
                self.weigh(turn);
                self.port = None;
            }
        }
        self.weigh(turn);
    }

    /// Sockets and slot, with this address; a slot that says master may be an earlier life's.
    fn open(&mut self, address: IpAddr, turn: &mut Turn<'_>) {
        let Some(rules) = self.rules() else { return };
        let rules = Rules {
            own_address: address,
            ..rules
        };
        self.port = Some(address);
        let earlier_priority = self.slot.slot().own_priority;
        self.configure(&rules, turn.now);
        self.feed(Input::OwnAddress(address), turn);
        match self.role() {
            Some(Role::Initialize) => {}
            Some(Role::Master) => {
                self.sender.start(turn.now, rules);
                self.sender.wake(turn.now);
                return;
            }
            Some(Role::Hold | Role::Backup | Role::Fault | Role::Stopped) | None => return,
        }
        if self.may_resume(turn.now) {
            self.believe_the_earlier_sum(earlier_priority, turn);
            self.feed(Input::Resume, turn);
        } else {
            self.addresses = false;
        }
    }

    fn may_resume(&self, now: Instant) -> bool {
        let slot = self.slot.slot();
        let claimed = ha_common::follow::is_claimed(slot, now.0);
        self.addresses && slot.state == state::MASTER && !claimed
    }

    /// A new configuration of the same virtual router. `known` is what the checks have said so far.
    pub(super) fn reconfigure(
        &mut self,
        config: Config,
        known: &[(String, Health)],
        turn: &mut Turn<'_>,
    ) {
        let terms = config.track.iter().map(|track| {
            let mut term = Term::renewed(track, &self.terms);
            for (check, health) in known {
                term.hear(check, *health);
            }
            term
        });
        let terms: Vec<Term> = terms.collect();
        self.terms = terms;
        self.patience_until = Some(turn.now + FIRST_RESULT_WAIT);
        self.config = config;
        let Some(rules) = self.rules() else { return };
        let effective = priority::effective(self.config.priority, &self.terms);
        let params = election_params(&self.config, rules.own_address, effective, false);
        self.feed(Input::Configure(params), turn);
        if let Some(rules) = self.election.as_ref().map(Election::detector_rules) {
            self.configure(&rules, turn.now);
        }
        self.weigh(turn);
    }

    /// When something is due by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let slot = self.slot.slot();
        let timer = (slot.state == state::BACKUP && slot.deadline > self.fired)
            .then_some(Instant(slot.deadline));
        let election = self.election.as_ref().and_then(Election::next_deadline);
        let patience = self.patience_until.filter(|_| self.pending_check());
        let agent = [election, patience, self.next_look];
        let agent = agent.into_iter().filter(|_| !self.stalled);
        agent.chain([timer]).flatten().min()
    }

    /// Does what is due: the kernel's timer in any case, the rest if the agent moves.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        self.timer(turn);
        if self.stalled {
            return;
        }
        let now = turn.now;
        let election = self.election.as_ref().and_then(Election::next_deadline);
        if election.is_some_and(|at| at <= now) {
            self.feed(Input::Tick, turn);
        }
        if self.next_look.is_some_and(|at| at <= now) {
            self.look(turn);
        }
        if self.patience_until.is_some_and(|at| at <= now) {
            self.patience_until = None;
            self.weigh(turn);
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
                let lapse = since + LEASE;
                self.keep_sending(turn.now.min(lapse));
                if turn.now >= lapse {
                    self.sender.lease_lapsed(lapse);
                }
            }
            // It finds out by itself whether it has overslept.
            Stall::Agent => {
                self.sender.wake(turn.now);
            }
        }
        while let Some(pushed) = self.ring.pop_front() {
            self.take(pushed, turn);
        }
        self.look_before_sending(turn);
        self.tick(turn);
    }

    /// The sender's own clock, up to that time.
    fn keep_sending(&mut self, until: Instant) {
        while let Some(due) = self.sender.next_due().filter(|due| *due <= until) {
            self.sender.wake(due);
        }
    }

    fn detect(&mut self, part: Detector, rules: &Rules, now: Instant) {
        self.generation = self.generation.wrapping_add(1);
        let (state, arm_for) = match part {
            Detector::Idle => (state::IDLE, Nanos(0)),
            Detector::Backup { arm_for } => (state::BACKUP, arm_for),
            Detector::Master => (state::MASTER, Nanos(0)),
        };
        self.set_state(state, arm_for, rules, now);
    }
}
