//! What is missing, there twice, or does not go together; warnings; and how it is all printed.

use super::*;

#[test]
fn a_missing_key_is_blamed_at_the_header_with_what_to_add() {
    for key in ["name", "interface", "vrid", "addresses"] {
        let lines: Vec<_> = INSTANCE
            .iter()
            .filter(|(k, _)| *k != key)
            .map(|(k, v)| format!("{k} = {v}\n"))
            .collect();
        let text = format!("[node]\n|[[instance]]\n{}", lines.concat());
        one_error(
            &text,
            &[&format!("[[instance]] has no `{key}`; add {key} = ")],
        );
    }
    let tracker = instance("track = [{ check = \"nginx\" }]");
    one_error(
        &format!("{tracker}|[[check]]\nname = \"nginx\""),
        &[
            "does not say what to look at",
            "`http`, `tcp`, `process`, `command`",
        ],
    );
}

#[test]
fn a_file_without_instances_is_refused() {
    for text in ["|", "|# nothing\n", "|[node]\n"] {
        one_error(text, &["no [[instance]]"]);
    }
}

#[test]
fn sections_of_the_wrong_shape_are_refused() {
    let ok = instance("");
    let one_bracket = |section: &str| section.replacen("[[", "|[", 1).replacen("]]", "]", 1);
    one_error(
        &one_bracket(&instance("")),
        &["write [[instance]] with two brackets"],
    );
    one_error(
        &(instance("track = [{ check = \"nginx\" }]") + &one_bracket(&check(""))),
        &["write [[check]] with two brackets"],
    );
    one_error(&format!("node = |1\n{ok}"), &["`node` must be a table"]);
    one_error(
        "instance = |1\n",
        &["a list of [[instance]] sections, not 1"],
    );
    one_error("instance = [|1]\n", &["must be a table"]);
    one_error(
        &format!("{ok}[[|instances]]\n"),
        &["unknown key `instances` in the file", "`instance`"],
    );
    one_error(&format!("|nodes = 1\n{ok}"), &["did you mean `node`?"]);
    one_error(
        &format!("[|global]\n{ok}"),
        &["its keys are `node`, `instance`, `check`"],
    );
}

#[test]
fn a_section_with_one_bracket_hides_none_of_its_other_mistakes() {
    let text = "[instance]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 0\n\
                addresses = [\"10.99.0.100/24\"]\n[check]\nname = \"nginx\"\ntcp = 80\n";
    let places: Vec<_> = refused(text).iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(1, 1), (4, 8), (6, 1), (7, 8), (8, 7)]);
}

#[test]
fn names_addresses_and_vrids_are_unique() {
    let first = instance("");
    let other = |lines: &str| {
        let mut lines = lines.to_owned();
        for (key, value) in [
            ("name", "\"b\""),
            ("vrid", "52"),
            ("addresses", "[\"10.99.0.101/24\"]"),
        ] {
            if !lines.contains(&format!("{key} = ")) {
                lines = format!("{lines}\n{key} = {value}");
            }
        }
        first.clone() + &instance(&lines)
    };
    one_error(
        &other("name = |\"web\""),
        &["instance `web` is defined already (line 2)"],
    );
    one_error(
        &other("vrid = |51"),
        &["vrid 51 is in use on eth0 already (line 4)"],
    );
    one_error(
        &other("addresses = [\"10.99.0.101/24\", |\"10.99.0.100/32\"]"),
        &["10.99.0.100 belongs to another instance already (line 5)"],
    );
    one_error(
        &(tracked("") + &check("name = |\"nginx\"")),
        &["check `nginx` is defined already"],
    );
    accepted(&other("vrid = 51\ninterface = \"eth1\""));
}

#[test]
fn a_tracked_check_must_exist() {
    let tracks = |name| instance(&format!("track = [{{ check = |\"{name}\" }}]"));
    one_error(
        &(tracks("ngnix") + &check("")),
        &["no check `ngnix`; did you mean `nginx`?"],
    );
    one_error(
        &(tracks("db") + &check("")),
        &["no check `db`; the checks are `nginx`"],
    );
    one_error(&tracks("nginx"), &["the file has no [[check]]"]);
}

