//! The device of a virtual MAC: a macvlan above the instance's interface that has the virtual router's own
//! address (RFC 9568 section 7.3).
//!
//! The kernel makes it answer for what is on it, and nothing else does, by three settings:
//! - `arp_ignore` 1 on both devices: each answers for its own addresses only, though both hear every request;
//! - `arp_announce` 2 on the interface: what it asks for never says that a virtual address lives at the
//!   interface's MAC. Answers to a client leave by the interface, whose route leads there;
//! - `rp_filter` 2 on the macvlan: strict filtering would drop what comes in by a device without a route back.
//!
//! The interface's own values are kept in the macvlan's alias ([`marker`]), which lives exactly as long as they
//! are changed, so that any later agent can put them back. All of it is netlink, which needs no more than
//! `CAP_NET_ADMIN`. Only what keeps IPv6 from configuring itself on the device is to be had in /proc/sys alone.

mod marker;
mod message;
mod wanted;

pub use wanted::Wanted;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use nix::errno::Errno;

use super::ipv4_settings::{self, Setting};
use super::links::{Link, LinkKind};
use super::netlink::{NetlinkError, Refusal, RouteSocket};
use super::raw_link::{NEW_LINK, RawLink};
use marker::{Arp, Marker};
use message::Found;

/// Where the kernel keeps what netlink does not have.
const IPV6_SETTINGS: &str = "/proc/sys/net/ipv6/conf";

/// A device that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The interface has no Ethernet address, or one that nothing can be put above.
    #[error("a virtual MAC needs an Ethernet interface, and {interface} is {what}")]
    NotEthernet {
        interface: String,
        /// What it is instead.
        what: &'static str,
    },
    /// Somebody else's device has the name.
    #[error(
        "device {device} already exists and does not belong to this instance: {why}; remove it, or give another \
         name: virtual_mac = {{ device = \"NAME\" }}"
    )]
    Taken {
        device: String,
        /// What shows it.
        why: &'static str,
    },
    /// The kernel refuses a step.
    #[error("{what} {device}: {refusal}{}", advice(.refusal.errno))]
    Refused {
        /// Which step.
        what: &'static str,
        /// Of which device.
        device: String,
        /// What the kernel said.
        refusal: Refusal,
    },
    /// What IPv6 does on the device by itself cannot be switched off.
    #[error("cannot write {}: {source}; the agent's unit must leave it writable", path.display())]
    Setting {
        /// The file in /proc/sys.
        path: PathBuf,
        source: io::Error,
    },
    /// The kernel cannot be asked.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// What a person can do about it.
fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; the agent needs CAP_NET_ADMIN",
        Errno::EOPNOTSUPP => "; the kernel has no macvlan (CONFIG_MACVLAN)",
        Errno::EBUSY => {
            "; the interface is a port of a bridge or bond, which takes all incoming frames"
        }
        Errno::ENETDOWN => "; the interface is down",
        _ => "",
    }
}

/// A device that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    pub index: u32,
    pub name: String,
    /// The virtual MAC.
    pub address: [u8; 6],
    /// Whether it is switched on, as far as it goes by the agent.
    pub is_up: bool,
    /// Whether it was made just now, and not left by an earlier life.
    pub is_new: bool,
}

/// One of an agent's devices as it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    pub index: u32,
    pub name: String,
    pub address: Option<[u8; 6]>,
    /// The interface beneath.
    pub parent: Option<u32>,
}

/// The hand on the kernel's devices.
pub struct MacvlanTable {
    socket: RouteSocket,
    /// What interfaces had, for when somebody deletes the device that says so.
    originals: HashMap<u32, Arp>,
    /// Devices that were made, could not be marked and could not be removed.
    unmarked: Vec<(u32, String)>,
}

