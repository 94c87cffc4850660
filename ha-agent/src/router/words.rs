//! Notices in words, for the log and for `status`.

use std::fmt;
use std::net::IpAddr;

use ha_common::election::{Advert, Claim, Notice};
use ha_common::hmac::stamp::InSeconds;
use ha_common::units::{Nanos, Priority};

/// Addresses of a list that a sentence names.
const MOST_NAMED: usize = 8;

/// A notice of the election.
pub fn of_notice(notice: &Notice) -> String {
    match notice {
        Notice::TwoOwners { other } => format!(
            "{other} also claims to own the addresses (priority 255): only one host may own them"
        ),
        Notice::OwnAddressHeard(advert) => format!(
            "received an advert from our own address {}: the network has a loop, or two hosts have the address",
            advert.source
        ),
        Notice::IntervalDiffers {
            source,
            theirs,
            ours,
        } => format!(
            "{source} advertises every {} ms, this host is configured for {} ms: the received interval is used",
            u32::from(theirs.0) * 10,
            u32::from(ours.0) * 10
        ),
        Notice::Resumed => "resumed as master after the restart".to_owned(),
        Notice::SendingAgain => {
            "the agent had stalled and stopped its adverts; it sends again".to_owned()
        }
    }
}

/// Another host says that it has an address which we hold as master.
pub fn of_claim(claim: &Claim) -> String {
    format!(
        "{} claims {}, which this host holds as master: remove the address from that host, or if it is a second \
         master, find out why it receives no adverts from this host; this host announces the address again",
        Mac(claim.mac),
        claim.address,
    )
}

/// The clock of another router is ahead of ours by so many units of stamps, or behind.
pub fn of_clock(source: IpAddr, ahead: i64, enforced: bool) -> String {
    let off = InSeconds(ahead.unsigned_abs());
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let effect = if enforced {
        "its signed adverts are rejected unless they follow earlier ones"
    } else {
        "with mode = \"enforce\" its signed adverts would be rejected unless they follow earlier ones"
    };
    format!("the clock of {source} is {off} {way} ours: {effect}; synchronize both clocks")
}

/// A difference of address lists.
pub fn of_list(source: IpAddr, theirs: u8, ours: usize) -> String {
    format!(
        "{source} advertises a different list of virtual addresses ({theirs}) than this host is configured for \
         ({ours}): use the same list on all hosts"
    )
}

/// Which addresses two lists do not share, as far as there is room for them in a sentence.
pub fn of_list_members(source: IpAddr, theirs_alone: &[IpAddr], ours_alone: &[IpAddr]) -> String {
    let of = |who: &str, addresses: &[IpAddr]| {
        let shown: Vec<String> = addresses
            .iter()
            .take(MOST_NAMED)
            .map(IpAddr::to_string)
            .collect();
        let more = match addresses.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!shown.is_empty()).then(|| format!("only {who} has {}{more}", shown.join(", ")))
    };
    let parts = [
        of(&source.to_string(), theirs_alone),
        of("this host", ours_alone),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return format!("{source} lists the same addresses, one of them more than once");
    }
    parts.join("; ")
}

/// This agent stood still while it was master.
pub fn of_stall(span: Nanos) -> String {
    format!(
        "this agent stalled: no advert was sent for {:.1} s; no other host has taken over, and it sends again",
        span.to_duration().as_secs_f64()
    )
}

/// An earlier agent ended as master, and this one does not carry on: another host has taken over, or what a master has
/// is not all there.
pub fn of_no_resume(other: Option<Advert>) -> String {
    let why = match other {
        Some(Advert {
            source, priority, ..
        }) => format!("{source} with priority {priority} was heard as master since"),
        None => "its addresses, or the device that holds them, are not all there".to_owned(),
    };
    format!("an earlier agent was master when it ended; this one does not resume: {why}")
}

/// Another host is master as well.
pub fn of_second_master(source: IpAddr, priority: Priority) -> String {
    format!(
        "{source} is master as well, with priority {priority}: it receives no adverts from this host, or rejects them; \
         check the firewall and `ha-agent status` on that host"
    )
}

/// Of two masters this host follows the other one.
pub fn of_overheard_master(source: IpAddr, priority: Priority) -> String {
    format!(
        "{source} advertises beside the master, with priority {priority}: it receives no adverts from it, or rejects \
         them; check the firewall and `ha-agent status` on that host"
    )
}

/// Something else has written into the kernel's maps.
pub fn of_overwritten(parts: &[&str]) -> String {
    format!(
        "something else changed the virtual router in the BPF maps ({}); it was written again",
        parts.join(", ")
    )
}

/// Written with colons.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A virtual address that was on the interface when a master was to add it.
pub fn of_existing(address: IpAddr) -> String {
    format!(
        "{address} already existed on the interface; it is left alone and will remain when this host is not master: \
         remove it from the host's network configuration"
    )
}

/// A virtual address that is on the interface of a host that is not master.
pub fn of_foreign(address: IpAddr) -> String {
    format!(
        "{address} is on the interface although this host is not master, and the agent has not put it there: two hosts \
         may answer for it; remove it from the host's network configuration"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(last: std::ops::RangeInclusive<u8>) -> Vec<IpAddr> {
        last.map(|last| IpAddr::from([10, 99, 0, last])).collect()
    }

    #[test]
    fn of_two_lists_it_is_said_which_addresses_they_do_not_share() {
        let source = IpAddr::from([10, 99, 0, 1]);
        let none = Vec::new;
        for (there, here, expected) in [
            (
                addresses(100..=100),
                addresses(101..=102),
                "only 10.99.0.1 has 10.99.0.100; only this host has 10.99.0.101, 10.99.0.102",
            ),
            (
                addresses(100..=100),
                none(),
                "only 10.99.0.1 has 10.99.0.100",
            ),
            (
                none(),
                addresses(1..=9),
                "only this host has 10.99.0.1, 10.99.0.2, 10.99.0.3, 10.99.0.4, 10.99.0.5, 10.99.0.6, \
              10.99.0.7, 10.99.0.8 and 1 more",
            ),
        ] {
            assert_eq!(of_list_members(source, &there, &here), expected);
        }
        assert!(of_list_members(source, &[], &[]).contains("more than once"));
    }
}
