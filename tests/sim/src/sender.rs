//! A host's sender thread in the simulation: the agent's own schedule, with the adverts that it lets out. Nothing is
//! decided here.

use ha_agent::driver::sender::refusals::Refused;
use ha_agent::driver::sender::schedule::{Schedule, Step, Timing};
use ha_common::election::{Advert, LastAdvert, Rules};
use ha_common::units::{Instant, Priority};

/// The thread of one host; its virtual routers are numbered from zero.
#[derive(Debug, Default)]
pub struct SenderThread {
    /// What goes out when.
    pub schedule: Schedule,
    /// Until when the driver lets it go on.
    pub lease_until: Instant,
    /// What each virtual router's adverts say, from start to stop.
    rules: Vec<Option<Rules>>,
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// This advert of this virtual router leaves.
    Advert(usize, Advert),
    /// The lease has ended: this priority 0 of this virtual router leaves.
    Release(usize, Advert),
    /// This virtual router's advert was too late, and is not sent.
    Overslept(usize),
    /// The thread sleeps until then.
    Wait(Option<Instant>),
}

impl SenderThread {
    /// Starts a virtual router's adverts: the first leaves at once.
    pub fn start(&mut self, id: usize, now: Instant, rules: Rules, timing: Timing) -> Advert {
        if id >= self.rules.len() {
            self.rules.resize(id + 1, None);
        }
        self.rules[id] = Some(rules);
        self.schedule.start(id, timing, now);
        advert(&rules)
    }

    /// New values for the next advert, which leaves at once if the interval has changed.
    pub fn update(
        &mut self,
        id: usize,
        now: Instant,
        rules: Rules,
        timing: Timing,
    ) -> Option<Advert> {
        *self.rules.get_mut(id)?.as_mut()? = rules;
        let at_once = self.schedule.update(id, timing, now);
        at_once.then(|| advert(&rules))
    }

    /// One advert out of turn.
    pub fn advert_now(&mut self, id: usize, now: Instant) -> Option<Advert> {
        let rules = self.rules(id)?;
        let leaves = self.schedule.advert_now(id, now);
        leaves.then(|| advert(&rules))
    }

    /// Stops, and says what is still to be sent.
    pub fn stop(&mut self, id: usize, last: LastAdvert) -> Option<Advert> {
        let rules = self.rules.get_mut(id)?.take()?;
        let speaks = self.schedule.stop(id);
        let last = match last {
            LastAdvert::Release => release(&rules),
            LastAdvert::Own => advert(&rules),
            LastAdvert::None => return None,
        };
        speaks.then_some(last)
    }

    /// Its time may have come; to be asked again until it waits.
    pub fn next_due(&mut self, now: Instant, lease: Instant) -> Due {
        let said = |rules: &[Option<Rules>], id: usize| rules.get(id).copied().flatten();
        match self.schedule.next_step(now, lease) {
            Step::Wait(until) => Due::Wait(until),
            Step::Overslept { id } => Due::Overslept(id),
            Step::Send { id, .. } => match said(&self.rules, id) {
                Some(rules) => Due::Advert(id, advert(&rules)),
                None => Due::Overslept(id),
            },
            Step::Release { id } => match said(&self.rules, id) {
                Some(rules) => Due::Release(id, release(&rules)),
                None => Due::Overslept(id),
            },
        }
    }

    /// An advert left, or was refused.
    pub fn count(&mut self, id: usize, refused: Option<Refused>, now: Instant) {
        self.schedule.count(id, refused, now);
    }

    /// From start to stop.
    pub fn is_started(&self, id: usize) -> bool {
        self.rules(id).is_some()
    }

    /// What the virtual router's adverts say, from start to stop.
    pub fn rules(&self, id: usize) -> Option<Rules> {
        self.rules.get(id).copied().flatten()
    }

    /// Whether its adverts go out, as far as anybody can tell: not if it slept so long that it will stop by itself.
    pub fn speaks(&self, id: usize, now: Instant) -> bool {
        let (Some(due), Some(rules)) = (self.schedule.due(id), self.rules(id)) else {
            return false;
        };
        now.since(due) <= Timing::of(&rules).overslept
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
