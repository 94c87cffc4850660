//! The agent's driver in the simulation: it feeds the router, and carries out what that wants.

use ha_agent::router::tracked::ObservedLinks;
use ha_agent::router::{Effect, Effects, Event as Told};
use ha_common::election::Transition;
use ha_common::units::Instant;

use super::detector::WINDOW;
use super::node::{CHECK, Hint, Life, names};
use super::world::{Event, Frame, World};

impl World {
    /// The driver's turn: first what only matters after a sleep, then the events in order.
    pub(super) fn turn(&mut self, node: usize) {
        let now = self.now;
        if self.nodes[node].life != Life::Running {
            return;
        }
        self.nodes[node].turned_at = now;
        if let Some(since) = self.nodes[node].sender.take_stopped(now) {
            let slot = self.nodes[node].detector.slot();
            let slot = Some(&slot);
            self.tell(node, Told::SenderStopped { since, slot });
        }
        while let Some(hint) = self.nodes[node].inbox.pop_front() {
            self.heed(node, hint);
        }
        // One wait may end in the next: the start hold, then the preempt delay.
        while self.next_deadline(node).is_some_and(|due| due <= now) {
            let mut fx = Effects::default();
            if let Some(router) = &mut self.nodes[node].router {
                router.on_timeout(now, &mut fx);
            }
            self.carry_out(node, fx);
        }
        self.sync(node);
        self.watch_deadline(node);
    }

    /// Tells the router what has waited for this turn.
    fn heed(&mut self, node: usize, hint: Hint) {
        let host = &self.nodes[node];
        let slot = host.detector.slot();
        match hint {
            Hint::Advert(advert) => {
                // Once the window is over, a look at what it suppressed.
                self.schedule(self.now + WINDOW, Event::Window(node));
                let event = Told::Advert {
                    advert,
                    other_list: None,
                    slot: Some(&slot),
                };
                self.tell(node, event);
            }
            Hint::Expired(deadline) => {
                let slot = &slot;
                self.tell(node, Told::Expired { deadline, slot });
            }
            Hint::Claimed(claim) => self.tell(node, Told::Claimed(claim, &slot)),
            Hint::Link => {
                let state = host.interface();
                self.tell(node, Told::Interface(state, None));
            }
            Hint::Check => {
                if let Some(health) = host.health() {
                    self.tell(
                        node,
                        Told::Check {
                            name: CHECK,
                            health,
                        },
                    );
                }
            }
            Hint::Reload => {
                let checks = host.checks();
                let event = Told::Configure {
                    config: host.config(),
                    checks: &checks,
                    links: &ObservedLinks::new(),
                    names: names(),
                };
                self.tell(node, event);
            }
            Hint::Sending(news) => self.tell(node, Told::Sending(news)),
            Hint::Shutdown => {
                self.tell(node, Told::Shutdown);
                let host = &mut self.nodes[node];
                host.router = None;
                host.life = Life::Off;
                host.epoch += 1;
                host.inbox.clear();
            }
        }
    }

    fn next_deadline(&self, node: usize) -> Option<Instant> {
        self.nodes[node].router.as_ref()?.next_deadline()
    }

    /// The driver sleeps no longer than that.
    pub(super) fn watch_deadline(&mut self, node: usize) {
        if let Some(due) = self.next_deadline(node) {
            self.schedule(due, Event::Turn(node));
        }
    }

    /// The watchdog's look at the slot, in case an event was lost.
    pub(super) fn look(&mut self, node: usize) {
        if self.nodes[node].life == Life::Running {
            let slot = self.nodes[node].detector.slot();
            self.tell(node, Told::Slot(&slot));
            self.sync(node);
            self.watch_deadline(node);
        }
    }

    pub(super) fn tell(&mut self, node: usize, event: Told<'_>) {
        let mut fx = Effects::default();
        if let Some(router) = &mut self.nodes[node].router {
            router.on_event(self.now, event, &mut fx);
        }
        self.carry_out(node, fx);
    }

    pub(super) fn carry_out(&mut self, node: usize, fx: Effects) {
        for effect in fx {
            if let Some(effect) = (self.plant.effect)(node, effect) {
                self.perform(node, effect);
            }
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        let now = self.now;
        let host = &mut self.nodes[node];
        match effect {
            Effect::StartAdverts { rules, .. } => host.sender.start(now, rules),
            Effect::UpdateAdverts(rules) => host.sender.update(rules),
            Effect::AdvertNow => host.sender.advert_now(now),
            Effect::StopAdverts(last) => {
                let last = host.sender.stop(last);
                self.transmit(node, last);
            }
            Effect::HoldAddresses if host.refuses => {
                let why = "the kernel has no room".to_owned();
                self.tell(node, Told::AddressesRefused(why));
            }
            Effect::HoldAddresses => {
                host.addresses = true;
                self.tell(node, Told::AddressesHeld);
            }
            Effect::ReleaseAddresses => host.addresses = false,
            Effect::ClearLeftovers { resumes } => host.addresses &= resumes,
            Effect::Announce(portion) => {
                self.announced[node] = Some(now);
                self.announcements[node] += 1;
                self.say(node, || "announces the addresses".into());
                self.broadcast(node, Frame::Announce(node));
                let event = Told::Announced {
                    sent: portion.len(),
                    portion,
                    full: false,
                };
                self.tell(node, event);
            }
            Effect::Detect { part, rules } => {
                host.detector.assign(now, part, rules);
                self.watch_timer(node);
            }
            Effect::UpdateDetector(rules) => host.detector.update(rules),
            // Nothing comes between looking and acting here.
            Effect::Promote { .. } => self.tell(node, Told::Promoted(true)),
            Effect::ReadSlot => {
                let slot = host.detector.slot();
                self.tell(node, Told::Slot(&slot));
            }
            Effect::Report(transition) => self.report(node, transition),
            Effect::Say(notice) => self.say(node, || format!("{notice:?}")),
        }
        // The sender's thread runs beside the driver: its first advert is out before the addresses.
        self.sender_if_due(node);
    }

    fn report(&mut self, node: usize, transition: Transition) {
        self.reports.push((node, transition));
        let Transition {
            from,
            to,
            priority,
            cause,
            ..
        } = transition;
        self.say(node, || {
            format!("{from} -> {to}, priority {priority}: {cause}")
        });
    }
}
