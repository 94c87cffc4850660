//! `events.txt`: what happens to a host, line by line, read into values.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ha_agent::router::health::Health;
use ha_common::election::{CheckId, FaultCause};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority};

use super::problem::Problem;
use super::told::{self, CheckNames, Told};
use super::words::Words;

/// When the virtual clock starts. Far from zero, so that a recording may speak of what was before.
pub const START: Instant = Instant(1_000_000_000_000_000);

/// How many adverts one line may stand for.
const MOST_ADVERTS: u64 = 10_000;

const FOR_ONE: &str = "`link`, `hears`, `deaf`, `hearing`, `trouble` or `<`";
const FOR_ALL: &str = "`start`, `check`, `reload`, `stall`, `wake`, `crash`, `shutdown`, `end`, or for every instance \
     `link`, `deaf`, `hearing` or `trouble`";

/// One event with its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// Where it stands in the file.
    pub line: usize,
    /// Whom it happens to: `None` is the whole agent, or every instance.
    pub who: Option<String>,
    /// What.
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The agent starts.
    Start,
    /// The interface is like this from now on.
    Link(Link),
    /// An advert arrives.
    Hears(Heard),
    /// Events of the kernel half get lost from now on, or no longer.
    Deaf(bool),
    /// Something else keeps the instance out, or nothing any more.
    Trouble(Option<FaultCause>),
    /// A check has its first result, or has changed.
    Check(String, Health),
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
    /// An input straight into the election, as a recording has it.
    Told(Told),
    /// The scenario is over.
    End,
}

/// What is known of an interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// From whom.
    pub source: IpAddr,
    /// The priority that it says.
    pub priority: Priority,
    /// The interval that it says.
    pub interval: Option<Centiseconds>,
    /// The addresses that it lists.
    pub addresses: Option<Vec<IpAddr>>,
}

