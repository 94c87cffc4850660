//! A recording of `ha-agent run --record` made into a scenario's folder.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use ha_agent::record::line::{Event, Line};
use ha_common::election::Actions;
use ha_common::units::Instant;

use super::lines;
use super::problem::Problem;
use super::scenario::{EVENTS, EXPECTED, Scenario};
use super::transcript::Transcript;
use super::world::FIRST;

/// A recording, taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The configuration file.
    pub config: String,
    /// What the elections were told.
    pub events: String,
    /// That, and what they wanted done, in words.
    pub expected: String,
    /// The line from which on entries are missing; nothing behind it is used.
    pub cut_at: Option<usize>,
}

/// Takes a recording apart. One that a killed agent left may lack its end, or the end of its last line.
pub fn take_apart(file: &str, text: &str) -> Result<Parts, Problem> {
    let problem = |line, message: &str| Problem {
        file: file.to_owned(),
        line,
        message: message.to_owned(),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut all = lines::read::<Line>(file, whole)?.into_iter();
    let Some((
        _,
        Line {
            at: mut latest,
            event: Event::Recording(head),
            ..
        },
    )) = all.next()
    else {
        return Err(problem(
            1,
            "is not the first line of a recording of ha-agent",
        ));
    };
    let mut parts = Parts {
        config: head.config,
        ..Parts::default()
    };
    let mut transcript = Transcript::default();
    for (number, mut line) in all {
        latest = latest.max(line.at);
        match (line.instance.as_deref(), &mut line.event) {
            (Some(name), Event::Begins(params)) => transcript.begins(name, line.at, params),
            (Some(name), Event::Turn(turn)) => {
                transcript.turn(name, line.at, turn);
                turn.actions = Actions::default();
            }
            (None, Event::End) => break,
            (None, Event::Lost(_)) => {
                parts.cut_at = Some(number);
                break;
            }
            _ => return Err(problem(number, "does not belong there in a recording")),
        }
        parts.events += &json(&line);
    }
    parts.events += &json(&end(latest));
    parts.expected = transcript
        .lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect();
    Ok(parts)
}

fn end(at: Instant) -> Line {
    Line {
        at,
        instance: None,
        event: Event::End,
    }
}

/// What was read as JSON can be written as JSON.
fn json(line: &Line) -> String {
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

/// Writes a recording into a new folder of that name, and reads it back as a scenario.
pub fn import(recording: &Path, folder: &Path) -> Result<(Scenario, Parts)> {
    let text = fs::read_to_string(recording)
        .with_context(|| format!("reading {}", recording.display()))?;
    let parts = take_apart(&recording.display().to_string(), &text)?;
    fs::create_dir(folder).with_context(|| {
        format!(
            "{} cannot be made: an older scenario of that name must be moved away",
            folder.display()
        )
    })?;
    for (name, text) in [
        (FIRST, &parts.config),
        (EVENTS, &parts.events),
        (EXPECTED, &parts.expected),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok((Scenario::read(folder)?, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"at":"7s","event":{"recording":{"version":"1","config":"a = 1\n"}}}"#;
    const TOLD: &str = r#"{"at":"7.5s","instance":"web","event":{"turn":{"input":"tick"}}}"#;
    const LOST: &str = r#"{"at":"8s","event":{"lost":3}}"#;

    /// What was told, and what was wanted.
    fn turn() -> String {
        TOLD.replace("}}}", r#","actions":["advert_now"]}}}"#)
    }

    fn end(at: &str) -> String {
        format!("{{\"at\":\"{at}\",\"event\":\"end\"}}\n")
    }

    #[test]
    fn a_recording_is_its_configuration_its_inputs_and_all_of_it_in_words() {
        let text = format!("{HEAD}\n{}\n{}", turn(), end("9s"));
        let expected = Parts {
            config: "a = 1\n".to_owned(),
            events: format!("{TOLD}\n{}", end("9s")),
            expected: "7.500 web < tick\n7.500 web > advert-now\n".to_owned(),
            cut_at: None,
        };
        assert_eq!(take_apart("incident", &text).unwrap(), expected);
    }

    #[test]
    fn what_follows_a_gap_is_not_used() {
        let text = format!("{HEAD}\n{TOLD}\n{LOST}\n{TOLD}\n{}", end("9s"));
        let parts = take_apart("incident", &text).unwrap();
        assert_eq!(parts.cut_at, Some(3));
        assert_eq!(parts.events, format!("{TOLD}\n{}", end("8s")));
        assert_eq!(parts.expected, "7.500 web < tick\n");
    }

    #[test]
    fn a_killed_agents_recording_ends_with_its_last_whole_line() {
        let text = format!("{HEAD}\n{TOLD}\n{}", &TOLD[..20]);
        let parts = take_apart("incident", &text).unwrap();
        assert_eq!(parts.events, format!("{TOLD}\n{}", end("7.5s")));
    }

    #[test]
    fn a_broken_line_and_another_kind_of_file_are_refused_with_their_line() {
        let refused = |text: &str| take_apart("incident", text).unwrap_err().to_string();
        let broken = refused(&format!("{HEAD}\n{}\n{TOLD}\n", &TOLD[..20]));
        assert!(
            broken.starts_with("incident:2: EOF while parsing"),
            "{broken}"
        );
        let other = refused(&format!("{HEAD}\n{}\n", TOLD.replace("tick", "tock")));
        assert!(
            other.starts_with("incident:2: unknown variant `tock`, expected one of `ready`"),
            "{other}"
        );
        let none = refused(&format!("{TOLD}\n"));
        assert_eq!(
            none,
            "incident:1: is not the first line of a recording of ha-agent"
        );
        let twice = refused(&format!("{HEAD}\n{HEAD}\n"));
        assert_eq!(twice, "incident:2: does not belong there in a recording");
    }
}
