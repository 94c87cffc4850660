//! What a router is told of its interface and of what it is bound to.

use ha_common::layout::{Slot, state};
use ha_common::units::Instant;

use super::hold::addresses_of;
use super::{Edges, Instance};
use crate::config::model::{Carrier, Config, Subject};
use crate::driver::hooks::Reception;
use crate::driver::port::Port;
use crate::net::links::{Link, LinkTable};
use crate::router::notice::Notice;
use crate::router::sending::Outlet;
use crate::router::tracked::{ObservedLink, ObservedLinks};
use crate::router::{Binding, Event, InterfaceState};

/// The interfaces that a configuration tracks, as they are.
pub(crate) fn tracked_links(config: &Config, links: &LinkTable) -> ObservedLinks {
    let tracks = config.instances.iter().flat_map(|instance| &instance.track);
    let names = tracks.filter_map(|track| match &track.subject {
        Subject::Interface { name, .. } => Some(name),
        Subject::Check(_) => None,
    });
    names
        .filter_map(|name| Some((name.clone(), observed(links.by_name(name)?))))
        .collect()
}

fn observed(link: &Link) -> ObservedLink {
    ObservedLink {
        admin_up: link.admin_up,
        oper_up: link.oper_up,
        carrier_changes: link.carrier_changes,
    }
}

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
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        let outlet = self.leaves_by(edges.links).map(|link| Outlet {
            name: link.name.clone(),
            mtu: link.mtu,
        });
        self.tell(Event::Interface(state, outlet), edges, now);
    }

    /// What adverts leave by.
    fn leaves_by<'t>(&self, links: &'t LinkTable) -> Option<&'t Link> {
        let port = self.port.as_ref()?;
        let device = port.device().and_then(|index| links.get(index));
        device.or_else(|| links.get(port.ifindex))
    }

    /// What it is bound to, and whether a master of an earlier life could carry on from it: the slot says master, the
    /// addresses are there, and so is the device.
    pub(super) fn binding(&self, slot: Option<&Slot>, edges: &mut Edges<'_>) -> Option<Binding> {
        let port = self.port.as_ref()?;
        let was_master = slot.is_some_and(|slot| slot.state == state::MASTER);
        let is_up = |port: &Port| port.above.as_ref().is_none_or(|above| above.device.is_up);
        let in_place = was_master && is_up(port) && {
            let present = edges.book.list(port.holder()).unwrap_or_default();
            let present = addresses_of(&present);
            let mut placements = port.placements.iter();
            placements.all(|place| present.contains(&place.net.addr()))
        };
        let turned_at = edges.kernel.as_ref().map(|kernel| kernel.turned_at());
        Some(Binding {
            source: port.path.source,
            kernel_timer: port.detector.has_kernel_timer(),
            earlier_priority: port.detector.earlier_priority,
            in_place,
            turned_at: turned_at.unwrap_or_default(),
        })
    }

    /// How it receives has changed, and nothing of its port has.
    pub(crate) fn received_by(&mut self, reception: Reception, edges: &Edges<'_>, now: Instant) {
        let Some(port) = &mut self.port else { return };
        if port.reception == reception {
            return;
        }
        self.dirty = true;
        let old = std::mem::replace(&mut port.reception, reception);
        let new = &port.reception;
        let news = self.noted.news(&new.notes, now);
        if new.reattached > old.reattached {
            let interface = &self.config().interface;
            self.say(
                Notice::Warning(format!(
                    "something else removed the program from {interface}; it was attached again"
                )),
                edges,
            );
        } else if new.without_notes() != old.without_notes()
            && let Some(port) = &self.port
        {
            self.say_attached(port, edges);
            return;
        }
        for note in news {
            let interface = &self.config().interface;
            self.say(Notice::Warning(format!("{interface}: {note}")), edges);
        }
    }

    /// Says how it receives.
    pub(super) fn say_attached(&self, port: &Port, edges: &Edges<'_>) {
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
            edges,
        );
    }
}
