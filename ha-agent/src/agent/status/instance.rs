//! One instance as `status` shows it.

use std::collections::HashSet;
use std::net::IpAddr;

use ha_common::election::Role;
use ha_common::layout::Slot;
use ha_common::master_tracking;
use ha_common::units::{Centiseconds, Instant, Version};

use super::datapath::{consume, datapath, timer};
use super::host::Host;
use super::now::{Now, micros};
use super::rejected::rejected;
use super::routing::routing;
use super::tracked;
use super::transport::transport;
use crate::agent::other_lists;
use crate::agent::peers::address;
use crate::agent::running::Agent;
use crate::config::model;
use crate::config::model::Datapath;
use crate::config::model::virtual_address::VirtualAddress;
use crate::driver::counted::Counted;
use crate::driver::published::InstanceStatus;
use crate::net::links::LinkTable;
use crate::router::notice::Told;
use crate::status::claims::{Claimant, Claims};
use crate::status::fence::{Fence, FenceState};
use crate::status::hmac::{Hmac, Verified};
use crate::status::instance::{
    Address, Checksum, Counters, Family, Instance, Interval, Master, Notice, PrioritySum, State,
    Transition, Unsent, Weight,
};
use crate::status::moment::Countdown;
use crate::status::rejects::RejectCounts;
use crate::status::virtual_mac::{MacAddress, VirtualMac};

pub(super) fn instance(agent: &Agent, view: &InstanceStatus, host: &Host, now: Now) -> Instance {
    let (routes, rules) = routing(view, host);
    let config = &view.config;
    let slot = slot(agent, view);
    Instance {
        name: config.name.clone(),
        group: view
            .membership
            .as_ref()
            .map(|membership| membership.group.to_string()),
        interface: config.interface.clone(),
        ifindex: ifindex(view, &host.links),
        family: Family::from(config.family),
        vrid: config.vrid.get(),
        version: config.version as u8,
        state: state(view.role),
        since: now.moment(if view.since == Instant(0) {
            agent.started
        } else {
            view.since
        }),
        reason: view
            .reason
            .clone()
            .filter(|_| !matches!(view.role, Role::Master | Role::Backup)),
        priority: priority_sum(view),
        tracked: tracked::tracked(&view.tracked, now),
        preempt: config.preempt,
        preempt_wait: view.preempt_at.map(|at| now.ahead(at)),
        takes_over: takes_over(view, slot.as_ref(), now),
        master: master(view, slot.as_ref(), now),
        source: view.source,
        unsent: unsent(view, now),
        transport: transport(config),
        hmac: config.hmac.as_ref().map(|it| hmac(it, view, slot.as_ref())),
        virtual_mac: virtual_mac(view),
        addresses: addresses(host, view, &config.addresses),
        excluded: addresses(host, view, &config.excluded),
        routes,
        rules,
        missing: view.missing.iter().map(|it| now.missing(it)).collect(),
        datapath: datapath(view),
        consume: consume(view),
        interval: interval(view, slot.as_ref()),
        timer: timer(view.datapath.as_ref(), slot.as_ref(), now),
        last_transition: last_transition(view, now),
        transitions: view.transitions,
        fence: fence(agent, view, slot.as_ref(), now),
        counters: counters(view, slot.as_ref(), now),
        claims: claims(view, now),
        last_rejected: slot.as_ref().and_then(|slot| rejected(view, slot, now)),
        notices: notices(agent, view, now),
    }
}

fn unsent(view: &InstanceStatus, now: Now) -> Option<Unsent> {
    let unsent = view.unsent.as_ref()?;
    Some(Unsent {
        since: now.moment(unsent.since),
        to: unsent.to,
        why: unsent.why.clone(),
    })
}

fn notices(agent: &Agent, view: &InstanceStatus, now: Now) -> Vec<Notice> {
    let of_one = |told: &Told| {
        let source = told.other_list();
        let list = source.and_then(|source| agent.other_lists.of(&view.config.name, source));
        let members = source.zip(list.as_ref());
        let members = members.map(|(source, list)| other_lists::in_words(source, list));
        Notice {
            at: now.moment(told.since),
            last: Some(now.moment(told.last)),
            text: match members {
                Some(members) => format!("{}; {members}", told.text),
                None => told.text.clone(),
            },
            list,
        }
    };
    view.notices.iter().map(of_one).collect()
}

/// An interface is there whether or not the instance can use it.
fn ifindex(view: &InstanceStatus, links: &LinkTable) -> Option<u32> {
    let by_name = || links.by_name(&view.config.interface);
    view.ifindex.or_else(|| Some(by_name()?.index))
}

