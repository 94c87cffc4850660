//! A slot that is not what the election says.

use super::*;

#[test]
fn a_slot_that_is_not_what_the_election_says_is_told_again() {
    let mut bench = Bench::backup("");
    bench.take();
    let idle = Slot::default();
    let backup = Slot {
        state: state::BACKUP,
        own_priority: 100,
        deadline: at(60_000).0,
        ..Slot::default()
    };
    let mut look = |millis: u64, slot: &Slot| {
        bench.tell(millis, Event::Slot(slot));
        let wanted = bench.take();
        let is_detect = |effect: &&Effect| {
            matches!(
                effect,
                Effect::Detect {
                    part: Detector::Backup { .. },
                    ..
                } | Effect::UpdateDetector(_)
            )
        };
        wanted.iter().filter(is_detect).count()
    };
    assert_eq!(look(100, &backup), 0);
    // One look may come between a change and its command.
    assert_eq!(look(200, &idle), 0);
    assert_eq!(look(300, &backup), 0);
    assert_eq!(look(400, &idle), 0);
    assert_eq!(look(500, &idle), 1);
    let other_priority = Slot {
        own_priority: 90,
        ..backup
    };
    assert_eq!(look(600, &other_priority), 0);
    assert_eq!(look(700, &other_priority), 1);
    assert_eq!(look(800, &backup), 0);
}

/// Said once for as long as it lasts; what the slot itself is configured with is the router's to say again.
#[test]
fn what_something_else_writes_into_the_maps_is_said_until_it_is_over() {
    let mut bench = Bench::backup("");
    bench.take();
    let overwritten = |bench: &mut Bench, millis, part, slot| {
        let parts = vec![part];
        bench.tell(millis, Event::Overwritten { parts, slot });
        let is_update =
            |it: &&Effect| matches!(it, Effect::UpdateDetector(_) | Effect::Detect { .. });
        let is_said = |it: &&Effect| matches!(it, Effect::Say(Notice::Warning(_)));
        let found = (
            bench.effects.iter().filter(is_said).count(),
            bench.effects.iter().filter(is_update).count(),
        );
        bench.take();
        found
    };
    assert_eq!(
        overwritten(&mut bench, 100, "its configuration", true),
        (1, 2)
    );
    assert_eq!(
        overwritten(&mut bench, 200, "its configuration", true),
        (0, 2)
    );
    assert_eq!(overwritten(&mut bench, 300, "its HMAC keys", false), (0, 0));
    let notices = |bench: &Bench| bench.router.notices().told().len();
    assert_eq!(notices(&bench), 1);
    bench.tell(400, Event::AsWritten);
    assert_eq!(notices(&bench), 0);
    assert_eq!(overwritten(&mut bench, 500, "its HMAC keys", false), (1, 0));
}
