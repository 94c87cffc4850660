//! What is tracked without weight fails, and `last_resort` has the router take part all the same.

use super::*;

const TRACKS: &str =
    "track = [{ check = \"nginx\" }]\n[[check]]\nname = \"nginx\"\ntcp = \"127.0.0.1:80\"\n";

fn check(health: Health) -> Event<'static> {
    Event::Check {
        name: "nginx",
        health,
    }
}

/// Ready, with a check that is up.
fn serving() -> Bench {
    let mut bench = Bench::new(&format!("last_resort = 10\n{TRACKS}"));
    bench.tell(0, Event::Bound(binding(), Some(&Slot::default())));
    bench.tell(0, Event::Interface(InterfaceState::Up, None));
    bench.tell(0, check(Health::Up));
    assert_eq!(bench.router.role(), Role::Backup);
    bench
}

#[test]
fn a_failed_check_is_a_low_priority_and_said_while_it_lasts() {
    let mut bench = serving();
    bench.expire(4000);
    bench.tell(4000, Event::Promoted(true));
    bench.effects.clear();
    bench.tell(5000, check(Health::Down));
    assert_eq!(
        bench.router.role(),
        Role::Master,
        "perhaps there is no better one"
    );
    assert_eq!(bench.router.election().rules().priority, Priority(10));
    let words = "takes part with priority 10 as a last resort: check nginx failed";
    assert!(
        bench
            .effects
            .contains(&Effect::Say(Notice::Warning(words.to_owned())))
    );
    assert_eq!(bench.router.notices().told()[0].text, words);
    assert_eq!(bench.router.obstacle(at(5000)), None);
    // A better one is yielded to as ever.
    bench.tell(6000, heard(9, 90, false));
    assert_eq!(bench.router.role(), Role::Backup);

    bench.tell(7000, check(Health::Up));
    assert_eq!(bench.router.election().rules().priority, Priority(100));
    assert!(bench.router.notices().told().is_empty());
}

#[test]
fn first_results_are_waited_for_and_everything_else_stays_a_fault() {
    let mut bench = Bench::new(&format!("last_resort = 10\n{TRACKS}"));
    bench.tell(0, Event::Bound(binding(), Some(&Slot::default())));
    bench.tell(0, Event::Interface(InterfaceState::Up, None));
    assert_eq!(bench.router.role(), Role::Initialize);
    bench.time_out(START + readiness::FIRST_RESULT_WAIT);
    assert_eq!(bench.router.role(), Role::Backup);
    assert_eq!(bench.router.election().rules().priority, Priority(10));
    bench.tell(40_000, Event::Interface(InterfaceState::Down, None));
    assert_eq!(bench.router.role(), Role::Fault);
    let mut bench = serving();
    bench.tell(1000, Event::KeptOut(Some(FaultCause::Maintenance)));
    assert_eq!(bench.router.role(), Role::Fault);
}
