//! Real routers beside an agent: the matrix of peers, dialects and exercises.
//!
//! Each line of the matrix is a peer and what the two speak; each line goes through every exercise. The
//! tests wait for most of their time, so eight of them run at once (`cargo xtask test --only interop`).

mod exercise;
mod segment;

use ha_tests::lab::peer::{Frr, Keepalived, Router};
use segment::{Pairing, Party};

/// Tests of every exercise for each line.
macro_rules! beside_an_agent {
    ($($(#[$attribute:meta])* $peer:ident: $pairing:expr;)*) => {$(
        mod $peer {
            use super::*;

            /// RFC 9568 sections 6.4.2 (learn), 6.4.3 (advertise, shutdown),
            /// RFC 3768 section 6.4.3 (advertise, shutdown).
            $(#[$attribute])*
            #[test]
            fn follows_the_agent_and_takes_its_place_when_it_is_silent_or_leaves() -> anyhow::Result<()> {
                exercise::lead_and_follow(&$pairing, Party::Agent)
            }

            $(#[$attribute])*
            #[test]
            fn leads_the_agent_which_takes_its_place_when_it_is_silent_or_leaves() -> anyhow::Result<()> {
                exercise::lead_and_follow(&$pairing, Party::Peer)
            }

            $(#[$attribute])*
            #[test]
            fn yields_to_the_agent_of_equal_priority_and_higher_address() -> anyhow::Result<()> {
                exercise::break_a_tie(&$pairing, Party::Agent)
            }

            $(#[$attribute])*
            #[test]
            fn makes_the_agent_of_equal_priority_and_lower_address_yield() -> anyhow::Result<()> {
                exercise::break_a_tie(&$pairing, Party::Peer)
            }
        }
    )*};
}

beside_an_agent! {
    keepalived_in_version_2: Pairing::new(&KEEPALIVED, Router::version_2());
    keepalived_in_version_2_with_a_password:
        Pairing::new(&KEEPALIVED, Router::version_2().with_password("secret"));
    keepalived_in_version_3_over_ipv4: Pairing::new(&KEEPALIVED, Router::version_3());
    keepalived_in_version_3_over_ipv6: Pairing::new(&KEEPALIVED, Router::version_3_over_ipv6());
    keepalived_with_a_virtual_mac: Pairing::new(&KEEPALIVED_VMAC, Router::version_3());
    keepalived_and_the_agent_with_a_virtual_mac:
        Pairing::new(&KEEPALIVED_VMAC, Router::version_3().with_virtual_mac());
    keepalived_and_the_agent_with_a_virtual_mac_over_ipv6:
        Pairing::new(&KEEPALIVED_VMAC, Router::version_3_over_ipv6().with_virtual_mac());
    frr_and_the_agent_with_a_virtual_mac: Pairing::new(&Frr, Router::version_3().with_virtual_mac());
    frr_in_version_2: Pairing::new(&Frr, Router::version_2());
    frr_in_version_3_over_ipv4: Pairing::new(&Frr, Router::version_3());
    frr_in_version_3_over_ipv6: Pairing::new(&Frr, Router::version_3_over_ipv6());
    keepalived_in_version_2_by_unicast:
        Pairing::new(&KEEPALIVED, Router::version_2()).by_unicast();
    keepalived_in_version_3_over_ipv4_by_unicast:
        Pairing::new(&KEEPALIVED, Router::version_3()).by_unicast();
    keepalived_in_version_3_over_ipv6_by_unicast:
        Pairing::new(&KEEPALIVED, Router::version_3_over_ipv6()).by_unicast();
    #[ignore = "no Debian package signs: HA_KEEPALIVED names a keepalived of 2.4.2 or later"]
    keepalived_signing_in_version_2:
        Pairing::new(&KEEPALIVED, Router::version_2().signed());
    #[ignore = "no Debian package signs: HA_KEEPALIVED names a keepalived of 2.4.2 or later"]
    keepalived_signing_in_version_3_over_ipv4:
        Pairing::new(&KEEPALIVED, Router::version_3().signed());
    #[ignore = "no Debian package signs: HA_KEEPALIVED names a keepalived of 2.4.2 or later"]
    keepalived_signing_in_version_3_over_ipv6:
        Pairing::new(&KEEPALIVED, Router::version_3_over_ipv6().signed());
    #[ignore = "no Debian package signs: HA_KEEPALIVED names a keepalived of 2.4.2 or later"]
    keepalived_signing_in_version_3_over_ipv4_by_unicast:
        Pairing::new(&KEEPALIVED, Router::version_3().signed()).by_unicast();
    #[ignore = "no Debian package signs: HA_KEEPALIVED names a keepalived of 2.4.2 or later"]
    keepalived_signing_in_version_3_over_ipv6_by_unicast:
        Pairing::new(&KEEPALIVED, Router::version_3_over_ipv6().signed()).by_unicast();
    // What the agent learns to speak gets its lines here: a field of `Router`, what `Router::for_agent` and
    // each `Peer` make of it, and a line for each peer.
}

const KEEPALIVED: Keepalived = Keepalived { virtual_mac: false };
const KEEPALIVED_VMAC: Keepalived = Keepalived { virtual_mac: true };
