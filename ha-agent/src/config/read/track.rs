//! `track`: what an instance watches beside its own interface, and what that does to it.

use std::time::Duration;

use super::parse_names;
use super::table::{At, Field, Table};
use crate::config::model::{Delay, Subject, Track};

/// Those entries that could be read, and whether these are all.
pub(crate) fn read(field: &Field<'_>) -> Option<(Vec<At<Track>>, bool)> {
    let entries = field.list("a list such as [{ check = \"nginx\" }]")?;
    let mut all = true;
    let read = entries
        .iter()
        .filter_map(|entry| {
            let (track, whole) = read_entry(entry).unwrap_or_default();
            all &= whole;
            track
        })
        .collect();
    Some((read, all))
}

/// The entry, and whether all of it could be read: what it names is worth a look even if its weight
/// is wrong.
fn read_entry(field: &Field<'_>) -> Option<(Option<At<Track>>, bool)> {
    let mut table = field.table()?;
    let t = &mut table;
    let subject = read_subject(field, t);
    let weight = t.optional("weight", None, |f| read_weight(f).map(Some));
    let reverse = t.optional("reverse", false, Field::boolean);
    let is_interface = !matches!(subject.as_ref().map(At::get_ref), Some(Subject::Check(_)));
    let delay = t.optional("delay", Delay::default(), |f| {
        if !is_interface {
            return f.problem("goes with `interface`; a check has `fall` and `rise` for this");
        }
        read_delay(f)
    });
    table.finish();
    let whole = subject.is_some() && weight.is_some() && reverse.is_some() && delay.is_some();
    let track = subject.map(|subject| {
        let at = subject.span();
        let track = Track {
            subject: subject.into_inner(),
            weight: weight.and_then(At::into_inner),
            reverse: reverse.is_some_and(At::into_inner),
            delay: delay.map(At::into_inner).unwrap_or_default(),
        };
        At::new(at, track)
    });
    Some((track, whole))
}

fn read_subject(entry: &Field<'_>, table: &mut Table<'_>) -> Option<At<Subject>> {
    let check = table.get("check");
    let interface = table.get("interface");
    let carrier = table.get("carrier");
    match (check, interface) {
        (Some(check), None) => {
            if let Some(carrier) = carrier {
                return carrier.problem("goes with `interface`; a check knows no carrier");
            }
            Some(check.at(Subject::Check(parse_names::name(&check)?)))
        }
        (None, Some(interface)) => {
            let name = parse_names::interface(&interface);
            let carrier = match carrier {
                Some(field) => field.boolean(),
                None => Some(true),
            };
            Some(interface.at(Subject::Interface {
                name: name?,
                carrier: carrier?,
            }))
        }
        (Some(_), Some(interface)) => {
            interface.problem("must not stand beside `check`: make it an entry of its own")
        }
        (None, None) => {
            let message = "an entry of `track` has no `check` and no `interface`; add \
                           check = \"nginx\" or interface = \"eth1\"";
            entry.report.error(&entry.span(), message);
            None
        }
    }
}

fn read_weight(field: &Field<'_>) -> Option<i16> {
    let unit = " (without weight a failure faults the instance)";
    match field.integer(unit)? {
        0 => {
            field.problem("must not be 0, which changes nothing; leave it out, or remove the entry")
        }
        weight => i16::try_from(weight).ok(),
    }
}

fn read_delay(field: &Field<'_>) -> Option<Delay> {
    if field.text_if_any().is_some() {
        let both = field.duration()?;
        return Some(Delay {
            down: both,
            up: both,
        });
    }
    let mut table = field.table()?;
    let down = table.optional("down", Duration::ZERO, Field::duration);
    let up = table.optional("up", Duration::ZERO, Field::duration);
    table.finish();
    Some(Delay {
        down: down?.into_inner(),
        up: up?.into_inner(),
    })
}
