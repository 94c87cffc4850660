//! Sync groups: virtual routers that are master together or not at all.
//!
//! It owns what a group makes of its members, as pure functions: members in, inputs for the members out.
//! Each member keeps its own election and its own detector. In a turn, whoever runs them
//!
//! 1. gathers what each member brings ([`MemberReport`]) into a [`GroupInput`] and feeds each what it is lent of it:
//!    the fitness of the worst and the priority of the lowest member;
//! 2. looks at where each member stands ([`MemberState`]), lets [`settle`] decide, and feeds each member
//!    [`Verdict::input`].
//!
//! So a group has one fitness and one priority, and two hosts rank the same way on every segment. That is
//! what keeps two groups from beating each other crosswise: a weight on one member would otherwise make
//! each host the better one somewhere.

use crate::election::{Departure, FaultCause, Input, MemberId};
use crate::units::{Instant, Priority};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// Whether an instance may take part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fitness {
    /// Not yet known: first results are awaited.
    Waiting,
    /// It may.
    Ready,
    /// It may not.
    Unfit(FaultCause),
}

/// What a member brings along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemberReport {
    /// Whether it may take part by itself.
    pub fitness: Fitness,
    /// Its own effective priority.
    pub priority: Priority,
}

/// What a member goes by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupView {
    /// Whether it may take part.
    pub fitness: Fitness,
    /// The priority that it advertises.
    pub priority: Priority,
    /// The other member that the fitness is due to, if it is not its own.
    pub held_by: Option<MemberId>,
    /// The other member that the priority is due to, if it is not its own.
    pub capped_by: Option<MemberId>,
}

/// What the members bring, taken together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GroupInput {
    unfit: Option<MemberId>,
    waiting: Option<MemberId>,
    lowest: Option<(Priority, MemberId)>,
}

impl GroupInput {
    /// Of these members, in the group's order; those after the 65536th are left out.
    pub fn of(members: impl IntoIterator<Item = MemberReport>) -> Self {
        let mut pool = Self::default();
        for (index, own) in (0..=u16::MAX).zip(members) {
            let me = MemberId(index);
            match own.fitness {
                Fitness::Unfit(_) => pool.unfit = pool.unfit.or(Some(me)),
                Fitness::Waiting => pool.waiting = pool.waiting.or(Some(me)),
                Fitness::Ready => {}
            }
            if pool.lowest.is_none_or(|(lowest, _)| own.priority < lowest) {
                pool.lowest = Some((own.priority, me));
            }
        }
        pool
    }

    /// What a member that brings this goes by.
    pub fn lend(&self, own: MemberReport) -> GroupView {
        let (fitness, held_by) = match (own.fitness, self.unfit, self.waiting) {
            (Fitness::Unfit(cause), _, _) => (Fitness::Unfit(cause), None),
            (Fitness::Ready | Fitness::Waiting, Some(member), _) => {
                (Fitness::Unfit(FaultCause::Member(member)), Some(member))
            }
            (Fitness::Waiting, None, _) => (Fitness::Waiting, None),
            (Fitness::Ready, None, Some(member)) => (Fitness::Waiting, Some(member)),
            (Fitness::Ready, None, None) => (Fitness::Ready, None),
        };
        let (priority, capped_by) = match self.lowest {
            Some((lowest, member)) if lowest < own.priority => (lowest, Some(member)),
            Some(_) | None => (own.priority, None),
        };
        GroupView {
            fitness,
            priority,
            held_by,
            capped_by,
        }
    }
}

/// Where a member stands, as far as its group is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemberState {
    /// It cannot be master: it is faulty, or has left.
    Out,
    /// It does not know yet: not ready, in the start hold, or a backup that has heard nobody so far.
    Joining,
    /// Backup of a master that it must leave alone.
    Listening,
    /// Backup of a master that ranks below it and that it may replace: it can be master at once.
    Free,
    /// Backup, and its timer has run out: it would be master, were it alone.
    Expired {
        /// Since when.
        since: Instant,
        /// Its timer runs again already.
        waits: bool,
    },
    /// Master.
    Master,
}

