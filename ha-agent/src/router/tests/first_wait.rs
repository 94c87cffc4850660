//! How long a backup listens before it decides anything.

use super::*;

fn armed_for(bench: &mut Bench) -> Option<Nanos> {
    bench.take().into_iter().find_map(|effect| match effect {
        Effect::Detect {
            part: Detector::Backup { arm_for },
            ..
        } => Some(arm_for),
        _ => None,
    })
}

#[test]
fn by_unicast_it_is_as_long_as_a_peer_may_look_for_this_host_after_a_start_and_a_link_loss() {
    let quick = "advert_interval = \"100ms\"\n";
    let unicast = format!("{quick}peers = [\"10.99.0.9\"]\n");
    for (extra, millis) in [(quick.to_owned(), 360), (unicast.clone(), 1200)] {
        let mut bench = Bench::backup(&extra);
        assert_eq!(
            armed_for(&mut bench).map(|it| it.0 / 1_000_000),
            Some(millis)
        );
        bench.tell(5000, Event::Interface(InterfaceState::NoCarrier, None));
        bench.tell(25_000, Event::Interface(InterfaceState::Up, None));
        assert_eq!(
            armed_for(&mut bench).map(|it| it.0 / 1_000_000),
            Some(millis)
        );
    }
    // A master that yields has heard the other one.
    let mut bench = Bench::master(&unicast);
    bench.take();
    bench.tell(5000, heard(9, 200, false));
    assert!(
        armed_for(&mut bench).is_some_and(|it| it.0 > 3_000_000_000),
        "by the other's interval"
    );
}
