//! The key table and the readers: what one says the others do.

use super::super::key_table::{self, Default, Format, Key, ROOT, Section};
use super::*;

/// Entries that a table needs, unless they are given.
fn needs(title: &str, secret: &str) -> Vec<(&'static str, String)> {
    let pairs: &[(&str, &str)] = match title {
        "an entry of `peers`" => &[("address", "\"10.99.0.2\"")],
        "an address" => &[("address", "\"10.99.0.100/24\"")],
        "a route" => &[("to", "\"10.1.0.0/16\"")],
        "a rule" => &[("to", "\"10.1.0.0/16\""), ("table", "1"), ("priority", "1")],
        "`hmac`" => &[("keys", "[{ id = 1, file = \"SECRET\" }]")],
        "a key of `hmac`" => &[("id", "1"), ("file", "\"SECRET\"")],
        "`virtual_mac`" => &[("device", "\"x\"")],
        "`auth`" => &[("type", "\"none\"")],
        "an entry of `track`" => &[("interface", "\"eth1\"")],
        "`process`" => &[("name", "\"x\"")],
        "`file`" => &[("path", "\"/x\"")],
        "`restart`" => &[("command", "[\"x\"]")],
        _ => &[],
    };
    let value = |(key, value): &(&'static str, &str)| (*key, value.replace("SECRET", secret));
    pairs.iter().map(value).collect()
}

/// A file with such a table that has this entry, and what else it needs.
fn file(title: &str, entry: Option<(&'static str, &str)>, secret: &str) -> String {
    let mut entries = needs(title, secret);
    if let Some(("peer_ttl" | "ttl" | "check_source", _)) = entry {
        entries.push(("peers", "[\"10.99.0.2\"]".to_owned()));
    }
    if let Some((key, value)) = entry {
        entries.retain(|(other, _)| *other != key);
        entries.push((key, value.to_owned()));
    }
    let lines: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    let (table, lines) = (format!("{{ {} }}", lines.join(", ")), lines.join("\n"));
    let second = "name = \"dns\"\nvrid = 52\naddresses = [\"10.99.0.101/24\"]";
    match title {
        "the file" => lines + "\n" + &instance(""),
        "[node]" => format!("[node]\n{lines}\n") + &instance(""),
        "[[instance]]" => instance(&lines),
        "[[group]]" => {
            let needs = [("name", "\"a\""), ("instances", "[\"web\", \"dns\"]")];
            instance("") + &instance(second) + &section("[[group]]", &needs, &lines)
        }
        "[[check]]" => tracked(&lines),
        "an entry of `peers`" => instance(&format!("peers = [{table}]")),
        "`peer_ttl`" => instance(&format!("peers = [\"10.99.0.2\"]\npeer_ttl = {table}")),
        "an address" => instance(&format!("addresses = [{table}]")),
        "a route" => instance(&format!("routes = [{table}]")),
        "a rule" => instance(&format!("rules = [{table}]")),
        "`hmac`" | "`virtual_mac`" | "`auth`" | "`garp`" => {
            instance(&format!("{} = {table}", title.trim_matches('`')))
        }
        "a key of `hmac`" => instance(&format!("hmac = {{ keys = [{table}] }}")),
        "an entry of `track`" => instance(&format!("track = [{table}]")),
        "`delay`" => instance(&format!(
            "track = [{{ interface = \"eth1\", delay = {table} }}]"
        )),
        "`process`" | "`file`" | "`restart`" => {
            tracked(&format!("{} = {table}", title.trim_matches('`')))
        }
        other => panic!("how to write {other} is not known here"),
    }
}

fn secret() -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "x".repeat(32)).unwrap();
    let path = file.path().display().to_string();
    (file, path)
}

/// The messages about a value.
fn said(section: &Section, key: &Key, value: &str, secret: &str) -> String {
    let text = file(section.title, Some((key.name, value)), secret);
    match parse("f", &text) {
        Ok(_) => String::new(),
        Err(problems) => problems.lines().join("\n"),
    }
}

