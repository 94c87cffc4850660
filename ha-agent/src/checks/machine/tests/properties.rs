//! Properties of a check's decisions, over random sequences of inputs.

use proptest::prelude::*;

use super::*;

fn inputs() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => Just(Input::Timer),
        3 => Just(PASSED),
        3 => any::<bool>().prop_map(failed),
        1 => Just(VOID),
        1 => Just(DIED),
        2 => Just(RAN),
        2 => Just(refused()),
        2 => Just(unstarted()),
    ]
}

prop_compose! {
    fn policies()(
        interval in 10 * MS..3 * S,
        fall in 1_u32..4,
        rise in 1_u32..4,
        attempts in 0_u32..4,
        settle in 0..3 * S,
        backoff in 0..2 * S,
        death_is_final: bool,
    ) -> Policy {
        Policy {
            interval: Nanos(interval),
            fall,
            rise,
            death_is_final,
            restart: (attempts > 0).then_some(RestartPolicy {
                attempts,
                settle: Nanos(settle),
                backoff: Nanos(backoff),
            }),
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_keeps_its_promises(
        policy in policies(),
        steps in prop::collection::vec((0..2 * S, inputs()), 1..200),
    ) {
        let attempts = policy.restart.as_ref().map_or(0, |r| r.attempts);
        let rise = policy.rise;
        let mut bench = Bench::new(policy);
        let (mut probing, mut restarting) = (false, false);
        let mut verdict = None;
        let mut in_outage = 0;
        for (after, input) in steps {
            // What is not out cannot report.
            match &input {
                Input::Probed(_) if !probing => continue,
                Input::RestartEnded(_) | Input::RestartUnstarted(_) if !restarting => continue,
                Input::Probed(_) => probing = false,
                Input::RestartEnded(_) => restarting = false,
                // It was no attempt.
                Input::RestartUnstarted(_) => {
                    restarting = false;
                    in_outage -= 1;
                }
                Input::Timer | Input::Died { .. } => {}
            }
            let timer = matches!(input, Input::Timer);
            let was_restarting = bench.machine.view().restarting;
            for act in bench.give(after, input) {
                match act {
                    Act::Probe => {
                        prop_assert!(!restarting, "a probe while the command runs");
                        probing = true;
                    }
                    Act::Abandon => {
                        prop_assert!(probing);
                        probing = false;
                    }
                    Act::Restart => {
                        prop_assert!(!restarting, "two commands at once");
                        prop_assert!(!probing, "a probe is out while the command starts");
                        // One that could not be started is tried while the verdict is down.
                        prop_assert!(was_restarting || verdict != Some(Verdict::Down), "restarted while down");
                        restarting = true;
                        in_outage += 1;
                        prop_assert!(in_outage <= attempts);
                    }
                    Act::Tell(kind) => {
                        if let Some(new) = kind.verdict() {
                            let first = matches!(kind, Kind::First(_));
                            prop_assert_eq!(first, verdict.is_none());
                            prop_assert_ne!(verdict, Some(new));
                            verdict = Some(new);
                        }
                        if kind.verdict().is_some() || kind == Kind::Restarted {
                            in_outage = 0;
                        }
                    }
                }
            }
            prop_assert_eq!(bench.machine.view().verdict, verdict);
            // Something is out, or a time is set: it never sleeps for ever.
            prop_assert!(probing || restarting || bench.machine.deadline().is_some());
            if timer && let Some(at) = bench.machine.deadline() {
                prop_assert!(at > bench.now, "a timer that has come must not come again at once");
            }
        }
        // From here on all is well: it is up after at most `rise` probes, and no more commands run
        // than the one that may be out.
        for round in 0..=rise + 1 {
            if restarting {
                bench.give(0, RAN);
                restarting = false;
            } else if bench.machine.deadline().is_some() {
                let (_, acts) = bench.wait();
                if acts.contains(&Act::Restart) {
                    restarting = true;
                    continue;
                }
            }
            bench.give(0, PASSED);
            prop_assert!(round <= rise + 1);
        }
        prop_assert_eq!(bench.machine.view().verdict, Some(Verdict::Up));
    }
}
