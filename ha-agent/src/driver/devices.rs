//! The devices of virtual MACs over the driver's life: what an earlier agent left, and what goes with a port.

use super::instance::Instance;
use super::thread::Driver;
use crate::net::virtual_mac::Left;
use crate::router::notice::Notice;

impl Driver {
    /// Removes the devices that an earlier agent made and that no instance of this one wants as they are.
    pub(super) fn clear_left_devices(&mut self) {
        let left = match self.system.devices.left() {
            Ok(left) => left,
            Err(error) => return self.device_failed(error.to_string()),
        };
        for device in left {
            if self.is_wanted(&device) {
                continue;
            }
            match self
                .system
                .devices
                .delete(device.index, device.parent.unwrap_or(0))
            {
                Ok(()) => self.system.reporter.say_of(
                    "an instance that is no longer configured so",
                    Notice::Info(format!(
                        "removed {}, left behind by an earlier run",
                        device.name
                    )),
                ),
                Err(error) => self.device_failed(error.to_string()),
            }
        }
    }

    fn is_wanted(&self, device: &Left) -> bool {
        self.config.instances.iter().any(|instance| {
            let parent = self.system.links.by_name(&instance.interface);
            instance.virtual_mac.as_ref().is_some_and(|mac| {
                mac.device == device.name
                    && Some(mac.address) == device.address
                    && parent.is_some_and(|link| Some(link.index) == device.parent)
            })
        })
    }

    /// Switches off the device of one instance that is master no more: the kernel waits for some milliseconds
    /// over each, and the others have their turns in between. The address is gone already.
    pub(super) fn lower_one(&mut self) -> bool {
        let owes = |instance: &&mut Instance| instance.owes_lowering();
        let Some(instance) = self.instances.iter_mut().find(owes) else {
            return false;
        };
        instance.lower_device(&mut self.system);
        true
    }

    /// With the port goes its device.
    pub(super) fn delete_device(&mut self, index: u32, parent: u32) {
        if let Err(error) = self.system.devices.delete(index, parent) {
            self.device_failed(error.to_string());
        }
    }

    fn device_failed(&self, what: String) {
        self.system
            .reporter
            .say_of("virtual MAC", Notice::Failed(what));
    }
}
