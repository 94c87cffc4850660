//! What came of a scenario, in words: the lines of `expected.txt`, and the transitions among them.

use std::fmt;
use std::slice::from_ref;

use ha_agent::record::line::Turn;
use ha_agent::router::words::of_notice;
use ha_agent::status::virtual_mac::MacAddress;
use ha_common::election::{
    Action, Advert, Cause, CheckId, Claim, Departure, Detector, FaultCause, Input, MemberId,
    Params, Rules, Transition,
};
use ha_common::units::{Instant, Nanos};
use serde::Serialize;
use serde_json::Value;

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// One line each, as in the file.
    pub lines: Vec<String>,
    /// Every change of state.
    pub transitions: Vec<Transition>,
}

impl Transcript {
    pub(super) fn begins(&mut self, name: &str, now: Instant, params: &Params) {
        self.line(name, now, '<', format_args!("begins {}", Words(params)));
    }

    pub(super) fn turn(&mut self, name: &str, now: Instant, turn: &Turn) {
        let check = turn.check.as_deref();
        let input = InputWords(&turn.input, now, check);
        self.line(name, now, '<', format_args!("{input}"));
        for action in turn.actions.iter() {
            let words = ActionWords(&action, check);
            self.line(name, now, '>', format_args!("{words}"));
            if let Action::Report(transition) = action {
                self.transitions.push(transition);
            }
        }
    }

    /// The detector refused an advert.
    pub(super) fn refused(&mut self, name: &str, now: Instant, what: &str) {
        self.line(name, now, '!', format_args!("{what}"));
    }

    fn line(&mut self, name: &str, Instant(now): Instant, mark: char, words: fmt::Arguments<'_>) {
        // Three decimals, or as many as it takes.
        let text = format!("{}.{:09}", now / 1_000_000_000, now % 1_000_000_000);
        let (millis, rest) = text.split_at(text.len() - 6);
        let at = format!("{millis}{}", rest.trim_end_matches('0'));
        self.lines.push(format!("{at} {name} {mark} {words}"));
    }
}

/// A value that reads the same wherever it stands.
struct Words<'a, T>(&'a T);

/// An input at its time, with the name of the check that it is about.
struct InputWords<'a>(&'a Input, Instant, Option<&'a str>);

/// An action, with the name of the check that its cause is about.
struct ActionWords<'a>(&'a Action, Option<&'a str>);

/// The cause of a fault, likewise.
struct FaultWords<'a>(&'a FaultCause, Option<&'a str>);

/// A change of state, likewise.
struct TransitionWords<'a>(&'a Transition, Option<&'a str>);

/// The name of a value's variant as a recording has it, with hyphens: `master-down`.
pub(super) fn name(value: &impl Serialize) -> String {
    let name = match serde_json::to_value(value) {
        Ok(Value::String(name)) => Some(name),
        Ok(Value::Object(fields)) => fields.into_iter().next().map(|(name, _)| name),
        _ => None,
    };
    name.unwrap_or_default().replace('_', "-")
}

impl fmt::Display for InputWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(input, now, check) = *self;
        f.write_str(&name(input))?;
        match input {
            Input::Fault(cause) => write!(f, " {}", FaultWords(cause, check)),
            Input::Advert(heard) | Input::TakenOver(heard) => write!(f, " {}", Words(heard)),
            Input::MasterDown { last_heard } => match last_heard {
                None => f.write_str(" never-heard"),
                Some(at) => write!(f, " heard {} ago", now.since(*at)),
            },
            Input::Priority(priority) => write!(f, " {priority}"),
            Input::OwnAddress(address) => write!(f, " {address}"),
            Input::Configure(params) => write!(f, " {}", Words(params)),
            Input::Claimed(Claim { address, mac }) => {
                write!(f, " {address} by {}", MacAddress(*mac))
            }
            Input::GroupJoins(MemberId(by)) => write!(f, " #{by}"),
            Input::GroupLeaves(Departure {
                by: MemberId(by),
                stagger,
            }) => {
                write!(f, " #{by} stagger {stagger}")
            }
            Input::Ready
            | Input::Tick
            | Input::Resume
            | Input::SenderStopped
            | Input::EventsLost
            | Input::GroupLeads
            | Input::GroupWaits
            | Input::Shutdown => Ok(()),
        }
    }
}

impl fmt::Display for FaultWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(cause, check) = *self;
        f.write_str(&name(cause))?;
        match (cause, check) {
            (FaultCause::Check(_), Some(check)) => write!(f, " {check}"),
            (
                FaultCause::Check(CheckId(id))
                | FaultCause::Tracked(CheckId(id))
                | FaultCause::Member(MemberId(id)),
                _,
            ) => write!(f, " #{id}"),
            (
                FaultCause::InterfaceDown
                | FaultCause::InterfaceGone
                | FaultCause::NoOwnAddress
                | FaultCause::SourceMissing
                | FaultCause::AddressesRefused
                | FaultCause::CannotSend
                | FaultCause::Maintenance,
                _,
            ) => Ok(()),
        }
    }
}

