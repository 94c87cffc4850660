//! Tables of inputs with the exact actions.

use super::*;

mod properties;
mod unstarted;

const S: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

fn policy(attempts: u32) -> Policy {
    Policy {
        interval: Nanos(S),
        fall: 2,
        rise: 2,
        death_is_final: attempts > 0,
        restart: (attempts > 0).then_some(RestartPolicy {
            attempts,
            settle: Nanos(2 * S),
            backoff: Nanos(S),
        }),
    }
}

fn failed(gone: bool) -> Input {
    Input::Probed(Outcome::Failed {
        gone,
        reason: "broken".into(),
    })
}

const PASSED: Input = Input::Probed(Outcome::Passed);
const VOID: Input = Input::Probed(Outcome::Discarded);
const DIED: Input = Input::Died { pid: 7 };
const RAN: Input = Input::RestartEnded(Ok(()));

fn refused() -> Input {
    Input::RestartEnded(Err("exit status: 1 (bad config)".into()))
}

fn unstarted() -> Input {
    Input::RestartUnstarted("Too many open files (os error 24)".into())
}

/// Actions without their words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Probe,
    Abandon,
    Restart,
    Tell(Kind),
}

/// A machine at the time of its last input.
struct Bench {
    machine: Machine,
    now: Instant,
    words: Vec<String>,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let now = Instant(100 * S);
        Self {
            machine: Machine::new(policy, now),
            now,
            words: Vec::new(),
        }
    }

    /// One that is up, with its first result at the very start.
    fn up(policy: Policy) -> Self {
        let mut bench = Self::new(policy);
        assert_eq!(bench.give(0, Input::Timer), [Act::Probe]);
        assert_eq!(bench.give(0, PASSED), [Act::Tell(Kind::First(Verdict::Up))]);
        bench
    }

    fn give(&mut self, after: u64, input: Input) -> Vec<Act> {
        self.now = self.now + Nanos(after);
        self.words.clear();
        let actions = self.machine.handle(self.now, input);
        actions
            .into_iter()
            .map(|action| match action {
                Action::Probe => Act::Probe,
                Action::Abandon => Act::Abandon,
                Action::Restart => Act::Restart,
                Action::Tell(kind, words) => {
                    self.words.push(words);
                    Act::Tell(kind)
                }
            })
            .collect()
    }

    /// Lets the time of the deadline come; returns how long that took.
    fn wait(&mut self) -> (u64, Vec<Act>) {
        let deadline = self.machine.deadline().unwrap();
        let wait = deadline.since(self.now).0;
        (wait, self.give(wait, Input::Timer))
    }
}

const RESTARTING: Act = Act::Tell(Kind::Restarting);

#[test]
fn the_first_result_decides_at_once() {
    for (result, verdict) in [(PASSED, Verdict::Up), (failed(false), Verdict::Down)] {
        let mut bench = Bench::new(policy(0));
        assert_eq!(bench.machine.view().verdict, None);
        assert_eq!(bench.wait(), (0, vec![Act::Probe]));
        assert_eq!(bench.give(MS, result), [Act::Tell(Kind::First(verdict))]);
        assert_eq!(bench.machine.view().verdict, Some(verdict));
    }
}

#[test]
fn fall_failures_in_a_row_are_down_and_rise_successes_in_a_row_are_up() {
    let mut bench = Bench::up(policy(0));
    let down = vec![Act::Tell(Kind::Down)];
    let up = vec![Act::Tell(Kind::Up)];
    for (result, expected) in [
        (failed(false), vec![]),
        (PASSED, vec![]),
        (failed(false), vec![]),
        (failed(true), down),
        (failed(false), vec![]),
        (PASSED, vec![]),
        (failed(false), vec![]),
        (PASSED, vec![]),
        (PASSED, up),
        (failed(false), vec![]),
    ] {
        assert_eq!(bench.wait().1, [Act::Probe]);
        assert_eq!(bench.give(MS, result), expected);
    }
}

#[test]
fn runs_keep_to_their_grid_without_drift_and_without_a_burst_after_a_stall() {
    let mut bench = Bench::up(policy(0));
    assert_eq!(bench.wait(), (S, vec![Act::Probe]));
    bench.give(300 * MS, PASSED);
    assert_eq!(bench.wait().0, 700 * MS);
    // A run that takes 2.5 intervals: the next one is at the next point of the grid.
    bench.give(2500 * MS, PASSED);
    assert_eq!(bench.wait().0, 500 * MS);
    bench.give(0, PASSED);
    // The process sleeps for 10.2 s: one run at once, then the grid.
    assert_eq!(bench.give(10_200 * MS, Input::Timer), [Act::Probe]);
    bench.give(0, PASSED);
    assert_eq!(bench.wait().0, 800 * MS);
}

#[test]
fn a_timer_that_comes_too_early_does_nothing() {
    let mut bench = Bench::up(policy(0));
    assert_eq!(bench.give(S - 1, Input::Timer), []);
    assert_eq!(bench.give(1, Input::Timer), [Act::Probe]);
    assert_eq!(bench.give(5 * S, Input::Timer), [], "one is out already");
}

