//! `events.jsonl`: what happens to a host, one value a line. A line of a recording is one of these lines too.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ha_agent::record::line::{self, Turn};
use ha_common::election::{FaultCause, Params};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority};
use serde::Deserialize;

use super::lines;
use super::problem::Problem;

/// How many adverts one line may stand for.
const MOST_ADVERTS: u64 = 10_000;

/// One event with its time.
pub type Line = line::Line<Event>;

/// What can happen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "as in the agent, and there are few"
)]
pub enum Event {
    /// The agent starts.
    Start,
    /// The interface is like this from now on.
    Link(Link),
    /// An advert arrives.
    Hears(Heard),
    /// Whether events of the kernel half get lost from now on.
    Deaf(bool),
    /// Something else keeps the instance out, or nothing any more.
    Trouble(Option<FaultCause>),
    /// A check has its first result, or has changed.
    Check(CheckResult),
    /// The configuration is now that of this file in the scenario's folder.
    Reload(String),
    /// The agent stands still.
    Stall(Stall),
    /// It moves again.
    Wake,
    /// The agent is killed; the kernel half and the addresses stay.
    Crash,
    /// The agent is told to stop.
    Shutdown,
    /// An election comes into being that nothing but `turn` drives, as a recording has it.
    Begins(Params),
    /// An input straight into the election, as a recording has it. What the recorded one wanted done counts for
    /// nothing.
    Turn(Turn),
    /// The scenario is over.
    End,
}

/// What is known of an interface.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// There is none of that name.
    #[default]
    Gone,
    /// Switched off, or no carrier.
    Down,
    /// It works, but has no address to send from.
    NoAddress,
    /// It works, with this address.
    Up(IpAddr),
}

/// An advert on the wire, as far as it is not what our own configuration would send.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// From whom.
    pub source: IpAddr,
    /// The priority that it says.
    pub priority: Priority,
    /// The interval that it says.
    pub interval: Option<Centiseconds>,
    /// The addresses that it lists.
    pub addresses: Option<Vec<IpAddr>>,
    /// There is one more of it each time that this span has passed ...
    pub every: Option<Nanos>,
    /// ... until this time.
    pub until: Option<Instant>,
}

/// What a check found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Its name.
    pub name: String,
    /// Whether all is well.
    pub up: bool,
}

/// What stands still.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// The driver alone: the sender goes on under its lease.
    Driver,
    /// The whole process.
    Agent,
}

/// What names the file may use.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Instances of any configuration of the scenario.
    pub instances: BTreeSet<String>,
    /// Checks likewise.
    pub checks: BTreeSet<String>,
    /// Configurations to reload.
    pub files: BTreeSet<String>,
}

/// Reads a file into the order in which things happen, with the numbers of the lines.
pub fn read(file: &str, text: &str, names: &Names) -> Result<Vec<(usize, Line)>, Problem> {
    let problem = |line, message| Problem {
        file: file.to_owned(),
        line,
        message,
    };
    let mut found = Vec::new();
    let (mut latest, mut ended) = (Instant(0), false);
    for (number, line) in lines::read::<Line>(file, text)? {
        if ended {
            return Err(problem(number, "nothing may follow `end`".to_owned()));
        }
        check(&line, names).map_err(|message| problem(number, message))?;
        // A driver's turn has one time, and an event of the kernel in it may be a little later.
        let recorded = matches!(line.event, Event::Begins(_) | Event::Turn(_));
        if line.at < latest && !recorded {
            let message = "is earlier than the line before it: lines go by time";
            return Err(problem(number, message.to_owned()));
        }
        latest = latest.max(line.at);
        ended = line.event == Event::End;
        let all = repeated(line).map_err(|message| problem(number, message))?;
        found.extend(all.into_iter().map(|it| (latest.max(it.at), number, it)));
    }
    if !ended {
        let message = "the last line must be {\"at\":TIME,\"event\":\"end\"}";
        return Err(problem(text.lines().count(), message.to_owned()));
    }
    // A repeated advert falls between later lines.
    found.sort_by_key(|(place, number, _)| (*place, *number));
    Ok(found
        .into_iter()
        .map(|(_, number, line)| (number, line))
        .collect())
}

