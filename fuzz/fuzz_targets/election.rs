//! The election under any sequence of inputs: it never panics, and at every moment the host has the
//! addresses if and only if it is master, and advertises only then.
#![no_main]

use core::net::IpAddr;

use ha_common::election::{
    Action, Advert, CheckId, Claim, Departure, Election, FaultCause, Input, LastAdvert, MemberId,
    Params, Role, Rules,
};
use ha_common::units::{Centiseconds, Instant, Nanos, Priority, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((setup, operations)) = data.split_first_chunk::<4>() else {
        return;
    };
    let mut election = Election::new(params(*setup));
    let mut now = Instant(1);
    let mut hands = Hands::default();
    let (operations, _) = operations.as_chunks::<4>();
    for (index, operation) in operations.iter().enumerate() {
        now = now + Nanos(u64::from(operation[3]) * 10_000_000);
        let input = input(*operation, index == 0);
        for action in election.handle(now, input) {
            hands.run(action);
        }
        let master = election.state().role() == Role::Master;
        assert_eq!(hands.addresses, master, "addresses after {input:?}");
        assert!(!hands.adverts || master, "adverts after {input:?}");
    }
});

fn params([priority, interval, flags, hold]: [u8; 4]) -> Params {
    Params {
        rules: Rules {
            version: if flags & 1 == 0 {
                Version::V2
            } else {
                Version::V3
            },
            own_address: IpAddr::from([10, 0, 0, 5]),
            priority: Priority(priority),
            interval: Centiseconds(u16::from(interval)),
            preempt: flags & 2 != 0,
            down_multiplier: flags >> 4,
        },
        start_hold: Nanos(u64::from(hold & 3) * 1_000_000_000),
        preempt_delay: Nanos(u64::from((hold >> 2) & 3) * 1_000_000_000),
        grouped: hold & 16 != 0,
    }
}

fn input([kind, first, second, _]: [u8; 4], is_first: bool) -> Input {
    let advert = Advert {
        source: IpAddr::from([10, 0, 0, first % 10]),
        priority: Priority(second),
        interval: Centiseconds(u16::from(first)),
    };
    match kind % 18 {
        0 => Input::Ready,
        1 => Input::Fault(FaultCause::Check(CheckId(u16::from(first)))),
        2 => Input::Fault(FaultCause::InterfaceDown),
        3 => Input::Advert(advert),
        4 => Input::MasterDown {
            last_heard: (first & 1 == 0).then_some(Instant(u64::from(second))),
        },
        5 => Input::Tick,
        6 => Input::Priority(Priority(first)),
        7 => Input::OwnAddress(advert.source),
        8 => Input::Configure(params([first, second, first, second])),
        // Only as the first input, by its contract.
        9 if is_first => Input::Resume,
        9 | 10 => Input::TakenOver(advert),
        11 => Input::SenderStopped,
        12 => Input::GroupLeads,
        13 => Input::GroupJoins(MemberId(u16::from(first))),
        14 => Input::GroupLeaves(Departure {
            by: MemberId(u16::from(first)),
            stagger: second,
        }),
        15 => Input::GroupWaits,
        16 => Input::Claimed(Claim {
            address: advert.source,
            mac: [first, second, 0, 0, 0, 0],
        }),
        _ if first == 255 => Input::Shutdown,
        _ => Input::EventsLost,
    }
}

#[derive(Default)]
struct Hands {
    addresses: bool,
    adverts: bool,
}

impl Hands {
    fn run(&mut self, action: Action) {
        match action {
            Action::StartAdverts(_) => self.adverts = true,
            Action::StopAdverts(last) => {
                assert!(
                    last != LastAdvert::Release || self.adverts,
                    "priority 0 of no master"
                );
                self.adverts = false;
            }
            Action::AddAddresses | Action::AdoptAddresses => self.addresses = true,
            Action::RemoveAddresses => self.addresses = false,
            Action::UpdateAdverts(_)
            | Action::AdvertNow
            | Action::Announce
            | Action::Detect { .. }
            | Action::UpdateDetector(_)
            | Action::Report(_)
            | Action::Notice(_) => {}
        }
    }
}
