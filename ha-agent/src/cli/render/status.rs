//! `status` for a person: an overview of everything, then each instance in detail.

use std::fmt::Write;

use anstyle::Style;

use super::group::render_groups;
use super::held::render_missing;
use super::instance::render_instance;
use super::state::{priority_sum, state_style};
use super::text::{BAD, BOLD, Cell, DIM, GOOD, PLAIN, Table, WARN, clean, field, paint};
use crate::status::agent::{LastReload, LeaseState, Node, Pins, Sender, Status, Wakeups};
use crate::status::checks::{Check, CheckKind, CheckState};
use crate::status::format::{count, span};
use crate::status::instance::{Instance, Master};
use crate::status::watches::Watches;

/// Up to this many instances are all shown in detail.
const FEW: usize = 4;

/// Of the reasons of a failed reload, this many are shown.
const DETAILS: usize = 5;

/// What is said while no lease is renewed.
const NO_LEASE: &str = "not needed while this host is master of nothing";

/// Which instances are shown in detail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Detail<'a> {
    /// All if they are few, else none.
    IfFew,
    /// Those with these names.
    Named(&'a [String]),
}

/// The whole text, in colour, ending in a newline.
pub(crate) fn render_status(status: &Status, detail: Detail<'_>) -> String {
    let mut out = String::new();
    render_node(&mut out, &status.node);
    for warning in &status.warnings {
        field(&mut out, "warning", WARN, warning);
    }
    render_missing(&mut out, &status.leftovers);
    render_watches(&mut out, &status.watches);
    render_overview(&mut out, &status.instances);
    render_details(&mut out, &status.instances, detail);
    render_groups(&mut out, &status.groups);
    render_checks(&mut out, &status.checks);
    out.push('\n');
    render_wakeups(&mut out, &status.wakeups);
    render_sender(&mut out, &status.sender);
    out
}

fn render_node(out: &mut String, node: &Node) {
    let Node {
        name, version, pid, ..
    } = node;
    let name = paint(BOLD, &clean(name));
    let up = span(node.started.ago_us);
    let _ = writeln!(out, "{name}  ha-agent {version}, pid {pid}, up {up}");
    let read = span(node.loaded.ago_us);
    let config = format!("{}, read {read} ago", node.config.display());
    field(out, "config", PLAIN, &config);
    render_failed_reload(out, node.last_reload.as_ref());
    match &node.pins {
        Pins::Pinned { dir } => field(out, "pinned", PLAIN, &dir.display().to_string()),
        Pins::Unpinned { why } => field(out, "unpinned", WARN, why),
    }
}

fn render_watches(out: &mut String, watches: &Watches) {
    for (what, unwatched) in [
        ("interfaces", &watches.interfaces),
        ("routes", &watches.routes),
    ] {
        if let Some(unwatched) = unwatched {
            let text = format!(
                "not watched for {}: {}; {}, the next in {}",
                span(unwatched.since.ago_us),
                unwatched.why,
                count(u64::from(unwatched.attempts), "attempt"),
                span(unwatched.next.in_us),
            );
            field(out, what, BAD, &text);
        }
    }
}

/// Nothing is said of one that is in force: the time of reading says it.
fn render_failed_reload(out: &mut String, last: Option<&LastReload>) {
    let Some(LastReload {
        at,
        error: Some(error),
        details,
    }) = last
    else {
        return;
    };
    let text = format!("failed {} ago ({}): {error}", span(at.ago_us), at.at);
    field(out, "reload", BAD, &text);
    for line in details.iter().take(DETAILS) {
        field(out, "", BAD, line);
    }
    let more = details.len().saturating_sub(DETAILS);
    if more > 0 {
        let text = format!("and {more} more; `ha-agent reload` lists all of them");
        field(out, "", BAD, &text);
    }
}

fn render_overview(out: &mut String, instances: &[Instance]) {
    out.push('\n');
    if instances.is_empty() {
        out.push_str("No instances are configured.\n");
        return;
    }
    let mut table = Table::new(&[
        "INSTANCE",
        "STATE",
        "FOR",
        "PRIORITY",
        "MASTER",
        "INTERFACE",
        "VRID",
    ]);
    for instance in instances {
        table.row(vec![
            Cell::styled(&instance.name, BOLD),
            Cell::styled(instance.state.to_string(), state_style(instance.state)),
            Cell::new(span(instance.since.ago_us)),
            Cell::new(priority_sum(&instance.priority)),
            Cell::new(master_name(instance.master.as_ref())),
            Cell::new(&instance.interface),
            Cell::new(instance.vrid.to_string()),
        ]);
    }
    table.render(out);
}

