//! An instance's place on a live interface: the path to its peers, and its detector.
//!
//! It comes with the interface and goes with it; the instance outlives it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use ha_common::election::Rules;
use ha_common::layout::SlotKey;
use ha_common::units::{Family, Instant};

use super::advert_path::{self, AdvertPath};
use super::detector::{Detector, Place};
use super::holder::{self, Above};
use super::inlets::Inlets;
use crate::config::model::{DatapathChoice, Instance as Config};
use crate::config::virtual_address::VirtualAddress;
use crate::datapath::attach::{AttachError, Attachment, Mode, attach, remove_links};
use crate::datapath::kernel::{Kernel, KernelError, Timer};
use crate::datapath::soft::SoftSlot;
use crate::net::address::Placement;
use crate::net::interface::forwards_ipv6;
use crate::net::links::{Link, LinkKind, LinkTable};
use crate::net::receive::{ReceiveError, Receiver};
use crate::net::virtual_mac::{DeviceBook, Wanted};

/// Sockets and detector of an instance.
#[derive(Debug)]
pub(crate) struct Port {
    /// The interface's index.
    pub(crate) ifindex: u32,
    /// Which interface of that index it is.
    pub(crate) life: u64,
    /// Its Ethernet address; zeros on links that have none.
    pub(crate) mac: [u8; 6],
    /// The device of the virtual MAC, which then holds the addresses and sends.
    pub(crate) above: Option<Above>,
    /// Where adverts leave and how they come in.
    pub(crate) path: AdvertPath,
    /// Whether the host forwards IPv6 on it: the router flag of neighbour advertisements.
    pub(crate) router: bool,
    /// The virtual addresses where they are to be, the excluded ones after those of the adverts.
    pub(crate) placements: Vec<Placement>,
    /// The slot.
    pub(crate) detector: Detector,
    /// Which datapath runs: `native`, `generic` or `socket`.
    pub(crate) kind: &'static str,
    /// Why the better ones do not.
    pub(crate) refusals: Vec<(&'static str, String)>,
    /// Whether there were VLAN devices above the interface.
    pub(crate) below_vlans: bool,
}

/// The XDP programs on the interfaces in use, one for each, whichever instances share it.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    /// Where links are pinned.
    pin_dir: Option<PathBuf>,
    /// The groups that cards let in for what is pinned there.
    pub(crate) inlets: Inlets,
    by_interface: HashMap<u32, Attachment>,
    receivers: HashMap<(u32, Family), Receiver>,
}

impl Attachments {
    /// None yet; links will be pinned there.
    pub(crate) fn new(pin_dir: Option<PathBuf>) -> Self {
        Self {
            pin_dir,
            ..Self::default()
        }
    }

    /// The mode on this interface, attaching if need be: the best that `choice` allows and works.
    fn ensure(
        &mut self,
        kernel: &mut Kernel,
        ifindex: u32,
        choice: DatapathChoice,
        refusals: &mut Vec<(&'static str, String)>,
    ) -> Option<Mode> {
        if let Some(attachment) = self.by_interface.get(&ifindex) {
            let mode = attachment.mode;
            if wanted(choice).any(|wanted| wanted == mode) {
                return Some(mode);
            }
            let why = format!("another instance on the interface uses {} XDP", mode.name());
            refusals.extend(wanted(choice).map(|wanted| (wanted.name(), why.clone())));
            return None;
        }
        for mode in wanted(choice) {
            match self.attach(kernel, ifindex, mode, choice) {
                Ok(mode) => return Some(mode),
                Err(error) => refusals.push((mode.name(), error)),
            }
        }
        None
    }

    fn attach(
        &mut self,
        kernel: &mut Kernel,
        ifindex: u32,
        mode: Mode,
        choice: DatapathChoice,
    ) -> Result<Mode, String> {
        let program = kernel
            .receive_program()
            .map_err(|error| error.to_string())?;
        let may_keep = |found| wanted(choice).any(|wanted| wanted == found);
        let attachment = attach(program, ifindex, mode, may_keep, self.pin_dir.as_deref())
            .map_err(|error: AttachError| error.to_string())?;
        let mode = attachment.mode;
        self.by_interface.insert(ifindex, attachment);
        Ok(mode)
    }

    /// Opens the plain socket of an interface and family, if it is not open yet, and joins the group.
    fn listen(
        &mut self,
        link: &Link,
        family: Family,
        group: Option<IpAddr>,
    ) -> Result<(), ReceiveError> {
        let receiver = match self.receivers.entry((link.index, family)) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => place.insert(Receiver::open(&link.name, link.index, family)?),
        };
        let Some(group) = group else { return Ok(()) };
        receiver.join(group).map_err(|source| ReceiveError {
            interface: link.name.clone(),
            source,
        })
    }

