//! Keeps the members of each sync group in step: [`ha_common::group`] decides, this gathers and feeds.
//!
//! It runs after whatever may have moved a member, in the same turn of the driver, so that a group never
//! goes to sleep half master.

use std::sync::Arc;

use ha_common::election::{Cause, MemberId};
use ha_common::group::{self, Fitness, Lent, Pool, Standing, Verdict};
use ha_common::units::Instant;

use super::instance::Instance;
use super::{Driver, edges};
use crate::config::model::Group as GroupConfig;

/// A group's members, as indices into the driver's instances, in the group's order.
#[derive(Debug)]
pub(super) struct Group {
    members: Vec<usize>,
}

/// A member's place in its group, as its instance keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The group's name.
    pub(crate) group: Arc<str>,
    /// The members' names, in the group's order.
    pub(crate) members: Arc<[String]>,
    /// What the member goes by; `None` until the group has met.
    pub(crate) lent: Option<Lent>,
    /// The member that keeps the group from taking over, although another one hears no master.
    pub(crate) waits_for: Option<MemberId>,
}

impl Seat {
    /// For [`ha_common::election::Named::in_group`].
    pub(crate) fn names(&self) -> (&str, &[String]) {
        (&self.group, &self.members)
    }

    /// A member's name.
    pub(crate) fn name(&self, MemberId(member): MemberId) -> Option<&str> {
        self.members.get(usize::from(member)).map(String::as_str)
    }

    /// Why another member keeps this one from taking part, if it does.
    pub(crate) fn obstacle(&self) -> Option<String> {
        let lent = self.lent?;
        let by = lent.held_by?;
        match lent.fitness {
            Fitness::Unfit(cause) => {
                let cause = Cause::Fault(cause);
                let words = cause.with_names::<String>(&[]).in_group(Some(self.names()));
                Some(words.to_string())
            }
            Fitness::Waiting => {
                let name = self.name(by)?;
                Some(format!("waiting for member {name} of group {}", self.group))
            }
            Fitness::Ready => None,
        }
    }
}

impl Driver {
    /// Gives each instance its seat, or takes it away, as the configuration says.
    pub(super) fn assign_seats(&mut self, now: Instant) {
        let config = Arc::clone(&self.config);
        let mut seats: Vec<Option<Seat>> = self.instances.iter().map(|_| None).collect();
        self.groups.clear();
        for group in &config.groups {
            let members = members_of(group, &self.instances);
            let names: Vec<String> = members
                .iter()
                .filter_map(|index| Some(self.instances.get(*index)?.config.name.clone()))
                .collect();
            let seat = Seat {
                group: Arc::from(group.name.as_str()),
                members: Arc::from(names),
                lent: None,
                waits_for: None,
            };
            for index in &members {
                if let Some(place) = seats.get_mut(*index) {
                    *place = Some(seat.clone());
                }
            }
            self.groups.push(Group { members });
        }
        for (instance, seat) in self.instances.iter_mut().zip(seats) {
            instance.sit(seat, &mut edges!(self), now);
        }
    }

    /// Brings every group in step; true if that moved anything.
    pub(super) fn sync_groups(&mut self, now: Instant) -> bool {
        let groups = std::mem::take(&mut self.groups);
        let mut touched = false;
        for group in &groups {
            touched |= self.sync_group(&group.members, now);
        }
        self.groups = groups;
        touched
    }

    fn sync_group(&mut self, members: &[usize], now: Instant) -> bool {
        let moved = |index: &usize| self.instances.get(*index).is_some_and(Instance::has_moved);
        if !members.iter().any(moved) {
            return false;
        }
        self.share(members, now);
        for index in members {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.believe_the_slot(&mut edges!(self), now);
            }
        }
        self.settle(members, now);
        for index in members {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.rest();
            }
        }
        true
    }

    /// What one member brings counts for all of them.
    fn share(&mut self, members: &[usize], now: Instant) {
        let mut brought = Vec::with_capacity(members.len());
        for index in members {
            if let Some(instance) = self.instances.get_mut(*index) {
                brought.push(instance.own(now, &edges!(self)));
            }
        }
        let pool = Pool::of(brought.iter().copied());
        for (index, own) in members.iter().zip(brought) {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.borrow(pool.lend(own), &mut edges!(self), now);
            }
        }
    }

    fn settle(&mut self, members: &[usize], now: Instant) {
        let standings: Vec<Standing> = members
            .iter()
            .filter_map(|index| Some(self.instances.get(*index)?.standing()))
            .collect();
        let verdict = group::settle(standings.iter().copied());
        let (waits_for, deadline) = match verdict {
            Verdict::Wait { by } => (Some(by), None),
            Verdict::Lead { by } => (None, self.deadline_of(members, &standings, by)),
            Verdict::Stay | Verdict::Leave(_) => (None, None),
        };
        for (me, (index, standing)) in (0..=u16::MAX)
            .map(MemberId)
            .zip(members.iter().zip(standings))
        {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.wait_for(waits_for);
                if let Some(input) = verdict.input(me, standing) {
                    instance.feed_by(deadline, now, input, &mut edges!(self));
                }
            }
        }
    }

    /// The deadline that makes the group take over, if it ran out in this turn: what the take-over's lateness
    /// counts from.
    fn deadline_of(
        &self,
        members: &[usize],
        standings: &[Standing],
        by: MemberId,
    ) -> Option<Instant> {
        let by = usize::from(by.0);
        match standings.get(by)? {
            Standing::Expired { waits: false, .. } => {
                self.instances.get(*members.get(by)?)?.ran_out_at()
            }
            Standing::Expired { waits: true, .. }
            | Standing::Out
            | Standing::Joining
            | Standing::Listening
            | Standing::Free
            | Standing::Master => None,
        }
    }
}

/// In an order that is the same on all hosts, however their files are written: by VRID, then family.
fn members_of(group: &GroupConfig, instances: &[Instance]) -> Vec<usize> {
    let mut members: Vec<usize> = instances
        .iter()
        .enumerate()
        .filter(|(_, instance)| group.instances.contains(&instance.config.name))
        .map(|(index, _)| index)
        .collect();
    members.sort_by_key(|index| {
        let config = instances.get(*index).map(|instance| &instance.config);
        config.map(|config| (config.vrid.get(), config.family as u8))
    });
    members
}
