//! What the election is told: one value for everything that may change a decision.

use core::net::IpAddr;

use crate::units::{Instant, Priority};

use super::advert::Advert;
use super::rules::Params;

/// One event, fed to [`Election::handle`](super::Election::handle).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Input {
    /// The instance may take part: the interface is up, has an address, and no check faults it.
    Ready,
    /// The instance may not take part. Fed again with another cause while it lasts.
    Fault(FaultCause),
    /// A valid advert that the detector did not settle by itself, or one read from the slot when
    /// events were lost.
    Advert(Advert),
    /// The master-down timer fired and the slot, asked again, has heard no master since.
    MasterDown {
        /// When the slot last heard the master it follows; `None` if it never did.
        last_heard: Option<Instant>,
    },
    /// The deadline of [`Election::next_deadline`](super::Election::next_deadline) may have passed.
    Tick,
    /// The effective priority, after weights.
    Priority(Priority),
    /// The interface's primary address, the source of our adverts, is now this one.
    OwnAddress(IpAddr),
    /// A reload changed the parameters.
    Configure(Params),
    /// The agent came back after a crash: the slot says master, the addresses are in place, and the
    /// kernel has heard nobody since who should have them. Only as the first input.
    Resume,
    /// We woke late as master, and this advert, read from the slot before anything was sent, shows
    /// that somebody else has been master meanwhile.
    TakenOver(Advert),
    /// The sender stopped by itself: its lease lapsed while we hung, or it overslept and will not
    /// send before we have looked at the slot. Fed after [`Input::TakenOver`] if both apply.
    SenderStopped,
    /// The detector counted adverts that it did not push: the ring was full, or there were too many
    /// at once. What the slot still shows of them is fed as [`Input::Advert`] first.
    EventsLost,
    /// Another host said by ARP or neighbour discovery that one of the addresses is at its MAC.
    Claimed(Claim),
    /// The sync group takes over, and this is the member whose timer ran out last.
    GroupLeads,
    /// The sync group takes over because of this other member.
    GroupJoins(MemberId),
    /// The sync group cannot be master any more because of another member.
    GroupLeaves(Departure),
    /// The timer ran out, and the sync group cannot be master yet.
    GroupWaits,
    /// The agent stops, or the instance is removed.
    Shutdown,
}

/// What another host says of one of our addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Claim {
    /// The virtual address.
    pub address: IpAddr,
    /// Where it is, by the other host's word.
    pub mac: [u8; 6],
}

/// A check, as the driver numbers them: the election carries the number into reports, where
/// [`Cause::with_names`](super::Cause::with_names) makes a name of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct CheckId(pub u16);

/// A member of a sync group, numbered from 0 in the group's order: the election carries the number into
/// reports, where [`Cause::with_names`](super::Cause::with_names) makes a name of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct MemberId(pub u16);

/// Why and how a sync group gives its mastership up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Departure {
    /// The first member that cannot be master.
    pub by: MemberId,
    /// How long the group stays out at the least: one master-down interval, and so many 255ths of one more.
    pub stagger: u8,
}

/// Why an instance may not take part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum FaultCause {
    /// A tracked check without weight failed.
    Check(CheckId),
    /// Something else that is tracked without weight failed; the driver numbers what there is to say of
    /// it behind the checks.
    Tracked(CheckId),
    /// The interface is down or has no carrier.
    InterfaceDown,
    /// There is no such interface, or no longer.
    InterfaceGone,
    /// The interface has no address of the family to send from.
    NoOwnAddress,
    /// The interface has not the address that is configured to send from.
    SourceMissing,
    /// The virtual addresses could not be added.
    AddressesRefused,
    /// Adverts could not be sent.
    CannotSend,
    /// An operator asked for it.
    Maintenance,
    /// Another member of its sync group may not.
    Member(MemberId),
}

impl FaultCause {
    /// True if the link itself was away: bridges and bonds do not forward for a while after it
    /// is back, so the start hold is due again.
    pub const fn is_link_loss(self) -> bool {
        match self {
            Self::InterfaceDown | Self::InterfaceGone => true,
            Self::Check(_)
            | Self::Tracked(_)
            | Self::NoOwnAddress
            | Self::SourceMissing
            | Self::AddressesRefused
            | Self::CannotSend
            | Self::Maintenance
            | Self::Member(_) => false,
        }
    }
}
