//! Properties of groups of real elections, after any sequence of inputs.

use core::net::IpAddr;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::election::{Advert, CheckId, Election, Params, Role, Rules};
use crate::units::{Centiseconds, Nanos, Version};

/// A group on one host, and what runs it.
struct Host {
    members: Vec<Election>,
    own: Vec<MemberReport>,
    fed: Vec<Fitness>,
}

#[derive(Clone, Debug)]
enum Event {
    Feed(usize, Input),
    Fitness(usize, bool),
    Priority(usize, u8),
}

fn params(preempt: bool, delay: u64) -> Params {
    Params {
        rules: Rules {
            version: Version::V3,
            own_address: IpAddr::from([10, 0, 0, 2]),
            priority: Priority(100),
            interval: Centiseconds(100),
            preempt,
            down_multiplier: 3,
        },
        start_hold: Nanos::from_millis(delay),
        preempt_delay: Nanos::from_millis(delay),
        grouped: true,
    }
}

impl Host {
    fn new(params: &[Params]) -> Self {
        Self {
            members: params.iter().map(|it| Election::new(*it)).collect(),
            own: params
                .iter()
                .map(|it| MemberReport {
                    fitness: Fitness::Ready,
                    priority: it.rules.priority,
                })
                .collect(),
            fed: params.iter().map(|_| Fitness::Waiting).collect(),
        }
    }

    fn take(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Feed(member, input) => {
                self.members[*member].handle(now, *input);
            }
            Event::Fitness(member, fit) => {
                self.own[*member].fitness = if *fit {
                    Fitness::Ready
                } else {
                    Fitness::Unfit(FaultCause::Check(CheckId(0)))
                };
            }
            Event::Priority(member, priority) => self.own[*member].priority = Priority(*priority),
        }
        self.share(now);
        self.settle(now);
    }

    fn share(&mut self, now: Instant) {
        let pool = GroupInput::of(self.own.iter().copied());
        let states = self.members.iter_mut().zip(&self.own).zip(&mut self.fed);
        for ((election, own), fed) in states {
            let lent = pool.lend(*own);
            election.handle(now, Input::Priority(lent.priority));
            if lent.fitness != *fed {
                *fed = lent.fitness;
                match lent.fitness {
                    Fitness::Waiting => {}
                    Fitness::Ready => drop(election.handle(now, Input::Ready)),
                    Fitness::Unfit(cause) => drop(election.handle(now, Input::Fault(cause))),
                }
            }
        }
    }

    fn standings(&self) -> Vec<MemberState> {
        self.members.iter().map(Election::standing).collect()
    }

    fn settle(&mut self, now: Instant) {
        let standings = self.standings();
        let verdict = settle(standings.iter().copied());
        for (index, (election, standing)) in (0..).zip(self.members.iter_mut().zip(standings)) {
            if let Some(input) = verdict.input(MemberId(index), standing) {
                election.handle(now, input);
            }
        }
    }

    fn roles(&self) -> Vec<Role> {
        self.members.iter().map(|it| it.state().role()).collect()
    }
}

fn event(members: usize) -> impl Strategy<Value = Event> {
    let advert = (
        1..4u8,
        prop_oneof![Just(0u8), Just(90), Just(100), Just(110)],
    )
        .prop_map(|(host, priority)| Advert {
            source: IpAddr::from([10, 0, 0, host]),
            priority: Priority(priority),
            interval: Centiseconds(100),
        });
    let input = prop_oneof![
        4 => advert.clone().prop_map(Input::Advert),
        6 => Just(Input::MasterDown { last_heard: None }),
        2 => Just(Input::Tick),
        1 => advert.prop_map(Input::TakenOver),
        1 => Just(Input::SenderStopped),
    ];
    prop_oneof![
        8 => (0..members, input).prop_map(|(member, input)| Event::Feed(member, input)),
        1 => (0..members, any::<bool>()).prop_map(|(member, fit)| Event::Fitness(member, fit)),
        1 => (0..members, 80..120u8).prop_map(|(member, to)| Event::Priority(member, to)),
    ]
}

fn host_and_events() -> impl Strategy<Value = (Vec<Params>, Vec<(u64, Event)>)> {
    (2..5usize).prop_flat_map(|members| {
        let params = (any::<bool>(), prop_oneof![Just(0), Just(700u64)])
            .prop_map(|(preempt, delay)| params(preempt, delay));
        (
            prop::collection::vec(params, members),
            prop::collection::vec((0..2_000_000_000u64, event(members)), 1..80),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_group_is_master_as_a_whole_or_not_at_all_after_every_event(
        (params, events) in host_and_events(),
    ) {
        let mut host = Host::new(&params);
        let mut now = Instant(1);
        for (pause, event) in events {
            now = now + Nanos(pause);
            host.take(now, &event);
            let roles = host.roles();
            let masters = roles.iter().filter(|role| **role == Role::Master).count();
            // But for those that are new to it, or have been out.
            let standings = host.standings();
            let joining = standings.iter().filter(|it| **it == MemberState::Joining).count();
            let whole = masters + joining == roles.len();
            prop_assert!(masters == 0 || whole, "{event:?}: {standings:?}");
            let faults = roles.iter().filter(|role| **role == Role::Fault).count();
            prop_assert!(faults == 0 || faults == roles.len(), "{event:?}: {roles:?}");
            // All of it was said in one pass.
            let verdict = settle(standings.iter().copied());
            let more = (0..).map(MemberId).zip(standings).find_map(|(me, it)| verdict.input(me, it));
            prop_assert_eq!(more, None);
            let priorities: Vec<_> = host.members.iter().map(|it| it.rules().priority).collect();
            prop_assert!(priorities.windows(2).all(|two| two[0] == two[1]), "{priorities:?}");
        }
    }

    #[test]
    fn a_group_whose_members_all_hear_nobody_takes_over(
        (params, events) in host_and_events(),
    ) {
        let mut host = Host::new(&params);
        let mut now = Instant(1);
        for (pause, event) in events {
            now = now + Nanos(pause);
            host.take(now, &event);
        }
        for member in 0..params.len() {
            host.take(now, &Event::Fitness(member, true));
        }
        // The hold and the stay outside are over.
        now = now + Nanos::from_millis(30_000);
        for input in [Input::Tick, Input::MasterDown { last_heard: None }] {
            for member in 0..params.len() {
                host.take(now, &Event::Feed(member, input));
            }
        }
        prop_assert!(host.roles().iter().all(|role| *role == Role::Master), "{:?}", host.roles());
    }
}
