//! The detector as the simulation sees it: the slot of the kernel half, with the function that
//! decides in the XDP program and in the plain-socket datapath.

use std::fmt::Debug;
use std::net::IpAddr;

use ha_common::election::{Advert, Detector as Part, Rules};
use ha_common::follow;
use ha_common::layout::{RawAddress, Slot, flags, state};
use ha_common::units::{Centiseconds, Family, Instant, Nanos, Priority};
use ha_common::wire::vrrp::{self, Flavour};

/// One virtual router's slot.
pub trait Detector: Debug {
    /// Takes this part from now on.
    fn assign(&mut self, now: Instant, part: Part, rules: Rules);
    /// Goes by these rules from now on; the running timer stays.
    fn update(&mut self, rules: Rules);
    /// Takes in a valid advert; true if the agent must be told.
    fn advert(&mut self, now: Instant, advert: &Advert) -> bool;
    /// When the timer is due.
    fn deadline(&self) -> Option<Instant>;
    /// When the master that it follows was last heard.
    fn last_heard(&self) -> Option<Instant>;
    /// True if the slot says master.
    fn is_master(&self) -> bool;
    /// While master: the last one heard that is better.
    fn contested_by(&self) -> Option<Advert>;

    /// Adverts that the agent was told of: each wakes it.
    fn events(&self) -> u64;
    /// Adverts that the limit kept from the agent.
    fn suppressed(&self) -> u64;

    /// The veto: whether the timer is really past.
    fn expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
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
    /// As `SET_STATE` does.
    fn assign(&mut self, now: Instant, part: Part, rules: Rules) {
        self.update(rules);
        let slot = &mut self.slot;
        slot.contested_since = 0;
        slot.deadline = 0;
        match part {
            Part::Idle => slot.state = state::IDLE,
            Part::Backup { arm_for } => {
                slot.state = state::BACKUP;
                slot.deadline = (now + arm_for).0;
            }
            Part::Master => {
                slot.state = state::MASTER;
                slot.master_address = [0; 16];
                slot.master_priority = 0;
            }
        }
    }

    /// As `CONFIGURE` and `TUNE` do.
    fn update(&mut self, rules: Rules) {
        let slot = &mut self.slot;
        slot.version = rules.version as u8;
        slot.family = match rules.own_address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        } as u8;
        slot.own_address = raw(rules.own_address);
        slot.own_priority = rules.priority.0;
        slot.own_interval = rules.interval.0;
        slot.down_multiplier = rules.down_multiplier;
        slot.flags = if rules.preempt { flags::PREEMPT } else { 0 };
    }

    fn advert(&mut self, now: Instant, advert: &Advert) -> bool {
        let slot = &mut self.slot;
        slot.adverts += 1;
        let outcome = follow::on_advert(slot, &on_the_wire(advert), now.0);
        if let Some(span) = outcome.arm_for {
            slot.deadline = (now + span).0;
            slot.rearms += 1;
        }
        if !outcome.notify {
            return false;
        }
        let within = follow::may_notify(slot, now.0);
        if within {
            slot.events += 1;
        } else {
            slot.suppressed += 1;
        }
        within
    }

    fn deadline(&self) -> Option<Instant> {
        (self.slot.state == state::BACKUP && self.slot.deadline != 0)
            .then_some(Instant(self.slot.deadline))
    }

    fn last_heard(&self) -> Option<Instant> {
        (self.slot.last_heard != 0).then_some(Instant(self.slot.last_heard))
    }

    fn events(&self) -> u64 {
        self.slot.events
    }

    fn suppressed(&self) -> u64 {
        self.slot.suppressed
    }

    fn is_master(&self) -> bool {
        self.slot.state == state::MASTER
    }

    fn contested_by(&self) -> Option<Advert> {
        (self.is_master() && self.slot.contested_since != 0).then(|| Advert {
            source: address(&self.slot),
            priority: Priority(self.slot.master_priority),
            interval: Centiseconds(self.slot.master_interval),
        })
    }
}

fn raw(address: IpAddr) -> RawAddress {
    match address {
        IpAddr::V4(v4) => {
            let mut raw = [0; 16];
            raw[..4].copy_from_slice(&v4.octets());
            raw
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn address(slot: &Slot) -> IpAddr {
    let raw = slot.master_address;
    if slot.family == Family::V4 as u8 {
        IpAddr::from([raw[0], raw[1], raw[2], raw[3]])
    } else {
        IpAddr::from(raw)
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
        flavour: Flavour::PseudoHeader,
        length: 12,
    }
}
