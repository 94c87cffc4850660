//! The driver's loop: wait, sample the clock once, feed the elections, show what changed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use ha_common::election::Role;
use ha_common::layout::{Event, event};
use ha_common::units::{Instant, Nanos};
use ha_common::wire::vrrp;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::oneshot;

use super::detector::Place;
use super::instance::{Edges, Instance, LinkState};
use super::port::{self, Opening};
use super::priority::Health;
use super::sender::LEASE;
use super::{Command, Driver, clock};
use crate::config::model::{Config, Consume};
use crate::net::links::Link;
use crate::net::receive::Received;

/// Bounds of the coarse look at every slot: lost events cost this much, never an outage.
const WATCHDOG_MIN: Nanos = Nanos::from_millis(100);
const WATCHDOG_MAX: Nanos = Nanos::from_millis(1000);
/// Adverts a second on one interface up to which `consume = "auto"` passes them on.
const CONSUME_ABOVE: u32 = 100;

/// The edges of the driver as an instance may use them, without borrowing the instances.
macro_rules! edges {
    ($driver:expr) => {
        Edges {
            kernel: $driver.kernel.as_ref(),
            book: &mut $driver.book,
            announcer: &$driver.announcer,
            sender: &$driver.sender,
            reporter: &$driver.reporter,
            checks: &$driver.checks,
        }
    };
}

