//! Notices in words, for the log and for `status`.

use std::fmt;
use std::net::IpAddr;

use ha_common::election::{Claim, Notice};

/// A notice of the election.
pub fn of_notice(notice: &Notice) -> String {
    match notice {
        Notice::TwoOwners { other } => format!(
            "{other} claims to own the addresses (priority 255) as we do: only one host may"
        ),
        Notice::OwnAddressHeard(advert) => format!(
            "an advert came from our own address {}: a loop in the network, or the address is on two hosts",
            advert.source
        ),
        Notice::IntervalDiffers {
            source,
            theirs,
            ours,
        } => format!(
            "{source} advertises every {} ms, we are configured for {} ms: its interval is used",
            u32::from(theirs.0) * 10,
            u32::from(ours.0) * 10
        ),
        Notice::Resumed => "carries on as the master that it was before the restart".to_owned(),
        Notice::SendingAgain => {
            "the agent was stalled and had stopped its adverts; it sends again".to_owned()
        }
    }
}

/// Another host says that it has an address which we hold as master.
pub fn of_claim(claim: &Claim) -> String {
    format!(
        "{} claims {}, which this host holds as master: take the address off that host, or if it is a second \
         master, find out why it hears no adverts of ours; it is answered by announcements",
        Mac(claim.mac),
        claim.address,
    )
}

/// A difference of address lists.
pub fn of_list(source: IpAddr, theirs: u8, ours: usize) -> String {
    format!(
        "{source} lists other virtual addresses ({theirs}) than are configured here ({ours}): make the configurations equal"
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
