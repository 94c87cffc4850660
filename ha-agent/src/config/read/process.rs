//! `process`: one that lives, or how many there are.

use super::parse_names;
use super::table::{At, Field, Table};
use crate::config::model::{CountProbe, Probe, ProcessProbe};

/// Reads it.
pub(crate) fn read(field: &Field<'_>) -> Option<Probe> {
    let mut table = field.table()?;
    let t = &mut table;
    let pid_file = t.optional("pid_file", None, |f| {
        parse_names::absolute_path(f).map(Some)
    });
    let name = t.optional("name", None, |f| parse_names::process(f).map(Some));
    let count = read_count(t);
    table.finish();
    let count = count?;
    match (pid_file?.into_inner(), name?.into_inner()) {
        (Some(_), None) if count.asked => {
            field.problem("has one process in its file: `min`, `max` and `args` go with `name`")
        }
        (Some(path), None) => Some(Probe::Process(ProcessProbe::PidFile(path))),
        (None, Some(name)) if count.asked => counted(field, name, count),
        (None, Some(name)) => Some(Probe::Process(ProcessProbe::Name(name))),
        (Some(_), Some(_)) => field.problem("must have `pid_file` or `name`, not both"),
        (None, None) => field.problem(
            "must have one of `pid_file` and `name`, such as { pid_file = \"/run/nginx.pid\" }",
        ),
    }
}

/// The keys of counting.
struct Count {
    /// Whether any of them is there.
    asked: bool,
    args: Vec<String>,
    min: u32,
    max: Option<u32>,
}

fn counted(field: &Field<'_>, name: String, count: Count) -> Option<Probe> {
    let Count { args, min, max, .. } = count;
    if min == 0 && max.is_none() {
        return field
            .problem("is up with any number of processes; give it a `max`, or a higher `min`");
    }
    Some(Probe::ProcessCount(CountProbe {
        name,
        args,
        min,
        max,
    }))
}

fn read_count(table: &mut Table<'_>) -> Option<Count> {
    let number = |f: &Field<'_>| u32::try_from(f.integer(" processes")?).ok();
    let min = table.optional("min", None, |f| number(f).map(Some));
    let least = min.as_ref().map_or(0, |min| min.get_ref().unwrap_or(1));
    let max = table.optional("max", None, |f| {
        let max = number(f)?;
        if max < least {
            let none = if max == 0 {
                "; for none at all write min = 0, max = 0"
            } else {
                ""
            };
            return f.problem(format_args!(
                "must be at least `min`, which is {least}{none}"
            ));
        }
        Some(Some(max))
    });
    let args = table.optional("args", None, |f| read_args(f).map(Some));
    let (min, max, args) = (
        min?.into_inner(),
        max.map(At::into_inner)?,
        args?.into_inner(),
    );
    Some(Count {
        asked: min.is_some() || max.is_some() || args.is_some(),
        args: args.unwrap_or_default(),
        min: min.unwrap_or(1),
        max,
    })
}

fn read_args(field: &Field<'_>) -> Option<Vec<String>> {
    let entries = field.list("a list of arguments such as [\"--worker\"]")?;
    let read: Option<Vec<&str>> = entries
        .iter()
        .map(|entry| entry.text("a text in quotes"))
        .collect();
    Some(read?.into_iter().map(str::to_owned).collect())
}
