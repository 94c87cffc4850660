//! Properties that hold after any sequence of inputs, however absurd.

use core::net::IpAddr;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::units::{Centiseconds, Nanos, Version};

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1..6u8).prop_map(|last| IpAddr::from([10, 0, 0, last])),
        (1..6u16).prop_map(|last| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last])),
    ]
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(100),
        Just(254),
        Just(255),
        any::<u8>()
    ]
    .prop_map(Priority)
}

fn interval() -> impl Strategy<Value = Centiseconds> {
    prop_oneof![Just(0), Just(1), Just(100), Just(4095), any::<u16>()].prop_map(Centiseconds)
}

fn params() -> impl Strategy<Value = Params> {
    let version = prop_oneof![Just(Version::V2), Just(Version::V3)];
    let hold = || prop_oneof![Just(0), 1..10_000u64];
    (
        version,
        address(),
        priority(),
        interval(),
        any::<bool>(),
        1..10u8,
        (hold(), hold(), any::<bool>()),
    )
        .prop_map(
            |(version, own_address, priority, interval, preempt, down_multiplier, waits)| Params {
                rules: Rules {
                    version,
                    own_address,
                    priority,
                    interval,
                    preempt,
                    down_multiplier,
                },
                start_hold: Nanos::from_millis(waits.0),
                preempt_delay: Nanos::from_millis(waits.1),
                grouped: waits.2,
            },
        )
}

fn advert() -> impl Strategy<Value = Advert> {
    (address(), priority(), interval()).prop_map(|(source, priority, interval)| Advert {
        source,
        priority,
        interval,
    })
}

fn fault() -> impl Strategy<Value = FaultCause> {
    prop_oneof![
        any::<u16>().prop_map(|id| FaultCause::Check(CheckId(id))),
        any::<u16>().prop_map(|id| FaultCause::Tracked(CheckId(id))),
        Just(FaultCause::InterfaceDown),
        Just(FaultCause::CannotSend),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => Just(Input::Ready),
        2 => fault().prop_map(Input::Fault),
        8 => advert().prop_map(Input::Advert),
        8 => prop::option::of(any::<u64>().prop_map(Instant))
            .prop_map(|last_heard| Input::MasterDown { last_heard }),
        4 => Just(Input::Tick),
        2 => priority().prop_map(Input::Priority),
        1 => address().prop_map(Input::OwnAddress),
        1 => params().prop_map(Input::Configure),
        1 => Just(Input::Resume),
        2 => advert().prop_map(Input::TakenOver),
        1 => Just(Input::SenderStopped),
        1 => Just(Input::EventsLost),
        4 => address().prop_map(|address| Input::Claimed(Claim { address, mac: [2, 0, 0, 0, 0, 9] })),
        2 => Just(Input::GroupLeads),
        1 => any::<u16>().prop_map(|by| Input::GroupJoins(MemberId(by))),
        1 => any::<(u16, u8)>().prop_map(|(by, stagger)| Input::GroupLeaves(Departure {
            by: MemberId(by),
            stagger,
        })),
        2 => Just(Input::GroupWaits),
        // Nothing leads out of it, so it must be rare.
        1 => (0..20u8).prop_map(|n| if n == 0 { Input::Shutdown } else { Input::Tick }),
    ]
}

fn operations() -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec((0..5_000_000_000u64, input()), 1..120)
}

/// The world as the actions make it.
#[derive(Debug, Default)]
struct World {
    addresses: bool,
    sending: bool,
    detector: Option<Detector>,
    rules: Option<Rules>,
}

impl World {
    fn run(&mut self, action: Action) {
        match action {
            // Started again only where the sender stopped by itself.
            Action::StartAdverts(rules) => {
                assert!(!rules.priority.is_release());
                self.sending = true;
            }
            Action::UpdateAdverts(rules) => {
                assert!(self.sending && !rules.priority.is_release());
            }
            Action::AdvertNow => assert!(self.sending, "an advert by somebody who is no master"),
            Action::StopAdverts(_) => {
                assert!(self.sending, "a farewell by somebody who is no master");
                assert!(self.addresses, "addresses gone before the others were told");
                self.sending = false;
            }
            Action::AddAddresses | Action::AdoptAddresses => {
                assert!(!self.addresses, "addresses added twice");
                assert!(self.sending, "addresses before the first advert");
                self.addresses = true;
            }
            Action::RemoveAddresses => {
                assert!(self.addresses, "addresses removed twice");
                self.addresses = false;
            }
            Action::Announce => assert!(self.addresses, "an address announced and not held"),
            Action::Detect { detector, rules } => {
                self.detector = Some(detector);
                self.rules = Some(rules);
            }
            Action::UpdateDetector(rules) => self.rules = Some(rules),
            Action::Report(_) | Action::Notice(_) => {}
        }
    }

