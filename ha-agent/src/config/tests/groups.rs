//! `[[group]]`.

use super::super::model::Group;
use super::super::plan::{Step, plan};
use super::*;

/// Three instances and these lines.
fn file(lines: &str) -> String {
    with_keys(["", "", ""], lines)
}

fn with_keys(keys: [&str; 3], lines: &str) -> String {
    let instances: Vec<String> = ["web", "dns", "mail"]
        .into_iter()
        .zip(keys)
        .zip(1..)
        .map(|((name, keys), vrid)| {
            format!(
                "[[instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvrid = {vrid}\n\
                 addresses = [\"10.0.0.{vrid}/24\"]\n{keys}\n"
            )
        })
        .collect();
    instances.concat() + lines
}

const PAIR: &str = "[[group]]\nname = \"pair\"\ninstances = [\"web\", \"dns\"]\n";

#[test]
fn a_group_reaches_the_model() {
    let config = accepted(&file(PAIR));
    let pair = Group {
        name: "pair".into(),
        instances: vec!["web".into(), "dns".into()],
    };
    assert_eq!(config.groups, [pair]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(accepted(&file("")).groups.is_empty());
}

#[test]
fn every_wrong_value_of_a_group_is_blamed_at_its_place() {
    for (lines, fragments) in [
        (
            "|[[group]]\nname = \"a\"",
            &["[[group]] has no `instances`; add instances = [\"web\", \"dns\"]"][..],
        ),
        (
            "|[[group]]\ninstances = [\"web\", \"dns\"]",
            &["[[group]] has no `name`"],
        ),
        (
            "[[group]]\nname = |\"a b\"\ninstances = [\"web\", \"dns\"]",
            &["`name` must be 1 to 64 letters"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = |[\"web\"]",
            &["`instances` must have 2 to 4096 entries, and it has 1"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = |\"web\"",
            &["`instances` must be a list of instances such as"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = [\"web\", |7]",
            &["an entry of `instances` must be the name of an instance, not 7"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = [\"web\", |\"dnss\"]",
            &["there is no instance `dnss`; did you mean `dns`?"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = [\"web\", |\"zzzzzz\"]",
            &["the instances are `web`, `dns`, `mail`"],
        ),
        (
            "[[group]]\nname = \"a\"\ninstances = [\"web\", |\"web\"]",
            &["instance `web` is in this list already"],
        ),
        (
            "[[group]]\nname = \"a\"\n|members = 1\ninstances = [\"web\", \"dns\"]",
            &["unknown key `members` in [[group]]; its keys are `name`, `instances`"],
        ),
        (
            "|[group]\nname = \"a\"\ninstances = [\"web\", \"dns\"]",
            &["write [[group]] with two brackets"],
        ),
    ] {
        one_error(&file(lines), fragments);
    }
}

#[test]
fn two_groups_of_one_name_are_refused() {
    let instances = file("");
    let more = "[[instance]]\nname = \"ftp\"\ninterface = \"eth0\"\nvrid = 4\n\
                addresses = [\"10.0.0.4/24\"]\n";
    let again = "[[group]]\nname = |\"pair\"\ninstances = [\"mail\", \"ftp\"]\n";
    one_error(
        &format!("{instances}{more}{PAIR}{again}"),
        &["group `pair` is defined already"],
    );
}

#[test]
fn an_instance_is_in_one_group_only() {
    let other = "[[group]]\nname = \"other\"\ninstances = [\"mail\", |\"dns\"]\n";
    one_error(
        &file(&format!("{PAIR}{other}")),
        &["instance `dns` is in another group already (line 21)"],
    );
}

#[test]
fn an_owner_cannot_be_in_a_group() {
    let owner = with_keys(["", "priority = 255", ""], "");
    let marked = PAIR.replace("\"dns\"", "|\"dns\"");
    one_error(
        &format!("{owner}{marked}"),
        &["instance `dns` has priority = 255", "cannot be in a group"],
    );
}

#[test]
fn members_that_differ_are_doubtful() {
    let marked = PAIR.replace("\"dns\"", "|\"dns\"");
    for (keys, fragment) in [
        ("priority = 90", "the lowest of its members'"),
        ("advert_interval = \"2s\"", "the last of its masters"),
        ("down_multiplier = 4", "the last of its masters"),
        ("preempt = false", "when all of its members may"),
        ("preempt_delay = \"5s\"", "when all of its members may"),
    ] {
        let instances = with_keys(["", keys, ""], "");
        one_warning(
            &format!("{instances}{marked}"),
            &["`web` and `dns` differ", fragment],
        );
    }
}

#[test]
fn a_reload_shows_groups_that_come_change_and_go() {
    let (none, pair) = (accepted(&file("")), accepted(&file(PAIR)));
    let changed = accepted(&file(&PAIR.replace("dns", "mail")));
    let added = plan(&none, &pair);
    assert_eq!(added.groups.steps, [Step::Start(&pair.groups[0])]);
    assert!(!added.is_empty() && added.routers.is_empty());
    assert_eq!(plan(&pair, &none).groups.leaving, [&pair.groups[0]]);
    let plan = plan(&pair, &changed);
    let change = plan.groups.changes().next().unwrap();
    assert_eq!(change.differences[0].key, "instances");
    assert_eq!(change.restart, None);
}
