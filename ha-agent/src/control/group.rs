//! The part of `status` about one sync group, and how a person sees it.

use serde::{Deserialize, Serialize};

use super::instance::State;
use super::render_status::state_style;
use super::text::{BOLD, Cell, Table, WARN, field};

/// One `[[group]]`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Group {
    /// `name` in the configuration.
    pub name: String,
    /// What all of its instances are.
    pub state: State,
    /// What all of them advertise: the lowest effective priority among them.
    pub priority: u8,
    /// Their names, in the order in which they are numbered.
    pub instances: Vec<String>,
    /// Why the group is in `fault` or held in `initialize`: the first instance that is the reason, and its
    /// own reason.
    pub reason: Option<String>,
    /// While one of the instances hears no master: the one that keeps the group from taking over.
    pub waits_for: Option<String>,
}

/// Appends a table of the groups, if there are any.
pub(super) fn render_groups(out: &mut String, groups: &[Group]) {
    if groups.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = Table::new(&["GROUP", "STATE", "PRIORITY", "INSTANCES"]);
    for group in groups {
        table.row(vec![
            Cell::styled(&group.name, BOLD),
            Cell::styled(group.state.to_string(), state_style(group.state)),
            Cell::new(group.priority.to_string()),
            Cell::new(group.instances.join(", ")),
        ]);
    }
    table.render(out);
    for group in groups {
        if let Some(reason) = &group.reason {
            field(out, "reason", WARN, &format!("{}: {reason}", group.name));
        }
        if let Some(member) = &group.waits_for {
            let text = format!(
                "{}: a member hears no master, and {member} keeps the group from taking over",
                group.name
            );
            field(out, "waits", WARN, &text);
        }
    }
}
