//! `virtual_mac`: the address of the virtual router itself, and the device that has it.

use std::collections::{HashMap, HashSet};

use ha_common::units::{Family, Vrid};

use super::reader::{At, Field};
use super::report::Report;
use super::{instance, names};

/// The Ethernet address of a virtual router, and the device that holds it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VirtualMac {
    /// The macvlan's name, at most 15 bytes.
    pub device: String,
    /// The address, of [`address_of`].
    pub address: [u8; 6],
}

/// The virtual MAC: RFC 9568 section 7.3, RFC 3768 section 7.3. IANA has one range of 256 for each family.
pub fn address_of(family: Family, vrid: Vrid) -> [u8; 6] {
    let range = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    [0x00, 0x00, 0x5e, 0x00, range, vrid.get()]
}

/// The device's name unless one is configured.
fn default_device(family: Family, vrid: Vrid) -> String {
    let family = match family {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    format!("vrrp{family}-{vrid}")
}

/// What the key says.
#[derive(Clone, Debug, Default)]
pub(super) enum Wish {
    /// The interface's own MAC.
    #[default]
    No,
    /// A device of the default name.
    Yes,
    /// A device of this name.
    Named(String),
}

impl Wish {
    /// What it comes to for a virtual router whose family and VRID could be read.
    pub(super) fn resolve(&self, draft: &instance::Draft) -> Option<VirtualMac> {
        let (family, vrid) = (draft.held.family?, *draft.vrid.as_ref()?.get_ref());
        let device = match self {
            Self::No => return None,
            Self::Yes => default_device(family, vrid),
            Self::Named(name) => name.clone(),
        };
        let address = address_of(family, vrid);
        Some(VirtualMac { device, address })
    }
}

/// Reads `true`, `false` or `{ device = "NAME" }`.
pub(super) fn read(field: &Field<'_>) -> Option<Wish> {
    if let Some(wanted) = field.boolean_if_any() {
        return Some(if wanted { Wish::Yes } else { Wish::No });
    }
    if !field.is_table() {
        return field.wrong("true, false or { device = \"NAME\" }");
    }
    let mut table = field.table()?;
    let device = table.required("device", names::interface);
    table.finish();
    device.map(|name| Wish::Named(name.into_inner()))
}

/// What an instance's own keys and those of the others say against it.
pub(super) fn check(report: &Report<'_>, instances: &[instance::Draft]) {
    for draft in instances {
        not_unicast(report, draft);
    }
    unique_devices(report, instances);
}

/// Unicast is for networks that know the hosts' own addresses only.
fn not_unicast(report: &Report<'_>, draft: &instance::Draft) {
    let Some(wish) = &draft.virtual_mac else {
        return;
    };
    if matches!(wish.get_ref(), Wish::No) || draft.transport.peers.is_empty() {
        return;
    }
    let message = "`virtual_mac` does not go with `peers`: networks that need unicast carry no MAC but the \
                   hosts' own; leave one of them out";
    report.error(&wish.span(), message);
}

/// One device holds one virtual MAC, and is no interface of another instance.
fn unique_devices(report: &Report<'_>, instances: &[instance::Draft]) {
    let interfaces: HashSet<&str> = instances
        .iter()
        .filter_map(|draft| draft.interface.as_ref())
        .map(|interface| interface.get_ref().as_str())
        .collect();
    let mut seen: HashMap<String, _> = HashMap::new();
    for draft in instances {
        let Some((wish, device)) = device_of(draft) else {
            continue;
        };
        if interfaces.contains(device.as_str()) {
            let message = format!(
                "the device `{device}` of a virtual MAC cannot be the `interface` of an instance; name \
                 another: virtual_mac = {{ device = \"NAME\" }}"
            );
            report.error(&wish.span(), message);
        }
        if let Some(earlier) = seen.get(&device) {
            let message = format!(
                "the virtual MAC of another instance has the device `{device}` already ({}); name \
                 another: virtual_mac = {{ device = \"NAME\" }}",
                report.line(earlier)
            );
            report.error(&wish.span(), message);
        } else {
            seen.insert(device, wish.span());
        }
    }
}

fn device_of(draft: &instance::Draft) -> Option<(&At<Wish>, String)> {
    let wish = draft.virtual_mac.as_ref()?;
    let found = wish.get_ref().resolve(draft)?;
    Some((wish, found.device))
}
