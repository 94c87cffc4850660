//! The sender thread as the simulation sees it: periodic adverts under a lease.

use ha_common::election::{Advert, LastAdvert, Rules};
use ha_common::units::{Instant, Nanos, Priority};

/// A sender that finds itself this many intervals late has slept and asks before it sends.
const OVERSLEPT_INTERVALS: u64 = 2;

/// What a sender found when its time had come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// Nothing to send now.
    Not,
    /// This advert.
    Send(Advert),
    /// It had slept: it stopped without a word.
    Overslept,
}

/// One virtual router's sender.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// What to send and when, from start to stop.
    order: Option<(Rules, Instant)>,
    /// It fell silent by itself, until the driver, having looked at the slot, says something.
    pub asleep: bool,
}

impl Sender {
    /// Begins: the first advert is due at once.
    pub fn start(&mut self, now: Instant, rules: Rules) {
        self.order = Some((rules, now));
        self.asleep = false;
    }

    /// New values for the next advert.
    pub fn update(&mut self, rules: Rules) {
        if let Some((current, _)) = &mut self.order {
            *current = rules;
        }
    }

    /// One advert out of turn is due.
    pub fn advert_now(&mut self, now: Instant) {
        self.asleep = false;
        if let Some((_, due)) = &mut self.order {
            *due = now;
        }
    }

    /// Stops, and says what is still to be sent: also when it is asleep, for the driver is not.
    pub fn stop(&mut self, last: LastAdvert) -> Option<Advert> {
        self.asleep = false;
        let (rules, _) = self.order.take()?;
        match last {
            LastAdvert::Release => Some(release(&rules)),
            LastAdvert::Own => Some(advert(&rules)),
            LastAdvert::None => None,
        }
    }

    /// The driver has not renewed the lease: say priority 0 and fall silent.
    pub fn lease_lapsed(&mut self) -> Option<Advert> {
        let (rules, _) = self.order.filter(|_| !self.asleep)?;
        self.asleep = true;
        Some(release(&rules))
    }

    /// When the next advert is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.order.filter(|_| !self.asleep).map(|(_, due)| due)
    }

    /// True from start to stop.
    pub const fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Its time may have come.
    pub fn wake(&mut self, now: Instant) -> Due {
        let Some((rules, due)) = self.order.as_mut().filter(|_| !self.asleep) else {
            return Due::Not;
        };
        if *due > now {
            return Due::Not;
        }
        let interval = rules.interval.nanos();
        if now.since(*due) > Nanos(OVERSLEPT_INTERVALS * interval.0) {
            self.asleep = true;
            return Due::Overslept;
        }
        *due = now + interval;
        Due::Send(advert(rules))
    }
}

fn release(rules: &Rules) -> Advert {
    Advert {
        priority: Priority::RELEASE,
        ..advert(rules)
    }
}

/// What a master with these rules says.
pub fn advert(rules: &Rules) -> Advert {
    Advert {
        source: rules.own_address,
        priority: rules.priority,
        interval: rules.interval,
    }
}
