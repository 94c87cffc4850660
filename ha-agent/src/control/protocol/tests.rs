//! Requests and answers as lines.

use proptest::prelude::*;

use super::*;
use crate::config::model;

#[test]
fn every_command_reads_its_own_line() {
    let commands = [
        Command::Status,
        Command::Watch,
        Command::Reload { force: false },
        Command::Peers,
        datapath("web", DatapathChoice::Only(model::Datapath::Socket)),
        Command::Upgrade,
        Command::HandOver,
        Command::Version,
    ];
    assert_eq!(commands.each_ref().map(Command::name), Command::NAMES);
    for command in commands {
        let line = command.to_line();
        assert_eq!(parse_request(line.trim_end().as_bytes()), Ok(command));
    }
    let forced = Command::Reload { force: true };
    let line = r#"{"v":1,"cmd":"reload","force":true}"#;
    assert_eq!(forced.to_line().trim_end(), line);
    assert_eq!(parse_request(line.as_bytes()), Ok(forced));
}

fn datapath(instance: &str, datapath: DatapathChoice) -> Command {
    Command::Datapath {
        instance: instance.to_owned(),
        datapath,
    }
}

#[test]
fn a_datapath_is_set_by_the_names_of_the_configuration() {
    for choice in DatapathChoice::ALL {
        let line = format!(
            r#"{{"v":1,"cmd":"datapath","instance":"a \"b\"","datapath":"{}"}}"#,
            choice.name()
        );
        let expected = datapath("a \"b\"", choice);
        assert_eq!(parse_request(line.as_bytes()), Ok(expected.clone()));
        assert_eq!(expected.to_line().trim_end(), line);
    }
}

#[test]
fn arguments_are_there_where_they_belong_and_nowhere_else() {
    for (line, message) in [
        (
            r#"{"v":1,"cmd":"datapath","datapath":"tc"}"#,
            "the command \"datapath\" needs \"instance\"",
        ),
        (
            r#"{"v":1,"cmd":"datapath","instance":"web"}"#,
            "the command \"datapath\" needs \"datapath\"",
        ),
        (
            r#"{"v":1,"cmd":"status","instance":"web"}"#,
            "the command \"status\" takes no \"instance\"",
        ),
        (
            r#"{"v":1,"cmd":"reload","datapath":"tc"}"#,
            "the command \"reload\" takes no \"datapath\"",
        ),
        (
            r#"{"v":1,"cmd":"status","force":true}"#,
            "the command \"status\" takes no \"force\"",
        ),
        (
            r#"{"v":1,"cmd":"datapath","instance":"web","datapath":"tc","force":true}"#,
            "the command \"datapath\" takes no \"force\"",
        ),
        (
            r#"{"v":1,"cmd":"datapath","instance":"web","datapath":"xdp"}"#,
            "unknown datapath \"xdp\"; known are auto, tc, native, generic, socket",
        ),
    ] {
        let error = parse_request(line.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message, "{line}");
    }
    for line in [
        r#"{"v":1,"cmd":"status","instance":null}"#,
        r#"{"v":1,"cmd":"reload","force":"yes"}"#,
        r#"{"v":1,"cmd":"datapath","instance":"web","datapath":null}"#,
        r#"{"v":1,"cmd":"datapath","instance":["web"],"datapath":"tc"}"#,
        r#"{"v":1,"cmd":"datapath","instance":"a","instance":"b","datapath":"tc"}"#,
    ] {
        let result = parse_request(line.as_bytes());
        assert!(matches!(result, Err(RequestError::Malformed(_))), "{line}");
    }
}

#[test]
fn an_unknown_command_is_answered_with_the_known_ones() {
    let error = parse_request(br#"{"v":1,"cmd":"promote\u001b[2J"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown command \"promote\\u{1b}[2J\"; known are status, watch, reload, peers, datapath, upgrade, hand_over, version"
    );
}

#[test]
fn another_protocol_version_is_refused_before_its_command_is_looked_at() {
    assert_eq!(
        parse_request(br#"{"v":2,"cmd":"teleport"}"#),
        Err(RequestError::Version(2))
    );
}

#[test]
fn unknown_keys_missing_keys_and_trailing_text_are_refused() {
    for line in [
        r#"{"v":1,"cmd":"status","x":1}"#,
        r#"{"cmd":"status"}"#,
        r#"{"v":1}"#,
        r#"{"v":1,"cmd":"status"} x"#,
        r#"["v",1]"#,
        "",
    ] {
        let result = parse_request(line.as_bytes());
        assert!(matches!(result, Err(RequestError::Malformed(_))), "{line}");
    }
}

#[test]
fn a_request_at_the_limit_is_read_and_one_byte_more_is_not() {
    let mut line = br#"{"v":1,"cmd":"status"}"#.to_vec();
    line.resize(MAX_REQUEST, b' ');
    assert_eq!(parse_request(&line), Ok(Command::Status));
    line.push(b' ');
    assert_eq!(parse_request(&line), Err(RequestError::TooLong));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_errors_stay_short(
        line in prop::collection::vec(any::<u8>(), 0..MAX_REQUEST + 64),
    ) {
        if let Err(error) = parse_request(&line) {
            prop_assert!(error.to_string().len() < 1024);
        }
    }

    #[test]
    fn only_known_names_are_commands(name in ".{0,60}") {
        let line = serde_json::json!({ "v": 1, "cmd": name }).to_string();
        let result = parse_request(line.as_bytes());
        let known = Command::NAMES.contains(&name.as_str()) && name != "datapath";
        prop_assert_eq!(result.is_ok(), known);
    }

    #[test]
    fn any_instance_is_named_by_a_line_that_reads_back(name in ".{0,60}") {
        let command = datapath(&name, DatapathChoice::Auto);
        let line = command.to_line();
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(parse_request(line.trim_end().as_bytes()), Ok(command));
    }
}
