//! The annotated sample that packages install.

use super::*;

const SAMPLE: &str = include_str!("../../../../packaging/ha-agent.toml");

/// Keys whose commented line is an example rather than a default.
const EXAMPLES: [(&str, &str); 15] = [
    ("[node]", "name"),
    ("[[instance]]", "source"),
    ("[[instance]]", "peers"),
    ("[[instance]]", "peer_ttl"),
    ("[[instance]]", "ttl"),
    ("[[instance]]", "check_source"),
    ("[[instance]]", "hmac"),
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

#[test]
fn the_sample_mentions_every_key_that_exists() {
    let inside = [
        "[node]\nzzzzzz = 1\n".to_owned() + &instance(""),
        instance("zzzzzz = 1"),
        instance("garp = { zzzzzz = 1 }"),
        instance("peers = [{ address = \"10.99.0.2\", zzzzzz = 1 }]"),
        instance("peers = [\"10.99.0.2\"]\npeer_ttl = { zzzzzz = 1 }"),
        instance("addresses = [{ address = \"10.0.0.1\", zzzzzz = 1 }]"),
        instance("routes = [{ to = \"10.0.0.1\", zzzzzz = 1 }]"),
        instance("rules = [{ to = \"10.0.0.1\", table = 1, priority = 1, zzzzzz = 1 }]"),
        instance("hmac = { zzzzzz = 1 }"),
        instance("hmac = { keys = [{ id = 1, credential = \"x\", zzzzzz = 1 }] }"),
        instance("virtual_mac = { device = \"x\", zzzzzz = 1 }"),
        instance("auth = { type = \"none\", zzzzzz = 1 }"),
        instance("track = [{ check = \"nginx\", zzzzzz = 1 }]") + &check(""),
        tracked("zzzzzz = 1"),
        tracked("process = { name = \"x\", zzzzzz = 1 }"),
        tracked("file = { path = \"/x\", zzzzzz = 1 }"),
        instance("")
            + &instance("name = \"dns\"\nvrid = 52\naddresses = [\"10.99.0.101/24\"]")
            + "[[group]]\nzzzzzz = 1\nname = \"a\"\ninstances = [\"web\", \"dns\"]\n",
        tracked("restart = { command = [\"x\"], zzzzzz = 1 }"),
    ];
    for text in inside {
        let mut problems = refused(&text);
        problems.retain(|it| it.message.contains("its keys are"));
        assert_eq!(problems.len(), 1, "{problems:#?}");
        let (_, keys) = problems[0].message.split_once("its keys are ").unwrap();
        for key in keys.split(", ").map(|k| k.trim_matches('`')) {
            assert!(SAMPLE.contains(key), "the sample does not mention `{key}`");
        }
    }
}
