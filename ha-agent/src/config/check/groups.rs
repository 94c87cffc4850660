//! What `[[group]]` sections must be to each other and to their members.

use std::collections::HashMap;

use super::cross_checks::{MAX_ADVISED, MAX_LISTED, unique_names};
use crate::config::diagnostics::{Report, Span};
use crate::config::model::Instance;
use crate::config::read::{RawGroup, RawInstance, quoted_list, shortened};
use crate::suggest::nearest;

/// Reports what does not go together.
pub(crate) fn check(report: &Report<'_>, groups: &[RawGroup], instances: &[RawInstance]) {
    unique_names(
        report,
        "group",
        groups.iter().filter_map(|g| g.name.as_ref()),
    );
    in_one_group(report, groups);
    members_exist(report, groups, instances);
    for group in groups {
        fits_together(report, group, instances);
    }
}

fn in_one_group(report: &Report<'_>, groups: &[RawGroup]) {
    let mut seen: HashMap<&str, (usize, Span)> = HashMap::new();
    for (index, group) in groups.iter().enumerate() {
        for at in &group.instances {
            let name = at.get_ref().as_str();
            match seen.get(name) {
                Some((same, _)) if *same == index => {
                    let message = format!("instance `{}` is in this list already", shortened(name));
                    report.error(&at.span(), message);
                }
                Some((_, earlier)) => {
                    let message = format!(
                        "instance `{}` is in another group already ({}); it can move with one \
                         group only",
                        shortened(name),
                        report.line(earlier)
                    );
                    report.error(&at.span(), message);
                }
                None => {
                    seen.insert(name, (index, at.span()));
                }
            }
        }
    }
}

fn members_exist(report: &Report<'_>, groups: &[RawGroup], instances: &[RawInstance]) {
    // An instance whose name could not be read may be the one that is meant.
    let Some(names) = instances
        .iter()
        .map(|it| it.name.as_ref().map(|name| name.get_ref().as_str()))
        .collect::<Option<Vec<&str>>>()
    else {
        return;
    };
    let unknown = groups
        .iter()
        .flat_map(|group| &group.instances)
        .filter(|at| !names.contains(&at.get_ref().as_str()));
    for (number, at) in unknown.enumerate() {
        if report.is_full() {
            report.unlisted_error();
            continue;
        }
        let name = at.get_ref().as_str();
        let near = (number < MAX_ADVISED).then(|| nearest(name, names.iter().copied()));
        let advice = match near.flatten() {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.len() > MAX_LISTED => format!("the file has {} others", names.len()),
            None => format!("the instances are {}", quoted_list(&names)),
        };
        let message = format!("there is no instance `{}`; {advice}", shortened(name));
        report.error(&at.span(), message);
    }
}

/// An owner is refused, and members that differ are doubtful.
fn fits_together(report: &Report<'_>, group: &RawGroup, instances: &[RawInstance]) {
    let mut first: Option<&Instance> = None;
    for at in &group.instances {
        let same = |it: &&Instance| it.name == *at.get_ref();
        let Some(member) = instances
            .iter()
            .filter_map(|it| it.model.as_ref())
            .find(same)
        else {
            continue;
        };
        if member.priority.is_owner() {
            let message = format!(
                "instance `{}` has priority = 255: an owner takes its addresses whatever becomes of \
                 the others, so it cannot be in a group",
                member.name
            );
            report.error(&at.span(), message);
        } else if let Some(first) = first {
            if let Some(message) = difference(first, member) {
                report.warn(&at.span(), message);
            }
        } else {
            first = Some(member);
        }
    }
}

/// What makes two members slower or weaker than somebody who wrote them so may expect.
fn difference(first: &Instance, other: &Instance) -> Option<String> {
    let differ = [
        (
            first.priority != other.priority,
            "`priority`: a group has the lowest of its members'",
        ),
        (
            first.advert_interval != other.advert_interval
                || first.down_multiplier != other.down_multiplier,
            "`advert_interval` or `down_multiplier`: a group takes over when the last of its masters \
             is found dead",
        ),
        (
            first.preempt != other.preempt || first.preempt_delay != other.preempt_delay,
            "`preempt` or `preempt_delay`: a group preempts when all of its members may",
        ),
    ];
    let (_, what) = differ.into_iter().find(|(differs, _)| *differs)?;
    Some(format!(
        "`{}` and `{}` differ in {what}; give the members of a group the same",
        first.name, other.name
    ))
}
