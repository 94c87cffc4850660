//! Keeps memberships of groups true to the kernel: they can end while the sockets that hold them believe in
//! them, and then adverts do not come in any more.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ha_common::units::Instant;
use std::sync::Arc;

use super::instance::Instance;
use super::thread::Driver;
use crate::net::joined::is_joined;
use crate::net::links::{Link, LinkTable};
use crate::router::Event;

/// A group on an interface.
type Place = (u32, IpAddr);

impl Driver {
    /// Joins groups again that the kernel has forgotten, on interfaces that have lost addresses since this was
    /// last looked at: memberships end with the interface's IPv6 half, and its addresses do so too.
    pub(super) fn renew_memberships(&mut self, now: Instant) {
        let links = Arc::clone(&self.system.links);
        let doubtful: BTreeSet<Place> = self
            .instances
            .iter()
            .filter_map(|instance| doubtful(instance, &links))
            .collect();
        for (ifindex, group) in doubtful {
            // Where the kernel cannot be asked, joining once too often does no harm.
            let still = is_joined(group, ifindex).unwrap_or(false);
            let outcome = if still {
                Ok(())
            } else {
                self.join_again((ifindex, group))
            };
            let Some(link) = links.get(ifindex) else {
                continue;
            };
            self.verified(link, group, &outcome, now);
        }
    }

    /// All who hold it leave before any joins: one that leaves late takes a membership along that another has
    /// joined meanwhile.
    fn join_again(&mut self, place: Place) -> Result<(), String> {
        let (ifindex, group) = place;
        let here = self.instances.iter().filter(move |it| is_at(it, place));
        let held = here.filter_map(|it| it.port.as_ref()?.path.membership());
        // The instances there share one.
        let mut members: Vec<_> = held.cloned().collect();
        members.dedup_by(|one, other| Arc::ptr_eq(one, other));
        for member in &members {
            member.leave();
        }
        let of_interface =
            |(key, _): &(&(u32, _), _)| -> bool { matches!(key, (index, _) if *index == ifindex) };
        for (_, receiver) in self.receivers.iter_mut().filter(of_interface) {
            if receiver.has_joined(group) {
                receiver.leave(group);
                receiver.join(group).map_err(|error| {
                    format!("cannot join {group} again for the plain socket: {error}")
                })?;
            }
        }
        for member in &members {
            member.rejoin().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Takes down that a place has been looked at, or why it cannot be had.
    fn verified(&mut self, link: &Link, group: IpAddr, outcome: &Result<(), String>, now: Instant) {
        for instance in &mut self.instances {
            if !is_at(instance, (link.index, group)) {
                continue;
            }
            match (outcome, &mut instance.port) {
                (Ok(()), Some(port)) => port.path.verified_at = link.address_losses,
                (Ok(()), None) => {}
                (Err(why), _) => {
                    let event = Event::BindFailed(why.clone());
                    instance.tell(event, &mut self.system, now);
                }
            }
        }
    }
}

/// The place of an instance whose membership may have ended, once its interface has addresses again: before
/// that there is nothing to join on.
fn doubtful(instance: &Instance, links: &LinkTable) -> Option<Place> {
    let port = instance.port.as_ref()?;
    let group = port.path.group()?;
    let link = links.get(port.ifindex)?;
    let family = |address: IpAddr| address.is_ipv4() == group.is_ipv4();
    let mut addresses = link.addresses.iter();
    let has_address = addresses.any(|it| it.usable() && family(it.net.addr()));
    (port.path.verified_at != link.address_losses && has_address).then_some((link.index, group))
}

fn is_at(instance: &Instance, place: Place) -> bool {
    let port = instance.port.as_ref();
    port.is_some_and(|port| (port.ifindex, port.path.group()) == (place.0, Some(place.1)))
}
