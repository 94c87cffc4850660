//! The multicast groups that adverts go to, and membership of them.
//!
//! Real NICs and snooping switches filter adverts until the host has joined the group, even for a
//! BPF program, so a membership is held for every interface in use, for as long as it is in use.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ha_common::units::Family;
use socket2::{Domain, InterfaceIndexOrAddress, SockFilter, Socket, Type};

/// Where IPv4 adverts go unless configured otherwise (RFC 9568 section 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Where IPv6 adverts go unless configured otherwise (RFC 9568 section 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// IP protocol 112 (RFC 9568 section 5.1.1.4).
pub const IPPROTO_VRRP: u8 = 112;

/// The group cannot be joined.
#[derive(Debug, thiserror::Error)]
#[error("cannot join {group} on interface {ifindex}: {source}")]
pub struct JoinError {
    pub group: IpAddr,
    pub ifindex: u32,
    /// `ENODEV` if there is no such interface.
    #[source]
    pub source: io::Error,
}

/// Membership of a group on an interface; it ends by being dropped.
///
/// It survives the interface going down and up again (the kernel reports it anew). It does not survive the
/// interface, nor the end of the interface's IPv6 half, which an MTU below 1280 bytes brings: then it is to be
/// left by all who held it, and joined anew.
#[derive(Debug)]
pub struct Membership {
    group: IpAddr,
    ifindex: u32,
    // A datagram socket without a port: it can hold memberships, and nothing is ever delivered to
    // it, so a flood on the group costs it nothing.
    socket: Socket,
}

impl Membership {
    /// Joins, in the calling thread's network namespace.
    pub fn join(group: IpAddr, ifindex: u32) -> Result<Self, JoinError> {
        let join = || {
            let domain = match group {
                IpAddr::V4(_) => Domain::IPV4,
                IpAddr::V6(_) => Domain::IPV6,
            };
            let socket = Socket::new(domain, Type::DGRAM, None)?;
            receive_nothing(&socket)?;
            join_group(&socket, group, ifindex)?;
            Ok(socket)
        };
        let socket = join().map_err(|source| JoinError {
            group,
            ifindex,
            source,
        })?;
        Ok(Self {
            group,
            ifindex,
            socket,
        })
    }

    /// Leaves, also what the kernel has forgotten.
    pub fn leave(&self) {
        // What is left to do after an interface lost its memberships is done whatever the answer is.
        let _ = leave_group(&self.socket, self.group, self.ifindex);
    }

    /// Joins again after [`Membership::leave`].
    pub fn rejoin(&self) -> Result<(), JoinError> {
        join_group(&self.socket, self.group, self.ifindex).map_err(|source| JoinError {
            group: self.group,
            ifindex: self.ifindex,
            source,
        })
    }
}

/// The standard's group of a family.
pub fn group(family: Family) -> IpAddr {
    match family {
        Family::V4 => GROUP_V4.into(),
        Family::V6 => GROUP_V6.into(),
    }
}

pub(super) fn join_group(socket: &Socket, group: IpAddr, ifindex: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(ifindex))
        }
        IpAddr::V6(group) => socket.join_multicast_v6(&group, ifindex),
    }
}

pub(super) fn leave_group(socket: &Socket, group: IpAddr, ifindex: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(ifindex))
        }
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, ifindex),
    }
}

/// A socket filter that accepts nothing, for sockets that only send or only hold a membership.
pub(super) fn receive_nothing(socket: &Socket) -> io::Result<()> {
    // BPF_RET | BPF_K with 0: zero bytes of the packet are kept.
    const RETURN: u16 = 0x06;
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::net::joined::is_joined;
    use crate::net::lab;

    /// True if the interface `near` is a member, by the kernel's own tables.
    fn is_member(group: IpAddr) -> bool {
        let table = lab::ip_here("maddress show dev near");
        let wanted = format!(" {group}");
        table
            .lines()
            .any(|line| line.ends_with(&wanted) || line.contains(&format!("{wanted} ")))
    }

    #[test]
    fn root_the_group_is_joined_for_as_long_as_the_membership_lives() {
        lab::run(|lab| {
            let others = ["224.0.0.77", "ff02::77"].map(|group| group.parse().unwrap());
            let groups = [group(Family::V4), group(Family::V6)];
            for group in groups.into_iter().chain(others) {
                assert!(!is_member(group));
                let membership = Membership::join(group, lab.near).unwrap();
                assert!(is_member(group));
                lab.ip("link set near down");
                lab.ip("link set near up");
                assert!(is_member(group), "it survives a link that goes down and up");
                drop(membership);
                // Other tests' threads start programs meanwhile, and each of those holds a copy of
                // the socket until it has begun.
                let deadline = Instant::now() + lab::PATIENCE;
                while is_member(group) {
                    assert!(Instant::now() < deadline, "still a member");
                }
            }
        });
    }

    /// Two sockets have joined: the one that leaves last must not take the other's new membership along.
    #[test]
    fn root_a_membership_that_ended_with_the_interfaces_ipv6_is_joined_again() {
        lab::run(|lab| {
            let group = group(Family::V6);
            let members = [(); 2].map(|()| Membership::join(group, lab.near).unwrap());
            let joined = || is_joined(group, lab.near).unwrap();
            assert!(joined());
            lab.ip("link set near mtu 1200");
            lab.ip("link set near mtu 1500");
            assert!(!joined() && !is_member(group), "the kernel keeps it");
            assert!(members[0].rejoin().is_err(), "the socket's list is right");
            for member in &members {
                member.leave();
            }
            for member in &members {
                member.rejoin().unwrap();
            }
            assert!(joined() && is_member(group));
            let [first, second] = members;
            // Not by closing it: a process that another test is starting may hold the socket for a moment.
            first.leave();
            assert!(joined());
            second.leave();
            assert!(!joined());
        });
    }

    /// What is left of IPv6 on an interface without addresses, and IPv4 on one that is off, keeps its groups.
    #[test]
    fn root_memberships_outlive_ipv6_that_is_switched_off_and_a_link_that_is_down() {
        lab::run(|lab| {
            lab.ip("address add 10.99.0.1/24 dev near");
            let members = [Family::V4, Family::V6].map(|family| {
                let group = group(family);
                (group, Membership::join(group, lab.near).unwrap())
            });
            let setting = "/proc/sys/net/ipv6/conf/near/disable_ipv6";
            std::fs::write(setting, "1").unwrap();
            lab.ip("address flush dev near");
            lab.ip("link set near down");
            lab.ip("link set near up");
            std::fs::write(setting, "0").unwrap();
            for (group, _) in &members {
                assert!(is_joined(*group, lab.near).unwrap(), "{group}");
            }
        });
    }
}
