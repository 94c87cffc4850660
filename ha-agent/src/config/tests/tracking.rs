//! What an instance tracks: checks, interfaces, and its own interface's carrier.

use std::time::Duration;

use super::super::model::*;
use super::*;

fn tracks(entry: &str) -> String {
    instance(&format!("track = [{entry}]"))
}

fn the_track(entry: &str) -> Track {
    accepted(&(tracks(entry) + &check("")))
        .instances
        .remove(0)
        .track
        .remove(0)
}

#[test]
fn every_key_of_a_tracked_interface_reaches_the_model() {
    let subject = |carrier| Subject::Interface {
        name: "eth1".to_owned(),
        carrier,
    };
    let plain = Track {
        subject: subject(true),
        ..Track::check("")
    };
    assert_eq!(
        accepted(&tracks("{ interface = \"eth1\" }")).instances[0].track,
        [plain]
    );
    let full = Track {
        subject: subject(false),
        weight: Some(-30),
        reverse: true,
        delay: Delay {
            down: Duration::from_millis(500),
            up: Duration::from_mins(10),
        },
    };
    let text = "{ interface = \"eth1\", weight = -30, reverse = true, carrier = false, \
                delay = { down = \"500ms\", up = \"10m\" } }";
    assert_eq!(accepted(&tracks(text)).instances[0].track, [full]);
}

#[test]
fn one_delay_is_for_both_ways_and_a_missing_half_is_none() {
    let seconds = Duration::from_secs;
    for (delay, down, up) in [
        ("\"2s\"", seconds(2), seconds(2)),
        ("{ up = \"2s\" }", Duration::ZERO, seconds(2)),
        ("{ down = \"2s\" }", seconds(2), Duration::ZERO),
        ("{}", Duration::ZERO, Duration::ZERO),
    ] {
        let text = tracks(&format!("{{ interface = \"eth1\", delay = {delay} }}"));
        let found = accepted(&text).instances[0].track[0].delay;
        assert_eq!(found, Delay { down, up }, "{delay}");
    }
}

#[test]
fn a_check_can_be_tracked_in_reverse() {
    let track = the_track("{ check = \"nginx\", reverse = true, weight = 5 }");
    assert!(track.reverse);
    assert_eq!(track.weight, Some(5));
    assert!(!the_track("{ check = \"nginx\" }").reverse);
}

#[test]
fn what_is_wrong_with_an_entry_is_said_with_what_is_allowed() {
    for (entry, fragments) in [
        (
            "|{ weight = 1 }",
            &["no `check` and no `interface`", "interface = \"eth1\""][..],
        ),
        (
            "{ check = \"nginx\", interface = |\"eth1\" }",
            &[
                "`interface` must not stand beside `check`",
                "an entry of its own",
            ],
        ),
        (
            "{ interface = |\"a/b\" }",
            &["`interface` must be the name of an interface, or an alternative one"],
        ),
        (
            "{ interface = \"eth1\", carrier = |\"no\" }",
            &["`carrier` must be true or false without quotes"],
        ),
        (
            "{ check = \"nginx\", carrier = |false }",
            &["`carrier` goes with `interface`"],
        ),
        (
            "{ check = \"nginx\", delay = |\"1s\" }",
            &["`delay` goes with `interface`", "`fall` and `rise`"],
        ),
        (
            "{ interface = \"eth1\", reverse = |1 }",
            &["`reverse` must be true or false"],
        ),
        (
            "{ interface = \"eth1\", delay = |\"11m\" }",
            &["`delay` must be a duration from 0s to 10m, not \"11m\""],
        ),
        (
            "{ interface = \"eth1\", delay = { up = |\"11m\" } }",
            &["`up` must be a duration from 0s to 10m"],
        ),
        (
            "{ interface = \"eth1\", delay = { |rise = \"1s\" } }",
            &["unknown key `rise` in `delay`", "`down`, `up`"],
        ),
        (
            "{ interface = \"eth1\", delay = |5 }",
            &["`delay` must be a table"],
        ),
        (
            "{ interface = \"eth1\" }, { interface = |\"eth1\", carrier = false }",
            &["interface `eth1` is in this list already"],
        ),
    ] {
        let used = tracks("{ check = \"nginx\" }")
            .replace("\"web\"", "\"other\"")
            .replace("vrid = 51", "vrid = 52")
            .replace("10.99.0.100", "10.99.0.101");
        one_error(&(tracks(entry) + &used + &check("")), fragments);
    }
    // A check and an interface of one name are two things.
    let same = "{ check = \"nginx\" }, { interface = \"nginx\" }";
    assert_eq!(
        accepted(&(tracks(same) + &check(""))).instances[0]
            .track
            .len(),
        2
    );
}

#[test]
fn tracking_the_own_interface_is_a_warning_unless_its_carrier_is_ignored_otherwise() {
    let own = "track = [{ interface = |\"eth0\" }]";
    one_warning(
        &instance(own),
        &["tracking eth0 changes nothing", "carrier = \"ignore\""],
    );
    let own = "carrier = \"ignore\"\ntrack = [{ interface = |\"eth0\", carrier = false }]";
    one_warning(&instance(own), &["tracking eth0 changes nothing"]);
    let useful = "carrier = \"ignore\"\ntrack = [{ interface = \"eth0\", weight = -5 }]";
    assert_eq!(accepted(&instance(useful)).warnings, []);
}

#[test]
fn a_weight_of_an_interface_that_can_never_matter_is_a_warning() {
    one_warning(
        &instance("priority = 1\ntrack = [{ interface = |\"eth1\", weight = -20 }]"),
        &[
            "this weight of -20 can never move the address",
            "whether the interface is down or not",
        ],
    );
}

#[test]
fn the_own_carrier_is_a_fault_unless_it_is_ignored() {
    for (lines, carrier) in [
        ("", Carrier::Fault),
        ("carrier = \"fault\"", Carrier::Fault),
        ("carrier = \"ignore\"", Carrier::Ignore),
    ] {
        assert_eq!(accepted(&instance(lines)).instances[0].carrier, carrier);
    }
    one_error(
        &instance("carrier = |\"off\""),
        &["`carrier` must be \"fault\" or \"ignore\", not \"off\""],
    );
}
