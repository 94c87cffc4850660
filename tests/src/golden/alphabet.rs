//! At least one of every input that an election can be told, for exploring it and for the format's tests.
//!
//! A new kind of input does not compile here until it has its example.

use std::net::IpAddr;

use ha_common::election::{
    Advert, CheckId, Claim, Departure, FaultCause, Input, MemberId, Params, Rules,
};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority, Version};

/// The own address of the examples.
pub const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
/// Their own priority.
const PRIORITY: Priority = Priority(100);
/// The other member of their sync group.
const MEMBER: MemberId = MemberId(1);

/// Every kind of input, with all the values that lead somewhere else.
pub fn inputs() -> Vec<Input> {
    let mut all = Vec::new();
    let mut kind = Some(Input::Ready);
    while let Some(one) = kind {
        let (examples, next) = examples_and_next(&one);
        all.extend(examples);
        kind = next;
    }
    all
}

/// The examples of a kind, and one of the next kind: a chain through all of them.
fn examples_and_next(kind: &Input) -> (Vec<Input>, Option<Input>) {
    let example = adverts()[0];
    let parameters = parameters();
    match kind {
        Input::Ready => (
            vec![Input::Ready],
            Some(Input::Fault(FaultCause::Check(CheckId(0)))),
        ),
        Input::Fault(_) => (
            faults().into_iter().map(Input::Fault).collect(),
            Some(Input::Advert(example)),
        ),
        Input::Advert(_) => (
            adverts().into_iter().map(Input::Advert).collect(),
            Some(Input::MasterDown { last_heard: None }),
        ),
        Input::MasterDown { .. } => {
            let times = [None, Some(Instant(0)), Some(Instant(4_999_999_999))];
            let downs = times.map(|last_heard| Input::MasterDown { last_heard });
            (downs.to_vec(), Some(Input::Tick))
        }
        Input::Tick => (vec![Input::Tick], Some(Input::Priority(PRIORITY))),
        Input::Priority(_) => (
            [1, 120].map(|it| Input::Priority(Priority(it))).to_vec(),
            Some(Input::OwnAddress(OWN)),
        ),
        Input::OwnAddress(_) => {
            let addresses = ["10.0.0.9", "fe80::9"].map(|it| it.parse().unwrap_or(OWN));
            (
                addresses.map(Input::OwnAddress).to_vec(),
                Some(Input::Configure(parameters[0])),
            )
        }
        Input::Configure(_) => (
            parameters.into_iter().map(Input::Configure).collect(),
            Some(Input::Resume),
        ),
        Input::Resume => (vec![Input::Resume], Some(Input::TakenOver(example))),
        Input::TakenOver(_) => (
            adverts().into_iter().map(Input::TakenOver).collect(),
            Some(Input::SenderStopped),
        ),
        Input::SenderStopped => (vec![Input::SenderStopped], Some(Input::EventsLost)),
        Input::EventsLost => {
            let claim = Claim {
                address: IpAddr::from([10, 0, 0, 100]),
                mac: [2, 0, 0, 0, 0, 0xfe],
            };
            (vec![Input::EventsLost], Some(Input::Claimed(claim)))
        }
        Input::Claimed(claim) => {
            let other = Claim {
                address: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x100]),
                ..*claim
            };
            (
                [*claim, other].map(Input::Claimed).to_vec(),
                Some(Input::GroupLeads),
            )
        }
        Input::GroupLeads => (vec![Input::GroupLeads], Some(Input::GroupJoins(MEMBER))),
        Input::GroupJoins(_) => {
            let departure = Departure {
                by: MEMBER,
                stagger: 7,
            };
            (
                vec![Input::GroupJoins(MEMBER)],
                Some(Input::GroupLeaves(departure)),
            )
        }
        Input::GroupLeaves(departure) => {
            let at_once = Departure {
                stagger: 0,
                ..*departure
            };
            (
                [*departure, at_once].map(Input::GroupLeaves).to_vec(),
                Some(Input::GroupWaits),
            )
        }
        Input::GroupWaits => (vec![Input::GroupWaits], Some(Input::Shutdown)),
        Input::Shutdown => (vec![Input::Shutdown], None),
    }
}

/// Every cause of a fault, by the same chain.
pub fn faults() -> Vec<FaultCause> {
    let mut all = Vec::new();
    let mut cause = Some(FaultCause::Check(CheckId(0)));
    while let Some(one) = cause {
        all.push(one);
        cause = match one {
            FaultCause::Check(_) => Some(FaultCause::InterfaceDown),
            FaultCause::InterfaceDown => Some(FaultCause::InterfaceGone),
            FaultCause::InterfaceGone => Some(FaultCause::NoOwnAddress),
            FaultCause::NoOwnAddress => Some(FaultCause::SourceMissing),
            FaultCause::SourceMissing => Some(FaultCause::AddressesRefused),
            FaultCause::AddressesRefused => Some(FaultCause::CannotSend),
            FaultCause::CannotSend => Some(FaultCause::Maintenance),
            FaultCause::Maintenance => Some(FaultCause::Member(MEMBER)),
            FaultCause::Member(_) => Some(FaultCause::Tracked(CheckId(1))),
            FaultCause::Tracked(_) => None,
        };
    }
    all
}

/// Adverts of every rank: better, worse, a tie either way, a release, an owner and our own.
fn adverts() -> Vec<Advert> {
    let heard = |last, priority| Advert {
        source: IpAddr::from([10, 0, 0, last]),
        priority: Priority(priority),
        interval: Centiseconds(100),
    };
    vec![
        heard(1, 150),
        heard(3, 50),
        heard(1, 100),
        heard(3, 100),
        heard(3, 0),
        heard(3, 255),
        heard(2, 100),
    ]
}

/// Parameters that make a difference: owner or not, with and without hold, preempting or not, at once or
/// later, in a group or not, v2.
pub fn parameters() -> Vec<Params> {
    let usual = Rules {
        version: Version::V3,
        own_address: OWN,
        priority: PRIORITY,
        interval: Centiseconds(100),
        preempt: true,
        down_multiplier: 3,
    };
    let owner = Rules {
        priority: Priority::OWNER,
        ..usual
    };
    let patient = Rules {
        preempt: false,
        version: Version::V2,
        ..usual
    };
    let with = |rules, start_hold| Params {
        rules,
        start_hold,
        preempt_delay: Nanos(0),
        grouped: false,
    };
    let grouped = Params {
        grouped: true,
        ..with(usual, Nanos(0))
    };
    let held = Params {
        start_hold: Nanos::from_millis(1),
        ..grouped
    };
    let delayed = Params {
        preempt_delay: Nanos::from_millis(1500),
        ..with(usual, Nanos(0))
    };
    vec![
        with(usual, Nanos(0)),
        with(usual, Nanos::from_millis(1)),
        with(owner, Nanos(0)),
        with(owner, Nanos::from_millis(1)),
        with(patient, Nanos(0)),
        grouped,
        held,
        delayed,
    ]
}
