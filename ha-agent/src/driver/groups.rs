//! The sync groups of this host: who is in which.

use super::instance::Instance;
use crate::config::model::Group as GroupConfig;
use crate::router::Router;

/// A group, by its members' places in the driver's list, in the group's order.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) members: Vec<usize>,
}

/// The members' routers, in this order.
pub(super) fn routers_of<'i>(
    instances: &'i mut [Instance],
    members: &[usize],
) -> Vec<&'i mut Router> {
    let mut places = vec![None; instances.len()];
    for (place, index) in members.iter().enumerate() {
        if let Some(entry) = places.get_mut(*index) {
            *entry = Some(place);
        }
    }
    let mut found: Vec<(usize, &mut Router)> = instances
        .iter_mut()
        .zip(places)
        .filter_map(|(instance, place)| Some((place?, instance.router_mut())))
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, router)| router).collect()
}

/// The members of a group, in an order that all hosts have in common: by VRID and family. Names may differ
/// from host to host.
pub(super) fn members_of(group: &GroupConfig, instances: &[Instance]) -> Vec<usize> {
    let mut members: Vec<usize> = instances
        .iter()
        .enumerate()
        .filter(|(_, instance)| group.instances.contains(&instance.config().name))
        .map(|(index, _)| index)
        .collect();
    members.sort_by_key(|index| {
        let config = instances.get(*index).map(Instance::config);
        config.map(|config| (config.vrid.get(), config.family as u8))
    });
    members
}
