//! Another host says by ARP or neighbour discovery that an address of ours is at its MAC.

use std::sync::Arc;

use ha_common::address::known_ip;
use ha_common::election::{Claim, Input, Role};
use ha_common::layout::{Event, Slot};
use ha_common::units::{Family, Instant};

use super::{Edges, Instance};
use crate::config::virtual_address::VirtualAddress;
use crate::driver::report::Report;
use crate::driver::words;

impl Instance {
    /// The kernel half saw a claim. A master has it counted, named once in the log, and answered as often as
    /// the election finds right; anybody else has no say in it. True if it was taken in.
    pub(crate) fn claimed(&mut self, event: &Event, edges: &mut Edges<'_>, now: Instant) -> bool {
        let Some(claim) = claim_of(event).filter(|_| self.role() == Role::Master) else {
            return false;
        };
        // A reload may have dropped it after the frame came.
        let is_it = |held: &VirtualAddress| held.addr() == claim.address;
        if !self.config.held().any(is_it) {
            return false;
        }
        // Whoever claims it may be master by right, by an advert that the event limit held back.
        self.look(edges, now);
        if self.role() != Role::Master {
            return true;
        }
        self.last_claim = Some(claim);
        self.claims_told = self.claims_told.saturating_add(1);
        if self.claims.hear(claim, now) {
            edges.reporter.say(Report::Warning {
                instance: Arc::clone(&self.name),
                what: words::of_claim(&claim),
            });
        }
        self.feed(now, Input::Claimed(claim), edges);
        true
    }

    /// The kernel half counts every claim and tells of few: of what it held back the last may have misled the
    /// neighbours, and is answered like the last that was told.
    pub(super) fn answer_untold_claims(
        &mut self,
        slot: &Slot,
        edges: &mut Edges<'_>,
        now: Instant,
    ) {
        let before = self
            .claims_counted
            .replace(slot.claims)
            .unwrap_or(slot.claims);
        let told = std::mem::take(&mut self.claims_told);
        let untold = slot.claims.saturating_sub(before) > told;
        if let (true, Role::Master, Some(claim)) = (untold, self.role(), self.last_claim) {
            self.feed(now, Input::Claimed(claim), edges);
        }
    }
}

/// What such an event says; `None` if it says no address or more than a MAC.
fn claim_of(event: &Event) -> Option<Claim> {
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

    fn claim(address: &str, mac: u64, family: u8) -> Event {
        Event {
            kind: event::CLAIM,
            source: raw(address.parse().unwrap()),
            hash: mac,
            count: family,
            ..Event::default()
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
