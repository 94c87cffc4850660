//! The tables, as they stand in `docs/BENCHMARKS.md`.

// Writing to a String cannot fail.
use std::fmt::Write as _;

use super::Report;
use super::aim;
use super::course::{Course, Role};
use super::end::End;
use super::hook::{HOOKS, Hook, NONE};
use super::offload::Feature;
use super::outcome::Outcome;
use crate::bench::sample::Summary;

impl Report {
    /// For people.
    pub(super) fn text(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "\n{}\n{}\n{} x {}, Linux {}; load {:.2} before and {:.2} after, {:.1} s stolen by the hypervisor\n\
             {} rounds of {} s; ratios to no agent in the same round: median (least to most)\n",
            machine.agent,
            machine.other,
            machine.cores,
            machine.cpu,
            machine.kernel,
            machine.load_before,
            machine.load_after,
            machine.stolen_s,
            self.rounds,
            self.seconds,
        );
        for group in self.groups() {
            rate_table(&mut text, group);
            cpu_table(&mut text, group);
        }
        self.card_table(&mut text);
        text.push_str("\nAims\n");
        for line in aim::lines(&self.outcomes) {
            let _ = writeln!(text, "  {line}");
        }
        text
    }

    /// By host and role.
    fn groups(&self) -> impl Iterator<Item = &[Outcome]> {
        self.outcomes
            .chunk_by(|a, b| (a.subject, a.role) == (b.subject, b.role))
    }

    fn card_table(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n| | | bytes in a buffer, TCP in | offloads while it runs | and after it |\n\
             | --- | --- | ---: | --- | --- |"
        );
        for change in &self.changes {
            let of = |it: &&Outcome| it.subject == change.subject && it.hook.name == change.hook;
            let received = |it: &&Outcome| it.course.name().starts_with("TCP in");
            let mut found = self.outcomes.iter().filter(of).filter(received);
            let buffer = found.next().and_then(|it| it.buffer.as_ref());
            let buffer = buffer.map_or("-".to_owned(), |it| format!("{:.0}", it.median));
            let _ = writeln!(
                text,
                "| {} | {} | {buffer} | {} | {} |",
                change.subject,
                change.hook,
                listed(&change.during),
                listed(&change.after)
            );
        }
    }
}

/// By end of the wire; what is summed up in another one is left out.
fn listed(changes: &[Feature]) -> String {
    let mut parts = Vec::new();
    for (end, whose) in [(End::Own, "its own"), (End::Other, "the other end's")] {
        for (on, state) in [(false, "off"), (true, "on")] {
            let names: Vec<_> = changes
                .iter()
                .filter(|it| it.end == end && it.on == on && !it.part)
                .map(|it| format!("`{}`", it.name))
                .collect();
            if !names.is_empty() {
                parts.push(format!("{state}: {whose} {}", names.join(", ")));
            }
        }
    }
    if parts.is_empty() {
        "as before".to_owned()
    } else {
        parts.join("; ")
    }
}

fn rate_table(text: &mut String, group: &[Outcome]) {
    let head = |course: Course| format!("{}, {}", course.name(), course.units().0);
    let title = |subject, role: Role| format!("{subject}, {}: rate", role.name());
    table(text, group, title, head, |it| {
        if it.hook == NONE {
            it.rate.as_ref()
        } else {
            it.rate_ratio.as_ref()
        }
    });
}

fn cpu_table(text: &mut String, group: &[Outcome]) {
    let head = |course: Course| format!("{}, {}", course.name(), course.units().1);
    let title = |subject, role: Role| format!("{subject}, {}: CPU time of the host", role.name());
    table(text, group, title, head, |it| {
        if it.hook == NONE {
            it.cpu.as_ref()
        } else {
            it.cpu_ratio.as_ref()
        }
    });
}

fn table(
    text: &mut String,
    group: &[Outcome],
    title: impl Fn(&'static str, Role) -> String,
    head: impl Fn(Course) -> String,
    cell: impl Fn(&Outcome) -> Option<&Summary>,
) {
    let Some(first) = group.first() else { return };
    let mut heads = String::new();
    let mut rule = String::new();
    for it in group.iter().filter(|it| it.hook == NONE) {
        let _ = write!(heads, " {} |", head(it.course));
        rule.push_str(" ---: |");
    }
    let _ = writeln!(
        text,
        "\n| {} |{heads}\n| --- |{rule}",
        title(first.subject, first.role)
    );
    for hook in &HOOKS {
        let own: Vec<&Outcome> = group.iter().filter(|it| it.hook == *hook).collect();
        let _ = write!(text, "| {} |", row_name(hook, &own));
        for it in own {
            let shown = cell(it).map_or("not measured".to_owned(), |found| spread(found, hook));
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
}

/// Its name; what it came to run on, where that was not asked for by name.
fn row_name(hook: &Hook, own: &[&Outcome]) -> String {
    let first = own.first();
    if let Some(why) = first.and_then(|it| it.refused.as_ref()) {
        return format!("{}: {why}", hook.name);
    }
    match first.and_then(|it| it.runs.as_ref()) {
        Some(kind) if hook.datapath != Some(kind) => format!("{}: {kind}", hook.name),
        _ => hook.name.to_owned(),
    }
}

fn spread(summary: &Summary, hook: &Hook) -> String {
    let Summary {
        median, min, max, ..
    } = summary;
    if *hook == NONE && *median >= 100.0 {
        format!("{median:.0} ({min:.0} to {max:.0})")
    } else {
        format!("{median:.2} ({min:.2} to {max:.2})")
    }
}
