//! The sender thread as the simulation sees it: periodic adverts under a lease.

use ha_agent::router::sending::{SendingNews, Unsent};
use ha_common::election::{Advert, LastAdvert, Rules};
use ha_common::timing::master_down;
use ha_common::units::{Instant, Nanos, Priority};

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
    /// It fell silent by itself at that time, until the driver, having looked at the slot, says something.
    silent_since: Option<Instant>,
    /// The driver has been told.
    told: bool,
    /// Since when adverts do not leave, and whether that is known.
    unsent: Option<(Instant, bool)>,
}

impl Sender {
    /// Begins: the first advert is due at once.
    pub fn start(&mut self, now: Instant, rules: Rules) {
        self.order = Some((rules, now));
        self.speak_again();
    }

    /// New values for the next advert.
    pub fn update(&mut self, rules: Rules) {
        if let Some((current, _)) = &mut self.order {
            *current = rules;
        }
    }

    /// One advert out of turn is due.
    pub fn advert_now(&mut self, now: Instant) {
        self.speak_again();
        if let Some((_, due)) = &mut self.order {
            *due = now;
        }
    }

    /// Stops, and says what is still to be sent: also when it is asleep, for the driver is not.
    pub fn stop(&mut self, last: LastAdvert) -> Option<Advert> {
        self.speak_again();
        let (rules, _) = self.order.take()?;
        match last {
            LastAdvert::Release => Some(release(&rules)),
            LastAdvert::Own => Some(advert(&rules)),
            LastAdvert::None => None,
        }
    }

    /// The driver has not renewed the lease: say priority 0 and fall silent.
    pub fn lease_lapsed(&mut self, now: Instant) -> Option<Advert> {
        let (rules, _) = self.order.filter(|_| self.silent_since.is_none())?;
        self.silent_since = Some(now);
        Some(release(&rules))
    }

    /// Once after it fell silent by itself, or would have if it had woken already: since when.
    pub fn take_stopped(&mut self, now: Instant) -> Option<Instant> {
        self.stop_if_overslept(now);
        let since = self.silent_since.filter(|_| !self.told)?;
        self.told = true;
        Some(since)
    }

    /// As the real one does: when its advert is as late as the others may wait for it without their skew.
    fn stop_if_overslept(&mut self, now: Instant) -> bool {
        let Some((rules, due)) = self.order.filter(|_| self.silent_since.is_none()) else {
            return false;
        };
        let late = u64::from(rules.down_multiplier.saturating_sub(1).max(1));
        let overslept = now.since(due) > Nanos(late * rules.interval.nanos().0);
        if overslept {
            self.silent_since = Some(due);
        }
        overslept
    }

    /// An advert left, or was refused. What is news of that, by the real sender's measure: refused for as long as a
    /// backup waits.
    pub fn count(&mut self, leaves: bool, now: Instant, advert: &Advert) -> Option<SendingNews> {
        let (rules, _) = self.order?;
        if leaves {
            let (_, known) = self.unsent.take()?;
            return known.then_some(SendingNews::Leave);
        }
        let (since, known) = *self.unsent.get_or_insert((now, false));
        let patience = master_down(
            rules.version,
            rules.priority,
            rules.interval,
            rules.down_multiplier,
        );
        if known || now.since(since) <= patience {
            return None;
        }
        self.unsent = Some((since, true));
        Some(SendingNews::Unsent(Unsent {
            since,
            to: advert.source,
            why: "a firewall".to_owned(),
            too_long: false,
        }))
    }

    const fn speak_again(&mut self) {
        self.silent_since = None;
        self.told = false;
    }

    /// Whether it speaks, as far as anybody can tell: not if it slept so long that it will stop by itself.
    pub fn speaks(&self, now: Instant) -> bool {
        let mut then = self.clone();
        !then.stop_if_overslept(now) && then.next_due().is_some()
    }

    /// When the next advert is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.order
            .filter(|_| self.silent_since.is_none())
            .map(|(_, due)| due)
    }

    /// True from start to stop.
    pub const fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Its time may have come.
    pub fn wake(&mut self, now: Instant) -> Due {
        if self.next_due().is_none_or(|due| due > now) {
            return Due::Not;
        }
        if self.stop_if_overslept(now) {
            return Due::Overslept;
        }
        let Some((rules, due)) = &mut self.order else {
            return Due::Not;
        };
        *due = now + rules.interval.nanos();
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
