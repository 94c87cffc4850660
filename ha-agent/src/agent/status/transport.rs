//! How the adverts of an instance travel, and what a rejected one had to look like for that.

use std::net::IpAddr;

use ha_common::accept::TtlRange;
use ha_common::layout::Slot;

use crate::agent::peers::address;
use crate::config::model;
use crate::config::model::standard_group;
use crate::status::transport::{Transport, UnicastPeer};

pub(super) fn transport(config: &model::Instance) -> Transport {
    match &config.transport {
        model::Transport::Multicast { group } => Transport::Multicast {
            group: *group,
            standard: *group == standard_group(config.family),
        },
        model::Transport::Unicast(unicast) => Transport::Unicast {
            peers: unicast
                .peers
                .iter()
                .map(|peer| UnicastPeer {
                    address: peer.address,
                    min_ttl: peer.ttl.min,
                    max_ttl: peer.ttl.max,
                })
                .collect(),
            ttl: unicast.ttl,
            check_source: unicast.check_source,
        },
    }
}

/// Where the slot's adverts must have been sent.
pub(super) fn destination(slot: &Slot) -> IpAddr {
    let raw = if slot.channel.is_unicast() {
        slot.own_address
    } else {
        slot.channel.group
    };
    address(slot.family, raw)
}

/// The TTLs that a sender may have.
pub(super) fn accepted_ttl(config: &model::Instance, source: IpAddr) -> TtlRange {
    match &config.transport {
        model::Transport::Multicast { .. } => TtlRange::LINK,
        model::Transport::Unicast(unicast) => listed(unicast, source).unwrap_or(unicast.peer_ttl),
    }
}

/// The configured peers in words, if the sender should have been one of them.
pub(super) fn wanted_source(config: &model::Instance, source: IpAddr) -> Option<String> {
    match &config.transport {
        model::Transport::Multicast { .. } => None,
        model::Transport::Unicast(unicast) => {
            let strange = unicast.check_source && listed(unicast, source).is_none();
            strange.then(|| {
                let peers = unicast.peers.iter().map(|peer| peer.address.to_string());
                peers.collect::<Vec<_>>().join(" or ")
            })
        }
    }
}

fn listed(unicast: &model::Unicast, source: IpAddr) -> Option<TtlRange> {
    let peer = unicast.peers.iter().find(|peer| peer.address == source);
    peer.map(|peer| peer.ttl)
}

#[cfg(test)]
mod tests {
    use ha_common::accept::AcceptFrom;

    use super::*;
    use crate::config;

    fn instance(lines: &str) -> model::Instance {
        let text = format!(
            "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
             addresses = [\"10.99.0.100/24\"]\n{lines}"
        );
        let mut config = config::parse("test.toml", &text).unwrap();
        config.instances.remove(0)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_sender_is_held_against_its_own_range_and_a_stranger_against_the_list() {
        let near = instance(
            "peers = [\"10.99.0.2\", { address = \"10.1.0.2\", min_ttl = 250 }]\n\
             peer_ttl = { min = 254 }",
        );
        for (source, min) in [("10.99.0.2", 254), ("10.1.0.2", 250), ("10.9.9.9", 254)] {
            assert_eq!(accepted_ttl(&near, ip(source)), TtlRange { min, max: 255 });
        }
        assert_eq!(wanted_source(&near, ip("10.1.0.2")), None);
        assert_eq!(
            wanted_source(&near, ip("10.9.9.9")).unwrap(),
            "10.99.0.2 or 10.1.0.2"
        );
        let open = instance("peers = [\"10.99.0.2\"]\ncheck_source = false");
        assert_eq!(wanted_source(&open, ip("10.9.9.9")), None);
        let group = instance("");
        assert_eq!(wanted_source(&group, ip("10.9.9.9")), None);
        assert_eq!(accepted_ttl(&group, ip("10.9.9.9")), TtlRange::LINK);
    }

    #[test]
    fn an_advert_must_have_gone_to_the_group_or_to_our_own_address() {
        let own = [10, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let group = [224, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut slot = Slot {
            family: 4,
            own_address: own,
            channel: AcceptFrom::multicast(group),
            ..Slot::default()
        };
        assert_eq!(destination(&slot), ip("224.0.0.77"));
        slot.channel = AcceptFrom::unicast(TtlRange::LINK, true);
        assert_eq!(destination(&slot), ip("10.99.0.1"));
    }
}
