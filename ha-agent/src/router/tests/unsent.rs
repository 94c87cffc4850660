//! A master whose adverts do not leave.

use super::*;
use sending::{SendingNews, Unsent};

fn unsent(millis: u64) -> Event<'static> {
    Event::Sending(SendingNews::Unsent(Unsent {
        since: at(millis - 3600),
        to: IpAddr::from([224, 0, 0, 18]),
        why: "EPERM: Operation not permitted".to_owned(),
        too_long: false,
    }))
}

#[test]
fn it_yields_to_whoever_it_hears_and_stays_out_for_longer_each_time() {
    let mut bench = Bench::master("");
    let mut now = 10_000;
    for wait in [5000, 10_000, 20_000] {
        bench.tell(now, unsent(now));
        assert_eq!(bench.router.role(), Role::Master, "nobody else is there");
        bench.take();
        bench.tell(now, heard(9, 90, false));
        assert_eq!(bench.router.role(), Role::Fault);
        assert!(bench.take().contains(&Effect::Want(Wanted::Nothing)));
        let why = bench.router.obstacle(at(now)).unwrap();
        assert!(
            why.contains("Operation not permitted") && why.contains("10.99.0.9"),
            "{why}"
        );
        assert_eq!(bench.router.next_deadline(), Some(at(now + wait)));
        now += wait;
        bench.time_out(at(now));
        assert_eq!(bench.router.role(), Role::Backup);
        now += 4000;
        bench.expire(now);
        bench.tell(now, Event::Promoted(true));
        assert_eq!(bench.router.role(), Role::Master);
        now += 4000;
    }
    // They leave again.
    bench.tell(now, Event::Sending(SendingNews::Leave));
    bench.tell(now, heard(9, 90, false));
    assert_eq!(bench.router.role(), Role::Master);
    bench.tell(now, unsent(now));
    bench.tell(now, heard(9, 90, false));
    assert_eq!(
        bench.router.next_deadline(),
        Some(at(now + 5000)),
        "as the first time"
    );
}

#[test]
fn of_several_peers_only_the_one_that_gets_none_is_yielded_to() {
    let mut bench = Bench::master("peers = [\"10.99.0.8\", \"10.99.0.9\"]\n");
    let to = IpAddr::from([10, 99, 0, 9]);
    let news = SendingNews::Unsent(Unsent {
        since: at(5000),
        to,
        why: "EHOSTUNREACH: No route to host".to_owned(),
        too_long: false,
    });
    bench.tell(9000, Event::Sending(news));
    bench.tell(9000, heard(8, 90, false));
    assert_eq!(bench.router.role(), Role::Master);
    bench.tell(9000, heard(9, 90, false));
    assert_eq!(bench.router.role(), Role::Fault);
}
