//! `[[check]]`.

use std::time::Duration;

use super::endpoint::{self, Url};
use super::parse_names::{self, Program};
use super::process;
use super::table::{At, Field, Table, quoted_list, spelled};
use crate::config::diagnostics::Report;
use crate::config::model::{
    Check, CommandProbe, FileProbe, FileUse, HttpProbe, Probe, ProcessProbe, Restart,
};

/// The keys that say what is looked at; a check has exactly one of them.
const PROBES: [&str; 5] = ["http", "tcp", "process", "command", "file"];
/// The keys that go with one of them, and with which.
const COMPANIONS: [(&str, &str); 5] = [
    ("status", "http"),
    ("body", "http"),
    ("host", "http"),
    ("pid_file", "http"),
    ("user", "command"),
];
/// The keys of runs, which a file has none of.
const OF_RUNS: [&str; 5] = ["interval", "timeout", "fall", "rise", "restart"];
/// How much of an answer is searched, so that a longer `body` could never be found.
const MAX_BODY_BYTES: usize = 64 * 1024;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
/// Whom commands run as: somebody without rights.
const DEFAULT_USER: &str = "nobody";

/// What could be read of a section.
pub(crate) struct RawCheck {
    pub(crate) name: Option<At<String>>,
    /// Whom its command runs as; `None` also where there is no command.
    pub(crate) user: Option<At<String>>,
    /// The programs that it runs, with the place of their command lines.
    pub(crate) programs: Vec<At<String>>,
    pub(crate) model: Option<Check>,
}

/// Reads one section.
pub(crate) fn read(mut table: Table<'_>) -> RawCheck {
    let t = &mut table;
    let name = t.required("name", parse_names::name);
    let chosen = choose_probe(t);
    let mut user = None;
    let probe = chosen.as_ref().and_then(|(kind, field)| match *kind {
        "http" => read_http(t, field),
        "tcp" => endpoint::tcp(field).map(Probe::Tcp),
        "process" => process::read(field),
        "file" => read_file(field).map(Probe::File),
        _ => {
            user = t.optional("user", DEFAULT_USER.to_owned(), parse_names::user);
            read_command(field, user.as_ref())
        }
    });
    let mut programs = Vec::new();
    if let (Some(Probe::Command(command)), Some((_, field))) = (&probe, &chosen) {
        programs.extend(command.argv.first().map(|it| field.at(it.clone())));
    }
    let kind = chosen.as_ref().map(|(kind, _)| *kind);
    refuse_strangers(t, kind);
    if kind == Some("file") {
        refuse_runs(t);
    }
    let interval = t.optional("interval", DEFAULT_INTERVAL, Field::duration);
    let default = interval
        .as_ref()
        .map_or(DEFAULT_TIMEOUT, |i| DEFAULT_TIMEOUT.min(*i.get_ref()));
    let timeout = t.optional("timeout", default, Field::duration);
    let in_a_row = |f: &Field<'_>| u32::try_from(f.integer(" in a row")?).ok();
    let fall = t.optional("fall", 2, in_a_row);
    let rise = t.optional("rise", 2, in_a_row);
    let restart = t.optional("restart", None, |f| {
        let restart = read_restart(f)?;
        programs.extend(restart.command.first().map(|it| f.at(it.clone())));
        Some(Some(restart))
    });
    let report = table.report;
    table.finish();

    if let (Some(interval), Some(timeout), Some("http" | "tcp")) = (&interval, &timeout, kind) {
        never_overlapping(report, interval, timeout);
    }
    let model = || {
        Some(Check {
            name: name.clone()?.into_inner(),
            probe: probe?,
            interval: interval?.into_inner(),
            timeout: timeout?.into_inner(),
            fall: fall?.into_inner(),
            rise: rise?.into_inner(),
            restart: restart?.into_inner(),
        })
    };
    let model = model();
    RawCheck {
        name,
        user,
        programs,
        model,
    }
}

fn never_overlapping(report: &Report<'_>, interval: &At<Duration>, timeout: &At<Duration>) {
    let (most, found) = (*interval.get_ref(), *timeout.get_ref());
    if found > most {
        let message = format!(
            "`timeout` must be at most the `interval` of {}, not {}: runs never overlap",
            spelled(most),
            spelled(found)
        );
        report.error(&timeout.span(), message);
    }
}

fn choose_probe<'t>(table: &mut Table<'t>) -> Option<(&'static str, Field<'t>)> {
    let mut given: Vec<_> = PROBES
        .into_iter()
        .filter_map(|key| Some((key, table.get(key)?)))
        .collect();
    given.sort_by_key(|(_, field)| field.key_span().start);
    let mut given = given.into_iter();
    let Some((first, field)) = given.next() else {
        let message = format!(
            "[[check]] does not say what to look at; add one of {}",
            quoted_list(&PROBES)
        );
        table.report.error(&table.span(), message);
        return None;
    };
    let mut alone = true;
    for (key, other) in given {
        alone = false;
        let message = format!(
            "a check has one of {}, and this one has `{first}` already ({}); make `{key}` a \
             check of its own and track both",
            quoted_list(&PROBES),
            table.report.line(field.key_span())
        );
        table.report.error(other.key_span(), message);
    }
    alone.then_some((first, field))
}

