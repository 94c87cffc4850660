//! The words of a recording: each input and each action of an election in one line.
//!
//! Spans are exact to the nanosecond. A check is written by its name, which the caller knows.

use std::fmt::Write as _;

use ha_common::election::{
    Action, Advert, Cause, CheckId, Claim, Departure, Detector, FaultCause, Input, LastAdvert,
    MemberId, Params, Rules, Transition,
};
use ha_common::units::{Instant, NANOS_PER_SECOND, Nanos, Version};

use crate::router::words::of_notice;
use crate::status::virtual_mac::MacAddress;

/// A point in time as seconds since the start, with three decimals or as many as it takes.
pub fn time(since_start: Nanos) -> String {
    decimal(since_start, 3)
}

/// A span in seconds, with as many decimals as it takes: `3.609375s`.
pub fn span(span: Nanos) -> String {
    format!("{}s", decimal(span, 0))
}

fn decimal(Nanos(nanos): Nanos, least: usize) -> String {
    let whole = nanos / NANOS_PER_SECOND;
    let mut fraction = format!("{:09}", nanos % NANOS_PER_SECOND);
    while fraction.len() > least && fraction.ends_with('0') {
        fraction.pop();
    }
    if fraction.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// A new election with these parameters, as the first of its inputs.
pub fn begins(parameters: &Params) -> String {
    format!("begins {}", params(parameters))
}

/// An input. `check` is the name of the check that it is about, if it is about one.
pub fn input(now: Instant, input: &Input, check: Option<&str>) -> String {
    match input {
        Input::Ready => "ready".to_owned(),
        Input::Fault(cause) => format!("fault {}", fault(*cause, check)),
        Input::Advert(heard) => format!("advert {}", advert(heard)),
        Input::MasterDown { last_heard: None } => "master-down never-heard".to_owned(),
        Input::MasterDown {
            last_heard: Some(at),
        } => format!("master-down heard {} ago", span(now.since(*at))),
        Input::Tick => "tick".to_owned(),
        Input::Priority(priority) => format!("priority {priority}"),
        Input::OwnAddress(address) => format!("own-address {address}"),
        Input::Configure(parameters) => format!("configure {}", params(parameters)),
        Input::Resume => "resume".to_owned(),
        Input::TakenOver(heard) => format!("taken-over {}", advert(heard)),
        Input::SenderStopped => "sender-stopped".to_owned(),
        Input::EventsLost => "events-lost".to_owned(),
        Input::Claimed(Claim { address, mac }) => {
            format!("claimed {address} by {}", MacAddress(*mac))
        }
        Input::GroupLeads => "group-leads".to_owned(),
        Input::GroupJoins(by) => format!("group-joins {}", member(*by)),
        Input::GroupLeaves(Departure { by, stagger }) => {
            format!("group-leaves {} stagger {stagger}", member(*by))
        }
        Input::GroupWaits => "group-waits".to_owned(),
        Input::Shutdown => "shutdown".to_owned(),
    }
}

/// An action. `check` is the name of the check that its cause names, if it names one.
pub fn action(action: &Action, check: Option<&str>) -> String {
    match action {
        Action::StartAdverts(by) => format!("start-adverts {}", rules(by)),
        Action::UpdateAdverts(by) => format!("update-adverts {}", rules(by)),
        Action::AdvertNow => "advert-now".to_owned(),
        Action::StopAdverts(LastAdvert::Release) => "stop-adverts release".to_owned(),
        Action::StopAdverts(LastAdvert::Own) => "stop-adverts own".to_owned(),
        Action::StopAdverts(LastAdvert::None) => "stop-adverts none".to_owned(),
        Action::AddAddresses => "add-addresses".to_owned(),
        Action::AdoptAddresses => "adopt-addresses".to_owned(),
        Action::RemoveAddresses => "remove-addresses".to_owned(),
        Action::Announce => "announce".to_owned(),
        Action::Detect {
            detector,
            rules: by,
        } => format!("detect {} {}", part(*detector), rules(by)),
        Action::UpdateDetector(by) => format!("update-detector {}", rules(by)),
        Action::Report(change) => transition(change, check),
        Action::Notice(notice) => format!("notice {}", of_notice(notice)),
    }
}

fn part(detector: Detector) -> String {
    match detector {
        Detector::Idle => "idle".to_owned(),
        Detector::Backup { arm_for } => format!("backup {}", span(arm_for)),
        Detector::Master => "master".to_owned(),
    }
}

fn transition(change: &Transition, check: Option<&str>) -> String {
    let Transition {
        // The line's own time.
        at: _,
        from,
        to,
        cause,
        priority,
    } = *change;
    let mut text = format!("{from} -> {to}, priority {priority}: ");
    // Writing to a string cannot fail.
    let _ = match (cause, check) {
        (Cause::Fault(FaultCause::Check(_)), Some(name)) => {
            let only = Cause::Fault(FaultCause::Check(CheckId(0)));
            write!(text, "{}", only.with_names(&[name]))
        }
        _ => write!(text, "{cause}"),
    };
    text
}

/// Whether a check faulted the instance, and which one.
pub fn failed_check(input: &Input) -> Option<CheckId> {
    match input {
        Input::Fault(FaultCause::Check(id)) => Some(*id),
        Input::Fault(
            FaultCause::InterfaceDown
            | FaultCause::InterfaceGone
            | FaultCause::NoOwnAddress
            | FaultCause::SourceMissing
            | FaultCause::AddressesRefused
            | FaultCause::CannotSend
            | FaultCause::Maintenance
            | FaultCause::Member(_)
            | FaultCause::Tracked(_),
        )
        | Input::Ready
        | Input::Advert(_)
        | Input::MasterDown { .. }
        | Input::Tick
        | Input::Priority(_)
        | Input::OwnAddress(_)
        | Input::Configure(_)
        | Input::Resume
        | Input::TakenOver(_)
        | Input::SenderStopped
        | Input::EventsLost
        | Input::Claimed(_)
        | Input::GroupLeads
        | Input::GroupJoins(_)
        | Input::GroupLeaves(_)
        | Input::GroupWaits
        | Input::Shutdown => None,
    }
}

/// What keeps an instance out, in one or two words.
pub fn fault(cause: FaultCause, check: Option<&str>) -> String {
    match (cause, check) {
        (FaultCause::Check(_), Some(name)) => format!("check {name}"),
        (FaultCause::Check(CheckId(id)), None) => format!("check #{id}"),
        (FaultCause::InterfaceDown, _) => "interface-down".to_owned(),
        (FaultCause::InterfaceGone, _) => "interface-gone".to_owned(),
        (FaultCause::NoOwnAddress, _) => "no-own-address".to_owned(),
        (FaultCause::SourceMissing, _) => "source-missing".to_owned(),
        (FaultCause::AddressesRefused, _) => "addresses-refused".to_owned(),
        (FaultCause::CannotSend, _) => "cannot-send".to_owned(),
        (FaultCause::Maintenance, _) => "maintenance".to_owned(),
        (FaultCause::Tracked(CheckId(id)), _) => format!("tracked #{id}"),
        (FaultCause::Member(by), _) => format!("member {}", member(by)),
    }
}

/// A member of the sync group, by its number: what a recording holds is one instance's.
fn member(MemberId(id): MemberId) -> String {
    format!("#{id}")
}

fn advert(heard: &Advert) -> String {
    let Advert {
        source,
        priority,
        interval,
    } = heard;
    format!(
        "{source} priority {priority} interval {}",
        span(interval.nanos())
    )
}

fn params(parameters: &Params) -> String {
    let Params {
        rules: by,
        start_hold,
        preempt_delay,
        grouped,
    } = parameters;
    let mut text = format!("{} hold {}", rules(by), span(*start_hold));
    if *preempt_delay > Nanos(0) {
        // Writing to a string cannot fail.
        let _ = write!(text, " delay {}", span(*preempt_delay));
    }
    if *grouped {
        text.push_str(" grouped");
    }
    text
}

fn rules(by: &Rules) -> String {
    let Rules {
        version,
        own_address,
        priority,
        interval,
        preempt,
        down_multiplier,
    } = by;
    let version = match version {
        Version::V2 => "v2",
        Version::V3 => "v3",
    };
    let preempt = if *preempt { "preempt" } else { "nopreempt" };
    format!(
        "{version} from {own_address} priority {priority} interval {} times {down_multiplier} {preempt}",
        span(interval.nanos())
    )
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ha_common::election::Role;
    use ha_common::units::{Centiseconds, Priority};

    use super::*;

    #[test]
    fn a_time_has_three_decimals_at_least_and_a_span_none_too_many() {
        assert_eq!(time(Nanos(0)), "0.000");
        assert_eq!(time(Nanos(3_609_375_000)), "3.609375");
        assert_eq!(time(Nanos(12_000_000_001)), "12.000000001");
        assert_eq!(span(Nanos(1_000_000_000)), "1s");
        assert_eq!(span(Nanos(10_000_000)), "0.01s");
        assert_eq!(span(Nanos(0)), "0s");
    }

    #[test]
    fn a_silence_is_written_as_how_long_ago_the_master_was_heard() {
        let down = |last_heard| Input::MasterDown { last_heard };
        let now = Instant(10_000_000_000);
        let at = Some(Instant(6_390_625_000));
        assert_eq!(
            input(now, &down(at), None),
            "master-down heard 3.609375s ago"
        );
        assert_eq!(input(now, &down(None), None), "master-down never-heard");
    }

    #[test]
    fn a_failed_check_is_called_by_its_name_in_input_and_transition() {
        let cause = FaultCause::Check(CheckId(3));
        let failed = Input::Fault(cause);
        assert_eq!(
            input(Instant(0), &failed, Some("nginx")),
            "fault check nginx"
        );
        assert_eq!(failed_check(&failed), Some(CheckId(3)));
        let report = Action::Report(Transition {
            at: Instant(0),
            from: Role::Master,
            to: Role::Fault,
            cause: Cause::Fault(cause),
            priority: Priority(100),
        });
        assert_eq!(
            action(&report, Some("nginx")),
            "MASTER -> FAULT, priority 100: check nginx failed"
        );
    }

    #[test]
    fn rules_are_written_whole() {
        let parameters = Params {
            rules: Rules {
                version: Version::V3,
                own_address: IpAddr::from([10, 99, 0, 2]),
                priority: Priority(90),
                interval: Centiseconds(1),
                preempt: false,
                down_multiplier: 3,
            },
            start_hold: Nanos::from_millis(1500),
            preempt_delay: Nanos(0),
            grouped: false,
        };
        assert_eq!(
            begins(&parameters),
            "begins v3 from 10.99.0.2 priority 90 interval 0.01s times 3 nopreempt hold 1.5s"
        );
        let grouped = Params {
            preempt_delay: Nanos::from_millis(30_000),
            grouped: true,
            ..parameters
        };
        assert!(begins(&grouped).ends_with("hold 1.5s delay 30s grouped"));
    }
}