#[test]
fn a_death_that_a_probe_confirms_is_restarted_without_waiting_for_fall() {
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(MS, failed(true)), [RESTARTING, Act::Restart]);
    assert_eq!(
        bench.machine.view(),
        View {
            verdict: Some(Verdict::Up),
            restarting: true
        }
    );
    assert_eq!(bench.machine.deadline(), None, "the command reports");
    assert_eq!(bench.give(30 * MS, RAN), [Act::Probe]);
    assert_eq!(bench.give(MS, failed(true)), []);
    assert_eq!(bench.wait(), (50 * MS, vec![Act::Probe]));
    assert_eq!(bench.give(3 * MS, PASSED), [Act::Tell(Kind::Restarted)]);
    assert_eq!(
        bench.words,
        ["pid 7 died; restarted in 85 ms; the check stays up and the VIP where it is"]
    );
    assert_eq!(
        bench.machine.view(),
        View {
            verdict: Some(Verdict::Up),
            restarting: false
        }
    );
    // Back on the grid of whole seconds: 100 + 1 + 30 + 1 + 50 + 3 ms have passed.
    assert_eq!(bench.wait().0, 815 * MS);
}

#[test]
fn a_death_replaces_a_probe_that_was_asked_before_it() {
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.wait().1, [Act::Probe]);
    assert_eq!(bench.give(MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(MS, PASSED), [], "somebody else serves already");
    assert_eq!(bench.machine.view().verdict, Some(Verdict::Up));
}

#[test]
fn a_dying_service_is_asked_again_soon() {
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(0, failed(false)), []);
    assert_eq!(bench.wait(), (50 * MS, vec![Act::Probe]));
    assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
}

#[test]
fn an_answer_right_after_a_death_is_asked_for_again_until_it_lasts() {
    // The workers of a dead nginx serve until systemd has ended them, too.
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(0, PASSED), []);
    assert_eq!(bench.wait(), (50 * MS, vec![Act::Probe]));
    assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
    assert!(bench.words[0].contains("pid 7 died"), "{:?}", bench.words);

    // Another process has taken over for good.
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    let mut quick = 0;
    assert_eq!(bench.give(0, PASSED), []);
    while bench.wait() == (50 * MS, vec![Act::Probe]) {
        quick += 1;
        assert_eq!(bench.give(0, PASSED), []);
    }
    assert_eq!(quick, 20);
    assert_eq!(bench.give(0, PASSED), []);
    assert_eq!(bench.wait(), (S, vec![Act::Probe]), "back on the grid");
    assert_eq!(bench.give(0, failed(true)), [], "the death is over");
}

#[test]
fn refusals_without_a_death_count_to_fall() {
    let mut bench = Bench::up(policy(1));
    assert_eq!(bench.wait().1, [Act::Probe]);
    assert_eq!(bench.give(0, failed(true)), []);
    assert_eq!(bench.wait(), (S, vec![Act::Probe]));
    assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
}

#[test]
fn without_a_restart_the_death_of_a_listener_counts_to_fall_on_the_grid() {
    let mut bench = Bench::up(policy(0));
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(0, failed(true)), []);
    assert_eq!(bench.wait(), (900 * MS, vec![Act::Probe]));
    assert_eq!(bench.give(0, failed(true)), [Act::Tell(Kind::Down)]);
}

#[test]
fn without_a_restart_the_death_of_a_named_process_is_down_at_once() {
    let mut bench = Bench::up(Policy {
        death_is_final: true,
        ..policy(0)
    });
    assert_eq!(bench.give(100 * MS, DIED), [Act::Probe]);
    assert_eq!(bench.give(0, failed(true)), [Act::Tell(Kind::Down)]);
    assert_eq!(bench.words, ["pid 7 died"]);
}

#[test]
fn a_command_that_fails_is_down_after_one_more_probe_and_says_why() {
    let mut bench = Bench::up(policy(1));
    bench.give(100 * MS, DIED);
    bench.give(0, failed(true));
    assert_eq!(bench.give(9 * MS, refused()), [Act::Probe]);
    assert_eq!(bench.give(0, failed(true)), [Act::Tell(Kind::Down)]);
    assert_eq!(
        bench.words,
        [
            "pid 7 died; restart attempt 1 of 1 failed: exit status: 1 (bad config); none is left until it has been up again"
        ]
    );
    // While down nothing is restarted, however long it lasts.
    for _ in 0..100 {
        assert_eq!(bench.wait().1, [Act::Probe]);
        assert_eq!(bench.give(0, failed(true)), []);
    }
}

#[test]
fn a_command_that_fails_because_the_service_is_back_already_does_no_harm() {
    let mut bench = Bench::up(policy(1));
    bench.give(0, DIED);
    bench.give(0, failed(true));
    bench.give(0, refused());
    assert_eq!(bench.give(0, PASSED), [Act::Tell(Kind::Restarted)]);
}

