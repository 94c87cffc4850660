//! The detector as the simulation sees it: the slot of the kernel half, with the function that
//! decides in the BPF program and in the plain-socket datapath.

use std::fmt::Debug;
use std::net::IpAddr;

use ha_common::address::raw;
use ha_common::election::{Advert, Detector as Part, Rules};
use ha_common::layout::{Command, Slot, flags, state};
use ha_common::master_tracking;
use ha_common::slot;
use ha_common::units::{Family, Instant, Nanos};
use ha_common::wire::vrrp::{self, ChecksumScope};

/// One virtual router's slot.
pub trait Detector: Debug {
    /// Takes this part from now on.
    fn assign(&mut self, now: Instant, part: Part, rules: Rules);
    /// Goes by these rules from now on; the running timer stays.
    fn update(&mut self, rules: Rules);
    /// Takes in a valid advert; what the agent must be told besides, if it must.
    fn advert(&mut self, now: Instant, advert: &Advert) -> Option<Told>;
    /// What the agent reads.
    fn slot(&self) -> &Slot;

    /// When the timer is due.
    fn deadline(&self) -> Option<Instant> {
        let slot = self.slot();
        (slot.state == state::BACKUP && slot.deadline != 0).then_some(Instant(slot.deadline))
    }

    /// When the master that it follows was last heard.
    fn last_heard(&self) -> Option<Instant> {
        let at = self.slot().last_heard;
        (at != 0).then_some(Instant(at))
    }

    /// True if the slot says master.
    fn is_master(&self) -> bool {
        self.slot().state == state::MASTER
    }

    /// Adverts that the agent was told of: each wakes it.
    fn events(&self) -> u64 {
        self.slot().events
    }

    /// The veto: whether the timer is really past.
    fn expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

/// What the event of an advert says that the advert does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Told {
    /// Whether the slot followed another master.
    pub is_overheard: bool,
}

impl Told {
    /// Of an advert that the slot has just taken in.
    pub fn of(slot: &Slot, advert: &Advert) -> Self {
        Self {
            is_overheard: master_tracking::follows_another(slot, &on_the_wire(advert)),
        }
    }
}

/// Length of the window in which a slot limits its events.
pub const WINDOW: Nanos = Nanos::from_millis(100);

/// A slot as the kernel half keeps it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    slot: Slot,
}

impl Model {
    /// A free slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new one, boxed as the world wants it.
    pub fn boxed() -> Box<dyn Detector> {
        Box::new(Self::new())
    }
}

impl Detector for Model {
    fn assign(&mut self, now: Instant, part: Part, rules: Rules) {
        // The driver has configured the slot long before.
        self.update(rules);
        let (state, arm_for) = match part {
            Part::Idle => (state::IDLE, Nanos(0)),
            Part::Backup { arm_for } => (state::BACKUP, arm_for),
            Part::Master => (state::MASTER, Nanos(0)),
        };
        let command = Command {
            state,
            ..command(&rules)
        };
        assert!(slot::set_state(&mut self.slot, &command));
        self.slot.deadline = if state == state::BACKUP {
            (now + arm_for).0
        } else {
            0
        };
    }

    fn update(&mut self, rules: Rules) {
        slot::configure(&mut self.slot, &command(&rules));
    }

    fn advert(&mut self, now: Instant, advert: &Advert) -> Option<Told> {
        let slot = &mut self.slot;
        slot.adverts += 1;
        let outcome = master_tracking::on_advert(slot, &on_the_wire(advert), now.0);
        if let Some(span) = outcome.arm_for {
            slot.deadline = (now + span).0;
            slot.rearms += 1;
        }
        if !outcome.notify {
            return None;
        }
        let within = master_tracking::may_notify(slot, now.0);
        if within {
            slot.events += 1;
        } else {
            slot.suppressed += 1;
        }
        within.then(|| Told::of(slot, advert))
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}

/// What the driver would tell the slot of these rules.
fn command(rules: &Rules) -> Command {
    Command {
        version: rules.version as u8,
        family: match rules.own_address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        } as u8,
        own_address: raw(rules.own_address),
        own_priority: rules.priority.0,
        own_interval: rules.interval.0,
        down_multiplier: rules.down_multiplier,
        flags: if rules.preempt { flags::PREEMPT } else { 0 },
        ..Command::default()
    }
}

/// The advert as the parser hands it on; all nodes list the same addresses.
fn on_the_wire(advert: &Advert) -> vrrp::Advert {
    vrrp::Advert {
        source: raw(advert.source),
        hash: 1,
        interval: advert.interval,
        priority: advert.priority,
        count: 1,
        flavour: ChecksumScope::PseudoHeader,
        length: 12,
        signed: false,
    }
}