fn last_transition(view: &InstanceStatus, now: Now) -> Option<Transition> {
    let (last, cause, latency) = view.last.as_ref()?;
    Some(Transition {
        from: state(last.from),
        to: state(last.to),
        cause: cause.clone(),
        at: now.moment(last.at),
        latency_us: latency.map(|span| span.0 / 1000),
    })
}

fn hmac(hmac: &model::Hmac, view: &InstanceStatus, slot: Option<&Slot>) -> Hmac {
    let verified = view.datapath.as_ref().map(|it| match it.kernel_slot {
        Some(_) => Verified::Kernel,
        None => Verified::Socket,
    });
    Hmac {
        mode: hmac.mode.name().to_owned(),
        keys: hmac.keys.iter().map(|it| it.id).collect(),
        active: hmac.active,
        window_us: hmac
            .window
            .map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX)),
        verified,
        untimely: slot.map_or(0, |slot| slot.untimely.adverts),
    }
}

fn slot(agent: &Agent, view: &InstanceStatus) -> Option<Slot> {
    let datapath = view.datapath.as_ref()?;
    if let Some(soft) = &datapath.soft {
        return Some(soft.slot);
    }
    agent.reader.as_ref()?.slot(datapath.kernel_slot?)
}

pub(super) const fn state(role: Role) -> State {
    match role {
        Role::Initialize | Role::Hold | Role::Stopped => State::Initialize,
        Role::Backup => State::Backup,
        Role::Master => State::Master,
        Role::Fault => State::Fault,
    }
}

fn priority_sum(view: &InstanceStatus) -> PrioritySum {
    let weighted = view.tracked.iter().filter_map(|item| {
        Some(Weight {
            check: item.to_string(),
            weight: item.weight()?,
            applied: item.applied() != 0,
            adds: item.applied(),
            when: tracked::when(item),
        })
    });
    PrioritySum {
        base: view.config.priority.0,
        weights: weighted.collect(),
        effective: view.priority.0,
        last_resort: view.last_resort.clone(),
        capped_by: view.membership.as_ref().and_then(|membership| {
            let member = membership.name(membership.lent?.capped_by?);
            member.map(str::to_owned)
        }),
    }
}

fn takes_over(view: &InstanceStatus, slot: Option<&Slot>, now: Now) -> Option<Countdown> {
    let slot = slot.filter(|_| view.role == Role::Backup)?;
    master_tracking::preempts_at(slot, now.monotonic).map(|at| now.ahead(at))
}

fn master(view: &InstanceStatus, slot: Option<&Slot>, now: Now) -> Option<Master> {
    let config = &view.config;
    if view.role == Role::Master {
        return Some(Master {
            is_self: true,
            address: view.source?,
            priority: view.priority.0,
            interval_us: micros(config.advert_interval),
            last_heard_us: None,
            checksum: own_checksum(config),
        });
    }
    let slot = slot.filter(|slot| slot.master_address != [0; 16])?;
    let silent = now.monotonic.since(Instant(slot.last_heard));
    // One that has been silent for longer than any master may be is none.
    if silent > master_tracking::down_interval(slot) {
        return None;
    }
    Some(Master {
        is_self: false,
        address: address(slot.family, slot.master_address),
        priority: slot.master_priority,
        interval_us: micros(Centiseconds(slot.master_interval)),
        last_heard_us: Some(silent.0 / 1000),
        checksum: match (own_checksum(config).is_some(), slot.master_checksum) {
            (true, 1) => Some(Checksum::PseudoHeader),
            (true, 2) => Some(Checksum::Payload),
            _ => None,
        },
    })
}

/// There are two ways only in v3 over IPv4.
fn own_checksum(config: &model::Instance) -> Option<Checksum> {
    use ha_common::units::Family::V4;
    match (config.version, config.family, config.checksum) {
        (Version::V3, V4, model::ChecksumFlavour::PseudoHeader) => Some(Checksum::PseudoHeader),
        (Version::V3, V4, model::ChecksumFlavour::Payload) => Some(Checksum::Payload),
        _ => None,
    }
}

fn addresses(host: &Host, view: &InstanceStatus, configured: &[VirtualAddress]) -> Vec<Address> {
    let link = view.address_device.and_then(|index| host.links.get(index));
    let found: HashSet<IpAddr> = link
        .into_iter()
        .flat_map(|link| &link.addresses)
        .map(|found| found.net.addr())
        .collect();
    configured
        .iter()
        .map(|VirtualAddress { net, form }| Address {
            address: *net,
            present: found.contains(&net.addr()),
            label: form.label.map(|label| label.as_str().to_owned()),
            scope: form.scope.map(|scope| scope.name().to_owned()),
            broadcast: form.broadcast,
            peer: form.peer,
        })
        .collect()
}

