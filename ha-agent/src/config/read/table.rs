//! Reading tables and values: every wrong one is reported with what is expected and what was found.
//!
//! The readers return `None` for a value that was reported. A key that is absent gives its default,
//! with the section's header as its place.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostics::Report;
use crate::config::diagnostics::Span;
use crate::config::key_table::{self, Default, Format, Section};

/// A value and where it stands.
pub(crate) type At<T> = Spanned<T>;

/// The longest piece of the file that is quoted in a message, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// One table, and which of its keys have been asked for.
pub(crate) struct Table<'t> {
    pub(crate) report: &'t Report<'t>,
    section: &'static Section,
    span: Span,
    entries: &'t DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The whole file.
    pub(crate) fn root(report: &'t Report<'t>, entries: &'t DeTable<'t>) -> Self {
        Self {
            report,
            section: &key_table::ROOT,
            span: 0..0,
            entries,
            asked: Vec::new(),
        }
    }

    /// Where the table stands: its header, or the whole of an inline table.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The value of a key of the key table, if there is one.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Field<'t>> {
        self.asked.push(key);
        let known = self.section.key(key)?;
        let (key_at, value) = self.entries.get_key_value(key)?;
        Some(Field {
            report: self.report,
            label: format!("`{key}`"),
            format: known.format,
            inside: known.inside,
            key_span: key_at.span(),
            value,
        })
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Field<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let Some(field) = self.get(key) else {
            let such_as = match self.section.key(key).map(|key| key.default) {
                Some(Default::Needed(such_as)) => such_as,
                _ => "...",
            };
            let message = format!(
                "{} has no `{key}`; add {key} = {such_as}",
                self.section.title
            );
            self.report.error(&self.span, message);
            return None;
        };
        Some(field.at(read(&field)?))
    }

    /// The value of a key, or its default.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Field<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        match self.get(key) {
            Some(field) => Some(field.at(read(&field)?)),
            None => Some(At::new(self.span(), default)),
        }
    }

    /// The sections that are written with two brackets.
    pub(crate) fn sections(&mut self, key: &'static str) -> Option<Vec<Self>> {
        let Some(field) = self.get(key) else {
            return Some(Vec::new());
        };
        let title = field.inside.map_or(key, |section| section.title);
        if field.value.get_ref().is_table() {
            let message = format!("write {title} with two brackets: there can be several");
            self.report.error(&field.value.span(), message);
            // What is wrong inside is worth saying too.
            return Some(field.table().into_iter().collect());
        }
        let list = field.list(format_args!("a list of {title} sections"))?;
        let tables: Vec<_> = list.iter().map(Field::table).collect();
        tables.into_iter().collect()
    }

    /// Reports every key that is not in the key table.
    pub(crate) fn finish(self) {
        let known = self.section.names();
        debug_assert!(
            known.clone().all(|key| self.asked.contains(&key))
                && self.asked.iter().all(|key| self.section.key(key).is_some()),
            "the key table of {} and its reader differ: {:?}",
            self.section.title,
            self.asked
        );
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if self.section.key(name).is_some() {
                continue;
            }
            if self.report.is_full() {
                self.report.unlisted_error();
                continue;
            }
            let advice = if let Some(near) = self.section.suggestion(name) {
                format!("did you mean `{near}`?")
            } else {
                let known: Vec<_> = self.section.names().collect();
                format!("its keys are {}", quoted_list(&known))
            };
            let message = format!(
                "unknown key `{}` in {}; {advice}",
                shortened(name),
                self.section.title
            );
            self.report.error(&key.span(), message);
        }
    }
}

