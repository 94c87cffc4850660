//! When sync groups are formed and brought in step.

use std::sync::Arc;

use ha_common::units::Instant;

use super::groups::{Group, members_of, routers_of};
use super::instance::Instance;
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

    fn sync_group(&mut self, members: &[usize], now: Instant) -> bool {
        let router = |index: &usize| self.instances.get(*index).map(Instance::router);
        if !members
            .iter()
            .any(|it| router(it).is_some_and(Router::has_moved))
        {
            return false;
        }
        let shared = group::share(&mut routers_of(&mut self.instances, members), now);
        self.carry_out(members, shared, now);
        for index in members {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.resync(&mut self.system, now);
            }
        }
        let settled = group::settle(&mut routers_of(&mut self.instances, members), now);
        self.carry_out(members, settled, now);
        true
    }

    fn carry_out(&mut self, members: &[usize], effects: Vec<Effects>, now: Instant) {
        for (index, fx) in members.iter().zip(effects) {
            if let Some(instance) = self.instances.get_mut(*index) {
                instance.carry_out(fx, &mut self.system, now);
            }
        }
    }
}
