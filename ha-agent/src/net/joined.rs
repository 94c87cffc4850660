//! Which multicast groups an interface has joined, by the kernel's word.
//!
//! A socket's own list does not tell: when the kernel destroys an interface's IPv6 half (its MTU fell below
//! 1280 bytes) or its IPv4 half, the memberships go with it, and the list of each socket keeps what is not
//! true any more.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True if somebody on this host has joined the group on the interface, in the calling thread's network
/// namespace.
pub fn is_joined(group: IpAddr, ifindex: u32) -> io::Result<bool> {
    match group {
        IpAddr::V4(group) => {
            let text = fs::read_to_string("/proc/thread-self/net/igmp")?;
            Ok(joined_v4(&text, ifindex).any(|joined| joined == group))
        }
        IpAddr::V6(group) => {
            let text = fs::read_to_string("/proc/thread-self/net/igmp6")?;
            Ok(joined_v6(&text, ifindex).any(|joined| joined == group))
        }
    }
}

/// A line that begins with the interface's index, and below it one for each group: its address as the kernel
/// holds it in memory, taken for a number (net/ipv4/igmp.c).
fn joined_v4(text: &str, ifindex: u32) -> impl Iterator<Item = Ipv4Addr> {
    let mut here = false;
    text.lines().filter_map(move |line| {
        let first = line.split_whitespace().next()?;
        if line.starts_with(char::is_whitespace) {
            let number = u32::from_str_radix(first, 16).ok()?;
            return here.then(|| Ipv4Addr::from(number.to_ne_bytes()));
        }
        here = first.parse() == Ok(ifindex);
        None
    })
}

/// Index, name, address in hexadecimal digits, and more (net/ipv6/mcast.c).
fn joined_v6(text: &str, ifindex: u32) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let index: u32 = fields.next()?.parse().ok()?;
        let address = u128::from_str_radix(fields.nth(1)?, 16).ok()?;
        (index == ifindex).then(|| Ipv6Addr::from(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_one_interface_are_read_from_the_kernels_tables() {
        let number = |address: [u8; 4]| u32::from_ne_bytes(address);
        let (all, vrrp) = (number([224, 0, 0, 1]), number([224, 0, 0, 18]));
        let text = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t{all:08X}     1 0:00000000\t\t0\n\
             14\teth0      :     2      V3\n\t\t\t\t{vrrp:08X}     1 0:00000000\t\t0\n\
             \t\t\t\t{all:08X}     1 0:00000000\t\t0\n"
        );
        let groups: Vec<_> = joined_v4(&text, 14).collect();
        assert_eq!(
            groups,
            [Ipv4Addr::new(224, 0, 0, 18), Ipv4Addr::new(224, 0, 0, 1)]
        );
        assert_eq!(joined_v4(&text, 1).count(), 1);
        assert_eq!(joined_v4(&text, 4).count(), 0);
        let text = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n\
                    14   eth0            ff020000000000000000000000000012     1 00000004 0\n\
                    14   nonsense\n";
        let groups: Vec<_> = joined_v6(text, 14).collect();
        assert_eq!(groups, ["ff02::12".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!(joined_v6(text, 4).count(), 0);
    }
}