    fn check(&self, election: &Election) {
        let master = matches!(election.state(), State::Master);
        assert_eq!(master, self.sending);
        assert_eq!(master, self.addresses);
        match (election.state(), self.detector) {
            (State::Master, detector) => assert_eq!(detector, Some(Detector::Master)),
            (State::Backup(_), detector) => {
                assert!(matches!(detector, Some(Detector::Backup { .. })));
            }
            (State::Initialize, detector) => assert_eq!(detector, None),
            (State::Hold { .. } | State::Fault { .. } | State::Stopped, detector) => {
                assert_eq!(detector, Some(Detector::Idle));
            }
        }
        // The detector ranks by the same rules, but for the preemption that the election lends it.
        if let Some(rules) = self.rules {
            let preempt = rules.preempt;
            assert_eq!(
                rules,
                Rules {
                    preempt,
                    ..*election.rules()
                }
            );
            let delayed = matches!(
                election.state(),
                State::Backup(listening) if listening.preempt_at.is_some()
            );
            assert!(preempt || delayed || !election.rules().preempt);
            assert_eq!(preempt, election.detector_rules().preempt);
        }
    }
}

fn count(actions: &Actions, which: impl Fn(&Action) -> bool) -> usize {
    actions.iter().filter(which).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn actions_keep_the_world_in_step_with_the_state(params in params(), operations in operations()) {
        let mut election = Election::new(params);
        let mut world = World::default();
        let mut now = Instant::default();
        for (pause, input) in operations {
            now = now + Nanos(pause);
            let before = *election.state();
            // More actions than the list has room for are a panic in `push`.
            let actions = election.handle(now, input);
            actions.iter().for_each(|action| world.run(action));
            world.check(&election);

            let detects = count(&actions, |a| matches!(a, Action::Detect { .. }));
            let reports = count(&actions, |a| matches!(a, Action::Report(_)));
            let changed = before.role() != election.state().role();
            // A member of a group that has to wait arms its timer again.
            let may_wait = matches!(input, Input::GroupWaits | Input::MasterDown { .. });
            if changed || !may_wait {
                prop_assert_eq!(detects, usize::from(changed));
            }
            prop_assert_eq!(reports, usize::from(changed && input != Input::Resume));
            if let State::Stopped = before {
                prop_assert!(actions.is_empty());
            }
        }
    }

    #[test]
    fn a_backup_always_waits_at_least_the_intervals(params in params(), operations in operations()) {
        let mut election = Election::new(params);
        let mut now = Instant::default();
        for (pause, input) in operations {
            now = now + Nanos(pause);
            if matches!(input, Input::MasterDown { .. }) {
                // What is left of a member's stay outside its group may be shorter.
                election.handle(now, input);
                continue;
            }
            for action in election.handle(now, input) {
                let Action::Detect { detector: Detector::Backup { arm_for }, rules } = action else {
                    continue;
                };
                let learned = match input {
                    Input::Advert(a) | Input::TakenOver(a)
                        if rules.version == Version::V3 && a.interval.0 > 0 => a.interval,
                    _ => rules.interval,
                };
                let intervals = u64::from(rules.down_multiplier) * learned.nanos().0;
                prop_assert!(arm_for.0 >= intervals);
            }
        }
    }

    /// RFC 9568 section 6.4.3 (yield), RFC 3768 section 6.4.3 (yield).
    #[test]
    fn of_two_masters_exactly_one_yields(
        one in params(), other in params(), v4 in any::<bool>(), a in 1..6u16, b in 1..6u16,
    ) {
        prop_assume!(a != b);
        let host = |n: u16| if v4 {
            IpAddr::from([10, 0, 0, n.to_le_bytes()[0]])
        } else {
            IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, n])
        };
        let mut masters = [(one, a), (other, b)].map(|(mut params, n)| {
            params.rules.own_address = host(n);
            params.start_hold = Nanos(0);
            params.grouped = false;
            let mut election = Election::new(params);
            election.handle(Instant(1), Input::Ready);
            election.handle(Instant(2), Input::MasterDown { last_heard: None });
            election
        });
        let adverts = [0, 1].map(|n: usize| {
            let rules = masters[n].rules();
            Advert { source: rules.own_address, priority: rules.priority, interval: rules.interval }
        });
        masters[0].handle(Instant(3), Input::Advert(adverts[1]));
        masters[1].handle(Instant(3), Input::Advert(adverts[0]));
        let left = masters.iter().filter(|m| matches!(m.state(), State::Master)).count();
        prop_assert_eq!(left, 1);
    }
}
