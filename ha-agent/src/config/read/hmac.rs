//! `hmac`: adverts with a keyed digest behind them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use ha_common::units::{Centiseconds, NANOS_PER_SECOND};

use super::key_file;
use super::table::{At, Field, Table};
use crate::config::model::{Hmac, HmacKey, KeySource, Mode};

/// Bounds of the window, as keepalived has them.
const WINDOW: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);
/// The least that is chosen by default: clocks differ.
const LEAST_WINDOW: Duration = Duration::from_secs(5);

/// Reads the key; `interval` is the instance's own.
pub(crate) fn read(field: &Field<'_>, interval: Option<Centiseconds>) -> Option<Hmac> {
    let mut table = field.table()?;
    let t = &mut table;
    let keys = t.required("keys", read_keys);
    let active = t.optional("active", None, |f| key_id(f).map(Some));
    let mode = t.optional("mode", Mode::Enforce, |f| {
        f.choice(&[
            ("receive-only", Mode::ReceiveOnly),
            ("permissive", Mode::Permissive),
            ("enforce", Mode::Enforce),
        ])
    });
    let by_time = t.optional("replay", true, |f| {
        f.choice(&[("time", true), ("monotonic", false)])
    });
    let window = t.get("window");
    table.finish();
    let keys = keys?.into_inner();
    let active = active_key(&keys, &active?, field)?;
    let by_time = by_time?.into_inner();
    let window = match (&window, by_time) {
        (Some(window), false) => {
            return window.problem(
                "goes with replay = \"time\": with replay = \"monotonic\" an advert need only be later than \
                 the sender's last one",
            );
        }
        (Some(window), true) => Some(window.duration()?),
        (None, true) => Some(usual_window(interval?)),
        (None, false) => None,
    };
    Some(Hmac {
        keys,
        active,
        mode: mode?.into_inner(),
        window,
    })
}

/// Three intervals, within the bounds.
fn usual_window(interval: Centiseconds) -> Duration {
    let nanos = interval.nanos().0.saturating_mul(3);
    let span = Duration::new(nanos / NANOS_PER_SECOND, 0);
    span.clamp(LEAST_WINDOW, *WINDOW.end())
}

fn active_key(keys: &[HmacKey], active: &At<Option<u8>>, field: &Field<'_>) -> Option<u8> {
    let ids: Vec<String> = keys.iter().map(|it| it.id.to_string()).collect();
    match (active.get_ref(), keys) {
        (Some(active), _) if keys.iter().any(|it| it.id == *active) => Some(*active),
        (Some(active), _) => field.problem(format_args!(
            "has active = {active}, which is none of its keys ({})",
            ids.join(", ")
        )),
        (None, [only]) => Some(only.id),
        (None, _) => field.problem(format_args!(
            "has {} keys ({}), and must say which of them signs: active = {}",
            keys.len(),
            ids.join(", "),
            ids.first().map_or("1", String::as_str)
        )),
    }
}

fn read_keys(field: &Field<'_>) -> Option<Vec<HmacKey>> {
    let entries = field.list("a list of keys such as [{ id = 1, file = \"...\" }]")?;
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    let mut complete = true;
    for entry in &entries {
        match read_key(entry) {
            Some(key) if !seen.insert(key.id) => {
                let message = format!("has the number {} of an earlier key", key.id);
                complete = false;
                entry.problem::<()>(message);
            }
            Some(key) => keys.push(key),
            None => complete = false,
        }
    }
    complete.then_some(keys)
}

fn read_key(field: &Field<'_>) -> Option<HmacKey> {
    let mut table: Table<'_> = field.table()?;
    let id = table.required("id", key_id);
    let file = table.get("file");
    let credential = table.get("credential");
    table.finish();
    let (place, source) = match (&file, &credential) {
        (Some(file), None) => (file, KeySource::File(path(file)?)),
        (None, Some(credential)) => (credential, KeySource::Credential(name(credential)?)),
        _ => {
            return field.problem(
                "must have either `file` or `credential`, which is where the secret is; it never stands here",
            );
        }
    };
    let key = match key_file::read(&source) {
        Ok(key) => key,
        Err(error) => return place.problem(format_args!("({source}) {error}")),
    };
    Some(HmacKey {
        id: id?.into_inner(),
        source,
        key,
    })
}

fn key_id(field: &Field<'_>) -> Option<u8> {
    u8::try_from(field.integer(" (the number of a key)")?).ok()
}

fn path(field: &Field<'_>) -> Option<PathBuf> {
    let expected = "the absolute path of a file with the secret";
    let text = field.text(expected)?;
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.contains('\0') {
        return Some(path);
    }
    field.wrong(expected)
}

fn name(field: &Field<'_>) -> Option<String> {
    let expected = "the name of a credential of the unit, without a slash";
    let text = field.text(expected)?;
    let plain = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0']);
    if plain {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}