#[test]
fn more_instances_than_slots_are_refused() {
    let two = instance("") + &instance("name = \"b\"\nvrid = 52\naddresses = [\"10.99.0.101/24\"]");
    one_error(
        &format!("|[node]\nmax_slots = 1\n{two}"),
        &["2 instances", "`max_slots` leaves room for 1"],
    );
}

#[test]
fn limits_on_numbers_of_entries_hold() {
    let list = |n: usize| {
        let all: Vec<_> = (0..n)
            .map(|i| format!("\"10.0.{}.{}/32\"", i / 250, i % 250 + 1))
            .collect();
        all.join(", ")
    };
    assert_eq!(
        accepted(&instance(&format!("addresses = [{}]", list(255)))).instances[0]
            .addresses
            .len(),
        255
    );
    one_error(
        &instance(&format!("addresses = |[{}]", list(256))),
        &["1 to 255 entries, and it has 256"],
    );
    let tracks = "{ check = \"nginx\" }, ".repeat(65);
    one_error(
        &(instance(&format!("track = |[{tracks}]")) + &check("")),
        &["0 to 64 entries, and it has 65"],
    );
    let checks: String = (0..1025)
        .map(|i| check(&format!("name = \"c{i}\"")))
        .collect();
    let text = instance("") + &checks.replacen("[[check]]", "|[[check]]", 1);
    one_error(&text, &["0 to 1024 entries, and it has 1025"]);
}

#[test]
fn what_is_most_likely_not_meant_is_a_warning() {
    one_warning(
        &(instance("") + &check("name = |\"nginx\"")),
        &["no instance tracks check `nginx`"],
    );
    let tracking = |lines: &str| instance(lines) + &check("");
    for (lines, fragments) in [
        (
            "priority = 255\ntrack = [{ check = |\"nginx\", weight = -20 }]",
            &["this weight is ignored", "owner"][..],
        ),
        (
            "priority = 1\ntrack = [{ check = |\"nginx\", weight = -20 }]",
            &["can never move the address"],
        ),
        (
            "priority = 254\ntrack = [{ check = |\"nginx\", weight = 20 }]",
            &["can never move the address"],
        ),
    ] {
        one_warning(&tracking(lines), fragments);
    }
    for (lines, fragments) in [
        (
            "priority = 255\npreempt = |false",
            &["preempt = false is ignored"][..],
        ),
        (
            "priority = 255\npreempt_delay = |\"5s\"",
            &["`preempt_delay` is ignored"],
        ),
        (
            "down_multiplier = |1",
            &["a single advert that is late or lost"],
        ),
        (
            "addresses = [|\"2001:db8::1/64\"]",
            &["should be link-local", "5.2.9"],
        ),
        (
            "addresses = [|\"10.0.0.0/24\"]",
            &["the address of the network itself"],
        ),
        (
            "addresses = [|\"10.0.0.255/24\"]",
            &["the broadcast address of its network"],
        ),
        (
            "version = 2\nchecksum = |\"payload\"",
            &["`checksum` has no effect here"],
        ),
        (
            "addresses = [\"fe80::1/64\"]\nchecksum = |\"payload\"",
            &["`checksum` has no effect here"],
        ),
    ] {
        one_warning(&instance(lines), fragments);
    }
}

#[test]
fn a_weight_that_another_one_makes_useful_is_no_warning() {
    // 254 and +20 alone stay at 254, but -100 beside it leaves room.
    let text = instance(
        "priority = 254\ntrack = [{ check = \"nginx\", weight = 20 }, { check = \"b\", weight = -100 }]",
    ) + &check("")
        + &check("name = \"b\"");
    assert_eq!(accepted(&text).warnings, Vec::<Problem>::new());
}