    /// The plain sockets, by interface and family.
    pub(crate) fn receivers(&mut self) -> impl Iterator<Item = (&(u32, Family), &mut Receiver)> {
        self.receivers.iter_mut()
    }

    /// The plain sockets, for waiting.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.receivers.values().map(AsFd::as_fd)
    }

    /// Takes the program off an interface, and closes its plain sockets.
    pub(crate) fn detach(&mut self, ifindex: u32) {
        self.receivers
            .retain(|(interface, _), _| *interface != ifindex);
        if let Some(attachment) = self.by_interface.remove(&ifindex) {
            // An interface that is gone has taken its program along.
            let _ = attachment.detach();
        }
    }

    /// Keeps the programs on the interfaces that `has_slot` says are in use, and the plain sockets that
    /// `listening` names the groups of, and no others.
    pub(crate) fn keep_only(
        &mut self,
        has_slot: impl Fn(u32) -> bool,
        listening: impl Fn(u32, Family) -> Option<Vec<IpAddr>>,
    ) {
        self.receivers.retain(|(ifindex, family), receiver| {
            let groups = listening(*ifindex, *family);
            if let Some(groups) = &groups {
                receiver.leave_others(|group| groups.contains(&group));
            }
            groups.is_some()
        });
        for (_, unused) in self
            .by_interface
            .extract_if(|ifindex, _| !has_slot(*ifindex))
        {
            // An interface that is gone has taken its program along.
            let _ = unused.detach();
        }
    }

    /// Takes the programs off that an earlier agent left on interfaces which are not in use now.
    pub(crate) fn detach_strangers(&self) {
        if let Some(dir) = &self.pin_dir {
            remove_links(dir, |ifindex| self.by_interface.contains_key(&ifindex));
        }
    }

    /// Takes all of them off.
    pub(crate) fn detach_all(&mut self) {
        self.keep_only(|_| false, |_, _| None);
        self.inlets.keep_only(|_| false);
    }
}

fn wanted(choice: DatapathChoice) -> impl Iterator<Item = Mode> {
    let modes: &[Mode] = match choice {
        DatapathChoice::Auto => &[Mode::Native, Mode::Generic],
        DatapathChoice::Native => &[Mode::Native],
        DatapathChoice::Generic => &[Mode::Generic],
        DatapathChoice::Socket => &[],
    };
    modes.iter().copied()
}

/// What opening a port takes.
pub(crate) struct Opening<'a> {
    /// The instance's configuration.
    pub(crate) config: &'a Config,
    /// Its present rules; their own address is the source.
    pub(crate) rules: &'a Rules,
    /// The interface.
    pub(crate) link: &'a Link,
    /// All interfaces.
    pub(crate) links: &'a LinkTable,
    /// Whether adverts are to end in the XDP program.
    pub(crate) consume: bool,
    /// Why there is no kernel half, if there is none.
    pub(crate) no_kernel: Option<&'a str>,
    /// The time.
    pub(crate) now: Instant,
}

/// Makes the device of a virtual MAC if there is to be one, opens sockets, joins the group if there is one,
/// and configures the detector. Errors are for a person.
pub(crate) fn open(
    opening: &Opening<'_>,
    kernel: Option<&mut Kernel>,
    attachments: &mut Attachments,
    devices: &mut DeviceBook,
) -> Result<Port, String> {
    let above = open_device(opening, devices)?;
    let made = above
        .as_ref()
        .filter(|above| above.device.is_new)
        .map(|above| above.device.index);
    let port = open_above(opening, above, kernel, attachments);
    if let (Err(_), Some(index)) = (&port, made) {
        // Without a port nobody would remove it; why there is none is what counts.
        let _ = devices.delete(index, opening.link.index);
    }
    port
}

