//! At least one of every input that an election can be told, for exploring it and for recording it.

use std::net::{IpAddr, Ipv4Addr};

use ha_common::election::{
    Advert, CheckId, Claim, Departure, FaultCause, Input, MemberId, Params, Rules,
};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority, Version};

/// The own address of the examples.
pub const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// The other member of their sync group.
const MEMBER: MemberId = MemberId(1);

/// Every kind of input, with all the values that lead somewhere else.
pub fn inputs() -> Vec<Input> {
    let mut all = vec![
        Input::Ready,
        Input::Tick,
        Input::Resume,
        Input::SenderStopped,
        Input::EventsLost,
        Input::GroupLeads,
        Input::GroupJoins(MEMBER),
        Input::GroupWaits,
        Input::Shutdown,
    ];
    all.extend(faults().map(Input::Fault));
    all.extend(adverts().map(Input::Advert));
    all.extend(adverts().map(Input::TakenOver));
    all.extend(parameters().map(Input::Configure));
    // Never, long ago, and just now: a master that is preempted speaks to the end.
    let just_now = Instant(u64::MAX);
    let times = [
        None,
        Some(Instant(0)),
        Some(Instant(4_999_999_999)),
        Some(just_now),
    ];
    all.extend(times.map(|last_heard| Input::MasterDown { last_heard }));
    all.extend([1, 120].map(|it| Input::Priority(Priority(it))));
    let v6 = |last| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]);
    all.extend([IpAddr::from([10, 0, 0, 9]), v6(9)].map(Input::OwnAddress));
    let mac = [2, 0, 0, 0, 0, 0xfe];
    let claims = [IpAddr::from([10, 0, 0, 100]), v6(0x100)];
    all.extend(claims.map(|address| Input::Claimed(Claim { address, mac })));
    let departures = [7, 0].map(|stagger| Departure {
        by: MEMBER,
        stagger,
    });
    all.extend(departures.map(Input::GroupLeaves));
    all
}

/// Every cause of a fault.
fn faults() -> [FaultCause; 10] {
    [
        FaultCause::Check(CheckId(0)),
        FaultCause::InterfaceDown,
        FaultCause::InterfaceGone,
        FaultCause::NoOwnAddress,
        FaultCause::SourceMissing,
        FaultCause::AddressesRefused,
        FaultCause::CannotSend,
        FaultCause::Maintenance,
        FaultCause::Member(MEMBER),
        FaultCause::Tracked(CheckId(1)),
    ]
}

/// Adverts of every rank: better, worse, a tie either way, a release, an owner and our own.
fn adverts() -> [Advert; 7] {
    [
        (1, 150),
        (3, 50),
        (1, 100),
        (3, 100),
        (3, 0),
        (3, 255),
        (2, 100),
    ]
    .map(|(last, priority)| Advert {
        source: IpAddr::from([10, 0, 0, last]),
        priority: Priority(priority),
        interval: Centiseconds(100),
    })
}

/// Parameters that make a difference: owner or not, with and without hold, preempting or not, at once or
/// later, in a group or not, v2.
pub fn parameters() -> [Params; 8] {
    let usual = Params {
        rules: Rules {
            version: Version::V3,
            own_address: OWN,
            priority: Priority(100),
            interval: Centiseconds(100),
            preempt: true,
            down_multiplier: 3,
        },
        start_hold: Nanos(0),
        preempt_delay: Nanos(0),
        grouped: false,
    };
    let owner = Params {
        rules: usual.rules.with_priority(Priority::OWNER),
        ..usual
    };
    let mut patient = usual;
    (patient.rules.preempt, patient.rules.version) = (false, Version::V2);
    let held = |params| Params {
        start_hold: Nanos::from_millis(1),
        ..params
    };
    let grouped = Params {
        grouped: true,
        ..usual
    };
    let delayed = Params {
        preempt_delay: Nanos::from_millis(1500),
        ..usual
    };
    [
        usual,
        held(usual),
        owner,
        held(owner),
        patient,
        grouped,
        held(grouped),
        delayed,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::super::transcript::name;
    use super::*;

    /// The kinds that there are, of what serde says is allowed; and those of the examples.
    fn kinds<T: Serialize + DeserializeOwned>(examples: &[T]) -> [BTreeSet<String>; 2] {
        let Err(error) = serde_json::from_str::<T>("\"?\"") else {
            panic!("there is a kind of this name");
        };
        let text = error.to_string();
        let (_, allowed) = text.split_once("expected one of ").unwrap();
        let allowed = allowed.split('`').skip(1).step_by(2);
        let allowed = allowed.map(|name| name.replace('_', "-"));
        [allowed.collect(), examples.iter().map(name).collect()]
    }

    #[test]
    fn there_is_an_example_of_every_input_and_of_every_fault() {
        let [allowed, shown] = kinds(&inputs());
        assert_eq!(shown, allowed);
        let [allowed, shown] = kinds(&faults());
        assert_eq!(shown, allowed);
    }

    #[test]
    fn every_example_is_read_back_as_it_was_written() {
        for input in inputs() {
            let text = serde_json::to_string(&input).unwrap();
            assert_eq!(
                serde_json::from_str::<Input>(&text).unwrap(),
                input,
                "{text}"
            );
        }
    }
}
