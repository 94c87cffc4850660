//! Which addresses the kernel would take along with one that is removed.
//!
//! The first IPv4 address of a network on an interface is its primary one, the later ones are secondary; when the
//! primary one goes, they go with it, unless `promote_secondaries` makes the next of them primary. The host's own
//! address is secondary to a virtual one wherever it came later: after `ip address del` and `add` by a network
//! manager, or a renewed DHCP lease.

use std::collections::{BTreeSet, HashMap, HashSet};

use ipnet::IpNet;
use netlink_packet_route::address::AddressFlags;

use super::observed::ObservedAddress;

/// The interfaces where removing these takes others along.
pub(super) fn interfaces_to_promote_on<'a>(
    removed: &[(u32, IpNet)],
    present: impl Fn(u32) -> &'a [ObservedAddress],
) -> BTreeSet<u32> {
    let mut by_interface: HashMap<u32, HashSet<IpNet>> = HashMap::new();
    for (ifindex, net) in removed {
        by_interface.entry(*ifindex).or_default().insert(*net);
    }
    let interfaces = by_interface.into_iter();
    interfaces
        .filter(|(ifindex, removed)| takes_along(removed, present(*ifindex)))
        .map(|(ifindex, _)| ifindex)
        .collect()
}

/// What is not known to be there counts as primary: it may have come this moment.
fn takes_along(removed: &HashSet<IpNet>, present: &[ObservedAddress]) -> bool {
    let is_secondary = |found: &&ObservedAddress| found.flags.contains(AddressFlags::Secondary);
    let (going, staying): (Vec<IpNet>, Vec<IpNet>) = present
        .iter()
        .filter(is_secondary)
        .map(|found| found.net)
        .partition(|net| removed.contains(net));
    let staying: HashSet<IpNet> = staying.iter().map(IpNet::trunc).collect();
    if staying.is_empty() {
        return false;
    }
    let going: HashSet<IpNet> = going.into_iter().collect();
    let is_primary_ipv4 = |net: &&IpNet| matches!(net, IpNet::V4(_)) && !going.contains(*net);
    let mut primary = removed.iter().filter(is_primary_ipv4);
    primary.any(|net| staying.contains(&net.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::tests::present;

    fn on_two(net: &str) -> (u32, IpNet) {
        (2, net.parse().unwrap())
    }

    fn secondary(net: &str) -> ObservedAddress {
        ObservedAddress {
            flags: AddressFlags::Secondary,
            ..present(net)
        }
    }

    #[test]
    fn only_a_primary_address_takes_others_of_its_network_along() {
        let own_first = [present("10.99.0.1/24"), secondary("10.99.0.100/24")];
        let virtual_first = [present("10.99.0.100/24"), secondary("10.99.0.1/24")];
        let elsewhere = [present("10.99.0.100/24"), secondary("10.98.0.1/24")];
        let other_prefix = [present("10.99.0.100/32"), secondary("10.99.0.1/24")];
        let unseen = [present("10.99.0.7/24"), secondary("10.99.0.1/24")];
        for (found, removed, promotes) in [
            (&own_first[..], &["10.99.0.100/24"][..], false),
            (&virtual_first, &["10.99.0.100/24"], true),
            (&virtual_first, &["10.99.0.100/24", "10.99.0.1/24"], false),
            (&elsewhere, &["10.99.0.100/24"], false),
            (&other_prefix, &["10.99.0.100/32"], false),
            (&unseen, &["10.99.0.100/24"], true),
            (&virtual_first, &["fd00::1/64"], false),
            (&[], &["10.99.0.100/24"], false),
        ] {
            let removed: Vec<_> = removed.iter().map(|net| on_two(net)).collect();
            let promoted = interfaces_to_promote_on(&removed, |_| found);
            let expected: BTreeSet<u32> = promotes.then_some(2).into_iter().collect();
            assert_eq!(promoted, expected, "{found:?} {removed:?}");
        }
    }
}
