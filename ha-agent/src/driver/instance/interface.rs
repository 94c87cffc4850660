//! What a router is told of its interface and of what it is bound to.

use ha_common::layout::{Slot, state};
use ha_common::units::Instant;

use super::Instance;
use crate::config::model::{Carrier, Transport};
use crate::datapath::kernel::Kernel;
use crate::driver::hooks::Reception;
use crate::driver::port::Port;
use crate::driver::system::System;
use crate::net::links::{Link, LinkTable};
use crate::router::notice::Notice;
use crate::router::sending::Outlet;
use crate::router::{Binding, Event, InterfaceState};

impl Instance {
    /// Whether the instance's own interface is good enough to run on.
    pub(crate) fn can_use(&self, link: &Link) -> bool {
        match self.config().carrier {
            Carrier::Fault => link.is_up(),
            Carrier::Ignore => link.admin_up,
        }
    }

    /// The interface's state changed; the port has been opened or closed already.
    pub(crate) fn link_changed(
        &mut self,
        state: InterfaceState,
        system: &mut System,
        now: Instant,
    ) {
        let outlet = self.leaves_by(&system.links).map(|link| Outlet {
            name: link.name.clone(),
            mtu: link.mtu,
        });
        let was = self.router.readiness().interface();
        if state == InterfaceState::Up && was != InterfaceState::Up {
            self.announce_source(system);
        }
        self.tell(Event::Interface(state, outlet), system, now);
    }

    /// While the link was away the peers' neighbour entries for this host have failed: by unicast nothing of theirs
    /// would arrive until they ask for its MAC again.
    fn announce_source(&self, system: &System) {
        let Some(port) = &self.port else { return };
        if matches!(self.config().transport, Transport::Unicast(_)) {
            let (mac, source) = (port.mac, port.path.source);
            // Without it they ask a second later, which the first wait allows for.
            let _ = system
                .announcer
                .announce(port.ifindex, mac, port.router, [source]);
        }
    }

    /// What adverts leave by.
    fn leaves_by<'t>(&self, links: &'t LinkTable) -> Option<&'t Link> {
        let port = self.port.as_ref()?;
        let device = port.device().and_then(|index| links.get(index));
        device.or_else(|| links.get(port.ifindex))
    }

    /// What it is bound to, and whether a master of an earlier life could carry on from it: the slot says master, the
    /// addresses are there, and so is the device.
    pub(super) fn binding(&self, slot: Option<&Slot>, system: &mut System) -> Option<Binding> {
        let port = self.port.as_ref()?;
        let was_master = slot.is_some_and(|slot| slot.state == state::MASTER);
        let is_up = |port: &Port| {
            port.virtual_mac_device
                .as_ref()
                .is_none_or(|virtual_mac_device| virtual_mac_device.device.is_up)
        };
        let in_place = was_master && is_up(port) && self.has_all_addresses(system);
        let turned_at = system.kernel.as_ref().map(Kernel::turned_at);
        Some(Binding {
            source: port.path.source,
            kernel_timer: port.detector.has_kernel_timer(),
            earlier_priority: port.detector.earlier_priority,
            in_place,
            turned_at: turned_at.unwrap_or_default(),
        })
    }

    /// What it needs on its interface cannot be had; it is tried again by time.
    pub(crate) fn bind_failed(&mut self, why: String, system: &mut System, now: Instant) {
        if self.bind_retry.next_deadline().is_none_or(|at| at <= now) {
            self.bind_retry.failed(now);
        }
        self.tell(Event::BindFailed(why), system, now);
    }

    /// Once that was tried: where there was no cause to, it waits as after a failure.
    pub(crate) fn bind_was_tried(&mut self, now: Instant) {
        if self.is_bind_due(now) {
            self.bind_retry.failed(now);
        }
    }

    /// Whether it is time to try again.
    pub(crate) fn is_bind_due(&self, now: Instant) -> bool {
        self.bind_retry.is_due(now)
    }

    /// The Ethernet address changed: neighbours must learn the new one.
    pub(crate) fn mac_changed(&mut self, mac: [u8; 6], system: &mut System, now: Instant) {
        if let Some(port) = &mut self.port {
            port.mac = mac;
            if port.virtual_mac_device.is_none() {
                // What claims our addresses with the old one is foreign from now on.
                port.detector.own_mac = mac;
            }
        }
        self.reconfigure_detector(&self.detector_rules(), system, now);
        // The virtual MAC is the same whatever the interface's is.
        let announced = self
            .port
            .as_ref()
            .is_some_and(|port| port.virtual_mac_device.is_none());
        if announced {
            self.tell(Event::AddressesRestored, system, now);
        }
    }

    /// How it receives has changed, and nothing of its port has.
    pub(crate) fn received_by(&mut self, reception: Reception, system: &System, now: Instant) {
        let Some(port) = &mut self.port else { return };
        if port.reception == reception {
            return;
        }
        self.dirty = true;
        let old = std::mem::replace(&mut port.reception, reception);
        let new = &port.reception;
        let news = self.notice_filter.news(&new.notes, now);
        if new.reattached > old.reattached {
            let interface = &self.config().interface;
            self.say(
                Notice::Warning(format!(
                    "the program on {interface} was removed by something else; attached again"
                )),
                system,
            );
        } else if new.without_notes() != old.without_notes()
            && let Some(port) = &self.port
        {
            self.say_attached(port, system);
            return;
        }
        for note in news {
            let interface = &self.config().interface;
            self.say(Notice::Warning(format!("{interface}: {note}")), system);
        }
    }

    /// Says how it receives.
    pub(super) fn say_attached(&self, port: &Port, system: &System) {
        let reception = &port.reception;
        let refusals = reception
            .refusals
            .iter()
            .map(|refusal| format!("{}: {}", refusal.kind.name(), refusal.reason))
            .chain(reception.notes.iter().cloned());
        self.say(
            Notice::Attached {
                datapath: reception.datapath,
                because: reception.because.clone(),
                refusals: refusals.collect(),
                kernel_timer: port.detector.has_kernel_timer(),
            },
            system,
        );
    }
}
