//! The sync groups as `status` shows them.

use ha_common::election::{MemberId, Role};

use super::instance::state;
use crate::config::model;
use crate::driver::published::{InstanceStatus, PublishedStatus};
use crate::status::group::Group;
use crate::status::instance::State;

/// Those of the running configuration whose instances the driver has shown.
pub(super) fn groups(groups: &[model::Group], picture: &PublishedStatus) -> Vec<Group> {
    groups
        .iter()
        .filter_map(|group| {
            let is_member = |view: &&InstanceStatus| {
                let membership = view.membership.as_ref();
                membership.is_some_and(|membership| *membership.group == *group.name)
            };
            let views = picture.views.iter().map(AsRef::as_ref);
            shown(&group.name, &views.filter(is_member).collect::<Vec<_>>())
        })
        .collect()
}

fn shown(name: &str, views: &[&InstanceStatus]) -> Option<Group> {
    let first = views.first()?;
    let membership = first.membership.as_ref()?;
    let named = |member: Option<MemberId>| Some(membership.name(member?)?.to_owned());
    Some(Group {
        name: name.to_owned(),
        state: common(views.iter().map(|view| state(view.role))),
        priority: first.priority.0,
        instances: membership.members.to_vec(),
        reason: views.iter().find_map(|view| reason(view)),
        waits_for: named(membership.waits_for),
        would_take_over: named(membership.ran_out),
    })
}

/// The worst of them; they differ only while some are in the start hold, or without first results.
fn common(states: impl Iterator<Item = State>) -> State {
    let rank = |state: &State| match state {
        State::Fault => 0,
        State::Initialize => 1,
        State::Backup => 2,
        State::Master => 3,
    };
    states.min_by_key(rank).unwrap_or(State::Initialize)
}

/// What keeps the instance out by itself.
fn reason(view: &InstanceStatus) -> Option<String> {
    match view.role {
        Role::Master | Role::Backup => return None,
        Role::Initialize | Role::Hold | Role::Fault | Role::Stopped => {}
    }
    let held_by = view.membership.as_ref()?.lent.and_then(|lent| lent.held_by);
    let reason = view.reason.as_ref().filter(|_| held_by.is_none())?;
    Some(format!("{}: {reason}", view.config.name))
}
