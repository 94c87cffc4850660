//! What is wrong between hosts is told while it is, and again when it is back.

use super::*;

fn said(bench: &mut Bench) -> Vec<Notice> {
    let said = std::mem::take(&mut bench.effects).into_iter();
    said.filter_map(|effect| match effect {
        Effect::Say(notice) => Some(notice),
        _ => None,
    })
    .collect()
}

fn texts(bench: &Bench) -> Vec<String> {
    let told = bench.router.notices().told().iter();
    told.map(|told| told.text.clone()).collect()
}

/// A slot that plays this part, and whose master 10.99.0.9 was heard just then.
fn slot(state: u8, millis: u64) -> Slot {
    Slot {
        state,
        family: 4,
        version: 3,
        down_multiplier: 3,
        own_interval: 100,
        own_hash: 7,
        own_priority: 100,
        master_address: raw(IpAddr::from([10, 99, 0, 9])),
        master_priority: 200,
        master_interval: 100,
        master_hash: 7,
        last_heard: at(millis).0,
        deadline: at(millis + 3600).0,
        ..Slot::default()
    }
}

#[test]
fn a_second_master_is_told_once_until_it_falls_silent() {
    let mut bench = Bench::master("");
    said(&mut bench);
    let of_it = |said: Vec<Notice>| -> Vec<String> {
        let texts = said.into_iter().filter_map(|notice| match notice {
            Notice::Warning(text) | Notice::Info(text) => Some(text),
            _ => None,
        });
        texts
            .filter(|text| text.contains("is master as well"))
            .collect()
    };
    // Its last word, had it yielded.
    bench.tell(5000, heard(9, 90, false));
    assert!(of_it(said(&mut bench)).is_empty());
    for millis in [6000, 7000] {
        bench.tell(millis, heard(9, 90, false));
    }
    let told = of_it(said(&mut bench));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("10.99.0.9 is master as well, with priority 90: "),
        "{told:?}"
    );
    assert!(texts(&bench).contains(&told[0]));

    for millis in [8000, 12_000] {
        bench.tell(
            millis,
            Event::Slot(&Slot {
                state: state::MASTER,
                ..Slot::default()
            }),
        );
    }
    let over = of_it(said(&mut bench));
    assert_eq!(over, [format!("no longer so: {}", told[0])]);
    assert!(!texts(&bench).contains(&told[0]));
}

#[test]
fn a_master_beside_the_one_that_a_backup_follows_is_named() {
    let mut bench = Bench::backup("");
    bench.tell(1000, heard(9, 200, false));
    for millis in [1500, 2500] {
        bench.tell(millis, heard(3, 150, true));
    }
    let named = texts(&bench);
    assert!(
        named.len() == 1 && named[0].starts_with("10.99.0.3 advertises beside the master"),
        "{named:?}"
    );
    bench.tell(3000, heard(3, 0, false));
    assert!(texts(&bench).is_empty(), "it left");
}

#[test]
fn another_list_or_interval_of_the_followed_master_is_told_each_time_that_it_comes_back() {
    let differs: [fn(&mut Slot); 2] = [
        |slot| slot.master_hash = 8,
        |slot| slot.master_interval = 20,
    ];
    for differ in differs {
        let mut bench = Bench::backup("");
        bench.tell(1000, heard(9, 200, false));
        for (millis, wrong, told, lines) in [
            (2000, true, 1, 1),
            (3000, true, 1, 0),
            (4000, false, 0, 1),
            (5000, true, 1, 1),
        ] {
            said(&mut bench);
            let mut slot = slot(state::BACKUP, millis);
            if wrong {
                differ(&mut slot);
            }
            bench.tell(millis, Event::Slot(&slot));
            assert_eq!(bench.router.notices().told().len(), told, "at {millis}");
            assert_eq!(said(&mut bench).len(), lines, "at {millis}");
        }
    }
}

#[test]
fn an_address_of_somebody_else_is_told_while_it_is_there_and_again_when_it_is_back() {
    let theirs = std::collections::BTreeSet::from([IpAddr::from([10, 99, 0, 100])]);
    let none = std::collections::BTreeSet::new();
    for (mut bench, words) in [
        (
            Bench::master(""),
            "10.99.0.100 already existed on the interface",
        ),
        (
            Bench::backup(""),
            "10.99.0.100 is on the interface although this host is not master",
        ),
    ] {
        said(&mut bench);
        for (millis, found, expected) in [
            (5000, &theirs, Some(false)),
            (6000, &theirs, None),
            (7000, &none, Some(true)),
            (8000, &none, None),
            (9000, &theirs, Some(false)),
        ] {
            let mut fx = Effects::default();
            bench.router.find_foreign(found, at(millis), &mut fx);
            bench.collect(fx);
            let told: Vec<bool> = said(&mut bench)
                .into_iter()
                .map(|notice| match notice {
                    Notice::Warning(text) if text.starts_with(words) => false,
                    Notice::Info(text) if text.starts_with(&format!("no longer so: {words}")) => {
                        true
                    }
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, Vec::from_iter(expected), "{millis}");
            let shown = texts(&bench).iter().any(|text| text.starts_with(words));
            assert_eq!(shown, !found.is_empty());
        }
    }
}

#[test]
fn an_address_that_stays_when_a_master_leaves_is_told_anew_and_is_not_over() {
    let theirs = std::collections::BTreeSet::from([IpAddr::from([10, 99, 0, 100])]);
    let mut bench = Bench::master("");
    let find = |bench: &mut Bench, millis| {
        let mut fx = Effects::default();
        bench.router.find_foreign(&theirs, at(millis), &mut fx);
        bench.collect(fx);
    };
    find(&mut bench, 5000);
    bench.tell(6000, heard(9, 200, false));
    assert_ne!(bench.router.role(), Role::Master);
    said(&mut bench);
    find(&mut bench, 7000);
    let [Notice::Warning(text)] = &said(&mut bench)[..] else {
        panic!("not one warning");
    };
    assert!(text.contains("although this host is not master"), "{text}");
    assert_eq!(texts(&bench), std::slice::from_ref(text));
}