/// What a group does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Stay,
    /// All of it is master from now on.
    Lead {
        /// The member whose timer made it so, or that is master already.
        by: MemberId,
    },
    /// None of it is master from now on.
    Leave(Departure),
    /// It cannot be master yet, although a timer has run out.
    Wait {
        /// The first member that cannot be.
        by: MemberId,
    },
}

/// Decides about members that stand like this, in the group's order.
///
/// A group takes over when every member can: nobody takes a place on one segment that he could not hold on
/// another. So it does when the last of its masters is gone, all members in one turn. It goes on without a
/// member that is new to it, until that has found out whether it can be master.
pub fn settle(members: impl Iterator<Item = MemberState> + Clone) -> Verdict {
    let numbered = || (0..=u16::MAX).map(MemberId).zip(members.clone());
    let leader = numbered().find(|(_, standing)| *standing == MemberState::Master);
    let held = numbered().find(|(_, standing)| match standing {
        MemberState::Out | MemberState::Listening => true,
        MemberState::Joining => leader.is_none(),
        MemberState::Free | MemberState::Expired { .. } | MemberState::Master => false,
    });
    let follows = |standing: MemberState| match standing {
        MemberState::Free | MemberState::Expired { .. } => true,
        MemberState::Out | MemberState::Joining | MemberState::Listening | MemberState::Master => {
            false
        }
    };
    let latest = numbered()
        .filter_map(|(member, standing)| Some((standing.expired_since()?, member)))
        .max();
    match (leader, held, latest) {
        (Some(_), Some((by, _)), _) => {
            let stagger = stagger(by, members.count());
            Verdict::Leave(Departure { by, stagger })
        }
        (Some((by, _)), None, _) if members.clone().any(follows) => Verdict::Lead { by },
        (None, None, Some((_, by))) => Verdict::Lead { by },
        (None, Some((by, _)), Some(_)) => Verdict::Wait { by },
        (Some(_), None, _) | (None, None | Some(_), None) => Verdict::Stay,
    }
}

impl MemberState {
    const fn expired_since(self) -> Option<Instant> {
        match self {
            Self::Expired { since, .. } => Some(since),
            Self::Out | Self::Joining | Self::Listening | Self::Free | Self::Master => None,
        }
    }
}

/// How long a group that leaves because of this member stays out, from 0 for the first member to 255 for
/// the last.
///
/// At equal priority the addresses decide, and they may rank two hosts one way on one segment and the other
/// way on the next. Both groups then leave at once, and neither because of the same member: whoever left
/// because of the earlier one comes back first, and the other one finds it there.
fn stagger(by: MemberId, members: usize) -> u8 {
    let last = members.saturating_sub(1).max(1);
    let share = usize::from(by.0).min(last) * usize::from(u8::MAX) / last;
    u8::try_from(share).unwrap_or(u8::MAX)
}

impl Verdict {
    /// What the member that stands like this is told, if anything.
    pub fn input(self, me: MemberId, standing: MemberState) -> Option<Input> {
        match (self, standing) {
            (Self::Lead { by }, MemberState::Expired { .. }) if by == me => Some(Input::GroupLeads),
            (Self::Lead { by }, MemberState::Free | MemberState::Expired { .. }) => {
                Some(Input::GroupJoins(by))
            }
            (Self::Leave(departure), MemberState::Master) => Some(Input::GroupLeaves(departure)),
            (Self::Wait { .. }, MemberState::Expired { waits: false, .. }) => {
                Some(Input::GroupWaits)
            }
            (
                Self::Stay | Self::Lead { .. } | Self::Leave(_) | Self::Wait { .. },
                MemberState::Out
                | MemberState::Joining
                | MemberState::Listening
                | MemberState::Free
                | MemberState::Expired { .. }
                | MemberState::Master,
            ) => None,
        }
    }
}