impl MacvlanTable {
    /// Opens the book in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            socket: RouteSocket::open()?,
            originals: HashMap::new(),
            unmarked: Vec::new(),
        })
    }

    /// Sees to it that the device is there, with all its settings and those of the interface. One that an
    /// earlier life left is taken on as it is, up or down; a new one is down.
    pub fn ensure(&mut self, wanted: &Wanted<'_>) -> Result<Device, DeviceError> {
        require_ethernet(wanted.parent)?;
        self.delete_unmarked();
        let all = self.all()?;
        let known = all.iter().find(|found| found.name == wanted.device);
        if let Some(found) = known {
            is_ours(found, wanted).map_err(|why| DeviceError::Taken {
                device: found.name.clone(),
                why,
            })?;
        }
        let parent = all.iter().find(|found| found.index == wanted.parent.index);
        let present = parent.and_then(|it| it.arp).unwrap_or_default();
        let written = ours(&all)
            .find(|(found, _)| found.parent == Some(wanted.parent.index))
            .map(|(_, marker)| marker.original);
        let remembered = self.originals.get(&wanted.parent.index).copied();
        let original = written
            .or(remembered.filter(|it| it.raised() == present))
            .unwrap_or(present);
        self.originals.insert(wanted.parent.index, original);
        let device = match known {
            Some(found) => Device {
                index: found.index,
                name: found.name.clone(),
                address: wanted.address,
                is_up: found.is_up,
                is_new: false,
            },
            None => self.create(wanted, &all, original)?,
        };
        let done = self
            .settle(wanted, &device, present.raised() != present)
            .and_then(|()| {
                self.follow(&device, wanted.parent.index, wanted.ipv6)
                    .map(drop)
            });
        if done.is_err() && device.is_new {
            // What cannot be as it must is not left behind; why it cannot is what counts.
            let _ = self.delete(device.index, wanted.parent.index);
        }
        done.map(|()| device)
    }

    /// Creates the device and marks it as ours, in one system call: none is ever there without the mark.
    fn create(
        &mut self,
        wanted: &Wanted<'_>,
        all: &[Found],
        original: Arp,
    ) -> Result<Device, DeviceError> {
        // A number of our choice names the device in the second request whatever became of the first.
        let highest = all.iter().map(|found| found.index).max().unwrap_or(0);
        let index = highest.saturating_add(1);
        let marker = Marker {
            instance: wanted.instance.to_owned(),
            interface: wanted.parent.name.clone(),
            original,
        };
        let mut alias = message::of(index);
        alias
            .attributes
            .push(LinkAttribute::IfAlias(marker.to_string()));
        let requests = [
            RouteNetlinkMessage::NewLink(message::creating(
                index,
                wanted,
                vrf_of(all, wanted.parent.index),
            )),
            RouteNetlinkMessage::SetLink(alias),
        ];
        let outcomes = self.socket.batch(NLM_F_CREATE | NLM_F_EXCL, requests)?;
        let is_made = outcomes.first().is_some_and(Result::is_ok);
        for outcome in outcomes {
            outcome.map_err(|refusal| {
                if is_made {
                    self.unmarked.push((index, wanted.device.to_owned()));
                    self.delete_unmarked();
                }
                DeviceError::Refused {
                    what: "creating the device",
                    device: wanted.device.to_owned(),
                    refusal,
                }
            })?;
        }
        Ok(Device {
            index,
            name: wanted.device.to_owned(),
            address: wanted.address,
            is_up: false,
            is_new: true,
        })
    }

    /// One that could not be marked would be anybody's: it goes, if need be before the next attempt.
    fn delete_unmarked(&mut self) {
        let mut unmarked = std::mem::take(&mut self.unmarked);
        if unmarked.is_empty() {
            return;
        }
        // Where the table cannot be read, all are still there.
        if let Ok(all) = self.all() {
            unmarked.retain(|(index, name)| {
                let is_there = all.iter().any(|found| {
                    let is_it = found.index == *index && found.name == *name;
                    is_it && found.is_macvlan && found.alias.is_none()
                });
                let request = || RouteNetlinkMessage::DelLink(message::of(*index));
                is_there && self.one("removing the device", name, request()).is_err()
            });
        }
        self.unmarked = unmarked;
    }

    /// All settings, those of IPv6 before the device is up for the first time: RFC 9568 sections 8.1.2 (mac),
    /// 8.2.2 (mac); RFC 3768 section 8.2 (mac).
    fn settle(
        &mut self,
        wanted: &Wanted<'_>,
        device: &Device,
        raise: bool,
    ) -> Result<(), DeviceError> {
        let own = [(Setting::ArpIgnore, 1), (Setting::ReversePathFilter, 2)];
        let own = ipv4_settings::changing(device.index, &own);
        self.set("setting up the device", &device.name, own)?;
        if has_ipv6(device) {
            self.settle_ipv6(device, wanted.ipv6)?;
        }
        if raise {
            self.set_arp(wanted.parent.index, Arp::raised)?;
        }
        Ok(())
    }

    fn settle_ipv6(&mut self, device: &Device, ipv6: bool) -> Result<(), DeviceError> {
        let no_link_local = message::no_link_local(device.index);
        self.set("setting up IPv6 on the device", &device.name, no_link_local)?;
        let conf = ipv6_settings(device);
        write(conf.join("accept_ra"), "0")?;
        write(conf.join("disable_ipv6"), if ipv6 { "0" } else { "1" })
    }

    /// Brings the device in line with the interface beneath it: the VRF that it is in, and its MTU, which the
    /// kernel lowers with the interface's and does not raise again. True if something was changed.
    pub fn follow(
        &mut self,
        device: &Device,
        parent: u32,
        ipv6: bool,
    ) -> Result<bool, DeviceError> {
        let all = self.all()?;
        let find = |index: u32| all.iter().find(|found| found.index == index);
        let (Some(found), Some(beneath)) = (find(device.index), find(parent)) else {
            // It is made anew where it is missed.
            return Ok(false);
        };
        let vrf = vrf_of(&all, parent);
        let moves = found.master != vrf;
        if moves {
            let message = message::joining(device.index, vrf);
            self.set("changing the VRF of the device", &device.name, message)?;
        }
        let grows = found.mtu != beneath.mtu;
        if grows {
            let had_ipv6 = has_ipv6(device);
            let message = message::sizing(device.index, beneath.mtu);
            self.set("setting the MTU of the device", &device.name, message)?;
            if !had_ipv6 && has_ipv6(device) {
                // What the kernel has just begun on a device that is up goes again.
                write(ipv6_settings(device).join("disable_ipv6"), "1")?;
                self.settle_ipv6(device, ipv6)?;
            }
        }
        Ok(moves || grows)
    }

    /// Switches the device on or off.
    pub fn set_up(&mut self, device: &Device, up: bool) -> Result<(), DeviceError> {
        let what = if up {
            "switching on the device"
        } else {
            "switching off the device"
        };
        self.set(what, &device.name, message::switching(device.index, up))
    }

    /// Whether the device is there, and if so, whether it is switched on.
    pub fn state(&mut self, index: u32) -> Result<Option<bool>, NetlinkError> {
        let all = self.all()?;
        let found = all.iter().find(|found| found.index == index);
        Ok(found.map(|found| found.is_up))
    }

    /// Every device that an agent made.
    pub fn left(&mut self) -> Result<Vec<Left>, NetlinkError> {
        self.delete_unmarked();
        let all = self.all()?;
        Ok(ours(&all)
            .map(|(found, _)| Left {
                index: found.index,
                name: found.name.clone(),
                address: found.address,
                parent: found.parent,
            })
            .collect())
    }

    /// Removes one of ours from above an interface, whose settings go with the last of them.
    pub fn delete(&mut self, index: u32, parent: u32) -> Result<(), DeviceError> {
        let all = self.all()?;
        let known = ours(&all).find(|(found, _)| found.index == index);
        let mut others = ours(&all).filter(|(other, _)| other.index != index);
        if !others.any(|(other, _)| other.parent == Some(parent)) {
            let remembered = self.originals.remove(&parent);
            let written = known.as_ref().map(|(_, marker)| marker.original);
            if let Some(original) = written.or(remembered) {
                self.set_arp(parent, |arp| arp.restored(original))?;
            }
        }
        let Some((found, _)) = known else {
            // It went with its interface, or by somebody's hand.
            return Ok(());
        };
        let request = RouteNetlinkMessage::DelLink(message::of(index));
        self.one("removing the device", &found.name, request)
    }

    /// Changes what the interface itself answers and asks, if that is a change.
    fn set_arp(&mut self, index: u32, change: impl FnOnce(Arp) -> Arp) -> Result<(), DeviceError> {
        let all = self.all()?;
        let interface = all.iter().find(|found| found.index == index);
        let Some((found, present)) = interface.and_then(|it| Some((it, it.arp?))) else {
            return Ok(());
        };
        let changed = change(present);
        if changed == present {
            return Ok(());
        }
        let settings = [
            (Setting::ArpIgnore, changed.ignore),
            (Setting::ArpAnnounce, changed.announce),
        ];
        self.set(
            "setting ARP on",
            &found.name,
            ipv4_settings::changing(index, &settings),
        )
    }

    fn set(
        &mut self,
        what: &'static str,
        device: &str,
        message: LinkMessage,
    ) -> Result<(), DeviceError> {
        self.one(what, device, RouteNetlinkMessage::SetLink(message))
    }

    fn one(
        &mut self,
        what: &'static str,
        device: &str,
        request: RouteNetlinkMessage,
    ) -> Result<(), DeviceError> {
        for outcome in self.socket.batch(0, [request])? {
            outcome.map_err(|refusal| DeviceError::Refused {
                what,
                device: device.to_owned(),
                refusal,
            })?;
        }
        Ok(())
    }

    fn all(&mut self) -> Result<Vec<Found>, NetlinkError> {
        let mut request = LinkMessage::default();
        let without_statistics = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
        request.attributes.push(without_statistics);
        let request = RouteNetlinkMessage::GetLink(request);
        self.socket.dump_raw(&request, |kind, payload| match kind {
            NEW_LINK => RawLink::read(payload).as_ref().map(message::found),
            _ => None,
        })
    }
}