/// What stands still.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// Reads a file into the order in which things happen. `checks` learns names that only stand in recorded
/// inputs.
pub fn read(
    file: &str,
    text: &str,
    names: &Names,
    checks: &mut CheckNames,
) -> Result<Vec<Line>, Problem> {
    let mut lines = Vec::new();
    let (mut latest, mut ended, mut last) = (Nanos(0), false, 0);
    for (number, text) in (1..).zip(text.lines()) {
        last = number;
        let mut words = Words::new(file, number, text);
        if words.is_empty() {
            continue;
        }
        if ended {
            return Err(words.problem("nothing may follow `end`"));
        }
        let at = words.time()?;
        let read = line(&mut words, at, names, checks)?;
        // A driver's turn has one time, and an event of the kernel in it may be a little later.
        let recorded = read.iter().all(|line| matches!(line.event, Event::Told(_)));
        if at < latest && !recorded {
            return Err(words.problem("is earlier than the line before it: lines go by time"));
        }
        latest = latest.max(at);
        ended = read.iter().any(|line| line.event == Event::End);
        let place = START + latest;
        lines.extend(read.into_iter().map(|line| (place.max(line.at), line)));
    }
    if !ended {
        return Err(Words::new(file, last, "").problem("the last line must be `TIME * end`"));
    }
    // A repeated advert falls between later lines.
    lines.sort_by_key(|(place, line)| (*place, line.line));
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

fn line(
    words: &mut Words<'_>,
    at: Nanos,
    names: &Names,
    checks: &mut CheckNames,
) -> Result<Vec<Line>, Problem> {
    let who = match words.next("`*` or the name of an instance")? {
        "*" => None,
        name => Some(name.to_owned()),
    };
    let number = words.line();
    let one = |event| Line {
        at: START + at,
        line: number,
        who: who.clone(),
        event,
    };
    let allowed = if who.is_some() { FOR_ONE } else { FOR_ALL };
    let kind = words.next(allowed)?;
    // A recorded instance may have come by a reload that the scenario knows nothing of.
    if let Some(name) = who.as_ref().filter(|_| kind != "<") {
        known(words, "instance", name, &names.instances)?;
    }
    let event = match (kind, &who) {
        ("hears", Some(_)) => return hears(words, at, &one),
        ("<", Some(_)) => Event::Told(told::read(words, START + at, checks)?),
        ("link", _) => Event::Link(link(words)?),
        ("deaf", _) => Event::Deaf(true),
        ("hearing", _) => Event::Deaf(false),
        ("trouble", _) => trouble(words)?,
        ("start", None) => Event::Start,
        ("check", None) => check(words, names)?,
        ("reload", None) => Event::Reload(reload(words, names)?),
        ("stall", None) => Event::Stall(words.value("`driver` or `agent`", |word| match word {
            "driver" => Some(Stall::Driver),
            "agent" => Some(Stall::Agent),
            _ => None,
        })?),
        ("wake", None) => Event::Wake,
        ("crash", None) => Event::Crash,
        ("shutdown", None) => Event::Shutdown,
        ("end", None) => Event::End,
        (other, _) => return Err(words.wrong(other, allowed)),
    };
    words.end()?;
    Ok(vec![one(event)])
}

fn known(words: &Words<'_>, kind: &str, name: &str, all: &BTreeSet<String>) -> Result<(), Problem> {
    if all.contains(name) {
        return Ok(());
    }
    let list: Vec<&str> = all.iter().map(String::as_str).collect();
    Err(words.problem(format!(
        "there is no {kind} `{name}`: there is {}",
        list.join(", ")
    )))
}

fn link(words: &mut Words<'_>) -> Result<Link, Problem> {
    const ALLOWED: &str = "`up ADDRESS`, `down`, `gone` or `no-address`";
    match words.next(ALLOWED)? {
        "up" => Ok(Link::Up(words.address()?)),
        "down" => Ok(Link::Down),
        "gone" => Ok(Link::Gone),
        "no-address" => Ok(Link::NoAddress),
        other => Err(words.wrong(other, ALLOWED)),
    }
}

fn trouble(words: &mut Words<'_>) -> Result<Event, Problem> {
    let expected =
        "`over`, `cannot-send`, `source-missing`, `tracked`, `addresses-refused` or `maintenance`";
    words.value(expected, |word| match told::named_fault(word) {
        _ if word == "over" => Some(Event::Trouble(None)),
        _ if word == "tracked" => Some(Event::Trouble(Some(FaultCause::Tracked(CheckId(0))))),
        Some(
            cause @ (FaultCause::CannotSend
            | FaultCause::AddressesRefused
            | FaultCause::SourceMissing
            | FaultCause::Maintenance),
        ) => Some(Event::Trouble(Some(cause))),
        // These are the interface's, the checks' and the group's to say.
        Some(
            FaultCause::Check(_)
            | FaultCause::Member(_)
            | FaultCause::Tracked(_)
            | FaultCause::InterfaceDown
            | FaultCause::InterfaceGone
            | FaultCause::NoOwnAddress,
        )
        | None => None,
    })
}

fn check(words: &mut Words<'_>, names: &Names) -> Result<Event, Problem> {
    let name = words.next("the name of a check")?;
    known(words, "check", name, &names.checks)?;
    let health = words.value("`up` or `down`", |word| match word {
        "up" => Some(Health::Up),
        "down" => Some(Health::Down),
        _ => None,
    })?;
    Ok(Event::Check(name.to_owned(), health))
}

fn reload(words: &mut Words<'_>, names: &Names) -> Result<String, Problem> {
    let name = words.next("the name of a .toml file in the scenario's folder")?;
    known(words, "file", name, &names.files)?;
    Ok(name.to_owned())
}

/// `hears SOURCE priority N [interval SPAN] [addresses A,B] [every SPAN until TIME]`
fn hears(
    words: &mut Words<'_>,
    at: Nanos,
    one: &dyn Fn(Event) -> Line,
) -> Result<Vec<Line>, Problem> {
    let source = words.address()?;
    words.keyword("priority")?;
    let priority = words.priority()?;
    let interval = if words.take("interval") {
        Some(words.interval()?)
    } else {
        None
    };
    let addresses = if words.take("addresses") {
        let list = words.value("addresses with commas between them", |word| {
            word.split(',').map(|one| one.parse().ok()).collect()
        })?;
        Some(list)
    } else {
        None
    };
    let heard = Heard {
        source,
        priority,
        interval,
        addresses,
    };
    let mut lines = vec![one(Event::Hears(heard))];
    if words.take("every") {
        let Nanos(every) = words.span()?;
        words.keyword("until")?;
        let until = words.time()?;
        let times = until.0.saturating_sub(at.0).checked_div(every).unwrap_or(0);
        if every == 0 || until < at || times > MOST_ADVERTS {
            return Err(words.problem(format!(
                "`every` needs a span above 0 and `until` a time that is not earlier than the line's own, \
                 with at most {MOST_ADVERTS} adverts between"
            )));
        }
        let first = lines[0].clone();
        lines.extend((1..=times).map(|number| Line {
            at: first.at + Nanos(number * every),
            ..first.clone()
        }));
    }
    words.end()?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        Names {
            instances: set("web"),
            checks: set("nginx"),
            files: set("lowered.toml"),
        }
    }

    fn read_text(text: &str) -> Result<Vec<Line>, Problem> {
        read("events.txt", text, &names(), &mut CheckNames::default())
    }

    fn message(text: &str) -> String {
        read_text(text).unwrap_err().to_string()
    }

    #[test]
    fn a_repeated_advert_falls_between_the_lines_that_follow() {
        let text = "0 web hears 10.0.0.1 priority 200 every 1s until 2.5\n\
            1.5 web link down\n\
            3 * end\n";
        let times: Vec<u64> = read_text(text)
            .unwrap()
            .iter()
            .map(|line| line.at.since(START).0 / 1_000_000)
            .collect();
        assert_eq!(times, [0, 1000, 1500, 2000, 3000]);
    }

    #[test]
    fn a_recorded_input_may_be_a_little_earlier_than_the_one_before_and_stays_behind_it() {
        let text = "1.0005 web < tick\n1 web < ready\n1 * end\n";
        assert_eq!(
            message(text),
            "events.txt:3: is earlier than the line before it: lines go by time"
        );
        let lines = read_text("1.0005 web < tick\n1 web < ready\n1.1 * end\n").unwrap();
        let order: Vec<usize> = lines.iter().map(|line| line.line).collect();
        assert_eq!(
            (order, lines[1].at),
            (vec![1, 2, 3], START + Nanos(1_000_000_000))
        );
    }

    #[test]
    fn comments_and_empty_lines_count_as_lines_and_say_nothing() {
        let lines = read_text("# a story\n\n0 * start # it begins\n1 * end\n").unwrap();
        assert_eq!((lines.len(), lines[0].line), (2, 3));
    }

    #[test]
    fn a_malformed_line_is_refused_with_file_line_and_what_is_allowed() {
        let cases = [
            (
                "x * start",
                "events.txt:1: `x` is wrong here: allowed is a time in seconds",
            ),
            (
                "0 * strat",
                "events.txt:1: `strat` is wrong here: allowed is `start`, `check`",
            ),
            (
                "0 web start",
                "events.txt:1: `start` is wrong here: allowed is `link`, `hears`",
            ),
            (
                "0 bew link up 10.0.0.2",
                "events.txt:1: there is no instance `bew`: there is web",
            ),
            (
                "0 web link",
                "events.txt:1: ends too early: here stands `up ADDRESS`, `down`",
            ),
            (
                "0 * check disk up",
                "events.txt:1: there is no check `disk`: there is nginx",
            ),
            (
                "0 * reload x.toml",
                "events.txt:1: there is no file `x.toml`: there is lowered.toml",
            ),
            (
                "0 * stall",
                "events.txt:1: ends too early: here stands `driver` or `agent`",
            ),
            (
                "0 web trouble interface-down",
                "events.txt:1: `interface-down` is wrong here: allowed is `over`",
            ),
            (
                "0 web hears 10.0.0.1",
                "events.txt:1: ends too early: here stands `priority`",
            ),
            (
                "0 web hears 10.0.0.1 priority 256",
                "events.txt:1: `256` is wrong here",
            ),
            (
                "0 web hears 10.0.0.1 priority 9 sometimes",
                "allowed is the end of the line",
            ),
            (
                "1 web hears 10.0.0.1 priority 9 every 1s until 0",
                "events.txt:1: `every` needs a span above 0",
            ),
            (
                "1 web hears 10.0.0.1 priority 9 every 0s until 9",
                "events.txt:1: `every` needs a span above 0",
            ),
            (
                "0 * start now",
                "`now` is wrong here: allowed is the end of the line",
            ),
            (
                "0 * start",
                "events.txt:1: the last line must be `TIME * end`",
            ),
            (
                "1 * start\n0.5 * end",
                "events.txt:2: is earlier than the line before it",
            ),
            (
                "0 * end\n1 * start",
                "events.txt:2: nothing may follow `end`",
            ),
        ];
        for (text, expected) in cases {
            let found = message(text);
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
