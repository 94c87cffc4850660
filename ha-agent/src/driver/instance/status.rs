//! What is published of an instance.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ha_common::election::Role;

use super::Instance;
use crate::config::model::virtual_address::VirtualAddress;
use crate::driver::detector::SlotBackend;
use crate::driver::port::Port;
use crate::driver::published::{DatapathStatus, InstanceStatus, SocketSlotStatus};
use crate::driver::system::System;
use crate::os::clock;
use crate::reconcile::missing::Missing;
use crate::reconcile::placed::Placed;
use crate::reconcile::retry::Retry;

impl Instance {
    /// As last shown.
    pub(crate) fn shown(&self) -> Arc<InstanceStatus> {
        Arc::clone(&self.shown)
    }

    /// Renews what is shown, if something has changed.
    pub(crate) fn show(&mut self, system: &System) {
        if std::mem::take(&mut self.dirty) {
            self.shown = Arc::new(self.view(system));
        }
    }

    fn view(&self, system: &System) -> InstanceStatus {
        let router = &self.router;
        let (election, readiness) = (router.election(), router.readiness());
        let is_master = router.role() == Role::Master;
        InstanceStatus {
            config: Arc::clone(router.config()),
            switched: self.switched(),
            ifindex: self.port.as_ref().map(|port| port.ifindex),
            role: router.role(),
            since: election.since(),
            reason: router.obstacle(clock::now()),
            preempt_at: election.preempt_wait(),
            priority: election.rules().priority,
            last_resort: router.last_resort(clock::now()),
            tracked: readiness.tracked().to_vec(),
            membership: router.membership().cloned(),
            source: self.port.as_ref().map(|port| port.path.source),
            address_device: self.port.as_ref().map(Port::address_device),
            device: self.device().cloned(),
            datapath: self.port.as_ref().map(|port| datapath_view(port, system)),
            last: self.last.clone(),
            transitions: router.transitions(),
            wakeups: self.wakeups,
            sent: system.sender.sent(self.id),
            unsent: readiness.sending().unsent().filter(|_| is_master).cloned(),
            announced: self.announced,
            claims: router.claims().clone(),
            restored: self.addresses.restored() + self.device_restored,
            placed: self.placed(system),
            missing: self.missing(),
            routing_errors: self.routing.errors(),
            routing_restored: self.routing.restored(),
            slot_restored: self.slot_restored,
            notices: router.notices().told().to_vec(),
        }
    }

    /// For the next agent, should this one crash: what it may have on its interface, or is about to have there, and neither
    /// the kernel's list of its slot nor the configuration tells.
    fn placed(&self, system: &System) -> Option<Placed> {
        let link = match &self.port {
            Some(port) => system.links.get(port.ifindex),
            None => system.links.by_name(&self.config().interface),
        }?;
        let addresses = self.unlisted(system);
        (!addresses.is_empty()).then(|| Placed {
            interface: link.name.clone(),
            ifindex: link.index,
            addresses,
        })
    }

    fn unlisted(&self, system: &System) -> BTreeSet<IpAddr> {
        let held: Vec<IpAddr> = self.config().held().map(VirtualAddress::addr).collect();
        let detector = self.port.as_ref().map(|port| &port.detector);
        let mut told = detector.map_or_else(Vec::new, |it| it.held(system.kernel.as_ref()));
        // A master lists what is configured, before it has removed what is not.
        told.retain(|address| held.contains(address));
        let mut unlisted: BTreeSet<IpAddr> =
            self.addresses.left_beside(&told).into_iter().collect();
        let is_by_socket = detector.is_some_and(|it| matches!(it.backend, SlotBackend::Socket(_)));
        // An owner has its addresses by the administrator's hand.
        if is_by_socket && !self.config().priority.is_owner() {
            let is_theirs = |address: &IpAddr| {
                self.addresses.foreign().contains(address)
                    || self.router.notices().is_theirs(*address)
            };
            unlisted.extend(held.into_iter().filter(|address| !is_theirs(address)));
        }
        unlisted
    }

    /// What is wanted on the host and is not so.
    fn missing(&self) -> Vec<Missing> {
        let mut missing: Vec<Missing> = self.addresses.missing().collect();
        missing.extend(self.routing.lacking(self.config()));
        let retried = |retry: Retry, what: String, why: &str| {
            Some(Missing {
                what,
                why: why.to_owned(),
                since: retry.since()?,
                next_try: retry.next_deadline(),
            })
        };
        if let Some(device) = self.device() {
            let is_master = self.role() == Role::Master;
            let (right, name) = (if is_master { "on" } else { "off" }, &device.name);
            let what = format!("device {name} switched {right}");
            missing.extend(retried(self.device_retry, what, &self.device_error));
            let interface = &self.config().interface;
            let what = format!("MTU and VRF of {interface} on device {name}");
            missing.extend(retried(self.follow_retry, what, &self.follow_error));
        }
        if let Some((retry, why)) = self.unfenced() {
            missing.extend(retried(
                retry,
                "the fence of some addresses".to_owned(),
                why,
            ));
        }
        if let Some(why) = self.router.readiness().bind_error() {
            let what = format!("sockets on {}", self.config().interface);
            missing.extend(retried(self.bind_retry, what, why));
        }
        missing
    }
}

fn datapath_view(port: &Port, system: &System) -> DatapathStatus {
    let (kernel_slot, soft) = match &port.detector.backend {
        SlotBackend::KernelMap(slot) => (Some(*slot), None),
        SlotBackend::Socket(soft) => {
            let view = SocketSlotStatus {
                slot: *soft.slot(),
                peers: soft.peers().collect(),
            };
            (None, Some(Box::new(view)))
        }
    };
    DatapathStatus {
        reception: port.reception.clone(),
        kernel_slot,
        soft,
        listed: port.detector.held(system.kernel.as_ref()),
        counted_since: port.detector.counted_since,
        kernel_timer: port.detector.has_kernel_timer(),
        consume: port.detector.consume,
    }
}
