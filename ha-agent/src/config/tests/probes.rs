//! Checks of files, and of how many processes there are.

use super::super::model::*;
use super::*;

fn the_probe(lines: &str) -> Probe {
    accepted(&tracked(lines)).checks.remove(0).probe
}

#[test]
fn a_file_is_a_number_unless_it_is_said_what_makes_it_up() {
    for (extra, used_as) in [
        ("", FileUse::Weight),
        (", up = \"exists\"", FileUse::Exists),
        (", up = \"missing\"", FileUse::Missing),
    ] {
        let found = the_probe(&format!("file = {{ path = \"/run/ha/weight\"{extra} }}"));
        let expected = FileProbe {
            path: "/run/ha/weight".into(),
            used_as,
        };
        assert_eq!(found, Probe::File(expected));
    }
}

#[test]
fn processes_are_counted_where_a_number_or_arguments_are_given() {
    let counted = |args: &[&str], min, max| {
        Probe::ProcessCount(CountProbe {
            name: "haproxy".to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            min,
            max,
        })
    };
    for (keys, expected) in [
        ("min = 2", counted(&[], 2, None)),
        ("max = 10", counted(&[], 1, Some(10))),
        ("min = 0, max = 0", counted(&[], 0, Some(0))),
        ("min = 2, max = 10", counted(&[], 2, Some(10))),
        (
            "args = [\"-f\", \"/etc/x\"]",
            counted(&["-f", "/etc/x"], 1, None),
        ),
    ] {
        let found = the_probe(&format!("process = {{ name = \"haproxy\", {keys} }}"));
        assert_eq!(found, expected, "{keys}");
    }
}

#[test]
fn what_is_wrong_with_a_file_or_a_count_is_said_with_what_is_allowed() {
    for (lines, fragments) in [
        ("file = |\"/run/weight\"", &["`file` must be a table"][..]),
        (
            "file = |{}",
            &["`file` has no `path`", "path = \"/run/ha/weight\""],
        ),
        (
            "file = { path = |\"weight\" }",
            &["`path` must be a path that starts with '/'"],
        ),
        (
            "file = { path = \"/x\", up = |\"number\" }",
            &["`up` must be \"exists\" or \"missing\", not \"number\""],
        ),
        (
            "file = { path = \"/x\", |default = 1 }",
            &["unknown key `default` in `file`", "`path`, `up`"],
        ),
        (
            "file = { path = \"/x\" }\n|interval = \"1s\"",
            &[
                "`interval` does not go with `file`",
                "a change is told at once",
            ],
        ),
        (
            "file = { path = \"/x\" }\n|timeout = \"1s\"",
            &["`timeout` does not go with `file`"],
        ),
        (
            "file = { path = \"/x\" }\n|fall = 2",
            &["`fall` does not go with `file`"],
        ),
        (
            "file = { path = \"/x\" }\n|rise = 2",
            &["`rise` does not go with `file`"],
        ),
        (
            "file = { path = \"/x\" }\n|restart = { command = [\"x\"] }",
            &["`restart` does not go with `file`"],
        ),
        (
            "file = { path = \"/x\" }\n|user = \"nobody\"",
            &["`user` goes with `command`, and this is a `file` check"],
        ),
        (
            "process = { name = \"x\", min = |-1 }",
            &["`min` must be a whole number from 0 to 100000 processes"],
        ),
        (
            "process = { name = \"x\", max = |100001 }",
            &["`max` must be a whole number from 0 to 100000 processes"],
        ),
        (
            "process = { name = \"x\", min = 3, max = |2 }",
            &["`max` must be at least `min`, which is 3"],
        ),
        (
            "process = { name = \"x\", max = |0 }",
            &["`max` must be at least `min`, which is 1; for none at all write min = 0, max = 0"],
        ),
        (
            "process = |{ name = \"x\", min = 0 }",
            &["is up with any number of processes"],
        ),
        (
            "process = |{ pid_file = \"/x\", min = 2 }",
            &["`min`, `max` and `args` go with `name`"],
        ),
        (
            "process = { name = \"x\", args = |\"-f\" }",
            &["`args` must be a list of arguments"],
        ),
        (
            "process = { name = \"x\", args = |[] }",
            &["must have 1 to 16 entries"],
        ),
        (
            "process = { name = \"x\", args = [|1] }",
            &["an entry of `args` must be a text in quotes"],
        ),
    ] {
        let tracker = instance("track = [{ check = \"nginx\" }]");
        one_error(&(tracker + &check(lines)), fragments);
    }
}

#[test]
fn the_weight_of_a_number_in_a_file_is_a_factor_and_can_move_the_address() {
    // As a weight of its own +20 could not: 254 is the most there is.
    let text = instance("priority = 254\ntrack = [{ check = \"nginx\", weight = 20 }]")
        + &check("file = { path = \"/x\" }");
    let config = accepted(&text);
    assert_eq!(config.warnings, []);
    assert_eq!(config.instances[0].track[0].weight, Some(20));
    // What others may add makes room for it, as well.
    let text = instance(
        "priority = 254\ntrack = [{ check = \"nginx\" }, { interface = \"eth1\", weight = 20 }]",
    ) + &check("file = { path = \"/x\" }");
    assert_eq!(accepted(&text).warnings, []);
    let text = instance(
        "priority = 254\ntrack = [{ check = \"nginx\" }, { interface = |\"eth1\", weight = 20 }]",
    ) + &check("file = { path = \"/x\", up = \"exists\" }");
    one_warning(&text, &["this weight of 20 can never move the address"]);
}