fn keys() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    let of = |section: &'static Section| section.keys.iter().map(move |key| (section, key));
    key_table::sections().into_iter().flat_map(of)
}

/// `Table::finish` holds what was asked for against the key table.
#[test]
fn every_table_is_read_with_the_keys_of_the_key_table_and_no_others() {
    let (_file, secret) = secret();
    for section in key_table::sections() {
        accepted(&file(section.title, None, &secret));
        let problems = refused(&file(section.title, Some(("zzzzzz", "1")), &secret));
        let [problem] = &problems[..] else {
            panic!("{problems:#?}")
        };
        let known: Vec<String> = section.names().map(|key| format!("`{key}`")).collect();
        let expected = format!("in {}; its keys are {}", section.title, known.join(", "));
        assert!(problem.message.ends_with(&expected), "{problem}");
    }
}

#[test]
fn every_default_of_the_key_table_is_what_a_file_without_the_key_gives() {
    let (_file, secret) = secret();
    let mut tried = 0;
    for (section, key) in keys() {
        if let Default::Value(value) = key.default {
            let with = accepted(&file(section.title, Some((key.name, value)), &secret));
            assert_eq!(
                with,
                accepted(&file(section.title, None, &secret)),
                "{} {}",
                section.title,
                key.name
            );
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried}");
}

#[test]
fn every_range_of_the_key_table_is_the_one_that_values_are_held_against() {
    let (_file, secret) = secret();
    for (section, key) in keys() {
        let millis = std::time::Duration::from_millis(1);
        let quoted = |it| format!("\"{}\"", humantime::format_duration(it));
        let (ends, beyond) = match key.format {
            Format::Integer(low, high) => {
                let beyond = vec![(low - 1).to_string(), (high + 1).to_string()];
                ([low.to_string(), high.to_string()], beyond)
            }
            Format::Duration(low, high) => {
                let below = low.checked_sub(millis).map(quoted);
                let beyond = below.into_iter().chain([quoted(high + millis)]);
                ([quoted(low), quoted(high)], beyond.collect())
            }
            Format::Boolean | Format::Choice(_) | Format::List(..) | Format::Words(_) => continue,
        };
        let range = ends
            .each_ref()
            .map(|end| end.trim_matches('"'))
            .join(" to ");
        let of = format!("`{}` must be a", key.name);
        for value in beyond {
            let said = said(section, key, &value, &secret);
            assert!(
                said.contains(&of) && said.contains(&range),
                "{} {value}: {said}",
                section.title
            );
        }
        for value in &ends {
            let said = said(section, key, value, &secret);
            let number = format!("{of} whole number");
            let duration = format!("{of} duration");
            assert!(
                !said.contains(&number) && !said.contains(&duration),
                "{} {value}: {said}",
                section.title
            );
        }
    }
}

#[test]
fn every_choice_of_the_key_table_is_one_of_its_reader() {
    let (_file, secret) = secret();
    for (section, key) in keys() {
        let (value, words) = match key.format {
            Format::Choice(words) => ("\"zzzzzz\"", words),
            Format::Boolean => ("1", &["true or false"][..]),
            Format::Integer(..) | Format::Duration(..) | Format::List(..) | Format::Words(_) => {
                continue;
            }
        };
        let said = said(section, key, value, &secret);
        let all = words.iter().all(|word| said.contains(word));
        assert!(all, "{} {}: {said}", section.title, key.name);
    }
}

#[test]
fn a_foreign_name_leads_to_a_key_of_the_same_table() {
    for (section, key) in keys() {
        for (foreign, here) in key.foreign {
            assert!(section.key(foreign).is_none(), "{foreign}");
            assert_eq!(here.split(' ').next(), Some(key.name), "{foreign}");
        }
    }
    assert!(ROOT.keys.iter().all(|key| key.inside.is_some()));
}