/// A virtual address that an administrator has put on the interface, which would answer for it with its own
/// MAC: RFC 9568 sections 8.1.2 (boot), 8.2.2 (boot); RFC 3768 section 8.2 (boot).
pub(crate) fn in_the_way(config: &Config, link: &Link) -> Option<IpAddr> {
    config.virtual_mac.as_ref()?;
    let theirs = |address: &IpAddr| {
        let mut present = link.addresses.iter().filter(|present| !present.ours);
        present.any(|present| present.net.addr() == *address)
    };
    config.held().map(VirtualAddress::addr).find(theirs)
}

fn open_device(opening: &Opening<'_>, devices: &mut DeviceBook) -> Result<Option<Above>, String> {
    let Opening { config, link, .. } = *opening;
    let Some(mac) = &config.virtual_mac else {
        return Ok(None);
    };
    if let Some(address) = in_the_way(config, link) {
        return Err(format!(
            "{address} is on {0}, which answers for it with its own MAC: with `virtual_mac` a virtual address \
             is the agent's alone; take it out of the host's own network configuration",
            link.name
        ));
    }
    let wanted = Wanted {
        instance: &config.name,
        device: &mac.device,
        address: mac.address,
        parent: link,
        ipv6: config.holds_ipv6(),
    };
    let device = devices.ensure(&wanted).map_err(|error| error.to_string())?;
    Ok(Some(Above::new(device, link)))
}

fn open_above(
    opening: &Opening<'_>,
    above: Option<Above>,
    kernel: Option<&mut Kernel>,
    attachments: &mut Attachments,
) -> Result<Port, String> {
    let Opening {
        config,
        rules,
        link,
        ..
    } = *opening;
    let device = above.as_ref().map(|above| &above.device);
    let path = AdvertPath::open(config, link, device, rules.own_address)?;
    let key = SlotKey::new(link.index, config.family, config.vrid.get());
    let mut refusals = Vec::new();
    let (detector, kind) = open_detector(opening, key, kernel, attachments, &mut refusals)?;
    Ok(Port {
        ifindex: link.index,
        life: link.life,
        mac: link.mac.unwrap_or_default(),
        path,
        // Where it cannot be read, the host has no IPv6.
        router: forwards_ipv6(link).unwrap_or(false),
        placements: config
            .held()
            .map(|address| holder::place(link.index, above.as_ref(), address))
            .collect(),
        detector,
        kind,
        refusals,
        above,
        below_vlans: has_vlans(link, opening.links),
    })
}

