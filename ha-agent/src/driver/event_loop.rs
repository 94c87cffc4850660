//! The driver's loop: wait, sample the clock once, feed the elections, show what changed.

use std::os::fd::AsFd;

use ha_common::election::Role;
use ha_common::layout::{Event as Pushed, event};
use ha_common::units::{Instant, Nanos};
use ha_common::wire::vrrp;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::oneshot;

use super::command::Command;
use super::instance::Instance;
use super::published::{PublishedStatus, count};
use super::relevance::Relevance;
use super::sender::LEASE;
use super::thread::Driver;
use crate::net::links::LinkTable;
use crate::net::receive::Received;
use crate::os::clock;
use crate::router::Event;
use crate::router::health::Health;

/// Packets of one plain socket that are read before anything else has its turn again: a flood must not
/// hold up the lease and the deadlines. 255 virtual routers at 10 ms send as many in 40 ms.
const PACKETS_IN_A_TURN: usize = 1024;

/// Events of the rings, likewise. While a segment carries adverts one way alone, worse masters that do not hear this
/// host send more than can be answered, for ever.
const EVENTS_IN_A_TURN: usize = 256;

/// How long changes of interfaces that concern no virtual router, as far as can be seen, may wait to be looked at.
/// Sooner than an address that was added must have been shown (`reconcile`), or each router would ask the kernel.
const UNRELATED_WAIT: Nanos = Nanos::from_millis(500);

impl Driver {
    /// Until told to leave.
    pub(super) fn run(&mut self) {
        self.clear_leftovers(clock::now());
        self.form_groups(clock::now());
        self.follow_links(clock::now());
        self.sync_groups(clock::now());
        // Arms it: the first wake-up of all may be the one that is lost.
        self.watch(clock::now());
        self.show();
        loop {
            let ready = self.wait();
            let now = clock::now();
            self.system.sender.renew(now);
            let mut touched = self.look_at_clocks(now);
            if ready.ring {
                count(&self.published.wakeups.events);
                touched |= self.drain_ring(now);
            }
            if ready.sockets {
                count(&self.published.wakeups.events);
                touched |= self.drain_sockets(now);
            }
            if ready.bell {
                self.bell.clear();
                touched |= self.check_sender(now);
                if self.hooks.has_news() {
                    self.follow_links(now);
                    touched = true;
                }
                match self.drain_commands(now) {
                    Drained::Left(done) => {
                        // Nobody waiting for the answer is no reason to stay.
                        let _ = done.send(());
                        return;
                    }
                    Drained::Quiet => {}
                    Drained::Touched => touched = true,
                }
            }
            touched |= self.ticks(now);
            touched |= self.watch(now);
            touched |= self.sync_groups(now);
            touched |= self.settle_links(now);
            touched |= self.follow_unrelated(now);
            touched |= self.bind_again(now);
            touched |= self.clear_leftovers_again(now);
            self.show_alive();
            self.published.turned();
            if touched {
                self.show();
            }
            // Whoever asks need not wait for the kernel.
            if self.lower_one(now) {
                self.show();
            }
        }
    }

    /// While this host is master of anything: the fence of an agent that no longer does this goes up.
    fn show_alive(&mut self) {
        let is_master = |instance: &Instance| instance.role() == Role::Master;
        if let Some(kernel) = &mut self.system.kernel
            && self.instances.iter().any(is_master)
        {
            // The time of the writing, and not of the turn's beginning: what came in between was seen by a driver
            // that lives. A write that fails may raise the fence once something is left unanswered.
            let _ = kernel.turned(clock::now());
        }
    }

