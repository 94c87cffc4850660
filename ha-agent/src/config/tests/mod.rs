//! The configuration as a whole: files in, models or problems out.

mod accepted;
mod advert_size;
mod fuzzed;
mod groups;
mod hmac;
mod host;
mod key_table;
mod last_resort;
mod loading;
mod manual;
mod owned_addresses;
mod plan;
mod probes;
mod routes;
mod sample;
mod sections;
mod tracking;
mod transport;
mod values;
mod virtual_mac;
mod written;

use super::{Config, Problem, Problems, Severity, parse};

/// The file of the first page of the documentation.
const FIRST_CONFIG: &str = r#"# ha-agent.toml: this file must work as it stands
[node]
name = "web-1"                      # default: the host name

[[instance]]
name = "web"
interface = "eth0"
vrid = 51
version = 3                         # 2 or 3; default 3
priority = 100                      # 1..255
advert_interval = "1s"              # v3: 10ms to 40.95s in steps of 10ms; v2: whole seconds
addresses = ["10.99.0.100/24"]
preempt = true
auth = { type = "none" }            # v2 only: { type = "pass", password = "at most 8 bytes" }
track = [{ check = "nginx" }]       # no weight: failed means fault; weight = -20 lowers the priority

[[check]]
name = "nginx"
http = "http://127.0.0.1:80/"       # one of http, tcp, process, command
interval = "1s"
timeout = "500ms"
fall = 2
rise = 2
restart = { command = ["systemctl", "start", "nginx"], attempts = 1, settle = "2s" }
"#;

/// The least that an instance and a check need, as key and value.
const INSTANCE: [(&str, &str); 4] = [
    ("name", "\"web\""),
    ("interface", "\"eth0\""),
    ("vrid", "51"),
    ("addresses", "[\"10.99.0.100/24\"]"),
];
const CHECK: [(&str, &str); 2] = [("name", "\"nginx\""), ("tcp", "\"127.0.0.1:80\"")];

/// A section with these lines, and what else it needs.
fn section(header: &str, needs: &[(&str, &str)], lines: &str) -> String {
    let mut text = format!("{header}\n");
    for (key, value) in needs {
        let given = |line: &str| line.trim_start_matches('|').starts_with(&format!("{key} "));
        // A check has one probe: a given one takes the place of the default.
        let probe = ["http ", "process ", "command ", "tcp ", "file "];
        let other_probe = *key == "tcp"
            && lines
                .lines()
                .any(|l| probe.iter().any(|p| l.starts_with(p)));
        if !lines.lines().any(given) && !other_probe {
            text = text + key + " = " + value + "\n";
        }
    }
    text + lines + "\n"
}

fn instance(lines: &str) -> String {
    section("[[instance]]", &INSTANCE, lines)
}

fn check(lines: &str) -> String {
    section("[[check]]", &CHECK, lines)
}

fn tracked(check_lines: &str) -> String {
    instance("track = [{ check = \"nginx\" }]") + &check(check_lines)
}

fn accepted(text: &str) -> Config {
    parse("test.toml", text).unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"))
}

fn refused(text: &str) -> Vec<Problem> {
    match parse("test.toml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(Problems { list, .. }) => list,
    }
}

/// A text with a bar in front of the place that is expected to be blamed, taken apart.
fn marked(text: &str) -> (String, usize, usize) {
    let (before, after) = text.split_once('|').expect("a mark");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (format!("{before}{after}"), line, column)
}

/// The one error of the file is at the bar, and holds all the fragments.
#[track_caller]
fn one_error(text: &str, fragments: &[&str]) {
    let (text, line, column) = marked(text);
    let problems = refused(&text);
    let errors: Vec<_> = problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .collect();
    let shown = || {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        all.join("\n")
    };
    assert_eq!(errors.len(), 1, "{}\nin\n{text}", shown());
    assert_eq!(
        (errors[0].line, errors[0].column),
        (line, column),
        "{}",
        shown()
    );
    for fragment in fragments {
        assert!(
            errors[0].message.contains(fragment),
            "no {fragment:?} in\n{}",
            shown()
        );
    }
}

/// The file is accepted with one warning, at the bar, that holds all the fragments.
#[track_caller]
fn one_warning(text: &str, fragments: &[&str]) {
    let (text, line, column) = marked(text);
    let warnings = accepted(&text).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:#?}\nin\n{text}");
    let warning = &warnings[0];
    assert_eq!(warning.severity, Severity::Warning);
    assert_eq!((warning.line, warning.column), (line, column), "{warning}");
    for fragment in fragments {
        assert!(
            warning.message.contains(fragment),
            "no {fragment:?} in\n{warning}"
        );
    }
}
