//! The annotated sample that packages install.

use super::super::key_table::{self, Default, Format};
use super::*;

const SAMPLE: &str = include_str!("../../../../packaging/ha-agent.toml");

/// Keys whose commented line is an example rather than a default.
const EXAMPLES: [(&str, &str); 16] = [
    ("[node]", "name"),
    ("[[instance]]", "source"),
    ("[[instance]]", "peers"),
    ("[[instance]]", "peer_ttl"),
    ("[[instance]]", "ttl"),
    ("[[instance]]", "check_source"),
    ("[[instance]]", "hmac"),
    ("[[instance]]", "last_resort"),
    ("[[check]]", "body"),
    ("[[check]]", "host"),
    ("[[check]]", "pid_file"),
    ("[[check]]", "tcp"),
    ("[[check]]", "process"),
    ("[[check]]", "command"),
    ("[[check]]", "file"),
    ("[[check]]", "user"),
];

/// The commented settings: section, key, and the line's index.
fn commented() -> Vec<(&'static str, &'static str, usize)> {
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in SAMPLE.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        }
        if let Some((key, _)) = line.strip_prefix("# ").and_then(|l| l.split_once(" = "))
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            found.push((section, key, index));
        }
    }
    found
}

fn uncommented(index: usize) -> String {
    let lines = SAMPLE.lines().enumerate();
    let line = |(at, line): (usize, &'static str)| {
        if at == index {
            line.trim_start_matches("# ")
        } else {
            line
        }
    };
    lines.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_is_accepted_without_warnings() {
    assert_eq!(accepted(SAMPLE).warnings, Vec::<Problem>::new());
}

#[test]
fn every_commented_default_of_the_sample_is_the_default() {
    let plain = accepted(SAMPLE);
    let defaults: Vec<_> = commented()
        .into_iter()
        .filter(|(section, key, _)| !EXAMPLES.contains(&(section, key)))
        .collect();
    assert!(defaults.len() >= 15, "{defaults:?}");
    for (section, key, index) in defaults {
        assert_eq!(accepted(&uncommented(index)), plain, "{section} {key}");
    }
}

#[test]
fn every_commented_example_of_the_sample_is_accepted_in_its_place() {
    let mut tried = 0;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, "x".repeat(32)).unwrap();
    for (section, key, index) in commented() {
        if !EXAMPLES.contains(&(section, key)) {
            continue;
        }
        let mut text = uncommented(index);
        if ["tcp", "process", "command", "user", "file"].contains(&key) {
            text = text.replace("\nhttp = ", "\n# http = ");
        }
        if ["peer_ttl", "ttl", "check_source"].contains(&key) {
            text = text.replace("# peers = ", "peers = ");
        }
        if key == "hmac" {
            text = text.replace(
                "/etc/ha-agent/keys/web",
                &secret.path().display().to_string(),
            );
        }
        if key == "file" {
            // No run, nothing to restart.
            text = text.replace("\nrestart = ", "\n# restart = ");
        }
        if key == "user" {
            text = text.replace("# command = ", "command = ");
        }
        accepted(&text);
        tried += 1;
    }
    // `process` has three examples, `file` two.
    assert_eq!(tried, EXAMPLES.len() + 3);
}

/// What the sample says, as one line.
fn said() -> String {
    let lines = SAMPLE
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']));
    let words = lines.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

fn spelled_range(format: Format) -> Option<String> {
    match format {
        Format::Integer(low, high) => Some(format!("{low} to {high}")),
        Format::Duration(low, high) => {
            let spelled = |it| humantime::format_duration(it).to_string();
            Some(format!("{} to {}", spelled(low), spelled(high)))
        }
        Format::Boolean | Format::Choice(_) | Format::List(..) | Format::Words(_) => None,
    }
}

#[test]
fn the_sample_says_of_every_key_what_the_key_table_says() {
    let said = said();
    for section in key_table::sections() {
        for key in section.keys {
            let of = (section.title, key.name);
            assert!(
                said.contains(key.doc),
                "{of:?}: the sample does not say {:?}",
                key.doc
            );
            if let Some(range) = spelled_range(key.format) {
                assert!(
                    said.contains(&range),
                    "{of:?}: the sample does not say {range}"
                );
            }
            if let (Default::Value(value), "[node]" | "[[instance]]" | "[[check]]") =
                (key.default, section.title)
            {
                let commented = format!("\n# {} = {value}\n", key.name);
                let set = format!("\n{} = ", key.name);
                assert!(
                    SAMPLE.contains(&commented) || SAMPLE.contains(&set),
                    "{of:?}: the sample has no line of its default {value}"
                );
            }
        }
    }
}