/// Whether it can be said, and of whom it is said.
fn check(line: &Line, names: &Names) -> Result<(), String> {
    let known = |kind: &str, name: &str, all: &BTreeSet<String>| {
        if all.contains(name) {
            return Ok(());
        }
        let list: Vec<&str> = all.iter().map(String::as_str).collect();
        let list = list.join(", ");
        Err(format!("there is no {kind} `{name}`: there is {list}"))
    };
    let recorded = matches!(line.event, Event::Begins(_) | Event::Turn(_));
    // A recorded instance may have come by a reload that the scenario knows nothing of.
    if let Some(name) = line.instance.as_ref().filter(|_| !recorded) {
        known("instance", name, &names.instances)?;
    }
    match (&line.event, &line.instance) {
        (Event::Hears(_) | Event::Begins(_) | Event::Turn(_), None) => {
            Err("happens to one instance, and must say to which".to_owned())
        }
        (Event::Trouble(Some(cause)), _) if !is_trouble(*cause) => Err(
            "trouble is `cannot_send`, `source_missing`, `addresses_refused`, `maintenance` or `tracked`; \
             the interface, the checks and the group speak for themselves"
                .to_owned(),
        ),
        (Event::Check(result), None) => known("check", &result.name, &names.checks),
        (Event::Reload(name), None) => known("file", name, &names.files),
        (
            Event::Start
            | Event::Check(_)
            | Event::Reload(_)
            | Event::Stall(_)
            | Event::Wake
            | Event::Crash
            | Event::Shutdown
            | Event::End,
            Some(_),
        ) => Err("happens to the whole agent, not to one instance".to_owned()),
        _ => Ok(()),
    }
}

const fn is_trouble(cause: FaultCause) -> bool {
    match cause {
        FaultCause::CannotSend
        | FaultCause::AddressesRefused
        | FaultCause::SourceMissing
        | FaultCause::Maintenance
        | FaultCause::Tracked(_) => true,
        FaultCause::Check(_)
        | FaultCause::Member(_)
        | FaultCause::InterfaceDown
        | FaultCause::InterfaceGone
        | FaultCause::NoOwnAddress => false,
    }
}

