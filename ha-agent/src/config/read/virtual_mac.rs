//! `virtual_mac`.

use ha_common::units::{Family, Vrid};

use super::parse_names;
use super::table::Field;
use crate::config::model::{VirtualMac, address_of};

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
pub(crate) enum RequestedMac {
    /// The interface's own MAC.
    #[default]
    No,
    /// A device of the default name.
    Yes,
    /// A device of this name.
    Named(String),
}

impl RequestedMac {
    /// What it comes to for a virtual router whose family and VRID could be read.
    pub(crate) fn resolve(&self, family: Family, vrid: Vrid) -> Option<VirtualMac> {
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
pub(crate) fn read(field: &Field<'_>) -> Option<RequestedMac> {
    if let Some(wanted) = field.boolean_if_any() {
        return Some(if wanted {
            RequestedMac::Yes
        } else {
            RequestedMac::No
        });
    }
    if !field.is_table() {
        return field.wrong("true, false or { device = \"NAME\" }");
    }
    let mut table = field.table()?;
    let device = table.required("device", parse_names::interface_itself);
    table.finish();
    device.map(|name| RequestedMac::Named(name.into_inner()))
}
