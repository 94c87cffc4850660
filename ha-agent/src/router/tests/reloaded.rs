//! What a reload changes of a router that runs.

use super::*;

#[test]
fn a_running_master_announces_by_a_new_plan_at_once() {
    let reconfigured = |bench: &mut Bench, millis: u64, extra: &str| {
        let event = Event::Configure {
            config: config(extra),
            checks: &[],
            links: &ObservedLinks::new(),
            names: Arc::from(Vec::new()),
        };
        bench.tell(millis, event);
        bench.take()
    };
    let mut bench = Bench::master("garp = { refresh = \"0s\" }\n");
    bench.tell(4000, Event::AddressesHeld);
    bench.take();
    let same = reconfigured(&mut bench, 5000, "garp = { refresh = \"0s\" }\n");
    assert!(!same.contains(&Effect::Announce(0..1)), "{same:?}");
    let new = reconfigured(&mut bench, 6000, "garp = { refresh = \"1s\" }\n");
    assert!(new.contains(&Effect::Announce(0..1)), "{new:?}");
    // A backup has nothing to announce.
    let mut bench = Bench::backup("");
    let wanted = reconfigured(&mut bench, 100, "garp = { refresh = \"1s\" }\n");
    assert!(!wanted.contains(&Effect::Announce(0..1)), "{wanted:?}");
}

#[test]
fn a_router_that_is_renamed_goes_by_its_new_name() {
    let mut bench = Bench::master("");
    let mut renamed = (*config("")).clone();
    renamed.name = "www".to_owned();
    bench.tell(
        5000,
        Event::Configure {
            config: Arc::new(renamed),
            checks: &[],
            links: &ObservedLinks::new(),
            names: Arc::from(Vec::new()),
        },
    );
    assert_eq!(&**bench.router.name(), "www");
    assert_eq!(bench.router.role(), Role::Master);
}