/// Tries every combination of failing checks, which the formula in the rules must agree with.
#[test]
fn the_rule_for_useless_weights_agrees_with_trying_every_combination() {
    let clamp = |sum: i32| sum.clamp(1, 254);
    let weights = [-253, -100, -1, 1, 100, 253];
    let mut useless_seen = 0;
    for priority in [1, 2, 100, 253, 254] {
        for (a, b, c) in (0..216).map(|n| (weights[n / 36], weights[n / 6 % 6], weights[n % 6])) {
            let all = [a, b, c];
            let track: Vec<_> = all
                .iter()
                .enumerate()
                .map(|(i, w)| format!("{{ check = \"c{i}\", weight = {w} }}"))
                .collect();
            let checks: String = (0..3).map(|i| check(&format!("name = \"c{i}\""))).collect();
            let lines = format!("priority = {priority}\ntrack = [{}]", track.join(", "));
            let found = accepted(&(instance(&lines) + &checks)).warnings.len();
            let sum = |applied: usize| -> i32 {
                priority
                    + (0..3)
                        .filter(|i| applied >> i & 1 == 1)
                        .map(|i| all[i])
                        .sum::<i32>()
            };
            let expected = (0..3)
                .filter(|i| {
                    (0..8).all(|set| clamp(sum(set & !(1 << i))) == clamp(sum(set | 1 << i)))
                })
                .count();
            assert_eq!(found, expected, "{lines}");
            useless_seen += found;
        }
    }
    assert!(useless_seen > 0);
}

#[test]
fn every_problem_is_reported_at_once_and_in_file_order() {
    let text = "[node]\nlog_format = 1\n[[instance]]\nname = \"web\"\nvrid = 0\nprioritty = 1\n\
                addresses = [\"10.0.0.1/24\", \"x\"]\ntrack = [{ check = \"a\" }]\n\
                [[check]]\nname = \"b\"\nhttp = \"https://x\"\nfall = 0\n";
    let places: Vec<_> = refused(text).iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(
        places,
        [
            (2, 14),
            (3, 1),
            (5, 8),
            (6, 1),
            (7, 29),
            (8, 20),
            (10, 8),
            (11, 8),
            (12, 8)
        ]
    );
}

#[test]
fn a_tracked_check_is_looked_for_even_if_its_weight_is_wrong() {
    let text = instance("track = [{ check = \"a\", weight = 300 }]") + &check("");
    let places: Vec<_> = refused(&text).iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(6, 20), (6, 34)]);
}

#[test]
fn errors_of_syntax_are_all_reported_and_nothing_that_follows_from_them() {
    let text = "[[instance]]\nname = \nvrid = 51\n[[check]\nname = \"a\"\n";
    let problems = refused(text);
    let places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(2, 8), (4, 9)], "{problems:#?}");
    assert!(problems.iter().all(|p| p.message.starts_with("not TOML: ")));
    one_error(
        &format!("{}|vrid = 7\n", instance("")),
        &["not TOML: duplicate key"],
    );
    one_error("a = |1 2\n", &["not TOML"]);
}

#[test]
fn problems_print_like_a_compilers() {
    let text = instance("priority = 300\ncolour = 1");
    let problems = parse("ha-agent.toml", &text).unwrap_err();
    let expected = "\
ha-agent.toml:6:12: error: `priority` must be a whole number from 1 to 255, not 300
    6 | priority = 300
      |            ^^^
ha-agent.toml:7:1: error: unknown key `colour` in [[instance]]; its keys are `name`, `interface`, \
`vrid`, `version`, `priority`, `advert_interval`, `down_multiplier`, `addresses`, `excluded`, \
`routes`, `rules`, `source`, `group`, `peers`, `peer_ttl`, `ttl`, `check_source`, `virtual_mac`, `preempt`, `preempt_delay`, `auth`, `hmac`, `track`, \
`last_resort`, `carrier`, `carrier_delay`, `address_delay`, `datapath`, `consume`, `checksum`, `garp`, `start_delay`
    7 | colour = 1
      | ^^^^^^";
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn a_password_is_never_printed() {
    for lines in [
        "auth = \"hunter2\"",
        "version = 2\nauth = { type = \"pass\", password = \"hunter2-too-long\" }",
        "auth = { type = \"pass\", password = \"hunter2\" }",
        "version = 2\nauth = { type = \"pass\", pasword = \"hunter2\" }",
        "version = 2\nauth = { type = \"pass\", password = \"hunter2 }",
        "version = 2\nauth = { type = \"none\", password = \"hunter2\" }",
    ] {
        let problems = parse("f", &instance(lines)).unwrap_err();
        let shown = format!("{problems}\n{problems:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn garbage_gives_a_bounded_report() {
    let lines: String = (0..5000).fold(String::new(), |text, i| text + &format!("k{i} = 1\n"));
    let problems = parse("f", &instance(&lines)).unwrap_err();
    assert_eq!((problems.list.len(), problems.unlisted), (200, 4800));
    assert!(problems.to_string().ends_with("and 4800 more problems"));
}
