//! Keeps every instance in line with the interfaces as they come, change and go.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ha_common::layout::SlotKey;
use ha_common::units::{Instant, Nanos};

use super::detector::SlotBackend;
use super::filter_entries::FilterEntry;
use super::hooks::{Decision, Reception};
use super::instance::Instance;
use super::observed_links::tracked_links;
use super::port::{self, Opening, Port};
use super::thread::Driver;
use crate::config::model::virtual_address::VirtualAddress;
use crate::config::model::{Config, Consume, Datapath};
use crate::net::links::{Link, LinkTable};
use crate::os::clock;
use crate::router::{Event, InterfaceState};

/// Adverts a second on one interface up to which `consume = "auto"` passes them on.
const CONSUME_ABOVE: u32 = 100;

/// Virtual routers that are looked at until what the kernel half tells has its turn: each takes some tens of
/// microseconds beside hundreds of addresses, and longer where the kernel is asked.
const FOLLOWED_AT_ONCE: usize = 16;

impl Driver {
    /// Brings every instance in line with the interfaces as they are.
    pub(super) fn follow_links(&mut self, mut now: Instant) {
        let links = Arc::clone(&self.system.links);
        let virtual_addresses: HashSet<IpAddr> = self
            .instances
            .iter()
            .flat_map(|i| i.config().held().map(VirtualAddress::addr))
            .collect();
        let observed = tracked_links(&self.config, &links);
        for instance in &mut self.instances {
            instance.tell(Event::Links(&observed), &mut self.system, now);
        }
        self.forget_gone_interfaces(now);
        let needs = self.instances.iter().map(Instance::need);
        self.hooks.want(needs, &links);
        self.settling_until = None;
        self.unrelated_until = None;
        self.renew_memberships(now);
        for index in 0..self.instances.len() {
            let Some(instance) = self.instances.get(index) else {
                break;
            };
            let link = links.by_name(&instance.config().interface);
            self.system.renew();
            self.follow_link(index, link, &virtual_addresses, now);
            self.verify(index, now);
            if index % FOLLOWED_AT_ONCE == FOLLOWED_AT_ONCE - 1 {
                // Whose deadline has passed meanwhile does not wait for those whose interface has changed.
                now = clock::now();
                self.drain_ring(now);
            }
        }
        self.drop_unused_interfaces();
        self.decide_consume(now);
        // Each time a command fewer is left, or an earlier one of two.
        if self.settle_switches() {
            self.follow_links(now);
        }
    }

    fn forget_gone_interfaces(&mut self, now: Instant) {
        let links = Arc::clone(&self.system.links);
        let mut gone = Vec::new();
        for instance in &mut self.instances {
            let Some(port) = &instance.port else { continue };
            let is_same = |link: &Link| link.index == port.ifindex && link.life == port.life;
            let still = links
                .by_name(&instance.config().interface)
                .is_some_and(is_same);
            if still {
                continue;
            }
            instance.was_on = Some((port.ifindex, port.life));
            instance.link_changed(InterfaceState::Gone, &mut self.system, now);
            gone.extend(instance.close_port(&mut self.system, now));
        }
        for port in gone {
            self.system.renew();
            self.release(&port);
            // What was attached to it went with it, also if another one has its index by now.
            let lives = |link: &Link| link.life == port.life;
            if !links.get(port.ifindex).is_some_and(lives) {
                self.receivers.close(port.ifindex);
            }
        }
    }

    pub(super) fn follow_link(
        &mut self,
        index: usize,
        link: Option<&Link>,
        virtuals: &HashSet<IpAddr>,
        now: Instant,
    ) {
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        let Some(link) = link else {
            let renamed = instance.was_on.and_then(|(index, life)| {
                let link = self.system.links.get(index)?;
                (link.life == life).then(|| link.name.clone())
            });
            instance.tell(Event::Renamed(renamed), &mut self.system, now);
            instance.link_changed(InterfaceState::Gone, &mut self.system, now);
            return;
        };
        if !instance.has_recalled {
            self.recall_held(index, link.index);
        }
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        let routing = &mut self.system.routing;
        let present = instance.port.as_ref().map(|port| port.path.source);
        let source = port::source_of(
            link,
            instance.config(),
            |address| virtuals.contains(&address),
            // Without a route, as on an interface that is down, it stays what it is, or the first that can be used.
            |peer| {
                let routed = routing.source_towards(peer, link.index);
                routed.unwrap_or_default().or(present)
            },
        );
        let Some(source) = source else {
            let state = if instance.can_use(link) && instance.config().source.is_some() {
                InterfaceState::NoSource
            } else if instance.can_use(link) {
                InterfaceState::NoAddress
            } else {
                useless(link)
            };
            instance.link_changed(state, &mut self.system, now);
            // A master that waits for its own address may have lost the virtual ones with it.
            instance.verify_addresses(&mut self.system, now);
            return;
        };
        match self
            .hooks
            .decide(instance.choice(), link, &self.system.links)
        {
            Decision::Receive(reception) => {
                let reception = instance.explained(reception);
                self.receive_by(index, link, source, reception, now);
            }
            Decision::Pending => {
                instance.tell(Event::AwaitsProgram, &mut self.system, now);
            }
            Decision::Refused(why) if instance.refuse_switch(&why) => {}
            Decision::Refused(why) => {
                let why = format!("the configured datapath is not available: {why}");
                instance.bind_failed(why, &mut self.system, now);
            }
        }
        self.renew(index, link, now);
    }