/// One value, with what it is called in messages.
pub(crate) struct Field<'t> {
    pub(crate) report: &'t Report<'t>,
    label: String,
    format: Format,
    inside: Option<&'static Section>,
    key_span: Span,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Field<'t> {
    /// Where the value stands.
    pub(crate) fn span(&self) -> Span {
        self.value.span()
    }

    /// Where the key stands, or for an entry of a list the entry.
    pub(crate) fn key_span(&self) -> &Span {
        &self.key_span
    }

    /// A result with this value's place.
    pub(crate) fn at<T>(&self, value: T) -> At<T> {
        At::new(self.span(), value)
    }

    /// Reports `LABEL must be EXPECTED, not FOUND`.
    pub(crate) fn wrong<T>(&self, expected: impl Display) -> Option<T> {
        let found = described(self.value.get_ref());
        self.problem(format_args!("must be {expected}, not {found}"))
    }

    /// Reports `LABEL MESSAGE`.
    pub(crate) fn problem<T>(&self, message: impl Display) -> Option<T> {
        let message = format!("{} {message}", self.label);
        self.report.error(&self.span(), message);
        None
    }

    /// A text.
    pub(crate) fn text(&self, expected: &str) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.wrong(expected),
        }
    }

    /// The value if it is a text, without a complaint if it is not.
    pub(crate) fn text_if_any(&self) -> Option<&'t str> {
        self.value.get_ref().as_str()
    }

    /// A text that may be secret: messages never quote it.
    pub(crate) fn secret(&self, expected: &str) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            other => self.problem(format_args!(
                "must be {expected} in quotes, not {} {}",
                article(other.type_str()),
                other.type_str()
            )),
        }
    }

    /// A whole number in the key's range; `unit` follows the range in messages.
    pub(crate) fn integer(&self, unit: &str) -> Option<i64> {
        match self.format {
            Format::Integer(low, high) => self.integer_in(low..=high, unit),
            _ => self.not_in_table("range"),
        }
    }

    /// A whole number in this range.
    pub(crate) fn integer_in(&self, range: RangeInclusive<i64>, unit: &str) -> Option<i64> {
        let value = self.value.get_ref();
        let number = match value {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|n| range.contains(n)) {
            return Some(number);
        }
        let quotes = match value {
            DeValue::String(text) if text.parse::<i64>().is_ok() => "; write it without quotes",
            _ => "",
        };
        let (low, high) = (range.start(), range.end());
        let found = described(value);
        self.problem(format_args!(
            "must be a whole number from {low} to {high}{unit}, not {found}{quotes}"
        ))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(_) => self.wrong("true or false without quotes"),
            _ => self.wrong("true or false"),
        }
    }

    /// The value if it is `true` or `false`, without a complaint if it is not.
    pub(crate) fn boolean_if_any(&self) -> Option<bool> {
        self.value.get_ref().as_bool()
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        debug_assert!(
            matches!(self.format, Format::Choice(words) if words.iter().eq(choices.iter().map(|(word, _)| word))),
            "the key table has other words for {} than its reader",
            self.label
        );
        if let DeValue::String(text) = self.value.get_ref()
            && let Some((_, value)) = choices.iter().find(|(word, _)| word == text)
        {
            return Some(*value);
        }
        let words: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        self.wrong(words.join(" or "))
    }

    /// A duration such as `"500ms"` in the key's range.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let Format::Duration(low, high) = self.format else {
            return self.not_in_table("range");
        };
        let expected = format!("a duration from {} to {}", spelled(low), spelled(high));
        let duration = self.any_duration(&expected)?;
        if (low..=high).contains(&duration) {
            return Some(duration);
        }
        self.wrong(expected)
    }

    /// A duration that the caller holds against a range of its own.
    pub(crate) fn any_duration(&self, expected: &str) -> Option<Duration> {
        let text = match self.value.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(_) | DeValue::Float(_) => {
                return self.wrong(format_args!(
                    "{expected} in quotes and with a unit, such as \"500ms\""
                ));
            }
            _ => return self.wrong(format_args!("{expected}, such as \"500ms\"")),
        };
        parse_duration(text).or_else(|| {
            self.wrong(format_args!(
                "{expected}, such as \"500ms\", \"1.5s\" or \"1m 30s\""
            ))
        })
    }

    /// Whether the value is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// The entries of a list, as many as the key may have.
    pub(crate) fn list(&self, expected: impl Display) -> Option<Vec<Field<'t>>> {
        match self.format {
            Format::List(least, most, _) => self.list_of(expected, least..=most),
            _ => self.not_in_table("length"),
        }
    }

    /// The entries of a list of this length.
    pub(crate) fn list_of(
        &self,
        expected: impl Display,
        len: RangeInclusive<usize>,
    ) -> Option<Vec<Field<'t>>> {
        let DeValue::Array(entries) = self.value.get_ref() else {
            return self.wrong(expected);
        };
        if !len.contains(&entries.len()) {
            let (low, high, found) = (len.start(), len.end(), entries.len());
            return self.problem(format_args!(
                "must have {low} to {high} entries, and it has {found}"
            ));
        }
        let entry = |value: &'t Spanned<DeValue<'t>>| Field {
            report: self.report,
            label: format!("an entry of {}", self.label),
            format: Format::Words("an entry"),
            inside: self.inside,
            key_span: value.span(),
            value,
        };
        Some(entries.iter().map(entry).collect())
    }

    /// The reader wants of the key what the key table does not have of it. Nothing is accepted then, so that the
    /// first test of the key finds it.
    fn not_in_table<T>(&self, what: &str) -> Option<T> {
        self.problem(format_args!(
            "has no {what} in the key table, which is a bug in ha-agent"
        ))
    }

    /// The table that the key's value may be.
    pub(crate) fn table(&self) -> Option<Table<'t>> {
        let Some(section) = self.inside else {
            return self.not_in_table("table");
        };
        match self.value.get_ref() {
            DeValue::Table(entries) => Some(Table {
                report: self.report,
                section,
                span: self.span(),
                entries,
                asked: Vec::new(),
            }),
            _ => self.wrong("a table, { key = value, ... }"),
        }
    }
}

/// `humantime`'s durations, kept to sizes that it can add up: it panics on some that overflow.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = |part: &str| part.len() <= 9;
    let sane = text.len() <= 64 && text.split(|c: char| !c.is_ascii_digit()).all(digits);
    sane.then(|| humantime::parse_duration(text).ok()).flatten()
}

/// A duration the way it is written in the file.
pub(crate) fn spelled(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// `a`, `b` and so on, each in back quotes.
pub(crate) fn quoted_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A piece of the file as it can be put into a message.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short.escape_debug().to_string()
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shortened(text)),
        DeValue::Integer(number) => shortened(&number.to_string()),
        DeValue::Float(number) => format!("the fraction {}", shortened(number.as_str())),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    }
}