/// The line as often as it says.
fn repeated(line: Line) -> Result<Vec<Line>, String> {
    let Event::Hears(Heard { every, until, .. }) = &line.event else {
        return Ok(vec![line]);
    };
    let (every, times) = match (*every, *until) {
        (None, None) => return Ok(vec![line]),
        (Some(every), Some(until)) if every > Nanos(0) && until >= line.at => {
            (every, until.since(line.at).0 / every.0)
        }
        _ => {
            return Err(
                "`every` needs a span above 0, and with it `until` a time that is not \
                        earlier than the line's own"
                    .to_owned(),
            );
        }
    };
    if times > MOST_ADVERTS {
        return Err(format!("has more than {MOST_ADVERTS} adverts"));
    }
    let at = |number| line.at + Nanos(number * every.0);
    let again = |number| Line {
        at: at(number),
        ..line.clone()
    };
    Ok((0..=times).map(again).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = r#"{"at":"3s","event":"end"}"#;

    fn read_text(text: &str) -> Result<Vec<(usize, Line)>, Problem> {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let names = Names {
            instances: set("web"),
            checks: set("nginx"),
            files: set("lowered.toml"),
        };
        read("events.jsonl", text, &names)
    }

    fn at(text: &str, event: &str) -> String {
        format!("{{\"at\":\"{text}\",\"instance\":\"web\",\"event\":{event}}}\n")
    }

    #[test]
    fn a_repeated_advert_falls_between_the_lines_that_follow() {
        let heard = r#"{"hears":{"source":"10.0.0.1","priority":200,"every":"1s","until":"2.5s"}}"#;
        let text = at("0s", heard) + &at("1.5s", r#"{"link":"down"}"#) + END;
        let lines = read_text(&text).unwrap();
        let times: Vec<String> = lines
            .iter()
            .map(|(_, line)| Nanos::from(line.at).to_string())
            .collect();
        assert_eq!(times, ["0s", "1s", "1.5s", "2s", "3s"]);
    }

    #[test]
    fn a_recorded_input_may_be_a_little_earlier_than_the_one_before_and_stays_behind_it() {
        let turn = r#"{"turn":{"input":"tick"}}"#;
        let text = at("1.0005s", turn) + &at("1s", turn) + END;
        let lines = read_text(&text).unwrap();
        let order: Vec<usize> = lines.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            (order, lines[1].1.at),
            (vec![1, 2, 3], Instant(1_000_000_000))
        );
    }

    #[test]
    fn comments_and_empty_lines_count_as_lines_and_say_nothing() {
        let lines = read_text(&format!("# an incident\n\n  # it ends\n{END}")).unwrap();
        assert_eq!((lines.len(), lines[0].0), (1, 4));
    }

    fn all(event: &str) -> String {
        format!("{{\"at\":\"0s\",\"event\":{event}}}\n")
    }

    fn heard(more: &str) -> String {
        let event = r#"{"hears":{"source":"10.0.0.1","priority":9}}"#;
        at("1s", &event.replace("}}", &format!(",{more}}}}}")))
    }

    fn refused(cases: &[(String, &str)]) {
        for (text, expected) in cases {
            let found = read_text(text).unwrap_err().to_string();
            let expected = format!("events.jsonl:{expected}");
            assert!(found.starts_with(&expected), "{text}: {found}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_its_number_and_what_is_allowed() {
        refused(&[
            (all("x"), "1: expected value, in column 20"),
            ("{}".to_owned(), "1: missing field `at`"),
            (
                END.replace("3s", "3"),
                "1: a span of time is written in s or ms",
            ),
            (
                all(r#""strat""#),
                "1: unknown variant `strat`, expected one of `start`, `link`",
            ),
            (
                END.replace("event", "evnt"),
                "1: unknown field `evnt`, expected one of `at`",
            ),
            (heard(r#""sometimes":true"#), "1: unknown field `sometimes`"),
            (
                heard(r#""interval":"15ms""#),
                "1: an interval is a multiple of 10ms",
            ),
        ]);
    }

    #[test]
    fn what_cannot_happen_is_refused_with_its_number_and_the_reason() {
        refused(&[
            (at("0s", r#""start""#), "1: happens to the whole agent"),
            (
                at("0s", r#"{"link":"down"}"#).replace("web", "bew"),
                "1: there is no instance `bew`: there is web",
            ),
            (
                all(r#"{"check":{"name":"disk","up":true}}"#),
                "1: there is no check `disk`: there is nginx",
            ),
            (
                all(r#"{"reload":"x.toml"}"#),
                "1: there is no file `x.toml`: there is lowered.toml",
            ),
            (
                at("0s", r#"{"trouble":"interface_down"}"#),
                "1: trouble is `cannot_send`",
            ),
            (
                all(r#"{"turn":{"input":"tick"}}"#),
                "1: happens to one instance",
            ),
            (heard(r#""every":"1s""#), "1: `every` needs a span above 0"),
            (
                heard(r#""every":"1s","until":"0s""#),
                "1: `every` needs a span above 0",
            ),
            (
                heard(r#""every":"0s","until":"9s""#),
                "1: `every` needs a span above 0",
            ),
            (
                heard(r#""every":"0.001ms","until":"9s""#),
                "1: has more than 10000 adverts",
            ),
            (all(r#""start""#), "1: the last line must be"),
            (format!("\n{END}\n{END}"), "3: nothing may follow `end`"),
            (
                all(r#""shutdown""#).replace("0s", "4s") + END,
                "2: is earlier than the line before it",
            ),
        ]);
    }
}
