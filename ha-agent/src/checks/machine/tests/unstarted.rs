//! Restart commands that cannot be started.

use super::*;

#[test]
fn a_restart_that_cannot_be_started_uses_up_no_attempt_and_is_tried_until_it_can() {
    let mut bench = Bench::up(policy(2));
    bench.give(0, DIED);
    assert_eq!(bench.give(0, failed(true)), [RESTARTING, Act::Restart]);
    let next = |bench: &mut Bench| {
        let mut waited = 0;
        loop {
            let (wait, acts) = bench.wait();
            waited += wait;
            if acts.contains(&Act::Restart) {
                return waited;
            }
            bench.give(0, failed(true));
        }
    };
    // With the second, as many as there are attempts, another host is to serve.
    for (told, wait, verdict) in [
        (Kind::RestartFailed, S, Verdict::Up),
        (Kind::Down, 2 * S, Verdict::Down),
        (Kind::RestartFailed, 4 * S, Verdict::Down),
        (Kind::RestartFailed, 8 * S, Verdict::Down),
        (Kind::RestartFailed, 16 * S, Verdict::Down),
        (Kind::RestartFailed, 30 * S, Verdict::Down),
        (Kind::RestartFailed, 30 * S, Verdict::Down),
    ] {
        assert_eq!(bench.give(0, unstarted()), [Act::Tell(told)]);
        let words = &bench.words[0];
        assert!(
            words.contains("Too many open files") && words.contains("uses up no attempt"),
            "{words}"
        );
        assert_eq!(bench.machine.view().verdict, Some(verdict));
        assert_eq!(next(&mut bench), wait);
    }
    // The first of two attempts.
    assert!(
        bench.words[0].contains("restart attempt 1 of 2"),
        "{:?}",
        bench.words
    );
    assert_eq!(bench.give(0, RAN), [Act::Probe]);
    assert_eq!(
        bench.give(0, PASSED),
        [Act::Tell(Kind::Restarted), Act::Tell(Kind::Up)]
    );
}

#[test]
fn a_service_that_is_down_for_want_of_a_restart_and_uses_its_attempts_up_later_stays_down() {
    let mut bench = Bench::up(policy(1));
    bench.give(0, DIED);
    bench.give(0, failed(true));
    assert_eq!(bench.give(0, unstarted()), [Act::Tell(Kind::Down)]);
    while !bench.wait().1.contains(&Act::Restart) {
        bench.give(0, failed(true));
    }
    assert_eq!(bench.give(0, refused()), [Act::Probe]);
    assert_eq!(
        bench.give(0, failed(true)),
        [Act::Tell(Kind::RestartFailed)]
    );
    assert!(bench.words[0].contains("none is left"), "{:?}", bench.words);
    let view = bench.machine.view();
    assert_eq!(
        (view.verdict, view.restarting),
        (Some(Verdict::Down), false)
    );
}
