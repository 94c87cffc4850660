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
