//! A recording of `ha-agent run --record` made into a scenario's folder.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ha_common::units::Nanos;

use super::problem::Problem;
use super::scenario::{EVENTS, EXPECTED, Scenario};
use super::words::Words;
use super::world::FIRST;

const ALLOWED: &str = "`NAME < INPUT`, `NAME > ACTION`, `* lost N` or `* end`";

/// A recording, taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The configuration file.
    pub config: String,
    /// What the elections were told.
    pub events: String,
    /// That, and what they wanted done.
    pub expected: String,
    /// The line from which on entries are missing; nothing behind it is used.
    pub cut_at: Option<usize>,
}

/// Takes a recording apart. One that a killed agent left may lack its end, or the end of its last line.
pub fn take_apart(file: &str, text: &str) -> Result<Parts, Problem> {
    let mut parts = Parts::default();
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut latest = (Nanos(0), "0");
    let mut ended = false;
    for (number, line) in (1..).zip(whole.lines()) {
        if let Some(config) = line.strip_prefix('|') {
            parts
                .config
                .push_str(config.strip_prefix(' ').unwrap_or(config));
            parts.config.push('\n');
            continue;
        }
        let mut words = Words::new(file, number, line);
        if words.is_empty() {
            continue;
        }
        let at = words.time()?;
        if let Some(word) = line.split_whitespace().next().filter(|_| at >= latest.0) {
            latest = (at, word);
        }
        let who = words.next("`*` or the name of an instance")?;
        match (who, words.next(ALLOWED)?) {
            ("*", "end") => {
                push(&mut parts.events, line);
                ended = true;
                break;
            }
            ("*", "lost") => {
                parts.cut_at = Some(number);
                break;
            }
            (_, "<") => {
                push(&mut parts.events, line);
                push(&mut parts.expected, line);
            }
            (_, ">") => push(&mut parts.expected, line),
            (_, other) => return Err(words.wrong(other, ALLOWED)),
        }
    }
    if !ended {
        push(&mut parts.events, &format!("{} * end", latest.1));
    }
    Ok(parts)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Writes a recording into a new folder of that name, and reads it back as a scenario.
pub fn import(recording: &Path, folder: &Path) -> Result<(Scenario, Parts)> {
    let text = fs::read_to_string(recording)
        .with_context(|| format!("reading {}", recording.display()))?;
    let parts = take_apart(&recording.display().to_string(), &text)?;
    ensure!(
        !parts.config.trim().is_empty(),
        "{} has no `|` lines with the configuration: it is no recording of ha-agent",
        recording.display()
    );
    fs::create_dir(folder).with_context(|| {
        format!(
            "{} cannot be made: an older scenario of that name must be moved away",
            folder.display()
        )
    })?;
    for (name, text) in [
        (FIRST, parts.config.trim_start()),
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

    const HEAD: &str = "# Recorded by ha-agent.\n| a = 1\n|\n| b = 2\n";
    const TURN: &str = "0.000 web < ready\n0.000 web > advert-now\n";

    #[test]
    fn a_recording_is_its_configuration_its_inputs_and_all_of_it() {
        let parts = take_apart("incident", &format!("{HEAD}{TURN}2.500 * end\n")).unwrap();
        let expected = Parts {
            config: "a = 1\n\nb = 2\n".to_owned(),
            events: "0.000 web < ready\n2.500 * end\n".to_owned(),
            expected: TURN.to_owned(),
            cut_at: None,
        };
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_follows_a_gap_is_not_used() {
        let text = format!("{HEAD}{TURN}1.000 * lost 3\n1.000 web < tick\n2.000 * end\n");
        let parts = take_apart("incident", &text).unwrap();
        assert_eq!(parts.cut_at, Some(7));
        assert_eq!(parts.events, "0.000 web < ready\n1.000 * end\n");
        assert_eq!(parts.expected, TURN);
    }

    #[test]
    fn a_killed_agents_recording_ends_with_its_last_whole_line() {
        let text = format!("{HEAD}1.250 web < tick\n1.249 web < priority 90\n1.250 web > upda");
        let parts = take_apart("incident", &text).unwrap();
        let whole = "1.250 web < tick\n1.249 web < priority 90\n";
        assert_eq!(parts.events, format!("{whole}1.250 * end\n"));
        assert_eq!(parts.expected, whole);
    }

    #[test]
    fn another_kind_of_file_is_refused_with_its_line() {
        let error = take_apart("incident", "# x\n0.000 web = 7\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("incident:2: `=` is wrong here: allowed is `NAME < INPUT`"),
            "{text}"
        );
    }
}
