//! The device of a virtual MAC: up while master and at no other time.

use std::sync::Arc;

use ha_common::election::Role;
use ha_common::units::Instant;

use super::Instance;
use crate::driver::system::System;
use crate::net::links::{Link, LinkKind, LinkTable};
use crate::net::virtual_mac::{Device, DeviceError, Left};
use crate::router::notice::Notice;
use crate::router::{Event, Wanted};

impl Instance {
    /// Before the first advert: what leaves by the device has the virtual MAC. What comes to that is taken, and
    /// forwarded by a host that forwards: RFC 9568 section 6.4.3 (mac), RFC 3768 section 6.4.3 (mac).
    pub(super) fn raise_device(&mut self, system: &mut System, now: Instant) {
        self.switch_device(true, system, now);
    }

    /// Whether the device is up still and is to go down.
    pub(crate) fn owes_lowering(&self) -> bool {
        self.role() != Role::Master
            && self.device().is_some_and(|device| device.is_up)
            // What was refused is tried again in its time.
            && self.device_retry.next_deadline().is_none()
    }

    /// After the last advert: a backup takes no frames to the virtual MAC, and answers none:
    /// RFC 9568 section 6.4.2 (mac), RFC 3768 section 6.4.2 (mac).
    pub(crate) fn lower_device(&mut self, system: &mut System, now: Instant) {
        self.switch_device(false, system, now);
    }

    fn switch_device(&mut self, up: bool, system: &mut System, now: Instant) {
        let Some(device) = self.device_mut().filter(|device| device.is_up != up) else {
            return self.device_retry.clear();
        };
        match system.devices.set_up(device, up) {
            Ok(()) => {
                device.is_up = up;
                self.device_retry.clear();
            }
            Err(error) => self.device_is_to_be_tried_again(&error, system, now),
        }
        self.dirty = true;
    }

    /// It could not be switched before, or nobody knows how it stands.
    pub(super) fn switch_device_again(&mut self, system: &mut System, now: Instant) {
        let up = self.role() == Role::Master;
        if self.device().is_some_and(|device| device.is_up == up) {
            return self.verify_device(system, now);
        }
        self.switch_device(up, system, now);
        if up && self.device_retry.next_deadline().is_none() {
            self.device_is_back(system, now);
        }
    }

    /// IPv6 addresses went with it, and the neighbours may have noticed.
    fn device_is_back(&mut self, system: &mut System, now: Instant) {
        system.sender.now(self.id);
        self.compare_with_kernel(system, now);
        self.tell(Event::AddressesRestored, system, now);
    }

    /// Undoes what somebody else has switched. The table may be behind what was done here, so the kernel is
    /// asked where it differs. What fails of it is tried again by time.
    pub(crate) fn verify_device(&mut self, system: &mut System, now: Instant) {
        let up = self.role() == Role::Master;
        // What is yet to be done here is nobody's doing.
        let Some(device) = self.device_mut().filter(|device| device.is_up == up) else {
            return;
        };
        let (index, name) = (device.index, device.name.clone());
        let shown = system.links.get(index);
        if shown.is_none_or(|link| link.admin_up == up) {
            return self.device_retry.clear();
        }
        match system.devices.state(index) {
            Ok(Some(is)) if is != up => device.is_up = is,
            Ok(_) => return self.device_retry.clear(),
            Err(error) => return self.device_is_to_be_tried_again(&error.into(), system, now),
        }
        self.device_restored += 1;
        self.switch_device(up, system, now);
        let is_done = self.device_retry.next_deadline().is_none();
        let (was, is) = if up { ("off", "on") } else { ("on", "off") };
        let outcome = if is_done {
            "switched"
        } else {
            "to be switched"
        };
        self.say(
            Notice::Warning(format!(
                "{name} was switched {was} by something else; {outcome} {is} again"
            )),
            system,
        );
        if up && is_done {
            self.device_is_back(system, now);
        }
    }

    fn device_is_to_be_tried_again(&mut self, error: &DeviceError, system: &System, now: Instant) {
        self.dirty = true;
        self.device_retry.failed(now);
        self.device_error = error.to_string();
        self.device_failed(error, system);
    }

    /// Brings the device in line with the interface beneath it, where the table shows that it is not: its MTU, and
    /// the VRF that it is in. What fails is tried again by time.
    pub(crate) fn follow_interface(&mut self, link: &Link, system: &mut System, now: Instant) {
        let Some(device) = self.device().cloned() else {
            return self.follow_retry.clear();
        };
        let vrf = system.links.vrf_table(link).and(link.master);
        let differs = |shown: &Link| (shown.mtu, shown.master) != (link.mtu, vrf);
        if !system.links.get(device.index).is_some_and(differs) {
            return self.follow_retry.clear();
        }
        let ipv6 = self.config().holds_ipv6();
        self.dirty = true;
        match system.devices.follow(&device, link.index, ipv6) {
            Ok(has_changed) => {
                self.follow_retry.clear();
                if has_changed {
                    let text = format!("{} follows {}: MTU and VRF", device.name, link.name);
                    self.say(Notice::Info(text), system);
                }
            }
            Err(error) => {
                let why = error.to_string();
                if self.follow_retry.since().is_none() || self.follow_error != why {
                    self.device_failed(&error, system);
                }
                if self.follow_retry.next_deadline().is_none_or(|at| at <= now) {
                    self.follow_retry.failed(now);
                }
                self.follow_error = why;
            }
        }
    }

    /// It could not be brought in line before.
    pub(super) fn follow_interface_again(&mut self, system: &mut System, now: Instant) {
        let links = Arc::clone(&system.links);
        let port = self.port.as_ref();
        match port.and_then(|port| links.get(port.ifindex)) {
            Some(link) => self.follow_interface(link, system, now),
            None => self.follow_retry.clear(),
        }
    }

    /// Whether somebody has deleted the device. The table shows it soon, and then it is made anew.
    pub(super) fn device_is_gone(&self, system: &mut System) -> bool {
        let Some(device) = self.device() else {
            return false;
        };
        matches!(system.devices.state(device.index), Ok(None))
    }

    /// Whether a device of an earlier life is still there, though there is nothing for it to do.
    pub(crate) fn has_idle_device(&self, links: &LinkTable) -> bool {
        let mac = self.config().virtual_mac.as_ref();
        self.port.is_none()
            && self.router.wanted() == Wanted::Nothing
            && mac
                .and_then(|mac| links.by_name(&mac.device))
                .is_some_and(|link| link.kind == LinkKind::Macvlan)
    }

    /// Whether a device that was found is its own, or may be carried on with.
    pub(crate) fn wants_device(&self, device: &Left, links: &LinkTable) -> bool {
        let config = self.config();
        let Some(mac) = &config.virtual_mac else {
            return false;
        };
        let parent = links.by_name(&config.interface);
        (self.port.is_some() || self.router.wanted() == Wanted::Undecided)
            && mac.device == device.name
            && Some(mac.address) == device.address
            && parent.is_some_and(|link| Some(link.index) == device.parent)
    }

    /// The device, if it has one.
    pub(super) fn device(&self) -> Option<&Device> {
        let virtual_mac_device = self.port.as_ref()?.virtual_mac_device.as_ref()?;
        Some(&virtual_mac_device.device)
    }

    fn device_mut(&mut self) -> Option<&mut Device> {
        let virtual_mac_device = self.port.as_mut()?.virtual_mac_device.as_mut()?;
        Some(&mut virtual_mac_device.device)
    }

    fn device_failed(&self, error: &DeviceError, system: &System) {
        self.say(Notice::Failed(error.to_string()), system);
    }
}
