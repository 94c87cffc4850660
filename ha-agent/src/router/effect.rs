//! What a router wants done.

use std::collections::VecDeque;
use std::ops::Range;

use ha_common::election::{Actions, Detector, Input, LastAdvert, Rules, Transition};
use ha_common::units::Instant;

use super::notice::Notice;
use super::wanted::Wanted;

/// One effect. They are carried out in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Begin periodic adverts, the first one at once.
    StartAdverts {
        /// By these rules.
        rules: Rules,
        /// The deadline that led to it, from which its lateness counts.
        deadline: Option<Instant>,
    },
    /// These rules from the next advert on.
    UpdateAdverts(Rules),
    /// One advert at once, the next one an interval later.
    AdvertNow,
    /// Stop, after this last advert.
    StopAdverts(LastAdvert),
    /// What is wanted on the host is this from now on. `Everything` is answered by `AddressesHeld` or
    /// `AddressesRefused`.
    Want(Wanted),
    /// Announce these of the addresses, by their number; answered by `Announced`.
    Announce(Range<usize>),
    /// The slot plays this part from now on.
    Detect {
        part: Detector,
        /// By these rules.
        rules: Rules,
    },
    /// New rules for the part that the slot plays.
    UpdateDetector(Rules),
    /// Make the slot a master's, unless something was heard after `last_heard`; answered by `Promoted`.
    Promote {
        /// By these rules.
        rules: Rules,
        /// When the slot had last heard the master, in its own terms.
        last_heard: u64,
    },
    /// Read the slot; answered by `Slot`, if there is one.
    ReadSlot,
    /// Tell people that the state has changed, in the words of [`Router::describe`](super::Router::describe): they are
    /// made when it is this effect's turn, since the first advert does not wait for them.
    Report(Transition),
    /// Tell people.
    Say(Notice),
}

/// What came of an event.
#[derive(Debug, Default)]
pub struct Effects {
    effects: VecDeque<Effect>,
    fed: Vec<Fed>,
}

/// What an election was told, and what it wanted done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fed {
    pub at: Instant,
    pub input: Input,
    /// What it wanted.
    pub actions: Actions,
}

impl Effects {
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn say(&mut self, notice: Notice) {
        self.push(Effect::Say(notice));
    }

    pub(super) fn fed(&mut self, at: Instant, input: Input, actions: &Actions) {
        self.fed.push(Fed {
            at,
            input,
            actions: *actions,
        });
    }

    /// Takes on what is left of these, to be carried out after its own.
    pub fn append(&mut self, later: &mut Self) {
        self.effects.append(&mut later.effects);
        self.fed.append(&mut later.fed);
    }

    /// What the election was told, for a recording.
    pub fn take_fed(&mut self) -> impl Iterator<Item = Fed> + '_ {
        self.fed.drain(..)
    }
}

impl Iterator for Effects {
    type Item = Effect;

    fn next(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
}