fn ipv6_settings(device: &Device) -> PathBuf {
    Path::new(IPV6_SETTINGS).join(&device.name)
}

/// Not where the kernel has no IPv6, or the MTU is too small for it.
fn has_ipv6(device: &Device) -> bool {
    ipv6_settings(device).exists()
}

/// The VRF that an interface is in.
fn vrf_of(all: &[Found], index: u32) -> Option<u32> {
    let find = |index: u32| all.iter().find(|found| found.index == index);
    let master = find(find(index)?.master?)?;
    master.is_vrf.then_some(master.index)
}

/// Those with our mark.
fn ours(all: &[Found]) -> impl Iterator<Item = (&Found, Marker)> {
    all.iter()
        .filter(|found| found.is_macvlan)
        .filter_map(|found| Some((found, found.alias.as_ref()?.parse().ok()?)))
}

/// Why a device of the wanted name is somebody else's, if it is.
fn is_ours(found: &Found, wanted: &Wanted<'_>) -> Result<(), &'static str> {
    if !found.is_macvlan {
        Err("it is not a macvlan in private mode")
    } else if found.parent != Some(wanted.parent.index) {
        Err("it is above another interface")
    } else if found.address != Some(wanted.address) {
        Err("it has another MAC")
    } else if !found.alias.as_ref().is_some_and(|it| marker::is_mark(it)) {
        Err("its alias does not mark it as made by ha-agent")
    } else {
        Ok(())
    }
}

fn require_ethernet(parent: &Link) -> Result<(), DeviceError> {
    let what = match (parent.mac, &parent.kind) {
        (_, LinkKind::Macvlan) => "a macvlan itself: use the interface below it",
        (None, _) => "none",
        (Some([0, 0, 0, 0, 0, 0]), _) => "the loopback interface",
        (Some(_), _) => return Ok(()),
    };
    Err(DeviceError::NotEthernet {
        interface: parent.name.clone(),
        what,
    })
}

/// Writes only what changes, so that where nothing does it needs no permission.
fn write(path: PathBuf, value: &str) -> Result<(), DeviceError> {
    let done = fs::read_to_string(&path).and_then(|present| {
        if present.trim() == value {
            Ok(())
        } else {
            fs::write(&path, value)
        }
    });
    done.map_err(|source| DeviceError::Setting { path, source })
}

#[cfg(test)]
mod tests;
