//! What a router is told.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use ha_common::election::{Advert, Claim, FaultCause};
use ha_common::layout::Slot;
use ha_common::units::{Instant, Nanos};

use super::health::Health;
use super::membership::Membership;
use super::sending::{Outlet, SendingNews};
use super::tracked::ObservedLinks;
use crate::config::model::Instance as Config;

/// Something that happened. Of a slot it carries what was read for it.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The own interface is like this, and adverts leave by that. What is bound to it is bound already.
    Interface(InterfaceState, Option<Outlet>),
    /// The interfaces that are tracked are like this. What follows is decided with [`Event::Interface`], which comes
    /// next.
    Links(&'a ObservedLinks),
    /// The interface was lost by being renamed to this; `None`: it has its name, or is gone.
    Renamed(Option<String>),
    /// Sockets and slot are there.
    Bound(Binding, Option<&'a Slot>),
    /// They are gone with the interface.
    Unbound,
    /// They could not be had, for this reason.
    BindFailed(String),
    /// The program that adverts are to be received by is being attached.
    AwaitsProgram,
    /// A check has its first result, or another one.
    Check {
        name: &'a str,
        /// What it found.
        health: Health,
    },
    /// The detector passed an advert on.
    Advert {
        /// What it says.
        advert: Advert,
        /// How many addresses it lists, if these are not those that are configured here.
        other_list: Option<u8>,
        /// Whether the slot followed another master when it took the advert in.
        is_overheard: bool,
    },
    /// A neighbour was told that an address of ours is elsewhere.
    Claimed(Claim, &'a Slot),
    /// The detector's deadline passed, it says.
    Expired {
        /// The deadline.
        deadline: Instant,
        /// The slot, read since.
        slot: &'a Slot,
    },
    /// The answer to [`Effect::Promote`](super::Effect::Promote): true unless an advert was heard in between.
    Promoted(bool),
    /// The slot, read because it was time to.
    Slot(&'a Slot),
    /// Something else has written these parts of what the slot goes by; `slot`: the slot itself, which is as it was
    /// found, where everything else is put right.
    Overwritten {
        parts: Vec<&'static str>,
        slot: bool,
    },
    /// What the slot needs beside it is as it was written.
    AsWritten,
    /// The sender stopped by itself.
    SenderStopped {
        /// Since when nothing has been sent.
        since: Instant,
        /// The slot, read since.
        slot: Option<&'a Slot>,
    },
    /// The machine may have stood still for so long, and no deadline shows it.
    StoodStill(Nanos),
    /// Adverts do not leave, or leave again.
    Sending(SendingNews),
    /// The addresses are on the interface.
    AddressesHeld,
    /// They could not be put there, for this reason.
    AddressesRefused(String),
    /// Something took addresses away, and they are back; or neighbours may have noticed something else.
    AddressesRestored,
    /// Of this portion of the addresses so many were announced.
    Announced {
        /// As [`Effect::Announce`](super::Effect::Announce) asked for it.
        portion: Range<usize>,
        /// How many left, from the first on.
        sent: usize,
        /// Whether the interface's queue had no room for the rest.
        full: bool,
    },
    /// A reload changed the configuration of this router.
    Configure {
        /// The new one.
        config: Arc<Config>,
        /// What is known of the checks.
        checks: &'a [(String, Health)],
        /// What is known of the interfaces.
        links: &'a ObservedLinks,
        /// The failures' names, by number.
        names: Arc<[String]>,
    },
    /// It is a member of this group from now on, or of none.
    Membership(Option<Membership>),
    /// Something beside all this keeps it out, such as maintenance, or nothing any more.
    KeptOut(Option<FaultCause>),
    /// The agent leaves, or the router is configured no more.
    Shutdown,
}

/// The state of the own interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InterfaceState {
    /// There is none of that name.
    #[default]
    Gone,
    /// Switched off.
    Down,
    /// Switched on and without carrier, or of no use for another reason.
    NoCarrier,
    /// It works, but has no address of the family.
    NoAddress,
    /// It works, but has not the address that adverts are to leave from.
    NoSource,
    /// It works.
    Up,
}

impl InterfaceState {
    /// Whether all that it lacks is the address that adverts leave from.
    pub(super) const fn lacks_address(self) -> bool {
        matches!(self, Self::NoAddress | Self::NoSource)
    }
}

/// What a router is bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Binding {
    /// Where adverts leave from.
    pub source: IpAddr,
    /// The kernel's timer keeps the deadline.
    pub kernel_timer: bool,
    /// The slot's priority, from before it was configured anew.
    pub earlier_priority: u8,
    /// The addresses of a master of an earlier life are in place, and so is what else it needs.
    pub in_place: bool,
    /// When an agent last showed that it lives.
    pub turned_at: Instant,
}