fn virtual_mac(view: &InstanceStatus) -> Option<VirtualMac> {
    let mac = view.config.virtual_mac.as_ref()?;
    Some(VirtualMac {
        device: mac.device.clone(),
        address: MacAddress(mac.address).to_string(),
        ifindex: view.device.as_ref().map(|device| device.index),
        up: view.device.as_ref().is_some_and(|device| device.is_up),
    })
}

fn interval(view: &InstanceStatus, slot: Option<&Slot>) -> Interval {
    let learned = slot
        .filter(|slot| view.role == Role::Backup && slot.version == Version::V3 as u8)
        .map(|slot| slot.master_interval)
        .filter(|interval| *interval != 0);
    Interval {
        own_us: micros(view.config.advert_interval),
        down_multiplier: view.config.down_multiplier,
        learned_us: learned.map(|interval| micros(Centiseconds(interval))),
    }
}

fn fence(agent: &Agent, view: &InstanceStatus, slot: Option<&Slot>, now: Now) -> Fence {
    let slot = slot.copied().unwrap_or_default();
    let turned_at = agent.reader.as_ref().map_or(0, |reader| reader.turned_at());
    let datapath = view.datapath.as_ref().map(|it| it.reception.datapath);
    let is_up = ha_common::fence::is_up(&slot, turned_at, now.monotonic.0);
    let listed = view.datapath.as_ref().map_or(&[][..], |it| &it.listed);
    let is_closed = ha_common::fence::is_closed(&slot) && !listed.is_empty();
    let state = match datapath {
        None | Some(Datapath::Socket) => FenceState::None,
        Some(_) if is_up => FenceState::Up,
        Some(_) if is_closed => FenceState::Closed,
        Some(Datapath::Native | Datapath::Generic) => FenceState::IngressOnly,
        Some(Datapath::Tc) => FenceState::Down,
    };
    let ago = |at: u64| now.monotonic.since(Instant(at)).0 / 1000;
    let last = slot.fenced_at.max(slot.closed_at);
    let up_since = slot.unanswered_since + ha_common::fence::grace(&slot).0;
    Fence {
        state,
        up_us: is_up.then(|| ago(up_since)),
        dropped_in: slot.fenced,
        dropped_out: slot.fenced_out,
        closed: if state == FenceState::Closed {
            listed.to_vec()
        } else {
            Vec::new()
        },
        not_master_in: slot.closed,
        not_master_out: slot.closed_out,
        last_us: (last != 0).then(|| ago(last)),
    }
}

fn counters(view: &InstanceStatus, slot: Option<&Slot>, now: Now) -> Counters {
    let by_slot = view
        .datapath
        .as_ref()
        .map(|datapath| datapath.counted_since);
    let counted = by_slot
        .zip(slot)
        .map(|((_, before), slot)| Counted::of(slot).since(&before));
    let counted = counted.unwrap_or_default();
    Counters {
        since: by_slot.map(|(since, _)| now.moment(since)),
        adverts_received: counted.adverts,
        rejects: RejectCounts::new(counted.rejects),
        events: counted.events,
        wakeups: view.wakeups,
        suppressed: counted.suppressed,
        dropped: counted.dropped,
        timer_fired: counted.fired,
        adverts_sent: view.sent.adverts(),
        adverts_unsent: view.sent.errors(),
        garp_sent: view.announced,
        vip_restored: view.restored,
        routing_restored: view.routing_restored,
        slot_restored: view.slot_restored,
    }
}

fn claims(view: &InstanceStatus, now: Now) -> Claims {
    let claimants = view.claims.claimants();
    let by = claimants.iter().map(|it| Claimant {
        mac: MacAddress(it.claim.mac).to_string(),
        address: it.claim.address,
        count: it.count,
        since: now.moment(it.since),
        last: now.moment(it.last),
    });
    Claims {
        count: view.claims.count(),
        per_minute: view.claims.per_minute(now.monotonic),
        unnamed: view.claims.unnamed(),
        by: by.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::parse;
    use crate::net::links::tests::{link, table};

    #[test]
    fn an_interface_is_denied_only_if_it_is_not_there() {
        let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.99.0.1\"]\n";
        let config = parse("test.toml", text).unwrap().instances.remove(0);
        let mut view = InstanceStatus::new(Arc::new(config));
        let (there, gone) = (
            table(&[link(7, "eth0", &[])]),
            table(&[link(7, "eth1", &[])]),
        );
        assert_eq!(ifindex(&view, &there), Some(7));
        assert_eq!(ifindex(&view, &gone), None);
        view.ifindex = Some(3);
        assert_eq!(ifindex(&view, &there), Some(3));
    }
}
