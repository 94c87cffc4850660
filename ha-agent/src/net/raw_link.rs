//! A link message of the kernel's (`struct ifinfomsg` and attributes, `linux/if_link.h`), as far as the agent needs it.
//!
//! Everything else in it is left alone. A parser of whole messages refuses one for a single attribute that it does
//! not expect: an alias that is not UTF-8, or what a newer kernel has added to a device of some other kind. The
//! interface would not be known at all, and with it, since a list that lacks something is no list, none would be.

use std::borrow::Cow;

use super::attributes::{attribute, attributes, text_of, u16_of, u32_of};

/// `RTM_NEWLINK` and `RTM_DELLINK` (linux/rtnetlink.h).
pub(crate) const NEW_LINK: u16 = 16;
pub(super) const DEL_LINK: u16 = 17;

// What the attributes are called in `linux/if_link.h`.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_CARRIER: u16 = 33;
const IFLA_CARRIER_CHANGES: u16 = 35;
const IFLA_XDP: u16 = 43;
const IFLA_PROP_LIST: u16 = 52;
/// In `IFLA_PROP_LIST`.
const IFLA_ALT_IFNAME: u16 = 53;

/// `IFLA_INFO_KIND` and `IFLA_INFO_DATA`, in `IFLA_LINKINFO`.
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

/// A link message; what it does not say is zero, empty or `None`.
#[derive(Debug, Default)]
pub(crate) struct RawLink<'a> {
    /// `AF_UNSPEC`, or whose view of the interface this is.
    pub(super) family: u8,
    pub(super) index: u32,
    /// `ARPHRD_*`.
    pub(super) layer: u16,
    /// `IFF_*`.
    pub(super) flags: u32,
    pub(super) name: Cow<'a, str>,
    pub(super) alternative_names: Vec<Cow<'a, str>>,
    /// Only an Ethernet address.
    pub(super) address: Option<[u8; 6]>,
    pub(super) mtu: u32,
    /// The interface beneath; none also if that is in another namespace.
    pub(super) parent: Option<u32>,
    pub(super) master: Option<u32>,
    /// `IF_OPER_*`.
    pub(super) operstate: u8,
    pub(super) carrier: Option<bool>,
    pub(super) carrier_changes: u32,
    pub(super) alias: Option<Cow<'a, str>>,
    /// The kernel's name for what it is.
    pub(super) kind: Option<Cow<'a, str>>,
    /// What that kind tells of itself: attributes.
    data: &'a [u8],
    af_spec: &'a [u8],
    xdp: &'a [u8],
}

impl<'a> RawLink<'a> {
    /// Reads the payload of a netlink message. `None` if it is too short to be one.
    pub(crate) fn read(payload: &'a [u8]) -> Option<Self> {
        const HEADER: usize = 16;
        let header = payload.first_chunk::<HEADER>()?;
        let mut link = Self {
            family: header[0],
            layer: u16_of(&header[2..])?,
            index: u32_of(&header[4..])?,
            flags: u32_of(&header[8..])?,
            ..Self::default()
        };
        for (kind, value) in attributes(&payload[HEADER..]) {
            link.take(kind, value);
        }
        Some(link)
    }

    fn take(&mut self, kind: u16, value: &'a [u8]) {
        match kind {
            IFLA_ADDRESS => self.address = value.try_into().ok(),
            IFLA_IFNAME => self.name = text_of(value),
            IFLA_MTU => self.mtu = u32_of(value).unwrap_or_default(),
            IFLA_LINK => self.parent = u32_of(value).filter(|index| *index != 0),
            IFLA_MASTER => self.master = u32_of(value),
            IFLA_OPERSTATE => self.operstate = value.first().copied().unwrap_or_default(),
            IFLA_CARRIER => self.carrier = value.first().map(|carrier| *carrier != 0),
            IFLA_CARRIER_CHANGES => self.carrier_changes = u32_of(value).unwrap_or_default(),
            IFLA_IFALIAS => self.alias = Some(text_of(value)),
            IFLA_AF_SPEC => self.af_spec = value,
            IFLA_XDP => self.xdp = value,
            IFLA_PROP_LIST => {
                let names = attributes(value).filter(|(kind, _)| *kind == IFLA_ALT_IFNAME);
                self.alternative_names = names.map(|(_, name)| text_of(name)).collect();
            }
            IFLA_LINKINFO => {
                self.kind = attribute(value, IFLA_INFO_KIND).map(text_of);
                self.data = attribute(value, IFLA_INFO_DATA).unwrap_or_default();
            }
            _ => {}
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP.cast_unsigned() != 0
    }

    pub(super) fn is_promiscuous(&self) -> bool {
        self.flags & libc::IFF_PROMISC.cast_unsigned() != 0
    }

    /// The VLAN's number, if it is a VLAN (`IFLA_VLAN_ID`).
    pub(super) fn vlan_id(&self) -> Option<u16> {
        u16_of(self.data_of("vlan", 1)?)
    }

    /// The routing table, if it is a VRF (`IFLA_VRF_TABLE`).
    pub(super) fn vrf_table(&self) -> Option<u32> {
        u32_of(self.data_of("vrf", 1)?)
    }

    /// The mode, if it is a macvlan (`IFLA_MACVLAN_MODE`, `MACVLAN_MODE_*`).
    pub(super) fn macvlan_mode(&self) -> Option<u32> {
        u32_of(self.data_of("macvlan", 1)?)
    }

    fn data_of(&self, kind: &str, number: u16) -> Option<&'a [u8]> {
        let is_it = self.kind.as_deref() == Some(kind);
        attribute(self.data, number).filter(|_| is_it)
    }

    /// An IPv4 setting by its number (`IPV4_DEVCONF_*`, linux/ip.h; from 1).
    pub(super) fn ipv4_setting(&self, number: usize) -> Option<i32> {
        const INET: u16 = 2;
        // `IFLA_INET_CONF`: all of them, one after the other.
        const CONF: u16 = 1;
        let settings = attribute(attribute(self.af_spec, INET)?, CONF)?;
        let at = number.checked_sub(1)? * size_of::<i32>();
        u32_of(settings.get(at..)?).map(u32::cast_signed)
    }

    /// Whether the host forwards IPv6 from it (`DEVCONF_FORWARDING` of `linux/ipv6.h`, which is the first); false without
    /// IPv6.
    pub(super) fn forwards_ipv6(&self) -> bool {
        const INET6: u16 = 10;
        /// `IFLA_INET6_CONF`.
        const CONF: u16 = 2;
        let settings = attribute(self.af_spec, INET6).and_then(|inet6| attribute(inet6, CONF));
        settings.and_then(u32_of).is_some_and(|value| value != 0)
    }

    /// The XDP program that is attached, and whether it is in generic mode (`IFLA_XDP`).
    pub(crate) fn xdp_program(&self) -> Option<(u32, bool)> {
        const ATTACHED: u16 = 2;
        /// `XDP_ATTACHED_SKB`.
        const GENERIC: u8 = 2;
        // `IFLA_XDP_PROG_ID`, `_DRV_PROG_ID` and `_SKB_PROG_ID`.
        let programs = [4, 5, 6];
        let program = attributes(self.xdp)
            .find_map(|(kind, value)| u32_of(value).filter(|_| programs.contains(&kind)))?;
        let attached = attribute(self.xdp, ATTACHED).and_then(<[u8]>::first);
        Some((program, attached == Some(&GENERIC)))
    }
}