fn render_details(out: &mut String, instances: &[Instance], detail: Detail<'_>) {
    let shown = |instance: &&Instance| match detail {
        Detail::IfFew => instances.len() <= FEW,
        Detail::Named(names) => names.contains(&instance.name),
    };
    for instance in instances.iter().filter(shown) {
        out.push('\n');
        render_instance(out, instance);
    }
    if matches!(detail, Detail::IfFew) && instances.len() > FEW {
        let _ = writeln!(out, "{}", paint(DIM, "Details: ha-agent status INSTANCE"));
    }
}

fn render_checks(out: &mut String, checks: &[Check]) {
    if checks.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = Table::new(&[
        "CHECK",
        "STATE",
        "FOR",
        "KIND",
        "RUNS",
        "FAILED",
        "RESTARTS",
        "TOOK",
        "LAST RESULT",
    ]);
    for check in checks {
        let (state, style) = check_state(check.state);
        let (took, last) = check.last.as_ref().map_or_else(
            || ("-".to_owned(), "none yet"),
            |last| (span(last.latency_us), last.text.as_str()),
        );
        table.row(vec![
            Cell::styled(&check.name, BOLD),
            Cell::styled(state, style),
            Cell::new(span(check.since.ago_us)),
            Cell::new(check_kind(check.kind)),
            Cell::new(check.runs.to_string()),
            Cell::new(check.failures.to_string()),
            Cell::new(check.restarts.to_string()),
            Cell::new(took),
            Cell::new(last),
        ]);
    }
    table.render(out);
    for check in checks {
        if let Some(failed) = &check.last_restart {
            field(out, "restart", BAD, &format!("{}: {failed}", check.name));
        }
        if let Some(notice) = &check.notice {
            field(out, "notice", WARN, &format!("{}: {notice}", check.name));
        }
    }
}

fn render_wakeups(out: &mut String, wakeups: &Wakeups) {
    let text = format!(
        "{}: kernel {}, timers {}, watchdog {}, commands {}, checks {}, netlink {}",
        count(wakeups.total(), "time"),
        wakeups.ring_events,
        wakeups.timers,
        wakeups.watchdog,
        wakeups.commands,
        wakeups.checks,
        wakeups.netlink,
    );
    field(out, "woken", PLAIN, &text);
}

fn render_sender(out: &mut String, sender: &Sender) {
    let ability = |name: &str, ability: &crate::status::agent::Ability| {
        let no = if ability.active { "" } else { "no " };
        format!("{no}{name} ({})", ability.why)
    };
    let text = format!(
        "{}, {}",
        ability("real-time priority", &sender.realtime),
        ability("locked memory", &sender.memory_locked)
    );
    let fine = sender.realtime.active && sender.memory_locked.active;
    field(out, "sender", if fine { PLAIN } else { WARN }, &text);
    let lease = &sender.lease;
    let (text, style) = match lease.state {
        LeaseState::Held if lease.left_us == 0 => (NO_LEASE.to_owned(), PLAIN),
        LeaseState::Held => (format!("held for {}", span(lease.left_us)), PLAIN),
        LeaseState::Lapsed => ("lapsed: the driver hangs".to_owned(), BAD),
    };
    let lapses = count(lease.lapses, "lapse");
    let late = match sender.late_sends {
        0 => "no late adverts".to_owned(),
        late => format!(
            "{}, the worst by {}",
            count(late, "late advert"),
            span(sender.worst_late_us)
        ),
    };
    field(out, "lease", style, &format!("{text}, {lapses}; {late}"));
}

fn master_name(master: Option<&Master>) -> String {
    match master {
        None => "unknown".to_owned(),
        Some(master) if master.is_self => "this host".to_owned(),
        Some(master) => master.address.to_string(),
    }
}

const fn check_state(state: CheckState) -> (&'static str, Style) {
    match state {
        CheckState::Pending => ("pending", WARN),
        CheckState::Up => ("up", GOOD),
        CheckState::Restarting => ("restarting", WARN),
        CheckState::Down => ("down", BAD),
    }
}

const fn check_kind(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Http => "http",
        CheckKind::Tcp => "tcp",
        CheckKind::Process => "process",
        CheckKind::File => "file",
        CheckKind::Command => "command",
    }
}

#[cfg(test)]
mod tests;
