//! An address as the kernel tells of it, and the mark by which ours are known.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::address::{AddressFlags, AddressScope};

use super::attributes::{attributes, ip_of, u32_of};

/// `RTM_NEWADDR` and `RTM_DELADDR` (linux/rtnetlink.h).
pub(super) const NEW_ADDRESS: u16 = 20;
pub(super) const DEL_ADDRESS: u16 = 21;

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
    /// Reads the payload of a netlink address message (`struct ifaddrmsg` and attributes, `linux/if_addr.h`): the
    /// interface and the address. `None` for a family that has no IP addresses. What else is in it, such as a label
    /// of any bytes, is left alone.
    pub(super) fn read(payload: &[u8]) -> Option<(u32, Self)> {
        const HEADER: usize = 8;
        const ADDRESS: u16 = 1;
        const LOCAL: u16 = 2;
        const FLAGS: u16 = 8;
        const PROTO: u16 = 11;
        let [family, prefix_len, flags, scope, index @ ..] = *payload.first_chunk::<HEADER>()?;
        let (mut local, mut address, mut proto) = (None, None, 0);
        let mut flags = AddressFlags::from_bits_retain(u32::from(flags));
        for (kind, value) in attributes(payload.get(HEADER..)?) {
            match kind {
                LOCAL => local = ip_of(family, value),
                ADDRESS => address = ip_of(family, value),
                FLAGS => flags = AddressFlags::from_bits_retain(u32_of(value)?),
                PROTO => proto = value.first().copied().unwrap_or_default(),
                _ => {}
            }
        }
        // On point-to-point links IFA_ADDRESS is the other end; IFA_LOCAL, if there, is ours.
        let net = IpNet::new(local.or(address)?, prefix_len).ok()?;
        let present = Self {
            net,
            peer: address.filter(|address| *address != net.addr()),
            ours: proto == IFA_PROTO_HA_AGENT,
            flags,
            scope: AddressScope::from(scope),
        };
        Some((u32::from_ne_bytes(index), present))
    }

    /// True if the kernel would send to this address directly, from this one.
    pub fn reaches(&self, address: IpAddr) -> bool {
        let network = self.peer.unwrap_or(self.net.addr());
        IpNet::new(network, self.net.prefix_len()).is_ok_and(|network| network.contains(&address))
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

    /// The kernel takes a label of any bytes behind the interface's name.
    #[test]
    fn an_address_is_read_whatever_its_label() {
        let number = |kind: u16, value: &[u8]| {
            let length = u16::try_from(4 + value.len()).unwrap();
            let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let mut payload = vec![2, 24, 0x80, 0];
        payload.extend(7u32.to_ne_bytes());
        payload.extend(number(1, &[10, 99, 0, 2]));
        payload.extend(number(2, &[10, 99, 0, 1]));
        payload.extend(number(3, b"eth0:\xff\0"));
        payload.extend(number(8, &0x280u32.to_ne_bytes()));
        payload.extend(number(11, &[IFA_PROTO_HA_AGENT]));
        let (index, present) = ObservedAddress::read(&payload).unwrap();
        assert_eq!((index, present.net), (7, "10.99.0.1/24".parse().unwrap()));
        assert_eq!(present.peer, Some("10.99.0.2".parse().unwrap()));
        assert!(present.ours && present.flags.contains(AddressFlags::Noprefixroute));
        payload[0] = 7;
        assert_eq!(ObservedAddress::read(&payload), None, "a family without IP");
        for length in 0..payload.len() {
            let _ = ObservedAddress::read(&payload[..length]);
        }
    }

    #[test]
    fn kernel_releases_are_read_whatever_follows_the_numbers() {
        assert_eq!(parse_release("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.18-rc1"), Some((5, 18)));
        assert_eq!(parse_release("x"), None);
    }
}