impl fmt::Display for ActionWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(action, check) = *self;
        if let Action::Report(transition) = action {
            return write!(f, "{}", TransitionWords(transition, check));
        }
        f.write_str(&name(action))?;
        match action {
            Action::StartAdverts(rules)
            | Action::UpdateAdverts(rules)
            | Action::UpdateDetector(rules) => write!(f, " {}", Words(rules)),
            Action::StopAdverts(last) => write!(f, " {}", name(last)),
            Action::Detect { detector, rules } => {
                write!(f, " {}", name(detector))?;
                if let Detector::Backup { arm_for } = detector {
                    write!(f, " {arm_for}")?;
                }
                write!(f, " {}", Words(rules))
            }
            Action::Notice(notice) => write!(f, " {}", of_notice(notice)),
            Action::AdvertNow
            | Action::AddAddresses
            | Action::AdoptAddresses
            | Action::RemoveAddresses
            | Action::Announce
            | Action::Report(_) => Ok(()),
        }
    }
}

impl fmt::Display for TransitionWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(
            Transition {
                from,
                to,
                cause,
                priority,
                ..
            },
            check,
        ) = *self;
        write!(f, "{from} -> {to}, priority {priority}: ")?;
        match (cause, &check) {
            (Cause::Fault(FaultCause::Check(_)), Some(name)) => {
                let only = Cause::Fault(FaultCause::Check(CheckId(0)));
                write!(f, "{}", only.with_names(from_ref(name)))
            }
            _ => write!(f, "{cause}"),
        }
    }
}

impl fmt::Display for Words<'_, Advert> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advert {
            source,
            priority,
            interval,
        } = self.0;
        write!(
            f,
            "{source} priority {priority} interval {}",
            interval.nanos()
        )
    }
}

impl fmt::Display for Words<'_, Params> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Params {
            rules,
            start_hold,
            preempt_delay,
            grouped,
        } = self.0;
        write!(f, "{} hold {start_hold}", Words(rules))?;
        if *preempt_delay > Nanos(0) {
            write!(f, " delay {preempt_delay}")?;
        }
        f.write_str(if *grouped { " grouped" } else { "" })
    }
}

impl fmt::Display for Words<'_, Rules> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules {
            version,
            own_address,
            priority,
            interval,
            preempt,
            down_multiplier,
        } = self.0;
        let preempt = if *preempt { "preempt" } else { "nopreempt" };
        write!(
            f,
            "{} from {own_address} priority {priority} interval {} times {down_multiplier} {preempt}",
            name(version),
            interval.nanos()
        )
    }
}

#[cfg(test)]
mod tests {
    use ha_common::election::{Actions, Election, Role};

    use super::super::examples;
    use super::*;

    fn lines(note: impl FnOnce(&mut Transcript)) -> Vec<String> {
        let mut transcript = Transcript::default();
        note(&mut transcript);
        transcript.lines
    }

    #[test]
    fn a_time_has_three_decimals_at_least_and_as_many_as_it_takes() {
        for (at, text) in [
            (0, "0.000"),
            (3_609_375_000, "3.609375"),
            (12_000_000_001, "12.000000001"),
        ] {
            let found = lines(|it| it.refused("web", Instant(at), "x"));
            assert_eq!(found, [format!("{text} web ! x")]);
        }
    }

    #[test]
    fn a_failed_check_is_called_by_its_name_in_input_and_transition() {
        let mut election = Election::new(examples::parameters()[0]);
        let input = Input::Fault(FaultCause::Check(CheckId(1)));
        let actions = election.handle(Instant(0), input);
        let checks = ["disk", "nginx"].map(str::to_owned);
        let mut transcript = Transcript::default();
        transcript.turn("web", Instant(0), &Turn::new(input, actions, &checks));
        let report = "0.000 web > INIT -> FAULT, priority 100: check nginx failed";
        assert_eq!(
            transcript.lines.first().unwrap(),
            "0.000 web < fault check nginx"
        );
        assert!(
            transcript.lines.iter().any(|line| line == report),
            "{transcript:#?}"
        );
        assert_eq!(transcript.transitions[0].to, Role::Fault);
    }

    #[test]
    fn a_silence_is_written_as_how_long_ago_the_master_was_heard() {
        let input = Input::MasterDown {
            last_heard: Some(Instant(6_390_625_000)),
        };
        let turn = Turn::new(input, Actions::default(), &[]);
        let found = lines(|it| it.turn("web", Instant(10_000_000_000), &turn));
        assert_eq!(found, ["10.000 web < master-down heard 3.609375s ago"]);
    }

    #[test]
    fn parameters_are_written_whole() {
        let params = Params {
            preempt_delay: Nanos::from_millis(30_000),
            grouped: true,
            ..examples::parameters()[1]
        };
        assert_eq!(
            lines(|it| it.begins("web", Instant(0), &params)),
            [
                "0.000 web < begins v3 from 10.0.0.2 priority 100 interval 1s times 3 preempt hold 0.001s delay 30s grouped"
            ]
        );
    }
}
