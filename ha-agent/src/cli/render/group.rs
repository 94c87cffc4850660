//! Sync groups as a table.

use super::state::state_style;
use super::text::{BOLD, Cell, Table, WARN, field};
use crate::status::group::Group;

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
                "{}: {} would take over, and {member} keeps the group from it",
                group.name,
                group.would_take_over.as_deref().unwrap_or("a member")
            );
            field(out, "waits", WARN, &text);
        }
    }
}
