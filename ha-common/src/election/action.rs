//! What the election wants done: values, run by the driver in the order given.

use core::net::IpAddr;

use crate::units::{Centiseconds, Nanos};

use super::advert::Advert;
use super::cause::Transition;
use super::rules::Rules;

/// One effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Action {
    /// Sender: begin periodic adverts with these rules, the first one at once.
    StartAdverts(Rules),
    /// Sender: these rules from the next advert on.
    UpdateAdverts(Rules),
    /// Sender: one advert at once, the next one an interval later.
    AdvertNow,
    /// Sender: stop, after this last advert.
    StopAdverts(LastAdvert),
    /// Put the virtual addresses on the interface.
    AddAddresses,
    /// The addresses of an earlier life are ours: verify them, put back what is missing.
    AdoptAddresses,
    /// Take the virtual addresses away.
    RemoveAddresses,
    /// Tell the segment where the addresses are: gratuitous ARP or unsolicited NA.
    Announce,
    /// Detector: take this part from now on, by these rules.
    Detect {
        /// The part.
        detector: Detector,
        /// The rules.
        rules: Rules,
    },
    /// Detector: same part, running timer untouched, new rules.
    UpdateDetector(Rules),
    /// The state changed.
    Report(Transition),
    /// Something is wrong or remarkable, and the state did not change for it.
    Notice(Notice),
}

/// How a master falls silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LastAdvert {
    /// Priority 0: the others need not wait for the timer.
    Release,
    /// Our own priority once more, to the better master that we yield to. It makes the winner of a
    /// healed partition announce the addresses again even if it had not heard of us: otherwise
    /// whoever learned them from us keeps sending to us.
    Own,
    /// None: we have been asleep, and others have been master since.
    None,
}

/// What the detector does with valid adverts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Detector {
    /// Count them; no timer.
    Idle,
    /// Hold the master-down timer: armed now, re-armed by each advert that counts.
    Backup {
        /// From now to the first expiry.
        arm_for: Nanos,
    },
    /// No timer; every advert is news.
    Master,
}

/// What is said once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
pub enum Notice {
    /// Another host claims to own the addresses (priority 255) as we do.
    TwoOwners {
        /// The other one.
        other: IpAddr,
    },
    /// An advert came from our own source address: a loop, or two hosts with one address. At
    /// equal priority nothing can break the tie.
    OwnAddressHeard(Advert),
    /// v3: the master's interval is not ours. It is learned, but the configurations differ.
    IntervalDiffers {
        /// The master.
        source: IpAddr,
        /// Its interval.
        theirs: Centiseconds,
        /// Our interval.
        ours: Centiseconds,
    },
    /// We carry on as the master that we were before a restart.
    Resumed,
    /// The sender had stopped by itself, for we hung or it overslept; it sends again.
    SendingAgain,
}

/// The actions of one turn, in order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Actions {
    items: [Option<Action>; Self::CAPACITY],
    len: usize,
}

impl Actions {
    /// The longest turn: yielding with a notice. A property test holds every turn to it.
    pub const CAPACITY: usize = 6;

    pub(super) fn push(&mut self, action: Action) {
        debug_assert!(self.len < Self::CAPACITY, "a turn has too many actions");
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = Some(action);
            self.len += 1;
        }
    }

    /// In the order in which they are to be run.
    pub fn iter(&self) -> impl Iterator<Item = Action> + '_ {
        self.items.iter().flatten().copied()
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(feature = "serde")]
mod values {
    use core::fmt;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{Serialize, Serializer};

    use super::Actions;

    /// A list.
    impl Serialize for Actions {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.iter())
        }
    }

    impl<'de> Deserialize<'de> for Actions {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(List)
        }
    }

    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Actions;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {} actions", Actions::CAPACITY)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Actions, A::Error> {
            let mut actions = Actions::default();
            while let Some(action) = list.next_element()? {
                if actions.len == Actions::CAPACITY {
                    return Err(A::Error::invalid_length(actions.len + 1, &self));
                }
                actions.push(action);
            }
            Ok(actions)
        }
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<Action>, { Self::CAPACITY }>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter().flatten()
    }
}
