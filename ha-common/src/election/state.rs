//! The states, each with the data that it needs and no other has.

use core::net::IpAddr;

use crate::units::{Centiseconds, Instant, Priority};

use super::advert::Advert;
use super::cause::{Cause, Role};
use super::input::FaultCause;
use super::rules::Rules;

/// Where a virtual router stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not yet ready: the interface or the first results of the checks are awaited.
    Initialize,
    /// Ready, staying out for the start hold.
    Hold {
        /// When it ends.
        until: Instant,
    },
    /// Listening.
    Backup(Listening),
    /// Holding the addresses and advertising.
    Master,
    /// Not fit to take part.
    Fault {
        /// The latest cause.
        cause: FaultCause,
    },
    /// Left for good: nothing leads out of here.
    Stopped,
}

impl State {
    /// The state without its data.
    pub const fn role(&self) -> Role {
        match self {
            Self::Initialize => Role::Initialize,
            Self::Hold { .. } => Role::Hold,
            Self::Backup(_) => Role::Backup,
            Self::Master => Role::Master,
            Self::Fault { .. } => Role::Fault,
            Self::Stopped => Role::Stopped,
        }
    }
}

/// Where the start hold stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum StartHold {
    /// The link has yet to come up, at the start or after it was lost.
    #[default]
    Due,
    /// The link is there since then, and the hold is not over.
    Since(Instant),
    /// Over, or not due: a master that carries on has had its link all along.
    Over,
}

impl StartHold {
    /// The router was told that it is ready, or cannot be for another reason than its link.
    pub(super) fn see_link(&mut self, now: Instant) {
        if *self == Self::Due {
            *self = Self::Since(now);
        }
    }

    /// The router was told of this fault.
    pub(super) fn see_fault(&mut self, now: Instant, cause: FaultCause) {
        if cause.is_link_loss() {
            *self = Self::Due;
        } else {
            self.see_link(now);
        }
    }
}

/// What a backup knows of the others.
///
/// The detector settles unchanged adverts by itself, so this is the picture as of the last change.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Listening {
    /// The master last heard.
    pub master: Option<Following>,
    /// The last priority 0: from whom, and when.
    pub released: Option<(IpAddr, Instant)>,
    /// While the preempt delay runs: when it ends.
    pub preempt_at: Option<Instant>,
    /// In a sync group: the timer ran out, and the group has not taken over.
    pub expired: Option<Expiry>,
    /// In a sync group that has just left: before this it does not take over.
    pub not_before: Option<Instant>,
}

/// A timer that ran out without making a master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// When it last did: whoever was heard since has armed it again.
    pub at: Instant,
    /// Why it did: the cause of the take-over to come.
    pub cause: Cause,
    /// Whether the timer runs again.
    pub waits: bool,
}

/// A master as a backup sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Following {
    /// Source of its adverts.
    pub source: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// The highest priority that it has had for as long as we follow it.
    pub best: Priority,
    /// Its interval.
    pub interval: Centiseconds,
}

impl Listening {
    /// Following the sender of this advert from now on.
    pub(super) const fn to(advert: &Advert) -> Self {
        Self {
            master: Some(Following {
                source: advert.source,
                priority: advert.priority,
                best: advert.priority,
                interval: advert.interval,
            }),
            released: None,
            preempt_at: None,
            expired: None,
            not_before: None,
        }
    }

    /// Takes in an advert of a priority other than 0.
    #[must_use]
    pub(super) fn heard(self, advert: &Advert) -> Self {
        let mut next = Self {
            preempt_at: self.preempt_at,
            not_before: self.not_before,
            ..Self::to(advert)
        };
        if let (Some(before), Some(now)) = (self.master, &mut next.master)
            && before.source == now.source
        {
            now.best = before.best.max(now.priority);
        }
        next
    }

    /// Whether the detector is to leave the timer alone for adverts of a lower priority.
    ///
    /// An owner always is (RFC 9568 section 6.1 (owner-preempts),
    /// RFC 3768 section 6.1 (owner-preempts)). `nopreempt` says that we do not
    /// take a healthy master's place, and a running preempt delay that we do not yet; one whose own
    /// weights have dropped it below us is not healthy, and then neither must block the fail-over.
    pub(super) fn preempts(&self, rules: &Rules) -> bool {
        (rules.preempt && self.preempt_at.is_none())
            || rules.priority.is_owner()
            || self
                .master
                .is_some_and(|m| m.priority < m.best && m.priority < rules.priority)
    }

    /// Whether the detector left its timer alone for this advert.
    pub(super) fn is_preempted(&self, advert: &Advert, rules: &Rules) -> bool {
        self.preempts(rules) && advert.priority < rules.priority
    }

    /// Why the master-down timer fired.
    pub(super) fn cause_of_expiry(
        &self,
        now: Instant,
        since: Instant,
        last_heard: Option<Instant>,
        rules: &Rules,
    ) -> Cause {
        if let Some((by, at)) = self.released
            && last_heard.is_none_or(|heard| heard <= at)
        {
            return Cause::Released { by };
        }
        let silence = now.since(last_heard.unwrap_or(since));
        let is_alive = |master: &Following| {
            silence.0 <= u64::from(rules.down_multiplier) * master.interval.nanos().0
        };
        if let Some(master) = self.master.filter(is_alive)
            && self.preempts(rules)
            && master.priority < rules.priority
        {
            return Cause::Outranks {
                other: master.source,
                priority: master.priority,
            };
        }
        Cause::NoAdvert { silence }
    }
}