    /// Opens what the instance receives by, unless it is open.
    fn receive_by(
        &mut self,
        index: usize,
        link: &Link,
        source: IpAddr,
        reception: Reception,
        now: Instant,
    ) {
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        // With another source, sockets and the tie-breaker change; with other peers or another group, the sockets;
        // between kernel and socket, the slot.
        let transport = &instance.config().transport;
        let in_kernel = |datapath| datapath != Datapath::Socket;
        let fits = |port: &Port| {
            port.path.source == source
                && port.path.transport == *transport
                && in_kernel(port.reception.datapath) == in_kernel(reception.datapath)
                && port::in_the_way(instance.config(), link).is_none()
        };
        // One that is left from before a failure fits again once what failed is taken back.
        let device = instance.port.as_ref().and_then(Port::device);
        let lost_device = device.is_some_and(|device| {
            self.system.links.get(device).is_none()
                && matches!(self.system.devices.state(device), Ok(None))
        });
        if instance.has_port_error() || lost_device || !instance.port.as_ref().is_some_and(fits) {
            self.open_port(index, link, source, reception, now);
        } else {
            instance.received_by(reception, &self.system, now);
        }
    }

    /// Tells an instance of its interface, whose port is as it should be by now.
    fn renew(&mut self, index: usize, link: &Link, now: Instant) {
        let settles_until = self.hooks.settles_until(link.index);
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        if let Some(port) = &mut instance.port {
            // What is announced from here on says so.
            port.router = link.forwards_ipv6;
        }
        let mac = link.mac.unwrap_or_default();
        if instance.port.as_ref().is_some_and(|port| port.mac != mac) {
            instance.mac_changed(mac, &mut self.system, now);
        }
        instance.follow_interface(link, &mut self.system, now);
        if instance.can_use(link) {
            instance.link_changed(InterfaceState::Up, &mut self.system, now);
        } else if let Some(until) = settles_until.filter(|_| link.admin_up) {
            // The link is lost by what we have attached ourselves, or is about to be: no fault, for a while.
            let left = until.saturating_duration_since(std::time::Instant::now());
            let until = now + Nanos::from(left);
            self.settling_until = Some(self.settling_until.map_or(until, |at| at.min(until)));
        } else {
            instance.link_changed(useless(link), &mut self.system, now);
        }
    }

    /// What is on the interface is compared with what is wanted there, whether or not there is all that it takes to
    /// take part: what an earlier life has left is no other.
    fn verify(&mut self, index: usize, now: Instant) {
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        instance.verify_device(&mut self.system, now);
        instance.verify_addresses(&mut self.system, now);
        instance.verify_routing(&mut self.system, now);
        if instance.has_idle_device(&self.system.links) {
            self.leftovers.look(now);
        }
    }

    /// What could not be had on an interface is tried again by time; true if it was time to.
    pub(super) fn bind_again(&mut self, now: Instant) -> bool {
        let is_due = |instance: &Instance| instance.is_bind_due(now);
        let due = self.instances.iter().any(is_due);
        if due {
            self.follow_links(now);
            for instance in &mut self.instances {
                instance.bind_was_tried(now);
            }
        }
        due
    }

    /// Looks again at interfaces that were without link by our own doing; true if it was time to.
    pub(super) fn settle_links(&mut self, now: Instant) -> bool {
        let due = self.settling_until.is_some_and(|at| at <= now);
        if due {
            self.follow_links(now);
        }
        due
    }

    fn open_port(
        &mut self,
        index: usize,
        link: &Link,
        source: IpAddr,
        reception: Reception,
        now: Instant,
    ) {
        let consume = is_busy(&advert_rates(&self.config, &self.system.links), link.index);
        let twin = self.twin(index, link);
        if twin.is_none() {
            self.recall_held(index, link.index);
        }
        let Some(instance) = self.instances.get_mut(index) else {
            return;
        };
        if let Some(twin) = twin {
            let why = format!(
                "instance {twin} has the same VRID on {} under another name",
                link.name
            );
            instance.tell(Event::BindFailed(why), &mut self.system, now);
            return;
        }
        let rules = instance.rules_from(source);
        let config = Arc::clone(instance.config());
        let opening = Opening {
            config: &config,
            rules: &rules,
            link,
            reception,
            consume: wants_consume(config.consume, consume),
            now,
        };
        let opened = port::open(
            &opening,
            self.system.kernel.as_mut(),
            &mut self.hooks,
            (&mut self.receivers, &mut self.sockets),
            &mut self.system.devices,
        );
        match opened {
            Ok(port) => instance.opened(port, &mut self.system, now),
            Err(why) if instance.is_switching() && instance.refuse_switch(&why) => {}
            Err(why) => instance.bind_failed(why, &mut self.system, now),
        }
    }

