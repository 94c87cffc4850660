//! In which order what an election wants is carried out.

use ha_common::election::{Action, Actions, Detector};

/// The same actions, with the detector's part before the addresses: its slot is the switch. Addresses pass only while it
/// is a master's, and so it is before the first of them is there, and is not any more before the first of them goes.
///
/// Adverts stay in front: the first one is what stops the other backups, and the last one is waited for.
pub(super) fn switch_first(actions: &Actions) -> impl Iterator<Item = Action> + '_ {
    let adverts = actions.iter().take_while(is_of_adverts);
    let switch = actions.iter().filter(is_switch);
    let others = actions.iter().skip_while(is_of_adverts);
    adverts
        .chain(switch)
        .chain(others.filter(|action| !is_switch(action)))
}

/// Whether the detector begins a backup's part: its slot is read then.
pub(super) fn begins_to_listen(actions: &Actions) -> bool {
    actions.iter().any(|action| {
        let Action::Detect { detector, .. } = action else {
            return false;
        };
        matches!(detector, Detector::Backup { .. })
    })
}

fn is_switch(action: &Action) -> bool {
    matches!(action, Action::Detect { .. })
}

fn is_of_adverts(action: &Action) -> bool {
    matches!(
        action,
        Action::StartAdverts(_) | Action::StopAdverts(_) | Action::AdvertNow
    )
}
