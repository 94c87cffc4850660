//! The table of keys in the manual, docs/CONFIGURATION.md: made from the key table.

use std::fmt::Write as _;
use std::{env, fs};

use super::super::key_table::{self, Default, Format, Key, Reload, Section};

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");

const HEAD: &str = "\
# Configuration

Every key of `/etc/ha-agent/ha-agent.toml`. This file is made from the key table (`ha-agent/src/config/key_table`)
by `HA_BLESS=1 cargo test --package ha-agent manual`; change it there. The annotated sample
([packaging/ha-agent.toml](../packaging/ha-agent.toml)) has the keys in context, [OPERATIONS.md](OPERATIONS.md) what
to do with them.

Durations are numbers with units in quotes: `\"10ms\"`, `\"1.5s\"`, `\"1m 30s\"`. Ranges include both ends. *A change*
is what a reload does with another value: it applies to what runs (*live*), what it belongs to is stopped and started
*anew*, it makes *another* one in place of the old one, or it waits for the next *start* of the agent. With
`virtual_mac` the first and the last IPv6 address of an instance start it anew as well.
";

fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for section in key_table::sections() {
        add(&mut text, section);
    }
    text
}

fn add(text: &mut String, section: &Section) {
    let with_reload = matches!(
        section.title,
        "[node]" | "[[instance]]" | "[[group]]" | "[[check]]"
    );
    let heading = heading(section.title);
    let (head, line) = if with_reload {
        (" a change |", " --- |")
    } else {
        ("", "")
    };
    let mut row = |row: &str| writeln!(text, "{row}").unwrap();
    row(&format!("\n## {heading}\n"));
    row(&format!("| key | value | default |{head} means |"));
    row(&format!("| --- | --- | --- |{line} --- |"));
    for key in section.keys {
        let reload = if with_reload {
            format!(" {} |", reload(key.reload))
        } else {
            String::new()
        };
        let Key { name, doc, .. } = key;
        row(&format!(
            "| `{name}` | {} | {} |{reload} {doc} |",
            value(key),
            default(key.default)
        ));
    }
}

fn value(key: &Key) -> String {
    let spelled = |it| humantime::format_duration(it).to_string();
    let value = match key.format {
        Format::Integer(low, high) => format!("{low} to {high}"),
        Format::Duration(low, high) => format!("{} to {}", spelled(low), spelled(high)),
        Format::Boolean => "true or false".to_owned(),
        Format::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Format::List(least, most, what) => format!("{least} to {most} {what}"),
        Format::Words(words) => words.to_owned(),
    };
    match key.inside {
        Some(section) => {
            let heading = heading(section.title);
            format!("{value}: [{heading}](#{})", anchor(&heading))
        }
        None => value,
    }
}

fn heading(title: &str) -> String {
    match title {
        title if title.starts_with('[') => format!("`{title}`"),
        "the file" => "Sections".to_owned(),
        title => title.to_owned(),
    }
}

/// The anchor of a heading.
fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-'));
    kept.collect::<String>().replace(' ', "-").to_lowercase()
}

fn default(default: Default) -> String {
    match default {
        Default::Needed(_) => "needed".to_owned(),
        Default::Value(value) => format!("`{value}`"),
        Default::Words(words) => words.to_owned(),
    }
}

const fn reload(reload: Reload) -> &'static str {
    match reload {
        Reload::Live => "live",
        Reload::Identity => "another",
        Reload::Anew => "anew",
        Reload::NextStart => "start",
    }
}

#[test]
fn the_manual_lists_the_keys_of_the_key_table() {
    let made = markdown();
    if env::var_os("HA_BLESS").is_some_and(|it| it == "1") {
        fs::write(MANUAL, &made).unwrap();
    }
    let found = fs::read_to_string(MANUAL).unwrap_or_default();
    assert!(
        found == made,
        "docs/CONFIGURATION.md is out of date: HA_BLESS=1 cargo test --package ha-agent manual"
    );
}
