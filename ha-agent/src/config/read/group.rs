//! `[[group]]`: instances that are master together or not at all.

use super::parse_names;
use super::table::{At, Field, Table};
use crate::config::model::Group;

/// What could be read of a section.
pub(crate) struct RawGroup {
    pub(crate) name: Option<At<String>>,
    /// Those that could be read.
    pub(crate) instances: Vec<At<String>>,
    pub(crate) model: Option<Group>,
}

/// Reads one section.
pub(crate) fn read(mut table: Table<'_>) -> RawGroup {
    let name = table.required("name", parse_names::name);
    let instances = table.required("instances", read_instances);
    table.finish();
    let (instances, all) = instances.map(At::into_inner).unwrap_or_default();
    let model = |name: &At<String>| Group {
        name: name.get_ref().clone(),
        instances: instances.iter().map(|at| at.get_ref().clone()).collect(),
    };
    let model = name.as_ref().filter(|_| all).map(model);
    RawGroup {
        name,
        instances,
        model,
    }
}

fn read_instances(field: &Field<'_>) -> Option<(Vec<At<String>>, bool)> {
    let expected = "a list of instances such as [\"web\", \"dns\"]";
    let entries = field.list(expected)?;
    let read: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some(entry.at(entry.text("the name of an instance")?.to_owned())))
        .collect();
    let all = read.len() == entries.len();
    Some((read, all))
}
