//! Two routers of one sync group.

use super::*;
use crate::router::group::settle;

/// `inside` has heard a better master, and the timer of `web` runs out.
#[test]
fn a_group_that_waits_says_once_for_whom_and_why() {
    let members: Arc<[String]> = Arc::from(vec!["web".to_owned(), "inside".to_owned()]);
    let mut benches = [Bench::backup(""), Bench::backup("")];
    for bench in &mut benches {
        let membership = Membership::new(Arc::from("pair"), Arc::clone(&members));
        bench.tell(0, Event::Membership(Some(membership)));
    }
    let [web, inside] = &mut benches;
    inside.tell(1000, heard(9, 200, false));
    web.expire(4000);
    for _ in 0..2 {
        let routers = &mut [&mut web.router, &mut inside.router];
        let said: Vec<Notice> = settle(routers, at(4000))
            .into_iter()
            .flatten()
            .filter_map(|effect| match effect {
                Effect::Say(notice) => Some(notice),
                _ => None,
            })
            .collect();
        let words =
            "would take over, but member inside of group pair cannot: the group waits for it";
        let before = web.router.membership().unwrap().ran_out;
        assert_eq!(before.map(|it| it.0), Some(0));
        web.effects.extend(said.into_iter().map(Effect::Say));
        let told = |effect: &&Effect| **effect == Effect::Say(Notice::Info(words.to_owned()));
        assert_eq!(web.effects.iter().filter(told).count(), 1);
    }
}