#[test]
fn attempts_follow_each_other_with_a_doubling_backoff_until_they_are_used_up() {
    let mut bench = Bench::up(policy(3));
    bench.give(0, DIED);
    assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
    for backoff in [S, 2 * S] {
        bench.give(0, RAN);
        // The settling time passes with a probe every 50 ms.
        let mut waited = 0;
        loop {
            let acts = bench.give(0, failed(true));
            if !acts.is_empty() {
                assert_eq!(acts, [Act::Tell(Kind::RestartFailed)]);
                break;
            }
            let (wait, acts) = bench.wait();
            assert_eq!(acts, [Act::Probe]);
            waited += wait;
        }
        assert_eq!(waited, 2 * S);
        // In between it is asked on the grid, for it may come back by itself.
        let mut waited = 0;
        loop {
            let (wait, acts) = bench.wait();
            waited += wait;
            if acts == [RESTARTING, Act::Restart] {
                break;
            }
            assert_eq!(acts, [Act::Probe]);
            assert_eq!(bench.give(0, failed(true)), []);
        }
        assert_eq!(waited, backoff);
    }
    bench.give(0, refused());
    assert_eq!(bench.give(0, failed(true)), [Act::Tell(Kind::Down)]);
}

#[test]
fn a_probe_that_is_out_when_settling_ends_still_decides() {
    let mut bench = Bench::up(policy(1));
    bench.give(0, DIED);
    bench.give(0, failed(true));
    bench.give(0, RAN);
    assert_eq!(bench.give(3 * S, PASSED), [Act::Tell(Kind::Restarted)]);
}

#[test]
fn attempts_come_back_after_rise_successes_and_not_before() {
    let restart = |bench: &mut Bench| {
        bench.give(0, DIED);
        let acts = bench.give(0, failed(true));
        if acts == [RESTARTING, Act::Restart] {
            bench.give(0, RAN);
            assert_eq!(bench.give(0, PASSED), [Act::Tell(Kind::Restarted)]);
        }
        acts
    };
    let mut bench = Bench::up(policy(1));
    assert_eq!(restart(&mut bench), [RESTARTING, Act::Restart]);
    // The pass after the restart is the first; one more is the second.
    bench.wait();
    bench.give(0, PASSED);
    assert_eq!(restart(&mut bench), [RESTARTING, Act::Restart]);
    // This time it dies again before: a crash loop.
    assert_eq!(restart(&mut bench), [Act::Tell(Kind::Down)]);
    assert!(
        bench.words[0].contains("not restarted: 1 attempt already used"),
        "{:?}",
        bench.words
    );
    // Risen, it has its attempt again.
    bench.wait();
    bench.give(0, PASSED);
    bench.wait();
    assert_eq!(bench.give(0, PASSED), [Act::Tell(Kind::Up)]);
    assert_eq!(restart(&mut bench), [RESTARTING, Act::Restart]);
}

#[test]
fn a_service_that_is_out_at_the_start_is_started_before_the_first_result() {
    for (result, verdict) in [(PASSED, Verdict::Up), (failed(true), Verdict::Down)] {
        let mut bench = Bench::new(policy(1));
        bench.wait();
        assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
        assert_eq!(
            bench.machine.view(),
            View {
                verdict: None,
                restarting: true
            }
        );
        let up = verdict == Verdict::Up;
        bench.give(0, if up { RAN } else { refused() });
        let mut expected = vec![Act::Tell(Kind::First(verdict))];
        if up {
            expected.insert(0, Act::Tell(Kind::Restarted));
        }
        assert_eq!(bench.give(0, result), expected);
    }
}

/// Also where a reload has changed what it asks.
#[test]
fn a_changed_check_of_a_service_that_was_up_counts_to_fall() {
    let mut bench = Bench::new(policy(0));
    bench.machine = Machine::of_one_that_was_up(policy(0), bench.now);
    assert_eq!(bench.machine.view().verdict, Some(Verdict::Up));
    assert_eq!(bench.wait(), (0, vec![Act::Probe]));
    assert_eq!(bench.give(0, failed(false)), []);
    bench.wait();
    assert_eq!(bench.give(0, failed(false)), [Act::Tell(Kind::Down)]);
}

/// A service is not down because the agent has no descriptors.
#[test]
fn a_check_that_cannot_be_asked_stays_what_it_is_for_ever() {
    let mut bench = Bench::up(policy(0));
    bench.wait();
    for _ in 0..100 {
        assert_eq!(bench.give(0, Input::Probed(Outcome::Unasked)), []);
        assert_eq!(bench.wait().1, [Act::Probe]);
    }
    assert_eq!(bench.give(0, failed(false)), [], "the first failure of two");
    bench.wait();
    assert_eq!(bench.give(0, Input::Probed(Outcome::Unasked)), []);
    bench.wait();
    assert_eq!(bench.give(0, failed(false)), [Act::Tell(Kind::Down)]);
}

#[test]
fn void_results_count_neither_way_but_not_for_ever() {
    let mut bench = Bench::up(policy(0));
    bench.wait();
    for _ in 0..2 {
        for _ in 0..DISCARDS {
            assert_eq!(bench.give(S, VOID), [Act::Probe], "asked again at once");
        }
        if bench.give(S, VOID) == [Act::Tell(Kind::Down)] {
            return;
        }
        assert_eq!(bench.wait().1, [Act::Probe]);
    }
    panic!("it never fell");
}
