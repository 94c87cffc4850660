//! The agent's driver in the simulation: it feeds the router, and carries out what that wants.

use ha_agent::driver::sender::schedule::Timing;
use ha_agent::router::tracked::ObservedLinks;
use ha_agent::router::{Effect, Effects, Event as Told, Router, Wanted};
use ha_common::election::{Role, Transition};
use ha_common::units::{Instant, Nanos};

use crate::detector::WINDOW;
use crate::node::{CHECK, Hint, Life, names};
use crate::world::{Event, Frame, World};

impl World {
    /// The driver's turn: first what only matters after a sleep, then the events in order.
    pub(crate) fn turn(&mut self, node: usize) {
        let now = self.now;
        if self.nodes[node].life != Life::Running {
            return;
        }
        self.nodes[node].turned_at = now;
        let until = now + self.lease;
        let (sender, id) = self.sender_of(node);
        sender.lease_until = until;
        if let Some(since) = sender.schedule.take_stopped(id, now) {
            let slot = *self.nodes[node].detector.slot();
            let slot = Some(&slot);
            self.tell(node, Told::SenderStopped { since, slot });
        }
        while let Some(hint) = self.nodes[node].inbox.pop_front() {
            self.heed(node, &hint);
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
    fn heed(&mut self, node: usize, hint: &Hint) {
        let host = &self.nodes[node];
        let slot = *host.detector.slot();
        match *hint {
            Hint::Advert {
                advert,
                is_overheard,
            } => {
                // Once the window is over, a look at what it suppressed.
                self.schedule(self.now + WINDOW, Event::Window(node));
                let event = Told::Advert {
                    advert,
                    other_list: None,
                    is_overheard,
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
            Hint::Sender => {
                let (sender, id) = self.sender_of(node);
                let news = sender.schedule.take_news(id);
                if let Some(news) = news.filter(|_| self.nodes[node].is_master()) {
                    self.tell(node, Told::Sending(news));
                }
            }
            Hint::Shutdown => self.shut_down(self.grid.host(node)),
        }
    }

    /// The agent is one process: all of its virtual routers end in the same turn.
    fn shut_down(&mut self, host: usize) {
        for node in self.grid.members(host) {
            self.tell(node, Told::Shutdown);
            let host = &mut self.nodes[node];
            host.router = None;
            host.life = Life::Off;
            host.epoch += 1;
            host.inbox.clear();
        }
    }

    fn next_deadline(&self, node: usize) -> Option<Instant> {
        self.nodes[node].router.as_ref()?.next_deadline()
    }

    /// The driver sleeps no longer than that; a master's wakes in time for its lease.
    pub(crate) fn watch_deadline(&mut self, node: usize) {
        let lease = self.nodes[node].is_master().then(|| {
            let until = self.sender_of(node).0.lease_until;
            until - Nanos(self.lease.0 * 2 / 3)
        });
        let next = self.next_deadline(node).into_iter().chain(lease).min();
        if let Some(due) = next {
            self.wake_driver(node, due);
        }
    }

    /// The watchdog's look at the slot, in case an event was lost.
    pub(crate) fn look(&mut self, node: usize) {
        if self.nodes[node].life == Life::Running {
            let slot = *self.nodes[node].detector.slot();
            self.tell(node, Told::Slot(&slot));
            self.sync(node);
            self.watch_deadline(node);
        }
    }

    pub(crate) fn tell(&mut self, node: usize, event: Told<'_>) {
        let mut fx = Effects::default();
        if let Some(router) = &mut self.nodes[node].router {
            router.on_event(self.now, event, &mut fx);
        }
        self.carry_out(node, fx);
    }

    pub(crate) fn carry_out(&mut self, node: usize, fx: Effects) {
        for effect in fx {
            let role = self.nodes[node]
                .router
                .as_ref()
                .map_or(Role::Stopped, Router::role);
            if let Some(effect) = (self.bug.effect)(node, role, effect) {
                self.perform(node, effect);
            }
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        let now = self.now;
        let host = &mut self.nodes[node];
        match effect {
            Effect::StartAdverts { rules, .. } => {
                let timing = (self.bug.timing)(Timing::of(&rules));
                let (sender, id) = self.sender_of(node);
                let first = sender.start(id, now, rules, timing);
                self.sender_changed(node, Some(first));
            }
            Effect::UpdateAdverts(rules) => {
                let timing = (self.bug.timing)(Timing::of(&rules));
                let (sender, id) = self.sender_of(node);
                let next = sender.update(id, now, rules, timing);
                self.sender_changed(node, next);
            }
            Effect::AdvertNow => {
                let (sender, id) = self.sender_of(node);
                let next = sender.advert_now(id, now);
                self.sender_changed(node, next);
            }
            Effect::StopAdverts(last) => {
                let (sender, id) = self.sender_of(node);
                if let Some(last) = sender.stop(id, last) {
                    self.transmit(node, last);
                }
            }
            Effect::Want(Wanted::Everything) if host.refuses => {
                let why = "the kernel has no room".to_owned();
                self.tell(node, Told::AddressesRefused(why));
            }
            Effect::Want(Wanted::Everything) => {
                host.addresses = true;
                self.tell(node, Told::AddressesHeld);
            }
            Effect::Want(Wanted::Nothing) => host.addresses = false,
            Effect::Want(Wanted::Undecided) => {}
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
                let slot = *host.detector.slot();
                self.tell(node, Told::Slot(&slot));
            }
            Effect::Report(transition) => self.report(node, transition),
            Effect::Say(notice) => self.say(node, || format!("{notice:?}")),
        }
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