fn open_detector(
    opening: &Opening<'_>,
    key: SlotKey,
    mut kernel: Option<&mut Kernel>,
    attachments: &mut Attachments,
    refusals: &mut Vec<(&'static str, String)>,
) -> Result<(Detector, &'static str), String> {
    let Opening {
        config,
        rules,
        link,
        consume,
        now,
        ..
    } = *opening;
    if let Some(kernel) = usable_kernel(opening, kernel.as_deref_mut(), refusals)
        && let Some(mode) = attachments.ensure(kernel, link.index, config.datapath, refusals)
    {
        let slot = match kernel.find(key).map_err(|error| error.to_string())? {
            Some(slot) => slot,
            None => kernel.free_slot().map_err(|error| error.to_string())?,
        };
        let left = kernel.slot(slot).map_err(|error| error.to_string())?;
        let mut detector = Detector {
            place: Place::Kernel(slot),
            key,
            timer: Timer::Watchdog,
            generation: left.generation,
            sequence: 0,
            fenced: true,
            since: now,
            earlier_priority: left.own_priority,
            consume,
        };
        detector
            .configure(Some(&mut *kernel), config, rules, now)
            .map_err(|error| error.to_string())?;
        kernel
            .publish(key, slot)
            .map_err(|error| error.to_string())?;
        if let Some(group) = advert_path::group(&config.transport)
            && attachments.pin_dir.is_some()
        {
            attachments.inlets.open((link.index, group));
        }
        return Ok((detector, mode.name()));
    }
    match config.datapath {
        DatapathChoice::Auto | DatapathChoice::Socket => {}
        DatapathChoice::Native | DatapathChoice::Generic => {
            let reasons: Vec<String> = refusals
                .iter()
                .map(|(kind, why)| format!("{kind}: {why}"))
                .collect();
            return Err(format!(
                "the configured datapath does not work: {}",
                reasons.join("; ")
            ));
        }
    }
    if let Some(kernel) = kernel {
        free_left_slot(kernel, key).map_err(|error| error.to_string())?;
    }
    attachments
        .listen(link, config.family, advert_path::group(&config.transport))
        .map_err(|error| error.to_string())?;
    let mut detector = Detector {
        place: Place::Soft(Box::new(SoftSlot::new(key))),
        key,
        timer: Timer::Watchdog,
        generation: 0,
        sequence: 0,
        fenced: false,
        since: now,
        earlier_priority: 0,
        consume: false,
    };
    detector
        .configure(None, config, rules, now)
        .map_err(|error| error.to_string())?;
    Ok((detector, "socket"))
}

/// A slot in the kernel that this virtual router had before it came to the plain socket: a program that
/// still runs must neither end its adverts nor fence its addresses.
fn free_left_slot(kernel: &mut Kernel, key: SlotKey) -> Result<(), KernelError> {
    if let Some(slot) = kernel.find(key)? {
        kernel.unfence(key, slot)?;
        kernel.release(key, slot)?;
    }
    Ok(())
}

/// Whether frames with a VLAN tag may come in, which a program sees without it: with tag offload the tag is
/// stripped before.
pub(crate) fn has_vlans(link: &Link, links: &LinkTable) -> bool {
    !matches!(link.kind, LinkKind::Vlan { .. }) && links.vlans_above(link.index).next().is_some()
}

/// The kernel half, unless something about the interface makes it unsafe there.
fn usable_kernel<'k>(
    opening: &Opening<'_>,
    kernel: Option<&'k mut Kernel>,
    refusals: &mut Vec<(&'static str, String)>,
) -> Option<&'k mut Kernel> {
    if opening.config.datapath == DatapathChoice::Socket {
        refusals.push(("native", "datapath = \"socket\" is configured".to_owned()));
        return None;
    }
    if has_vlans(opening.link, opening.links) {
        let vlans: Vec<&str> = opening
            .links
            .vlans_above(opening.link.index)
            .map(|link| link.name.as_str())
            .collect();
        refusals.push((
            "native",
            format!(
                "VLAN devices above {} ({}): XDP cannot tell their adverts from its own",
                opening.link.name,
                vlans.join(", ")
            ),
        ));
        return None;
    }
    if kernel.is_none() {
        let why = opening.no_kernel.unwrap_or("not loaded");
        refusals.push(("native", why.to_owned()));
    }
    kernel
}

/// The address that an instance's adverts leave from, if the interface has one: the configured one; else
/// not a virtual one, unless an owner has nothing else. What this agent added itself is never it.
pub(crate) fn source_of(
    link: &Link,
    config: &Config,
    is_virtual: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    if let Some(source) = config.source {
        return link.can_send_from(source).then_some(source);
    }
    let beyond = advert_path::needs_global_source(&config.transport);
    let source = |is_virtual: &dyn Fn(IpAddr) -> bool| match config.family {
        Family::V4 => link.primary_ipv4(is_virtual).map(IpAddr::V4),
        Family::V6 if beyond => link.global_ipv6(is_virtual).map(IpAddr::V6),
        Family::V6 => link.link_local(is_virtual).map(IpAddr::V6),
    };
    source(&is_virtual).or_else(|| {
        let owner = config.priority.is_owner();
        owner.then(|| source(&|_| false)).flatten()
    })
}
