//! Keeping the card's filter open for adverts when nobody is a member of their groups any more.
//!
//! A membership ends with the process that holds it, and then real cards, virtio-net and macvlan let no
//! advert in: the pinned programs of a killed agent would be deaf, take a healthy master for dead, and
//! never raise the fence. So the groups' Ethernet addresses stand on the interface's own list as well, as
//! `ip maddress add` puts them there, until they are taken off or the interface goes.

use std::ffi::CStr;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use nix::net::if_::if_indextoname;
use socket2::{Domain, Socket, Type};

/// The Ethernet addresses of 224.0.0.18 (RFC 1112 section 6.4) and of `ff02::12` (RFC 2464 section 7).
const GROUPS: [[u8; 6]; 2] = [
    [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12],
    [0x33, 0x33, 0x00, 0x00, 0x00, 0x12],
];

/// Opens the filter of an interface for the standard's groups, in the calling thread's network namespace; twice is as good as once.
///
/// `EINVAL` from an interface that has no filter.
pub fn open(ifindex: u32) -> io::Result<()> {
    change(ifindex, &GROUPS, libc::SIOCADDMULTI)
}

/// Closes it again; memberships still let in what they are for. `ENOENT` if it was not open.
pub fn close(ifindex: u32) -> io::Result<()> {
    change(ifindex, &GROUPS, libc::SIOCDELMULTI)
}

/// Opens it for another group as well.
pub fn open_group(ifindex: u32, group: IpAddr) -> io::Result<()> {
    change(ifindex, &[ethernet_of(group)], libc::SIOCADDMULTI)
}

/// Closes it again for this group; `ENOENT` if it was not open.
pub fn close_group(ifindex: u32, group: IpAddr) -> io::Result<()> {
    change(ifindex, &[ethernet_of(group)], libc::SIOCDELMULTI)
}

/// The Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7); others may share it.
fn ethernet_of(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

fn change(ifindex: u32, groups: &[[u8; 6]], request: libc::Ioctl) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let name = if_indextoname(ifindex)?;
    // All of them, even if the first fails.
    let outcomes = groups
        .iter()
        .map(|group| change_one(&socket, &name, *group, request));
    outcomes.fold(Ok(()), io::Result::and)
}

fn change_one(
    socket: &Socket,
    interface: &CStr,
    group: [u8; 6],
    request: libc::Ioctl,
) -> io::Result<()> {
    // SAFETY: an `ifreq` is plain data for which all bits zero are a value.
    let mut change: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: the kernel's names are shorter than the field.
    for (to, from) in change.ifr_name.iter_mut().zip(interface.to_bytes()) {
        *to = from.cast_signed();
    }
    // The family stays zero as well: AF_UNSPEC.
    let mut address = libc::sockaddr {
        sa_family: 0,
        sa_data: [0; 14],
    };
    for (to, from) in address.sa_data.iter_mut().zip(group) {
        *to = from.cast_signed();
    }
    change.ifr_ifru.ifru_hwaddr = address;
    // SAFETY: the kernel reads an `ifreq` with a hardware address in it, which lives across the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw const change) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use ha_common::units::Family;

    use super::*;
    use crate::net::lab;
    use crate::net::multicast::{Membership, group};

    /// How many of the groups' addresses the interface `near` lets in.
    fn let_in() -> usize {
        let table = lab::ip_here("maddress show dev near");
        let shown = ["01:00:5e:00:00:12", "33:33:00:00:00:12"];
        shown.iter().filter(|mac| table.contains(**mac)).count()
    }

    #[test]
    fn root_the_filter_stays_open_without_a_member_until_it_is_closed() {
        lab::run(|lab| {
            let member = Membership::join(group(Family::V4), lab.near).unwrap();
            assert_eq!(let_in(), 1);
            open(lab.near).unwrap();
            open(lab.near).unwrap();
            drop(member);
            assert_eq!(let_in(), 2);
            close(lab.near).unwrap();
            // Other tests' threads may hold a copy of the membership's socket for a moment.
            let deadline = std::time::Instant::now() + lab::PATIENCE;
            while let_in() > 0 {
                assert!(std::time::Instant::now() < deadline, "still open");
            }
            let error = close(lab.near).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        });
    }

    #[test]
    fn root_the_filter_is_open_for_another_group_until_it_is_closed() {
        lab::run(|lab| {
            for (group, mac) in [
                ("239.129.2.77", "01:00:5e:01:02:4d"),
                ("ff02::1:77", "33:33:00:01:00:77"),
            ] {
                let group = group.parse().unwrap();
                let is_let_in = || lab::ip_here("maddress show dev near").contains(mac);
                assert!(!is_let_in());
                open_group(lab.near, group).unwrap();
                assert!(is_let_in());
                close_group(lab.near, group).unwrap();
                assert!(!is_let_in());
                let error = close_group(lab.near, group).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
            }
        });
    }

    #[test]
    fn root_an_interface_that_is_gone_is_said_to_be() {
        lab::run(|lab| {
            lab.ip("link delete near");
            let error = open(lab.near).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        });
    }
}
