//! The MAC of a virtual router, and the device that holds it.

use ha_common::units::{Family, Vrid};
use serde::Serialize;

/// The Ethernet address of a virtual router, and the device that holds it.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct VirtualMac {
    /// The macvlan's name, at most 15 bytes.
    pub device: String,
    /// The address, of [`address_of`].
    #[serde(skip)]
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
