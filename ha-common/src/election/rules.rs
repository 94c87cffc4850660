//! Who we are in the election, and how an advert ranks against us.

use core::net::IpAddr;

use crate::timing;
use crate::units::{Centiseconds, Nanos, Priority, Version};

use super::advert::Advert;

/// The parameters of one virtual router on this host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Params {
    /// What detector, sender and election go by.
    pub rules: Rules,
    /// How long to stay out after start and after the link came up; zero: not at all.
    pub start_hold: Nanos,
    /// How long a backup leaves a healthy master of lower priority alone after it became one; zero: not
    /// at all. Without [`Rules::preempt`] it says nothing.
    pub preempt_delay: Nanos,
    /// Whether it is a member of a sync group, which then says when its timer's running out makes it
    /// master.
    pub grouped: bool,
}

/// What the detector, the sender and the election must agree on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Rules {
    /// Protocol version.
    pub version: Version,
    /// Source of our adverts, which breaks ties.
    pub own_address: IpAddr,
    /// Effective priority, 1 to 255; 255 is the owner. The election never lets it be 0.
    pub priority: Priority,
    /// Own advertisement interval.
    pub interval: Centiseconds,
    /// Whether adverts of a lower priority leave the timer alone, so that we take over.
    pub preempt: bool,
    /// How many intervals without an advert make a master dead; the standards say 3.
    pub down_multiplier: u8,
}

/// How an advert ranks against our own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rank {
    /// Our own source address: a loop, or the address is on two hosts.
    Ourselves,
    /// Priority 0: the sender leaves.
    Release,
    /// A master that we must yield to.
    Better,
    /// A master that must yield to us.
    Worse,
}

impl Rules {
    /// Ranks by priority, then by source address as an unsigned number
    /// (RFC 9568 section 6.4.3 (yield), RFC 3768 section 6.4.3 (yield)). Two owners are ranked the
    /// same way, because that is what any other implementation does with our adverts: if the one
    /// with the higher address stepped down instead, both would.
    pub fn rank(&self, advert: &Advert) -> Rank {
        if advert.source == self.own_address {
            Rank::Ourselves
        } else if advert.priority.is_release() {
            Rank::Release
        } else if (advert.priority, advert.source) > (self.priority, self.own_address) {
            Rank::Better
        } else {
            Rank::Worse
        }
    }

    /// `Master_Down_Interval` while no master has been heard: by our own interval
    /// (RFC 9568 section 6.4.1 (listen), RFC 3768 section 6.4.1 (listen)).
    pub const fn initial_down(&self) -> Nanos {
        timing::master_down(
            self.version,
            self.priority,
            self.interval,
            self.down_multiplier,
        )
    }

    /// `Master_Down_Interval` after this advert. v3 learns the sender's interval
    /// (RFC 9568 sections 6.4.2 (learn), 6.4.3 (yield)); v2 has only the configured one
    /// (RFC 3768 section 6.1).
    pub const fn down_after(&self, advert: &Advert) -> Nanos {
        let interval = match self.version {
            Version::V2 => self.interval,
            // The parser rejects an interval of zero; a timer that fires at once must not come of one.
            Version::V3 if advert.interval.0 == 0 => self.interval,
            Version::V3 => advert.interval,
        };
        timing::master_down(self.version, self.priority, interval, self.down_multiplier)
    }

    /// The same rules with this effective priority. 0 is kept for leaving, so it becomes 1
    /// (RFC 9568 section 5.2.4 (backup), RFC 3768 section 5.3.4 (backup)).
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        let priority = if priority.is_release() {
            Priority(1)
        } else {
            priority
        };
        Self { priority, ..self }
    }
}