/// Reports keys that go with another kind of check. Without a kind they are left in peace.
fn refuse_strangers(table: &mut Table<'_>, kind: Option<&'static str>) {
    for (key, owner) in COMPANIONS {
        let Some(field) = table.get(key) else {
            continue;
        };
        let Some(kind) = kind.filter(|kind| *kind != owner) else {
            continue;
        };
        let advice = match (key, kind) {
            ("pid_file", "process") => "; write process = { pid_file = ... }",
            ("pid_file", _) => "; add a `process` check for it and track both",
            ("user", _) => "; every other check is done by the agent itself",
            _ => "",
        };
        let message = format!("`{key}` goes with `{owner}`, and this is a `{kind}` check{advice}");
        table.report.error(field.key_span(), message);
    }
}

fn refuse_runs(table: &mut Table<'_>) {
    for key in OF_RUNS {
        if let Some(field) = table.get(key) {
            let message = format!(
                "`{key}` does not go with `file`: the file is watched, and a change is told at once"
            );
            table.report.error(field.key_span(), message);
        }
    }
}

fn read_http(table: &mut Table<'_>, field: &Field<'_>) -> Option<Probe> {
    let url = endpoint::http(field);
    let host = table.optional("host", None, |f| read_host(f).map(Some));
    let status = table.optional("status", 200..=399, read_status);
    let body = table.optional("body", None, |f| read_body(f).map(Some));
    let process = table.optional("pid_file", None, |f| {
        Some(Some(ProcessProbe::PidFile(parse_names::absolute_path(f)?)))
    });
    let Url {
        address,
        authority,
        path,
    } = url?;
    Some(Probe::Http(HttpProbe {
        address,
        path,
        host: host?.into_inner().unwrap_or(authority),
        status: status?.into_inner(),
        body: body?.into_inner(),
        process: process?.into_inner(),
    }))
}

fn read_host(field: &Field<'_>) -> Option<String> {
    let expected = "the value of the Host header, 1 to 255 visible ASCII characters";
    let text = field.text(expected)?;
    // A line break would start a header of somebody else's making.
    if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}

fn read_status(field: &Field<'_>) -> Option<std::ops::RangeInclusive<u16>> {
    let Some(text) = field.text_if_any() else {
        let status = u16::try_from(field.integer_in(100..=599, " or a range in quotes")?).ok()?;
        return Some(status..=status);
    };
    let status = |s: &str| s.parse().ok().filter(|s| (100..=599).contains(s));
    let range = text
        .split_once('-')
        .and_then(|(low, high)| Some(status(low.trim())?..=status(high.trim())?))
        .filter(|range| !range.is_empty());
    match range {
        Some(range) => Some(range),
        None => field.wrong("a status from 100 to 599, or a range of them such as \"200-399\""),
    }
}

fn read_body(field: &Field<'_>) -> Option<String> {
    let expected = "the text to look for, 1 to 65536 bytes";
    let text = field.text(expected)?;
    if (1..=MAX_BODY_BYTES).contains(&text.len()) {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}

fn read_file(field: &Field<'_>) -> Option<FileProbe> {
    let mut table = field.table()?;
    let path = table.required("path", parse_names::absolute_path);
    let used_as = table.optional("up", FileUse::Weight, |f| {
        f.choice(&[("exists", FileUse::Exists), ("missing", FileUse::Missing)])
    });
    table.finish();
    Some(FileProbe {
        path: path?.into_inner(),
        used_as: used_as?.into_inner(),
    })
}

fn read_command(field: &Field<'_>, user: Option<&At<String>>) -> Option<Probe> {
    let argv = parse_names::command(field, Program::Absolute);
    Some(Probe::Command(CommandProbe {
        argv: argv?,
        user: user?.get_ref().clone(),
    }))
}

fn read_restart(field: &Field<'_>) -> Option<Restart> {
    let mut table = field.table()?;
    let t = &mut table;
    let command = t.required("command", |f| {
        parse_names::command(f, Program::AbsoluteOrInPath)
    });
    let attempts = t.optional("attempts", 1, |f| {
        u32::try_from(f.integer(" for each outage")?).ok()
    });
    let settle = t.optional("settle", Duration::from_secs(2), Field::duration);
    let backoff = t.optional("backoff", Duration::from_secs(1), Field::duration);
    let timeout = t.optional("timeout", Duration::from_secs(10), Field::duration);
    table.finish();
    Some(Restart {
        command: command?.into_inner(),
        attempts: attempts?.into_inner(),
        settle: settle?.into_inner(),
        backoff: backoff?.into_inner(),
        timeout: timeout?.into_inner(),
    })
}
