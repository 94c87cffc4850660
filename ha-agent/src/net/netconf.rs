//! An interface's settings of IP as the kernel tells of them (`struct netconfmsg` and attributes, `linux/netconf.h`).

use super::attributes::{attribute, u32_of};

/// `RTM_NEWNETCONF` (linux/rtnetlink.h).
pub(super) const NEW_NETCONF: u16 = 80;

/// Reads the payload: the interface, and whether the host forwards IPv6 from it. `None` if it is about something else, such
/// as the settings of interfaces to come.
pub(super) fn forwarding(payload: &[u8]) -> Option<(u32, bool)> {
    /// The family, and bytes up to a multiple of four.
    const HEADER: usize = 4;
    const IFINDEX: u16 = 1;
    const FORWARDING: u16 = 2;
    let family = *payload.first()?;
    let attributes = payload.get(HEADER..)?;
    // Negative: NETCONFA_IFINDEX_ALL and NETCONFA_IFINDEX_DEFAULT.
    let index = u32_of(attribute(attributes, IFINDEX)?)?;
    let forwards = u32_of(attribute(attributes, FORWARDING)?)? != 0;
    let is_interface = i32::from(family) == libc::AF_INET6 && index.cast_signed() > 0;
    is_interface.then_some((index, forwards))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forwarding_of_an_interface_is_read() {
        let message = |family: u8, index: i32, kind: u8| {
            let mut bytes = vec![family, 0, 0, 0, 8, 0, 1, 0];
            bytes.extend(index.to_ne_bytes());
            bytes.extend([8, 0, kind, 0]);
            bytes.extend(1u32.to_ne_bytes());
            bytes
        };
        assert_eq!(forwarding(&message(10, 7, 2)), Some((7, true)));
        assert_eq!(forwarding(&message(2, 7, 2)), None, "IPv4");
        assert_eq!(forwarding(&message(10, -1, 2)), None, "all interfaces");
        assert_eq!(forwarding(&message(10, 7, 3)), None, "another setting");
        assert_eq!(forwarding(&[]), None);
    }
}
