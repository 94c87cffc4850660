//! Another host says by ARP or neighbour discovery that an address of ours is at its MAC.

use ha_common::address::known_ip;
use ha_common::election::Claim;
use ha_common::layout::Event as Pushed;
use ha_common::units::{Family, Instant};

use super::Instance;
use crate::driver::system::System;
use crate::router::Event;

impl Instance {
    /// The kernel half saw a claim. True if anything changed that is shown.
    pub(crate) fn claimed(&mut self, event: &Pushed, system: &mut System, now: Instant) -> bool {
        match (claim_of(event), self.slot(system)) {
            (Some(claim), Some(slot)) => self.tell(Event::Claimed(claim, &slot), system, now),
            _ => false,
        }
    }
}

/// What such an event says; `None` if it says no address or more than a MAC.
fn claim_of(event: &Pushed) -> Option<Claim> {
    let family = match event.count {
        4 => Family::V4,
        6 => Family::V6,
        _ => return None,
    };
    let [0, 0, mac @ ..] = event.hash.to_be_bytes() else {
        return None;
    };
    Some(Claim {
        address: known_ip(family, event.source)?,
        mac,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ha_common::address::raw;
    use ha_common::layout::event;

    use super::*;

    fn claim(address: &str, mac: u64, family: u8) -> Pushed {
        Pushed {
            kind: event::CLAIM,
            source: raw(address.parse().unwrap()),
            hash: mac,
            count: family,
            ..Pushed::default()
        }
    }

    #[test]
    fn a_claim_is_read_in_both_families() {
        for (address, family) in [("10.99.0.100", 4), ("fe80::100", 6)] {
            let event = claim(address, 0x0299_0000_0066, family);
            let expected = Claim {
                address: address.parse::<IpAddr>().unwrap(),
                mac: [0x02, 0x99, 0, 0, 0, 0x66],
            };
            assert_eq!(claim_of(&event), Some(expected));
        }
    }

    #[test]
    fn what_is_no_claim_is_none() {
        for event in [
            claim("10.99.0.100", 0x0299_0000_0066, 0),
            claim("10.99.0.100", 0x0299_0000_0066, 5),
            claim("10.99.0.100", 0x0001_0299_0000_0066, 4),
            claim("0.0.0.0", 0x0299_0000_0066, 4),
        ] {
            assert_eq!(claim_of(&event), None, "{event:?}");
        }
    }
}