    fn wait(&self) -> Ready {
        let rings = self.rings.as_ref().filter(|_| !self.deaf);
        let mut fds = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            rings
                .iter()
                .flat_map(|rings| [rings.deadlines.as_fd(), rings.events.as_fd()])
                .map(|ring| PollFd::new(ring, PollFlags::POLLIN)),
        );
        let first_socket = fds.len();
        let sockets = self.receivers.descriptors();
        fds.extend(sockets.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = self
            .next_wake()
            .map(|at| TimeSpec::from_duration(at.since(clock::now()).to_duration()));
        // An interrupted or failed wait is a turn with nothing ready.
        if ppoll(&mut fds, timeout, None).is_err() {
            return Ready::default();
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        Ready {
            bell: fds.first().is_some_and(is_ready),
            ring: fds
                .get(1..first_socket)
                .is_some_and(|rings| rings.iter().any(is_ready)),
            sockets: fds.iter().skip(first_socket).any(is_ready),
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let masters = self
            .instances
            .iter()
            .any(|instance| instance.role() == Role::Master);
        let lease = masters
            .then(|| self.system.sender.sender_stats().lease_until() - Nanos(LEASE.0 * 2 / 3));
        let own = self
            .instances
            .iter()
            .filter_map(Instance::next_deadline)
            .min();
        let lowering = self.instances.iter().any(Instance::owes_lowering);
        let at_once = lowering.then_some(Instant(0));
        [
            lease,
            own,
            at_once,
            self.watchdog.next_deadline(),
            self.settling_until,
            self.unrelated_until,
            self.leftovers.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is left wakes the next turn at once.
    pub(super) fn drain_ring(&mut self, now: Instant) -> bool {
        let mut touched = false;
        let mut events = 0;
        while events < EVENTS_IN_A_TURN {
            let Some(event) = self.next_event() else {
                break;
            };
            // No more than one of each: a flood of adverts is what must have an end.
            events += usize::from(event.kind != event::MASTER_DOWN);
            self.system.renew();
            touched |= self.on_event(&event, now);
            touched |= self.sync_groups(now.max(Instant(event.at)));
            // A master that dies takes hundreds of virtual routers along. The first one, which may be the only one, has
            // its addresses at once. Of the others all first adverts go out before any address is added: they are what
            // stops the other backups.
            self.system.defers_addresses = true;
        }
        self.system.defers_addresses = false;
        self.take_deferred(now);
        touched
    }

    /// Deadlines first: no flood of adverts holds them up.
    fn next_event(&mut self) -> Option<Pushed> {
        let rings = self.rings.as_mut()?;
        for ring in [&mut rings.deadlines, &mut rings.events] {
            if let Some(item) = ring.next() {
                return bytemuck::try_pod_read_unaligned(&item).ok();
            }
        }
        None
    }

    fn on_event(&mut self, event: &Pushed, now: Instant) -> bool {
        let Some(index) = self.instance_at(event.slot) else {
            return false;
        };
        let Some(instance) = self.instances.get_mut(index) else {
            return false;
        };
        let system = &mut self.system;
        instance.count_wakeup(now);
        if instance.is_before(Instant(event.at)) {
            return false;
        }
        // While this turn dealt with others, time went on: the deadline is past, though not by `now`.
        let now = now.max(Instant(event.at));
        // Deadlines have no numbers: none is lost, since the kernel's timer tries again.
        let gap = event.kind != event::MASTER_DOWN && instance.follow_sequence(event.sequence);
        let stale = instance
            .port
            .as_ref()
            .is_none_or(|port| port.detector.generation != event.generation);
        let touched = match event.kind {
            event::MASTER_DOWN => !stale && instance.expired(Instant(event.deadline), system, now),
            event::ADVERT => {
                instance.look_before_sending(system, now);
                instance.heard(event, system, now);
                true
            }
            event::CLAIM => {
                instance.look_before_sending(system, now);
                !stale && instance.claimed(event, system, now)
            }
            _ => false,
        };
        if gap {
            instance.look(system, now);
        }
        touched
    }

    fn drain_sockets(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for (&(ifindex, family), receiver) in self.receivers.iter_mut() {
            for _ in 0..PACKETS_IN_A_TURN {
                let Ok(Some(received)) = receiver.receive() else {
                    break;
                };
                let vrid = vrid_of(&received);
                let ours = |instance: &&mut Instance| {
                    instance.config().family == family
                        && Some(instance.config().vrid.get()) == vrid
                        && instance
                            .port
                            .as_ref()
                            .is_some_and(|port| port.ifindex == ifindex)
                };
                let Some(instance) = self.instances.iter_mut().find(ours) else {
                    continue;
                };
                instance.count_wakeup(now);
                if let Some(event) = instance.receive(&received, now) {
                    let system = &mut self.system;
                    instance.look_before_sending(system, now);
                    instance.heard(&event, system, now);
                    touched = true;
                }
            }
        }
        touched
    }

    /// Whether the interfaces have changed in something that a virtual router looks at.
    fn concerns_us(&self, before: &LinkTable) -> bool {
        let ports = self.instances.iter().filter_map(|it| it.port.as_ref());
        let bound = ports.flat_map(|port| [port.ifindex, port.address_device()]);
        Relevance::of(&self.config).concerns(before, &self.system.links, bound)
    }

    /// Looks at what has changed elsewhere on the host; true if it was time to.
    fn follow_unrelated(&mut self, now: Instant) -> bool {
        let due = self.unrelated_until.is_some_and(|at| at <= now);
        if due {
            self.follow_links(now);
        }
        due
    }

    fn check_sender(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for instance in &mut self.instances {
            touched |= instance.look_before_sending(&mut self.system, now);
            touched |= instance.look_at_unsent(&mut self.system, now);
        }
        touched
    }

    fn drain_commands(&mut self, now: Instant) -> Drained {
        let mut drained = Drained::Quiet;
        let links = self.news.take_links();
        let mut links_changed = false;
        if let Some(links) = links {
            count(&self.published.wakeups.links);
            let before = std::mem::replace(&mut self.system.links, links);
            links_changed = self.concerns_us(&before);
            if !links_changed {
                self.unrelated_until.get_or_insert(now + UNRELATED_WAIT);
                for instance in &mut self.instances {
                    instance.note_shown(&self.system, now);
                }
            }
            drained = Drained::Touched;
        }
        if self.news.take_routes_removed() {
            count(&self.published.wakeups.links);
            for instance in &mut self.instances {
                instance.verify_routing(&mut self.system, now);
            }
            drained = Drained::Touched;
        }
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Check { name, health } => {
                    count(&self.published.wakeups.checks);
                    self.on_check(&name, health, now);
                }
                Command::Reload(config, done) => {
                    count(&self.published.wakeups.commands);
                    self.reload(&config, now);
                    self.sync_groups(now);
                    self.show();
                    // Whoever asked may have given up waiting.
                    let _ = done.send(());
                }
                Command::Datapath {
                    instance,
                    choice,
                    answer,
                } => {
                    count(&self.published.wakeups.commands);
                    self.switch(&instance, choice, answer, now);
                }
                Command::Show(done) => {
                    count(&self.published.wakeups.commands);
                    self.show();
                    // Whoever asked may have given up waiting.
                    let _ = done.try_send(());
                    continue;
                }
                Command::Ping => {
                    count(&self.published.wakeups.commands);
                    continue;
                }
                Command::HandOver(done) => self.hand_over(done),
                Command::Shutdown(done) => {
                    self.leave(now);
                    return Drained::Left(done);
                }
            }
            drained = Drained::Touched;
        }
        if links_changed {
            self.follow_links(now);
        }
        drained
    }

    pub(super) fn on_check(&mut self, name: &str, health: Health, now: Instant) {
        match self.health.iter_mut().find(|(check, _)| check == name) {
            Some(entry) => entry.1 = health,
            None => self.health.push((name.to_owned(), health)),
        }
        for instance in &mut self.instances {
            instance.tell(Event::Check { name, health }, &mut self.system, now);
        }
    }

    fn ticks(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for instance in &mut self.instances {
            if instance.next_deadline().is_none_or(|at| at > now) {
                continue;
            }
            count(&self.published.wakeups.timers);
            touched |= instance.tick(&mut self.system, now);
            self.system.defers_addresses = true;
        }
        self.system.defers_addresses = false;
        self.take_deferred(now);
        touched
    }

    /// Renews what is published of the instances that have changed.
    pub(super) fn show(&mut self) {
        let system = &self.system;
        for instance in &mut self.instances {
            instance.show(system);
        }
        self.published.show(PublishedStatus {
            views: self.instances.iter().map(Instance::shown).collect(),
            leftovers: self.leftovers.missing(),
            owed: self.leftovers.owed(&system.links),
        });
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    bell: bool,
    ring: bool,
    sockets: bool,
}

enum Drained {
    Quiet,
    Touched,
    Left(oneshot::Sender<()>),
}

fn vrid_of(received: &Received<'_>) -> Option<u8> {
    let header = match received {
        Received::V4 { packet } => {
            let length = usize::from(packet.first()? & 0x0f) * 4;
            packet.get(length..)?
        }
        Received::V6 { payload, .. } => payload,
    };
    header.first_chunk::<8>().map(|header| vrrp::vrid(*header))
}
