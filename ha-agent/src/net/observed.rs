//! An address as the kernel tells of it, and the mark by which ours are known.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};

/// The `IFA_PROTO` of addresses that the agent adds: `V` for VRRP. The kernel itself uses 1 to 3,
/// keepalived 18.
pub const IFA_PROTO_HA_AGENT: u8 = 0x56;

/// The first kernel that keeps the mark.
const MARK_SINCE: (u32, u32) = (5, 18);

/// An address found on an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ObservedAddress {
    /// The address with its prefix length.
    pub net: IpNet,
    /// The other end of a point-to-point link, whose prefix length it then is.
    pub peer: Option<IpAddr>,
    /// True if it carries [`IFA_PROTO_HA_AGENT`].
    pub ours: bool,
    /// Secondary, tentative, deprecated and so on.
    pub flags: AddressFlags,
    /// How far the address reaches.
    pub scope: AddressScope,
}

impl ObservedAddress {
    /// Reads a netlink address message: the interface and the address. `None` for a family that
    /// has no IP addresses.
    pub fn from_message(message: &AddressMessage) -> Option<(u32, Self)> {
        let mut local = None;
        let mut address = None;
        let mut proto = 0;
        let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(ip) => local = Some(*ip),
                AddressAttribute::Address(ip) => address = Some(*ip),
                AddressAttribute::Flags(all) => flags = *all,
                AddressAttribute::Protocol(value) => proto = u8::from(*value),
                _ => {}
            }
        }
        // On point-to-point links IFA_ADDRESS is the other end; IFA_LOCAL, if there, is ours.
        let net = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
        let present = Self {
            net,
            peer: address.filter(|address| *address != net.addr()),
            ours: proto == IFA_PROTO_HA_AGENT,
            flags,
            scope: message.header.scope,
        };
        Some((message.header.index, present))
    }

    /// False while duplicate address detection runs or after it has failed: nothing may be sent
    /// from such an address.
    pub fn usable(&self) -> bool {
        !self
            .flags
            .intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
            || self.flags.contains(AddressFlags::Optimistic)
    }
}

/// Whether this kernel keeps the mark. It is asked by version: the kernel takes the attribute everywhere and says
/// nothing where it drops it.
pub fn kernel_marks() -> bool {
    nix::sys::utsname::uname()
        .ok()
        .and_then(|name| parse_release(name.release().to_str()?))
        .is_some_and(|release| release >= MARK_SINCE)
}

/// Major and minor number of a kernel release such as `6.1.0-18-amd64`.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_read_whatever_follows_the_numbers() {
        assert_eq!(parse_release("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.18-rc1"), Some((5, 18)));
        assert_eq!(parse_release("x"), None);
    }
}