impl Driver {
    /// Until told to leave.
    pub(super) fn run(&mut self) {
        self.follow_links(clock::now());
        self.show();
        loop {
            let ready = self.wait();
            let now = clock::now();
            self.sender.renew(now);
            let mut touched = false;
            if ready.ring {
                self.wakeups.events += 1;
                touched |= self.drain_ring(now);
            }
            if ready.sockets {
                self.wakeups.events += 1;
                touched |= self.drain_sockets(now);
            }
            if ready.bell {
                self.bell.clear();
                touched |= self.check_sender(now);
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
            touched |= self.watchdog(now);
            self.board.turned();
            if touched {
                self.show();
            } else {
                self.board.lock().wakeups = self.wakeups;
            }
        }
    }

    fn wait(&self) -> Ready {
        let ring = self.ring.as_ref().filter(|_| !self.deaf);
        let mut fds = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        fds.extend(ring.map(|ring| PollFd::new(ring.as_fd(), PollFlags::POLLIN)));
        let first_socket = fds.len();
        let sockets = self.attachments.descriptors();
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
            ring: ring.is_some() && fds.get(1).is_some_and(is_ready),
            sockets: fds.iter().skip(first_socket).any(is_ready),
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let masters = self
            .instances
            .iter()
            .any(|instance| instance.role() == Role::Master);
        let lease = masters.then(|| self.sender.lease_until() - Nanos(LEASE.0 * 2 / 3));
        let own = self
            .instances
            .iter()
            .filter_map(Instance::next_deadline)
            .min();
        [lease, own, self.next_watchdog].into_iter().flatten().min()
    }

    fn drain_ring(&mut self, now: Instant) -> bool {
        let mut touched = false;
        while let Some(event) = self.next_event() {
            touched |= self.on_event(&event, now);
        }
        touched
    }

    fn next_event(&mut self) -> Option<Event> {
        let item = self.ring.as_mut()?.next()?;
        bytemuck::try_pod_read_unaligned(&item).ok()
    }

    fn on_event(&mut self, event: &Event, now: Instant) -> bool {
        let slot = event.slot;
        let at = |instance: &&mut Instance| {
            instance.port.as_ref().is_some_and(
                |port| matches!(port.detector.place, Place::Kernel(index) if index == slot),
            )
        };
        let Some(instance) = self.instances.iter_mut().find(at) else {
            return false;
        };
        let mut edges = edges!(self);
        instance.count_wakeup();
        let gap = instance.follow_sequence(event.sequence);
        let stale = instance
            .port
            .as_ref()
            .is_none_or(|port| port.detector.generation != event.generation);
        let touched = match event.kind {
            event::MASTER_DOWN => {
                !stale && instance.expired(Instant(event.deadline), &mut edges, now)
            }
            event::ADVERT => {
                instance.heard(event, &mut edges, now);
                true
            }
            _ => false,
        };
        if gap {
            instance.look(&mut edges, now);
        }
        touched
    }

    fn drain_sockets(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for (&(ifindex, family), receiver) in self.attachments.receivers() {
            while let Ok(Some(received)) = receiver.receive() {
                let vrid = vrid_of(&received);
                let ours = |instance: &&mut Instance| {
                    instance.config.family == family
                        && Some(instance.config.vrid.get()) == vrid
                        && instance
                            .port
                            .as_ref()
                            .is_some_and(|port| port.ifindex == ifindex)
                };
                let Some(instance) = self.instances.iter_mut().find(ours) else {
                    continue;
                };
                instance.count_wakeup();
                if let Some(event) = instance.receive(&received, now) {
                    instance.heard(&event, &mut edges!(self), now);
                }
                touched = true;
            }
        }
        touched
    }

    fn check_sender(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for instance in &mut self.instances {
            if self.sender.take_stopped(instance.id) {
                instance.sender_stopped(&mut edges!(self), now);
                touched = true;
            }
        }
        touched
    }

    fn drain_commands(&mut self, now: Instant) -> Drained {
        let mut drained = Drained::Quiet;
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Check { name, health } => {
                    self.wakeups.checks += 1;
                    self.on_check(&name, health, now);
                }
                Command::Links(links) => {
                    self.wakeups.links += 1;
                    self.links = links;
                    self.follow_links(now);
                }
                Command::Reload(config) => {
                    self.wakeups.commands += 1;
                    self.reload(&config, now);
                }
                Command::Ping => {
                    self.wakeups.commands += 1;
                    continue;
                }
                Command::Shutdown(done) => {
                    self.leave(now);
                    return Drained::Left(done);
                }
            }
            drained = Drained::Touched;
        }
        drained
    }

    fn on_check(&mut self, name: &str, health: Health, now: Instant) {
        match self.health.iter_mut().find(|(check, _)| check == name) {
            Some(entry) => entry.1 = health,
            None => self.health.push((name.to_owned(), health)),
        }
        for instance in &mut self.instances {
            instance.check_changed(name, health, &mut edges!(self), now);
        }
    }

    fn ticks(&mut self, now: Instant) -> bool {
        let mut touched = false;
        for instance in &mut self.instances {
            if instance.next_deadline().is_some_and(|at| at <= now) {
                self.wakeups.timers += 1;
                instance.tick(&mut edges!(self), now);
                touched = true;
            }
        }
        touched
    }

    /// The coarse look at every slot, and when the next one is.
    fn watchdog(&mut self, now: Instant) -> bool {
        let mut touched = false;
        if self.next_watchdog.is_some_and(|at| at <= now) {
            self.wakeups.watchdog += 1;
            for instance in &mut self.instances {
                let before = instance.role();
                instance.look(&mut edges!(self), now);
                touched |= instance.role() != before;
            }
            self.next_watchdog = None;
        }
        if self.next_watchdog.is_none() {
            self.next_watchdog = self.watchdog_span().map(|span| now + span);
        }
        touched
    }

    fn watchdog_span(&self) -> Option<Nanos> {
        let in_kernel = |instance: &&Instance| {
            instance
                .port
                .as_ref()
                .is_some_and(|port| matches!(port.detector.place, Place::Kernel(_)))
        };
        let shortest = self
            .instances
            .iter()
            .filter(in_kernel)
            .map(|instance| instance.rules().initial_down())
            .min()?;
        Some(shortest.clamp(WATCHDOG_MIN, WATCHDOG_MAX))
    }

    /// Brings every instance in line with the interfaces as they are.
    fn follow_links(&mut self, now: Instant) {
        let links = Arc::clone(&self.links);
        let virtual_addresses: Vec<IpAddr> = self
            .instances
            .iter()
            .flat_map(|i| i.config.virtual_addresses().collect::<Vec<_>>())
            .collect();
        self.forget_gone_interfaces(now);
        for index in 0..self.instances.len() {
            let Some(instance) = self.instances.get(index) else {
                break;
            };
            let link = links.by_name(&instance.config.interface);
            self.follow_link(index, link, &virtual_addresses, now);
        }
        self.decide_consume(now);
    }

    fn forget_gone_interfaces(&mut self, now: Instant) {
        let links = Arc::clone(&self.links);
        let mut gone = Vec::new();
        for instance in &mut self.instances {
            let Some(port) = &instance.port else { continue };
            let ifindex = port.ifindex;
            let still = links
                .by_name(&instance.config.interface)
                .is_some_and(|link| link.index == ifindex);
            if still {
                continue;
            }
            instance.link_changed(LinkState::Gone, &mut edges!(self), now);
            gone.extend(instance.close_port(&mut edges!(self)));
        }
        for port in gone {
            self.release(&port);
            if links.get(port.ifindex).is_none() {
                self.attachments.detach(port.ifindex);
            }
        }
    }

    fn follow_link(
        &mut self,
        index: usize,
        link: Option<&Link>,
        virtuals: &[IpAddr],
        now: Instant,
    ) {
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        let Some(link) = link else {
            instance.link_changed(LinkState::Gone, &mut edges!(self), now);
            return;
        };
        let source = port::source_of(link, instance.config.family, |address| {
            virtuals.contains(&address)
        });
        let Some(source) = source else {
            let state = if link.is_up() {
                LinkState::NoAddress
            } else {
                LinkState::Down
            };
            instance.link_changed(state, &mut edges!(self), now);
            return;
        };
        let moved = instance
            .port
            .as_ref()
            .is_some_and(|port| port.source != source);
        if moved {
            // The adverts' source and the tie-breaker change: a new socket, the same slot.
            instance.close_port(&mut edges!(self));
        }
        if instance.port.is_none() {
            self.open_port(index, link, source, now);
        }
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        let mac = link.mac.unwrap_or_default();
        if instance.port.as_ref().is_some_and(|port| port.mac != mac) {
            instance.mac_changed(mac, &mut edges!(self), now);
        }
        let state = if link.is_up() {
            LinkState::Up
        } else {
            LinkState::Down
        };
        instance.link_changed(state, &mut edges!(self), now);
        instance.verify_addresses(|address| link.has_address(address), &mut edges!(self), now);
    }

    fn open_port(&mut self, index: usize, link: &Link, source: IpAddr, now: Instant) {
        let consume = consume_on(&self.config, &link.name);
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        let rules = instance.rules_from(source);
        let config = Arc::clone(&instance.config);
        let opening = Opening {
            config: &config,
            rules: &rules,
            link,
            links: &self.links,
            consume: wants_consume(config.consume, consume),
            no_kernel: self.no_kernel.as_deref(),
            now,
        };
        match port::open(&opening, self.kernel.as_mut(), &mut self.attachments) {
            Ok(port) => instance.opened(port, &mut edges!(self), now),
            Err(why) => instance.port_failed(why, &mut edges!(self)),
        }
    }

    fn decide_consume(&mut self, now: Instant) {
        for instance in &mut self.instances {
            let auto = consume_on(&self.config, &instance.config.interface);
            let consume = wants_consume(instance.config.consume, auto);
            instance.set_consume(consume, &mut edges!(self), now);
        }
    }

    fn release(&mut self, port: &port::Port) {
        if let (Place::Kernel(slot), Some(kernel)) = (&port.detector.place, &mut self.kernel) {
            // A slot that cannot be freed is found again under its key.
            let _ = kernel.release(port.detector.key, *slot);
        }
    }

    fn reload(&mut self, config: &Arc<Config>, now: Instant) {
        let mut kept: HashMap<_, Instance> = HashMap::new();
        for mut instance in std::mem::take(&mut self.instances) {
            let key = identity(&instance.config);
            let stays = config
                .instances
                .iter()
                .any(|new| identity(new) == key && new.datapath == instance.config.datapath);
            if stays {
                kept.insert(key, instance);
            } else {
                instance.shut_down(&mut edges!(self), now);
                if let Some(port) = instance.close_port(&mut edges!(self)) {
                    self.release(&port);
                }
            }
        }
        self.checks = config
            .checks
            .iter()
            .map(|check| check.name.clone())
            .collect();
        let mut next_id = kept
            .values()
            .map(|instance| instance.id + 1)
            .max()
            .unwrap_or(0);
        for new in &config.instances {
            let new = Arc::new(new.clone());
            let instance = match kept.remove(&identity(&new)) {
                Some(mut instance) => {
                    if instance.config != new {
                        instance.reconfigure(new, &mut edges!(self), now);
                    }
                    instance
                }
                None => {
                    next_id += 1;
                    Instance::new(next_id - 1, new, now)
                }
            };
            self.instances.push(instance);
        }
        self.config = Arc::clone(config);
        self.health
            .retain(|(name, _)| config.checks.iter().any(|check| check.name == *name));
        for (name, health) in self.health.clone() {
            self.on_check(&name, health, now);
        }
        self.drop_unused_interfaces();
        self.follow_links(now);
    }

    fn drop_unused_interfaces(&mut self) {
        let used: Vec<u32> = self
            .instances
            .iter()
            .filter_map(|i| i.port.as_ref().map(|port| port.ifindex))
            .collect();
        self.attachments.keep_only(&used);
    }

    /// Priority 0, addresses away, slots free, programs off.
    fn leave(&mut self, now: Instant) {
        for instance in &mut self.instances {
            instance.shut_down(&mut edges!(self), now);
        }
        self.show();
        let ports: Vec<_> = self
            .instances
            .iter_mut()
            .filter_map(|instance| instance.close_port(&mut edges!(self)))
            .collect();
        for port in &ports {
            self.release(port);
        }
        self.attachments.detach_all();
    }

    fn show(&mut self) {
        let edges = edges!(self);
        let views = self
            .instances
            .iter()
            .map(|instance| instance.view(&edges))
            .collect();
        {
            let mut picture = self.board.lock();
            picture.views = views;
            picture.wakeups = self.wakeups;
            picture.punctuality = self.sender.punctuality();
            picture.lease_until = self.sender.lease_until();
        }
        self.board.changed();
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

/// What makes two configured instances the same virtual router.
fn identity(config: &crate::config::model::Instance) -> (String, u8, u8, u8) {
    let version = config.version as u8;
    (
        config.interface.clone(),
        config.family as u8,
        config.vrid.get(),
        version,
    )
}

/// Whether the adverts of an interface are too many to be passed on by default.
fn consume_on(config: &Config, interface: &str) -> bool {
    // In hundredths of an advert a second, so that slow ones count too.
    let rate: u32 = config
        .instances
        .iter()
        .filter(|instance| instance.interface == interface)
        .map(|instance| 10_000 / u32::from(instance.advert_interval.0.max(1)))
        .fold(0, u32::saturating_add);
    rate > CONSUME_ABOVE * 100
}

fn wants_consume(configured: Consume, auto: bool) -> bool {
    match configured {
        Consume::Auto => auto,
        Consume::Always => true,
        Consume::Never => false,
    }
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
