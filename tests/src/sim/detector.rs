//! The detector as the simulation sees it: what the kernel half decides by itself.

use std::fmt::Debug;
use std::net::IpAddr;

use ha_common::election::{Advert, Detector as Part, Rules};
use ha_common::timing;
use ha_common::units::{Centiseconds, Instant, Nanos, Priority, Version};

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

    /// Adverts that the limit kept from the agent.
    fn suppressed(&self) -> u64;

    /// The veto: whether the timer is really past.
    fn expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

/// Events that a slot may push in a window; more are suppressed.
const WINDOW_EVENTS: u32 = 16;
/// Length of that window.
pub const WINDOW: Nanos = Nanos::from_millis(100);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Slot {
    Idle,
    Backup { deadline: Instant },
    Master { contested_by: Option<Advert> },
}

/// A slot as the kernel half keeps it.
#[derive(Clone, Debug)]
pub struct Model {
    slot: Slot,
    rules: Option<Rules>,
    followed: Option<Advert>,
    last_heard: Option<Instant>,
    window: (Instant, u32),
    suppressed: u64,
}

impl Model {
    /// A free slot.
    pub const fn new() -> Self {
        Self {
            slot: Slot::Idle,
            rules: None,
            followed: None,
            last_heard: None,
            window: (Instant(0), 0),
            suppressed: 0,
        }
    }

    /// A new one, boxed as the world wants it.
    pub fn boxed() -> Box<dyn Detector> {
        Box::new(Self::new())
    }

    fn as_backup(&mut self, now: Instant, advert: &Advert, rules: &Rules) -> bool {
        let of_followed = self.followed.is_some_and(|f| f.source == advert.source);
        if advert.priority.is_release() {
            // Somebody who is not master leaves: the master that we follow is still there.
            if self.followed.is_some() && !of_followed {
                return false;
            }
            let skew = timing::skew(rules.version, rules.priority, self.interval(rules));
            self.arm(now, skew);
            return true;
        }
        if rules.preempt && advert.priority < rules.priority {
            return false;
        }
        let changed = self.followed != Some(*advert);
        if of_followed || self.followed.is_none_or(|f| rank(advert) > rank(&f)) {
            self.followed = Some(*advert);
        }
        let interval = self.interval(rules);
        let down = timing::master_down(
            rules.version,
            rules.priority,
            interval,
            rules.down_multiplier,
        );
        self.arm(now, down);
        changed
    }

    fn arm(&mut self, now: Instant, span: Nanos) {
        self.last_heard = Some(now);
        self.slot = Slot::Backup {
            deadline: now + span,
        };
    }

    fn interval(&self, rules: &Rules) -> Centiseconds {
        match (rules.version, &self.followed) {
            (Version::V3, Some(followed)) => followed.interval,
            (Version::V2, _) | (Version::V3, None) => rules.interval,
        }
    }

    fn within_limit(&mut self, now: Instant) -> bool {
        if now.since(self.window.0) > WINDOW {
            self.window = (now, 0);
        }
        self.window.1 += 1;
        let within = self.window.1 <= WINDOW_EVENTS;
        self.suppressed += u64::from(!within);
        within
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

fn rank(advert: &Advert) -> (Priority, IpAddr) {
    (advert.priority, advert.source)
}

impl Detector for Model {
    fn assign(&mut self, now: Instant, part: Part, rules: Rules) {
        self.rules = Some(rules);
        self.followed = None;
        self.last_heard = None;
        self.slot = match part {
            Part::Idle => Slot::Idle,
            Part::Backup { arm_for } => Slot::Backup {
                deadline: now + arm_for,
            },
            Part::Master => Slot::Master { contested_by: None },
        };
    }

    fn update(&mut self, rules: Rules) {
        self.rules = Some(rules);
    }

    fn advert(&mut self, now: Instant, advert: &Advert) -> bool {
        let Some(rules) = self.rules else {
            return false;
        };
        let notify = match &mut self.slot {
            Slot::Idle => false,
            Slot::Backup { .. } => self.as_backup(now, advert, &rules),
            Slot::Master { contested_by } => {
                if rank(advert) > (rules.priority, rules.own_address) {
                    *contested_by = Some(*advert);
                }
                true
            }
        };
        notify && self.within_limit(now)
    }

    fn deadline(&self) -> Option<Instant> {
        match self.slot {
            Slot::Backup { deadline } => Some(deadline),
            Slot::Idle | Slot::Master { .. } => None,
        }
    }

    fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    fn suppressed(&self) -> u64 {
        self.suppressed
    }

    fn is_master(&self) -> bool {
        matches!(self.slot, Slot::Master { .. })
    }

    fn contested_by(&self) -> Option<Advert> {
        match self.slot {
            Slot::Master { contested_by } => contested_by,
            Slot::Idle | Slot::Backup { .. } => None,
        }
    }
}