    /// Another instance of this virtual router on an interface that has several names: the configuration compares names.
    fn twin(&self, index: usize, link: &Link) -> Option<Arc<str>> {
        let config = self.instances.get(index)?.config();
        let key = SlotKey::new(link.index, config.family, config.vrid.get());
        let mut others = self.instances.iter().enumerate();
        let (_, twin) = others.find(|(other, instance)| {
            let port = instance.port.as_ref();
            *other != index && port.is_some_and(|port| port.detector.key == key)
        })?;
        Some(Arc::clone(twin.name()))
    }

    fn decide_consume(&mut self, now: Instant) {
        let links = Arc::clone(&self.system.links);
        let rates = advert_rates(&self.config, &links);
        for instance in &mut self.instances {
            let Some(link) = links.by_name(&instance.config().interface) else {
                continue;
            };
            let auto = is_busy(&rates, link.index);
            let consume = wants_consume(instance.config().consume, auto);
            instance.set_consume(consume, &mut self.system, now);
        }
    }

    pub(super) fn release(&mut self, port: &Port) {
        let mut freed = Ok(());
        if let (SlotBackend::KernelMap(slot), Some(kernel)) =
            (&port.detector.backend, &mut self.system.kernel)
        {
            let key = port.detector.key;
            let links = &self.system.links;
            let has_interface = links
                .get(port.ifindex)
                .is_some_and(|it| it.life == port.life);
            // Addresses that could not be removed stay closed by their slot until they are gone.
            if has_interface && !kernel.fenced(*slot).is_empty() {
                self.leftovers.look(clock::now());
            } else {
                freed = kernel
                    .unfence(key, *slot)
                    .and_then(|()| kernel.release(key, *slot));
            }
        }
        let deleted = port.device().map_or(Ok(()), |index| {
            self.system.devices.delete(index, port.ifindex)
        });
        // What is still there is a leftover like any other.
        if freed.is_err() || deleted.is_err() {
            self.leftovers.look(clock::now());
        }
    }

    /// Plain sockets and openings of filters that no instance needs any more.
    fn drop_unused_interfaces(&mut self) {
        let ports = || self.instances.iter().filter_map(|i| i.port.as_ref());
        let in_kernel = |port: &&Port| matches!(port.detector.backend, SlotBackend::KernelMap(_));
        let mut groups: HashMap<(u32, u8), Vec<IpAddr>> = HashMap::new();
        for port in ports().filter(|port| !in_kernel(port)) {
            let listened = groups.entry((port.ifindex, port.detector.key.family));
            listened.or_default().extend(port.path.group());
        }
        let filter_entries: HashSet<FilterEntry> = ports()
            .filter(in_kernel)
            .filter_map(|port| Some((port.ifindex, port.path.group()?)))
            .collect();
        self.hooks
            .filter_entries
            .keep_only(|entry| filter_entries.contains(entry));
        self.receivers
            .keep_only(|ifindex, family| groups.get(&(ifindex, family as u8)).cloned());
    }
}

/// Why nothing can be sent on an interface that is not good enough to run on.
fn useless(link: &Link) -> InterfaceState {
    if link.admin_up {
        InterfaceState::NoCarrier
    } else {
        InterfaceState::Down
    }
}

/// How many adverts the masters on each interface send, in hundredths of an advert a second, so that slow ones count too.
fn advert_rates(config: &Config, links: &LinkTable) -> HashMap<u32, u32> {
    let mut rates: HashMap<u32, u32> = HashMap::new();
    for instance in &config.instances {
        let Some(link) = links.by_name(&instance.interface) else {
            continue;
        };
        let rate = rates.entry(link.index).or_default();
        *rate = rate.saturating_add(10_000 / u32::from(instance.advert_interval.0.max(1)));
    }
    rates
}

/// Whether the adverts of an interface are too many to be passed on by default.
fn is_busy(rates: &HashMap<u32, u32>, ifindex: u32) -> bool {
    let rate = rates.get(&ifindex).copied().unwrap_or_default();
    rate > CONSUME_ABOVE * 100
}

fn wants_consume(configured: Consume, auto: bool) -> bool {
    match configured {
        Consume::Auto => auto,
        Consume::Always => true,
        Consume::Never => false,
    }
}
