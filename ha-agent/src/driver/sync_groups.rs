//! When sync groups are formed and brought in step.

use std::sync::Arc;

use ha_common::layout::Slot;
use ha_common::units::Instant;

use super::groups::{Group, members_of, routers_of};
use super::instance::Instance;
use super::system::System;
use super::thread::Driver;
use crate::router::membership::Membership;
use crate::router::{Effects, Event, Router, group};

impl Driver {
    /// Forms the groups as configured.
    pub(super) fn form_groups(&mut self, now: Instant) {
        let config = Arc::clone(&self.config);
        let mut memberships: Vec<Option<Membership>> =
            self.instances.iter().map(|_| None).collect();
        self.groups.clear();
        for group in &config.groups {
            let members = members_of(group, &self.instances);
            let names: Vec<String> = members
                .iter()
                .filter_map(|index| Some(self.instances.get(*index)?.config().name.clone()))
                .collect();
            let membership = Membership::new(Arc::from(group.name.as_str()), Arc::from(names));
            for index in &members {
                if let Some(place) = memberships.get_mut(*index) {
                    *place = Some(membership.clone());
                }
            }
            self.groups.push(Group { members });
        }
        for (instance, membership) in self.instances.iter_mut().zip(memberships) {
            instance.tell(Event::Membership(membership), &mut self.system, now);
        }
    }

    /// Brings the groups in step in which a member has moved. True if there was one.
    pub(super) fn sync_groups(&mut self, now: Instant) -> bool {
        let groups = std::mem::take(&mut self.groups);
        let mut touched = false;
        for group in &groups {
            touched |= self.sync_group(&group.members, now);
        }
        self.groups = groups;
        touched
    }

    fn sync_group(&mut self, places: &[usize], now: Instant) -> bool {
        let router = |index: &usize| self.instances.get(*index).map(Instance::router);
        let mut routers = places.iter().filter_map(router);
        let has_moved = routers.any(Router::has_moved);
        if has_moved {
            let mut members = GroupMembers {
                instances: &mut self.instances,
                system: &mut self.system,
                places,
                now,
            };
            group::sync(&mut members, now);
        }
        has_moved
    }
}

/// The members of a group among the driver's instances.
struct GroupMembers<'d> {
    instances: &'d mut [Instance],
    system: &'d mut System,
    /// In the group's order.
    places: &'d [usize],
    now: Instant,
}

impl group::Members for GroupMembers<'_> {
    fn routers(&mut self) -> Vec<&mut Router> {
        routers_of(self.instances, self.places)
    }

    fn slot(&mut self, member: usize) -> Option<Slot> {
        let instance = self.instances.get(*self.places.get(member)?)?;
        instance.slot(self.system)
    }

    fn carry_out(&mut self, member: usize, fx: Effects) {
        let place = self.places.get(member);
        if let Some(instance) = place.and_then(|index| self.instances.get_mut(*index)) {
            instance.carry_out(fx, self.system, self.now);
        }
    }
}
